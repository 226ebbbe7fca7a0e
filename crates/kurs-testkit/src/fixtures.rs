//! The recorded captures. They live outside the repository, in the folder named by
//! `KURS_FIXTURES`; tests that need them say so and do nothing when it is not set.

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One line of a capture.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// Receive time, nanoseconds since 1970; `None` where it was not recorded.
    pub t_ns: Option<u64>,
    /// Which way.
    pub dir: Direction,
    /// The connection or request.
    #[serde(default)]
    pub url: Option<String>,
    /// The frame or body, its JSON text untouched; `None` for `open`.
    pub frame: Option<Box<RawValue>>,
}

impl Line {
    /// The frame's text, empty where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.frame.as_deref().map_or("", RawValue::get)
    }
}

/// The way of a recorded line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A connection was made.
    Open,
    /// Sent by the recording client.
    Tx,
    /// Received.
    Rx,
    /// The body of a REST answer.
    Rest,
}

/// The folder of the fixtures; `None` when `KURS_FIXTURES` is not set.
///
/// # Panics
/// When it is set and there is no such folder.
#[must_use]
pub fn dir() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("KURS_FIXTURES").filter(|value| !value.is_empty())?);
    assert!(
        path.is_dir(),
        "KURS_FIXTURES is {} but there is no such folder; correct it or unset it",
        path.display()
    );
    Some(path)
}

/// One fixture by its path within the folder; `None` when `KURS_FIXTURES` is not set.
///
/// # Panics
/// When the folder is there and the file is not.
#[must_use]
pub fn file(path: &str) -> Option<PathBuf> {
    let file = dir()?.join(path);
    assert!(file.is_file(), "there is no fixture {}", file.display());
    Some(file)
}

/// The lines of a `.jsonl` or `.jsonl.gz` capture.
///
/// # Panics
/// When the file cannot be read or a line is not of the format.
pub fn lines(path: &Path) -> impl Iterator<Item = Line> + use<> {
    let name = path.display().to_string();
    let file = File::open(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let reader: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    BufReader::new(reader)
        .lines()
        .enumerate()
        .filter_map(move |(index, text)| {
            let text = text.unwrap_or_else(|error| panic!("{name}, line {}: {error}", index + 1));
            if text.trim().is_empty() {
                return None;
            }
            let line = serde_json::from_str(&text);
            Some(line.unwrap_or_else(|error| panic!("{name}, line {}: {error}", index + 1)))
        })
}

/// The bytes of a file, unpacked when it ends in `.gz`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn bytes(path: &Path) -> Vec<u8> {
    let raw = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|end| end != "gz") {
        return raw;
    }
    let mut unpacked = Vec::new();
    let read = MultiGzDecoder::new(&*raw).read_to_end(&mut unpacked);
    assert!(read.is_ok(), "{} cannot be unpacked", path.display());
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    #[test]
    fn lines_are_read_plain_and_packed_with_every_digit_kept() {
        let text = concat!(
            r#"{"t_ns":null,"dir":"open","url":"ws://x","frame":null}"#,
            "\n",
            r#"{"t_ns":5,"dir":"rx","url":"ws://x","frame":{"p": 1.10, "q":"2.00000000"}}"#,
            "\n",
        );
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("a.jsonl");
        std::fs::write(&plain, text).unwrap();
        let packed = folder.path().join("a.jsonl.gz");
        let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
        for path in [plain, packed] {
            let lines: Vec<_> = lines(&path).collect();
            assert_eq!(lines.len(), 2);
            assert_eq!((lines[0].dir, lines[0].text()), (Direction::Open, ""));
            assert_eq!(lines[1].text(), r#"{"p": 1.10, "q":"2.00000000"}"#);
            assert_eq!(bytes(&path), text.as_bytes());
        }
    }
}
