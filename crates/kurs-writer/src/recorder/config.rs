//! Section `recorder` of the configuration.

use crate::snapshots::Snapshots;
use kurs_store::spool::{Spool, SpoolError, SpoolOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Folder of the spool where none is named and the store is a database server.
const SPOOL_FOLDER: &str = "kurs-spool";
/// Word for no spool at all.
const NO_SPOOL: &str = "off";
/// Least bound of the spool: room for some batches of each kind.
const SPOOL_BYTES_MIN: u64 = 16 << 20;
/// Greatest bound of the spool, 1 TiB.
const SPOOL_BYTES_MAX: u64 = 1 << 40;

/// How rows, published events and current rates reach the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// Rows that may wait in memory; beyond them the oldest are dropped.
    pub queue_rows: usize,
    /// Published events that may wait in memory when neither store nor spool takes them.
    pub queue_events: usize,
    /// Most rows written at once.
    pub batch_rows: usize,
    /// Milliseconds that rows wait for others to be written with them.
    pub linger_ms: u64,
    /// Milliseconds between two writes of the current rates.
    pub current_every_ms: u64,
    /// Longest wait before a store that failed is tried again, in milliseconds.
    pub retry_max_ms: u64,
    /// Milliseconds that a write may take before the batch goes to the spool.
    pub store_wait_ms: u64,
    /// Folder in which batches wait while the store is away. Empty: `kurs-spool` in the working
    /// folder for a database server, none for SQLite. `off`: none.
    pub spool_dir: String,
    /// Bytes that the spool may take; beyond them the oldest rows are dropped.
    pub spool_bytes: u64,
    /// Seconds between two writes of all order books; 0 writes none.
    pub book_every_seconds: u32,
    /// Levels per side that are written of an order book.
    pub book_levels: u32,
    /// Milliseconds that the end of the program waits for what is not yet written.
    pub finish_ms: u64,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            queue_rows: 100_000,
            queue_events: 100_000,
            batch_rows: 1_000,
            linger_ms: 200,
            current_every_ms: 500,
            retry_max_ms: 5_000,
            store_wait_ms: 2_000,
            spool_dir: String::new(),
            spool_bytes: 1 << 30,
            book_every_seconds: 60,
            book_levels: 20,
            finish_ms: 5_000,
        }
    }
}

impl RecorderConfig {
    /// Adds a sentence per mistake, each beginning with the key below `recorder`.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                mistakes.push(format!("recorder.{key}: must be from {least} to {most}"));
            }
        };
        let number = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        check("queue_rows", number(self.queue_rows), 1_000, 10_000_000);
        check("queue_events", number(self.queue_events), 1_000, 10_000_000);
        check("batch_rows", number(self.batch_rows), 1, 10_000);
        check("linger_ms", self.linger_ms, 1, 10_000);
        check("current_every_ms", self.current_every_ms, 50, 60_000);
        check("retry_max_ms", self.retry_max_ms, 250, 60_000);
        check("store_wait_ms", self.store_wait_ms, 100, 60_000);
        check(
            "book_every_seconds",
            self.book_every_seconds.into(),
            0,
            86_400,
        );
        check("book_levels", self.book_levels.into(), 1, 1_000);
        check(
            "spool_bytes",
            self.spool_bytes,
            SPOOL_BYTES_MIN,
            SPOOL_BYTES_MAX,
        );
        check("finish_ms", self.finish_ms, 0, 60_000);
        if self.spool_dir.contains('\0') {
            mistakes.push("recorder.spool_dir: is no name of a folder".to_owned());
        }
    }

    /// Which order books are written; `None` for none.
    #[must_use]
    pub fn snapshots(&self) -> Option<Snapshots> {
        (self.book_every_seconds > 0).then(|| Snapshots {
            every: Duration::from_secs(self.book_every_seconds.into()),
            levels: usize::try_from(self.book_levels).unwrap_or(usize::MAX),
        })
    }

    /// Where the spool is. `is_server`: the store is a database server, not a file of this
    /// machine; a file shares its disk with a spool beside it, and would fail together with it.
    #[must_use]
    pub fn spool_folder(&self, is_server: bool) -> Option<PathBuf> {
        match self.spool_dir.as_str() {
            NO_SPOOL => None,
            "" => is_server.then(|| PathBuf::from(SPOOL_FOLDER)),
            folder => Some(PathBuf::from(folder)),
        }
    }

    /// Opens the spool of this configuration in a folder.
    #[must_use]
    pub fn spool_in(&self, folder: &Path) -> OpenSpool {
        let folder = folder.to_path_buf();
        let options = SpoolOptions::of_bytes(self.spool_bytes);
        Box::new(move || Spool::open(&folder, options))
    }
}

/// Opens a spool; called again while it cannot be opened.
pub type OpenSpool = Box<dyn FnMut() -> Result<Spool, SpoolError> + Send>;
