//! What is set while kurs runs, as it is stored: one layer of the configuration.

use super::audit::AuditEntry;
use kurs_core::Wall;
use std::sync::Arc;

/// Longest key of a setting, in bytes.
pub const SETTING_KEY_MAX: usize = 256;
/// Longest value of a setting, in bytes of its JSON text.
pub const SETTING_VALUE_MAX: usize = 1 << 20;

/// One setting. The store does not understand it: whoever reads it judges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSetting {
    /// The key of the configuration, such as `sources.binance.enabled`.
    pub key: Arc<str>,
    /// The value as JSON text.
    pub value: Arc<str>,
    /// When it was set.
    pub set_at: Wall,
    /// By whom, as in the audit log.
    pub who: Arc<str>,
    /// What for, in the words of whoever set it.
    pub why: Option<Arc<str>>,
}

/// All settings, and the version that they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredSettings {
    /// As [`crate::Store::settings_version`] told it before they were read: what changed meanwhile
    /// is looked for again.
    pub version: u64,
    /// All of them, by key.
    pub settings: Vec<StoredSetting>,
}

/// A change of settings: all of it, or nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsChange {
    /// The version that was looked at when it was judged.
    pub expected: u64,
    /// What is set from now on; it replaces what is there under the same key.
    pub set: Vec<StoredSetting>,
    /// Keys that are not set any more; those that are not there are passed over.
    pub unset: Vec<Arc<str>>,
    /// What the audit log says of it.
    pub entries: Vec<AuditEntry>,
}
