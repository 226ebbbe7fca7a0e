//! The thread of a recorder: from the queue to files.

use super::{
    CaptureConfig, Clock, Direction, FLUSH_BYTES, FLUSH_EVERY, Head, LEVEL, Mono, Mutex,
    NAMES_TRIED, Queue, Record, SourceId, Taken, Wall, Words, WriteError, Written, watch,
};
use crate::capture::files;
use crate::capture::line::{FORMAT, Line};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

pub(super) fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    Ok(compressor)
}

pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) since: Mono,
}

/// What the thread works with.
pub(super) struct Keeper {
    pub(super) config: CaptureConfig,
    pub(super) head: Head,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Wall,
    pub(super) written: Arc<Mutex<Written>>,
    pub(super) failed: watch::Sender<Option<WriteError>>,
    pub(super) compressor: Compressor<'static>,
    pub(super) file: Option<OpenFile>,
    pub(super) part: u32,
    pub(super) buffer: Vec<u8>,
    pub(super) buffer_since: Option<Mono>,
}

impl Keeper {
    pub(super) fn run(mut self, queue: &Queue) {
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
                self.written.lock().failed = Some(error.clone());
                self.failed.send_replace(Some(error));
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
    pub(super) fn next_file(&mut self) -> Result<(), WriteError> {
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

pub(in crate::capture) fn encode(buffer: &mut Vec<u8>, record: &Record) {
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
