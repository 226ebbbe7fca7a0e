//! Reads a capture line by line: plain, gzip or zstd, in memory that does not grow with the file
//! and however long a line or dense a compression is.

use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest line that is read; listings of a whole venue are the longest, some 15 MB.
pub const LINE_BYTES_MAX: usize = 32 << 20;
/// What is read from the decompressor at once.
const BUFFER_BYTES: usize = 256 << 10;
/// Most memory that a zstd file may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line without its line feed; blank lines are passed over.
    Line(&'a [u8]),
    /// A line longer than [`LINE_BYTES_MAX`]; it was passed over.
    TooLong,
    /// Nothing more.
    End(End),
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// In the middle of a line or of a compressed frame: its recorder was killed, or still
    /// writes. Everything before was read.
    Truncated,
    /// Not readable beyond this point.
    Damaged(String),
}

/// A file being read.
pub struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    number: u64,
    read: Arc<AtomicU64>,
    end: Option<End>,
}

/// Counts what is read of the file itself, for a progress bar.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(into)?;
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        self.read.fetch_add(bytes, Ordering::Relaxed);
        Ok(length)
    }
}

impl Lines {
    /// Opens a file by its ending: `.gz`, `.zst`, anything else is plain. `read` counts the
    /// bytes read of it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, read: &Arc<AtomicU64>) -> io::Result<Self> {
        let file = File::open(path)?;
        let counted = Counted {
            file,
            read: Arc::clone(read),
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let reader: Box<dyn Read + Send> = match ending {
            Some("gz") => Box::new(MultiGzDecoder::new(BufReader::new(counted))),
            Some("zst") => {
                let mut decoder = zstd::stream::read::Decoder::new(counted)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
            _ => Box::new(counted),
        };
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            line: Vec::new(),
            number: 0,
            read: Arc::clone(read),
            end: None,
        })
    }

    /// Number of the line given last, counted from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Bytes read of all files that share the counter.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// The next line.
    pub fn next_line(&mut self) -> Next<'_> {
        loop {
            if let Some(end) = &self.end {
                return Next::End(end.clone());
            }
            self.line.clear();
            let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
            let taken = (&mut self.reader)
                .take(most)
                .read_until(b'\n', &mut self.line);
            if let Err(error) = taken {
                self.end = Some(ending(&error));
                continue;
            }
            if self.line.is_empty() {
                self.end = Some(End::Whole);
                continue;
            }
            self.number += 1;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if self.line.len() >= LINE_BYTES_MAX {
                self.end = self.skip_line().err().map(|error| ending(&error));
                return Next::TooLong;
            } else {
                // A last line without a line feed: whole in files that others wrote.
                self.end = Some(End::Whole);
                if serde_json::from_slice::<serde::de::IgnoredAny>(&self.line).is_err() {
                    self.end = Some(End::Truncated);
                    continue;
                }
            }
            if self.line.iter().any(|byte| !byte.is_ascii_whitespace()) {
                return Next::Line(&self.line);
            }
        }
    }

    /// Passes over the rest of a line.
    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(());
            }
            let found = buffer.iter().position(|byte| *byte == b'\n');
            let length = found.map_or(buffer.len(), |at| at + 1);
            self.reader.consume(length);
            if found.is_some() {
                return Ok(());
            }
        }
    }
}

fn ending(error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        End::Truncated
    } else {
        End::Damaged(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn all(name: &str, content: &[u8]) -> (Vec<String>, u64, End) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let mut lines = Lines::open(&path, &Arc::default()).unwrap();
        let (mut seen, mut too_long) = (Vec::new(), 0);
        loop {
            match lines.next_line() {
                Next::Line(line) => seen.push(String::from_utf8_lossy(line).into_owned()),
                Next::TooLong => too_long += 1,
                Next::End(end) => return (seen, too_long, end),
            }
        }
    }

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_packed_files_read_the_same() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\n{\"c\":3}";
        let expect = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"];
        let zst = zstd::bulk::compress(text, 3).unwrap();
        for (name, content) in [
            ("a.jsonl", text.to_vec()),
            ("a.jsonl.gz", gz(text)),
            ("a.jsonl.zst", zst),
        ] {
            let (seen, _, end) = all(name, &content);
            assert_eq!((&*seen, end), (&expect.map(str::to_owned)[..], End::Whole));
        }
    }

    #[test]
    fn a_cut_file_gives_all_before_the_cut_and_says_that_it_is_cut() {
        let frame = |text: &[u8]| zstd::bulk::compress(text, 3).unwrap();
        let mut content = frame(b"{\"a\":1}\n");
        let second = frame(b"{\"b\":2}\n");
        content.extend(&second[..second.len() - 3]);
        let (seen, _, end) = all("a.jsonl.zst", &content);
        assert_eq!(end, End::Truncated);
        assert_eq!(seen[0], "{\"a\":1}");
        let (seen, _, end) = all("a.jsonl", b"{\"a\":1}\n{\"b\":");
        assert_eq!((seen.len(), end), (1, End::Truncated));
        let packed = gz(b"{\"a\":1}\n{\"b\":2}\n");
        assert_eq!(
            all("a.jsonl.gz", &packed[..packed.len() - 4]).2,
            End::Truncated
        );
        // A recorder that was killed before its first word.
        assert_eq!(all("a.jsonl.zst", b"").2, End::Truncated);
    }

    #[test]
    fn damage_is_told_and_never_panics() {
        for name in ["a.jsonl.zst", "a.jsonl.gz"] {
            let (_, _, end) = all(name, b"this is not compressed at all");
            assert!(matches!(end, End::Damaged(_) | End::Truncated), "{end:?}");
        }
    }

    #[test]
    fn a_bomb_is_read_in_bounded_memory_and_its_huge_line_passed_over() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..80 {
            encoder.write_all(&block).unwrap();
        }
        encoder.write_all(b"\n{\"a\":1}\n").unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 100_000);
        let (seen, too_long, end) = all("a.jsonl.zst", &packed);
        assert_eq!((seen.len(), too_long, end), (1, 1, End::Whole));
    }
}
