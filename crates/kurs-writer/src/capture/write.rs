//! The recorder: a thread of its own takes what waits and writes it, in compressed pieces that
//! each can be read without the next, so that a file is readable however its writer ended.

use super::config::CaptureConfig;
use super::files;
use super::line::{Direction, FORMAT, Line};
use super::queue::{Queue, Record, Taken};
use super::words::{self, Words};
use kurs_core::{Clock, Mono, Now, SourceId, Wall};
use kurs_sources::{Input, Tap};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

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

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

struct OpenFile {
    file: File,
    path: String,
    bytes: u64,
    since: Mono,
}

/// What the thread works with.
struct Keeper {
    config: CaptureConfig,
    head: Head,
    clock: Arc<dyn Clock>,
    started: Wall,
    written: Arc<Mutex<Written>>,
    compressor: Compressor<'static>,
    file: Option<OpenFile>,
    part: u32,
    buffer: Vec<u8>,
    buffer_since: Option<Mono>,
}

impl Keeper {
    fn run(mut self, queue: &Queue) {
        let mut taken = Vec::new();
        loop {
            let patience = self.buffer_since.map_or(FLUSH_EVERY, |since| {
                FLUSH_EVERY.saturating_sub(self.clock.mono().since(since))
            });
            taken.clear();
            let goes_on = queue.take(&mut taken, patience);
            let ended = self.write_all(&mut taken).and_then(|()| {
                if goes_on {
                    self.flush_if_due()
                } else {
                    self.flush()
                }
            });
            if let Err(error) = ended {
                queue.close();
                tracing::error!(%error, "the capture ends here; everything else goes on");
                self.written.lock().failed = Some(error);
                return;
            }
            if !goes_on {
                return;
            }
        }
    }

    fn write_all(&mut self, taken: &mut Vec<Taken>) -> Result<(), WriteError> {
        let mut by_source: BTreeMap<SourceId, u64> = BTreeMap::new();
        let lines = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        for one in taken.drain(..) {
            match one {
                Taken::Record(record) => {
                    if matches!(record.direction, Direction::Rx | Direction::Rest)
                        && let Some(source) = record.source
                    {
                        *by_source.entry(source).or_default() += 1;
                    }
                    encode(&mut self.buffer, &record);
                }
                Taken::Lost { records, since } => {
                    let gap = Words::Gap { lost: records };
                    encode(&mut self.buffer, &gap.record(since, None));
                    tracing::warn!(records, "the capture has a gap: the disk is too slow");
                }
            }
            if self.buffer.len() >= FLUSH_BYTES {
                self.flush()?;
            }
        }
        if lines > 0 {
            let mut written = self.written.lock();
            written.lines += lines;
            for (source, frames) in by_source {
                written.frames += frames;
                *written.by_source.entry(source).or_default() += frames;
            }
        }
        if !self.buffer.is_empty() && self.buffer_since.is_none() {
            self.buffer_since = Some(self.clock.mono());
        }
        Ok(())
    }

    fn flush_if_due(&mut self) -> Result<(), WriteError> {
        let now = self.clock.mono();
        let is_due = self
            .buffer_since
            .is_some_and(|since| now.since(since) >= FLUSH_EVERY);
        if is_due { self.flush() } else { Ok(()) }
    }

    /// Writes the buffer as one compressed piece, then begins the next file if this one is long
    /// or old enough.
    fn flush(&mut self) -> Result<(), WriteError> {
        self.buffer_since = None;
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.write_buffer()?;
        let now = self.clock.mono();
        let is_over = self.file.as_ref().is_some_and(|open| {
            open.bytes >= self.config.rotate_bytes()
                || now.since(open.since) >= self.config.rotate.0
        });
        if is_over { self.next_file() } else { Ok(()) }
    }

    fn write_buffer(&mut self) -> Result<(), WriteError> {
        let Some(open) = &mut self.file else {
            return Ok(());
        };
        let failed = |error: io::Error| WriteError {
            path: open.path.clone(),
            why: in_words(&error),
        };
        let packed = self.compressor.compress(&self.buffer).map_err(failed)?;
        open.file.write_all(&packed).map_err(failed)?;
        let length = u64::try_from(packed.len()).unwrap_or(u64::MAX);
        open.bytes += length;
        let mut written = self.written.lock();
        written.bytes_packed += length;
        written.bytes += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.clear();
        Ok(())
    }

    /// Begins the next file with its head, and deletes the oldest beyond those to be kept.
    fn next_file(&mut self) -> Result<(), WriteError> {
        let now = self.clock.now();
        let (file, path) = self.create()?;
        self.file = Some(OpenFile {
            file,
            path: path.clone(),
            bytes: 0,
            since: now.mono,
        });
        let head = Words::Head {
            format: FORMAT,
            kurs: self.head.version.to_owned(),
            started: self.started,
            part: self.part,
            sources: self.head.sources.clone(),
            pairs: self.head.pairs.clone(),
            directions: self.head.directions.clone(),
            simulated: self.head.simulated,
        };
        encode(&mut self.buffer, &head.record(now, None));
        self.write_buffer()?;
        let deleted = match self.config.keep {
            0 => 0,
            keep => files::prune(&self.config.dir, keep).unwrap_or_else(|error| {
                tracing::warn!(%error, "cannot delete old captures");
                0
            }),
        };
        let mut written = self.written.lock();
        written.files += 1;
        written.lines += 1;
        written.path = path;
        written.deleted += u64::try_from(deleted).unwrap_or(0);
        Ok(())
    }

    /// A file under the next name that is free.
    fn create(&mut self) -> Result<(File, String), WriteError> {
        for _ in 0..NAMES_TRIED {
            self.part = self.part.saturating_add(1);
            let path = self.config.dir.join(files::name(self.started, self.part));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, path.display().to_string())),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(WriteError {
                        path: path.display().to_string(),
                        why: in_words(&error),
                    });
                }
            }
        }
        Err(WriteError {
            path: self.config.dir.display().to_string(),
            why: "all names are taken".to_owned(),
        })
    }
}

/// What the system said, with a hint where one helps.
fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("the disk is full ({error}); make room, or keep fewer files (capture.keep)")
        }
        io::ErrorKind::PermissionDenied => format!("{error}; may kurs write there?"),
        _ => error.to_string(),
    }
}

pub(super) fn encode(buffer: &mut Vec<u8>, record: &Record) {
    let mut line = Line::new(record.direction).at(record.now);
    line.source = record
        .source
        .as_ref()
        .map(|source| Cow::Borrowed(source.as_str()));
    line.connection = record.connection;
    line.url = record.url.as_deref().map(Cow::Borrowed);
    line.status = record.status;
    line.head = record.head.as_deref().map(Cow::Borrowed);
    line.bytes = record.bytes.as_deref().map(Cow::Borrowed);
    line.write(buffer);
}

#[cfg(test)]
mod tests;
