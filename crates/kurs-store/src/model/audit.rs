//! Who changed what, and when: the audit log. It only grows, until it is older than its time.

use kurs_core::Wall;
use std::sync::Arc;

/// Longest text that says who, in bytes.
pub const WHO_MAX: usize = 1_024;
/// Longest text that says what for, in bytes.
pub const WHY_MAX: usize = 4_096;
/// Most records of one answer, whatever is asked for.
pub const AUDIT_PAGE_MAX: u32 = 1_000;

/// One change that was made. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, on the clock of whoever made the change.
    pub at: Wall,
    /// Who: `key:ID`, `token:ISSUER/SUBJECT`, `loopback`, `cli:USER` or `configuration`.
    pub who: Arc<str>,
    /// The network address that it came from, if it came over a network.
    pub address: Option<Arc<str>>,
    /// What was done, such as `set_setting`.
    pub action: Arc<str>,
    /// What it was done to, such as `sources.binance.enabled`.
    pub subject: Arc<str>,
    /// What was before, as JSON text.
    pub before: Option<Arc<str>>,
    /// What is since, as JSON text.
    pub after: Option<Arc<str>>,
    /// What for, in the words of whoever did it.
    pub why: Option<Arc<str>>,
}

/// An entry with its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Growing with every entry, with gaps.
    pub id: u64,
    /// What happened.
    pub entry: AuditEntry,
}

/// Which entries are wanted, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// At or after this moment.
    pub start: Option<Wall>,
    /// Before this moment.
    pub end: Option<Wall>,
    /// By exactly this one.
    pub who: Option<Arc<str>>,
    /// Of exactly this.
    pub subject: Option<Arc<str>>,
    /// Older than the record of this id.
    pub before: Option<u64>,
    /// At most so many; never more than [`AUDIT_PAGE_MAX`].
    pub limit: u32,
}
