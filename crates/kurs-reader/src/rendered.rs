//! A finished body, made once and shared by every request until the rate changes.

use bytes::Bytes;
use kurs_core::{Mono, RateState};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

/// Content codings whose result is kept beside a body.
pub const CODINGS: usize = 3;

/// A rendered answer.
#[derive(Debug)]
pub struct Rendered {
    /// The JSON text.
    pub body: Bytes,
    /// The entity tag with its quotes; depends on content and sequence only.
    pub etag: Bytes,
    /// Until when it may be served as fresh.
    pub valid_until: Mono,
    /// State in the body.
    pub state: RateState,
    /// Compressed forms, made by the first request that wants one.
    pub compressed: [OnceLock<Bytes>; CODINGS],
}

impl Rendered {
    /// A body with the tag of what it was made from.
    #[must_use]
    pub fn new(body: Vec<u8>, etag: String, valid_until: Mono, state: RateState) -> Self {
        Self {
            body: Bytes::from(body),
            etag: Bytes::from(etag),
            valid_until,
            state,
            compressed: [const { OnceLock::new() }; CODINGS],
        }
    }
}

/// An entity tag for what these parts identify. The hash is fixed across processes, so that all
/// Readers give the same tag.
pub(crate) fn etag_of(parts: impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// JSON text of a document. Documents are plain data, so this cannot fail; should it ever, the
/// body is empty JSON rather than a broken one.
pub(crate) fn json_of(document: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec())
}
