//! API keys, as they are kept: everything but the key itself.

use kurs_core::Wall;
use std::fmt;
use std::sync::Arc;

/// One API key.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// What it is known by; unique for ever.
    pub id: Arc<str>,
    /// The word in the key that tells where it belongs.
    pub environment: Arc<str>,
    /// What people call it.
    pub name: Arc<str>,
    /// What it opens, as words with spaces between them; the store does not look into it.
    pub scopes: Arc<str>,
    /// SHA-256 of the whole key.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Wall,
    /// Not good from this moment on; `None`: without an end.
    pub expires_at: Option<Wall>,
    /// When it was taken back, if it was.
    pub revoked_at: Option<Wall>,
    /// The key that took its place, if one did.
    pub replaced_by: Option<Arc<str>>,
    /// When it was used last, about.
    pub used_at: Option<Wall>,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredKey")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("scopes", &self.scopes)
            .field("expires_at", &self.expires_at)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// All keys, as of one moment or a little later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKeys {
    /// The version that they have at least: see [`Store::key_version`](crate::Store::key_version).
    pub version: u64,
    /// The keys, oldest first.
    pub keys: Vec<StoredKey>,
}
