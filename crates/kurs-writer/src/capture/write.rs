//! The recorder: a thread of its own takes what waits and writes it, in compressed pieces that
//! each can be read without the next, so that a file is readable however its writer ended.

pub(in crate::capture) mod keeper;

use super::config::CaptureConfig;
use super::line::Direction;
use super::queue::{Queue, Record, Taken};
use super::words::{self, Words};
use keeper::{Keeper, compressor};
use kurs_core::{Clock, Mono, Now, SourceId, Wall};
use kurs_sources::{Input, Tap};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;

/// What waits in memory goes to the file after this long,
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// or when it is this long.
const FLUSH_BYTES: usize = 1 << 20;
/// zstd's own default: some 7 times smaller, at several times the speed of any venue.
const LEVEL: i32 = 3;
/// Parts tried for a name that is free, beyond the one that is due.
const NAMES_TRIED: u32 = 1_000;

/// What a capture says of itself at the start of every file.
#[derive(Debug, Clone)]
pub struct Head {
    /// Version of this program.
    pub version: &'static str,
    /// Names of the sources that may speak.
    pub sources: Vec<String>,
    /// Pairs that are followed.
    pub pairs: Vec<String>,
    /// Pairs that are always priced.
    pub directions: Vec<String>,
    /// True when the venues are simulated.
    pub simulated: bool,
}

/// The capture cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot write the capture {path}: {why}")]
pub struct WriteError {
    /// The file or folder.
    pub path: String,
    /// What the system said.
    pub why: String,
}

/// What was written so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Files begun.
    pub files: u64,
    /// The file at hand.
    pub path: String,
    /// Frames and REST answers.
    pub frames: u64,
    /// Lines, the recorder's own included.
    pub lines: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// Bytes on the disk.
    pub bytes_packed: u64,
    /// Records that found no place in the queue.
    pub lost: u64,
    /// Old files that were deleted.
    pub deleted: u64,
    /// Frames and REST answers by source.
    pub by_source: BTreeMap<SourceId, u64>,
    /// Why nothing more is written.
    pub failed: Option<WriteError>,
}

impl Tap for Capture {
    fn record(&self, source: SourceId, now: Now, input: &Input<'_>) {
        if let Some(record) = words::record_of(source, now, input) {
            self.put(record);
        }
    }
}

/// A running recorder. Dropping it lets the thread write what waits and end.
#[derive(Debug)]
pub struct Capture {
    queue: Arc<Queue>,
    written: Arc<Mutex<Written>>,
    failure: watch::Receiver<Option<WriteError>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Capture {
    /// Makes the folder and the first file, then starts the thread.
    ///
    /// # Errors
    /// [`WriteError`] when one of them cannot be made.
    pub fn start(
        config: CaptureConfig,
        head: Head,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WriteError> {
        Self::start_with(config, head, clock, Queue::default())
    }

    fn start_with(
        config: CaptureConfig,
        head: Head,
        clock: Arc<dyn Clock>,
        queue: Queue,
    ) -> Result<Self, WriteError> {
        let queue = Arc::new(queue);
        let (failed, failure) = watch::channel(None);
        let written = Arc::new(Mutex::new(Written::default()));
        std::fs::create_dir_all(&config.dir).map_err(|error| WriteError {
            path: config.dir.display().to_string(),
            why: error.to_string(),
        })?;
        let mut keeper = Keeper {
            started: clock.now().wall,
            config,
            head,
            clock,
            written: Arc::clone(&written),
            failed,
            compressor: compressor().map_err(|error| WriteError {
                path: "zstd".to_owned(),
                why: error.to_string(),
            })?,
            file: None,
            part: 0,
            buffer: Vec::with_capacity(FLUSH_BYTES + FLUSH_BYTES / 4),
            buffer_since: None,
        };
        keeper.next_file()?;
        let waiting = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("kurs-capture".to_owned())
            .spawn(move || keeper.run(&waiting))
            .map_err(|error| WriteError {
                path: "a thread".to_owned(),
                why: error.to_string(),
            })?;
        Ok(Self {
            queue,
            written,
            failure,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Takes a record; false when it is lost. Never waits.
    pub fn put(&self, record: Record) -> bool {
        let taken = self.queue.push(record);
        if !taken {
            self.written.lock().lost += 1;
        }
        taken
    }

    /// What was written so far.
    #[must_use]
    pub fn written(&self) -> Written {
        self.written.lock().clone()
    }

    /// Becomes why nothing more is written, should that ever be. Closed when its thread ends.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<WriteError>> {
        self.failure.clone()
    }

    /// Writes what waits and ends. May take as long as the disk does.
    pub fn finish(&self) -> Written {
        self.queue.close();
        if let Some(thread) = self.thread.lock().take() {
            // A panic there is a fault that its thread has told already.
            let _ = thread.join();
        }
        self.written()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests;
