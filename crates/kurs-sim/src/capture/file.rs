//! Reading a capture: JSON lines `{"t_ns":..,"dir":"open|tx|rx|rest","url":..,"frame":..}`, and
//! what `kurs record` writes: the same lines with the `source` they are of, the `head` of REST
//! answers, bytes that are no JSON under `text`, and `meta` lines of the recorder itself.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use kurs_core::SourceId;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Why a capture cannot be played.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The file cannot be read.
    #[error("the capture {path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// A line is not of the format.
    #[error("line {line} of the capture is not of its format: {why}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Longer than a capture may be.
    #[error("the capture is longer than {0} bytes")]
    TooLong(u64),
    /// A recording without anything that can be played.
    #[error(
        "the capture holds frames of {0} and none of binance, the one venue that captures are \
         played as; `kurs replay` runs a recording of any source"
    )]
    OtherVenues(String),
}

/// A capture is held in memory; a longer one is refused.
const BYTES_MAX: u64 = 1 << 30;
/// Most memory that a packed file may ask for, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// One received frame.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) t_ns: Option<u64>,
    /// Names of the streams it may have come by.
    pub(crate) streams: Vec<Arc<str>>,
    /// `BTCUSDT`, if the frame says.
    pub(crate) symbol: String,
    /// For combined connections.
    pub(crate) wrapped: Utf8Bytes,
    /// For raw connections: the bare payload.
    pub(crate) payload: Utf8Bytes,
}

/// A recorded depth snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Frames recorded before it.
    pub(crate) after_frames: usize,
    pub(crate) body: Bytes,
}

/// A capture in memory.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    pub(crate) frames: Vec<Frame>,
    pub(crate) snapshots: BTreeMap<String, Vec<Snapshot>>,
    pub(crate) symbols: BTreeSet<String>,
    /// Sources of a recording whose lines are passed over.
    others: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Line {
    t_ns: Option<u64>,
    dir: String,
    /// Recordings hold the lines of all sources; other captures are of one venue.
    source: Option<String>,
    url: Option<String>,
    status: Option<u16>,
    head: Option<Head>,
    frame: Option<Box<RawValue>>,
    text: Option<String>,
}

/// What a recording says of a REST answer.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "for")]
    wanted: String,
    symbol: Option<String>,
}

/// The source whose frames are played, without its marks.
const PLAYED: &str = "binance";

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(borrow)]
    e: Option<Cow<'a, str>>,
    #[serde(borrow)]
    s: Option<Cow<'a, str>>,
    u: Option<u64>,
}

impl Capture {
    pub(crate) fn read(path: &Path) -> Result<Self, CaptureError> {
        let unreadable = |why| CaptureError::Unreadable {
            path: path.to_owned(),
            why,
        };
        let file = File::open(path).map_err(unreadable)?;
        let ending = path.extension().and_then(|ending| ending.to_str());
        let is_recording = ending == Some("zst");
        let reader: Box<dyn Read> = match ending {
            Some("gz") => Box::new(MultiGzDecoder::new(file)),
            Some("zst") => {
                let mut decoder = zstd::stream::read::Decoder::new(file).map_err(unreadable)?;
                decoder
                    .window_log_max(ZSTD_WINDOW_LOG_MAX)
                    .map_err(unreadable)?;
                Box::new(decoder)
            }
            _ => Box::new(file),
        };
        let mut reader = BufReader::new(reader.take(BYTES_MAX));
        let mut capture = Self::default();
        let (mut text, mut number, mut bytes) = (String::new(), 0, 0_u64);
        loop {
            text.clear();
            let length = match reader.read_line(&mut text) {
                // Its recorder was killed, or still writes: what is whole is played.
                Err(error) if is_recording && error.kind() == ErrorKind::UnexpectedEof => break,
                length => length.map_err(unreadable)?,
            };
            if length == 0 {
                break;
            }
            number += 1;
            bytes += u64::try_from(length).unwrap_or(u64::MAX);
            if bytes >= BYTES_MAX {
                return Err(CaptureError::TooLong(BYTES_MAX));
            }
            if !text.trim().is_empty() {
                capture
                    .take_line(&text)
                    .map_err(|why| CaptureError::Malformed { line: number, why })?;
            }
        }
        if capture.frames.is_empty() && !capture.others.is_empty() {
            let others: Vec<String> = capture.others.into_iter().collect();
            return Err(CaptureError::OtherVenues(others.join(", ")));
        }
        Ok(capture)
    }

    fn take_line(&mut self, text: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let frame = match (&line.frame, &line.text) {
            (Some(frame), _) => frame.get(),
            (None, Some(text)) => text,
            (None, None) => return Ok(()),
        };
        if let Some(source) = &line.source {
            let name = SourceId::parse(source).map_err(|error| error.to_string())?;
            if name.plain() != PLAYED {
                if line.dir == "rx" {
                    self.others.insert(name.plain().to_owned());
                }
                return Ok(());
            }
        }
        match line.dir.as_str() {
            "rx" => self.frames.extend(frame_of(line.t_ns, frame)),
            "rest" => match &line.head {
                Some(head) => self.take_book(head, line.status, frame),
                None => self.take_rest(line.url.as_deref().unwrap_or(""), frame),
            },
            "tx" | "open" | "meta" => return Ok(()),
            other => return Err(format!("unknown direction {other:?}")),
        }
        if let Some(frame) = self.frames.last()
            && !frame.symbol.is_empty()
        {
            self.symbols.insert(frame.symbol.clone());
        }
        Ok(())
    }

    /// A REST answer of a recording, which says what was asked for.
    fn take_book(&mut self, head: &Head, status: Option<u16>, body: &str) {
        if let Some(symbol) = &head.symbol
            && head.wanted == "book"
            && status == Some(200)
        {
            self.take_snapshot(symbol, body);
        }
    }

    fn take_rest(&mut self, url: &str, body: &str) {
        let Some((path, query)) = url.split_once('?') else {
            return;
        };
        let symbol = query
            .split(['&', ' '])
            .find_map(|part| part.strip_prefix("symbol="))
            .filter(|_| path.ends_with("/depth"));
        if let Some(symbol) = symbol {
            self.take_snapshot(symbol, body);
        }
    }

    fn take_snapshot(&mut self, symbol: &str, body: &str) {
        self.symbols.insert(symbol.to_owned());
        self.snapshots
            .entry(symbol.to_owned())
            .or_default()
            .push(Snapshot {
                after_frames: self.frames.len(),
                body: body.to_owned().into(),
            });
    }
}

/// The frame of one line; `None` for answers to commands, which the simulated venue gives itself.
fn frame_of(t_ns: Option<u64>, text: &str) -> Option<Frame> {
    if let Ok(wrapped) = serde_json::from_str::<Wrapped<'_>>(text) {
        let payload = wrapped.data.get();
        let symbol = described(payload)
            .and_then(|payload| payload.s)
            .map(Cow::into_owned);
        return Some(Frame {
            t_ns,
            streams: vec![Arc::from(&*wrapped.stream)],
            symbol: symbol.unwrap_or_default(),
            payload: payload.into(),
            wrapped: text.into(),
        });
    }
    let payload = described(text)?;
    let symbol = payload.s.unwrap_or_default();
    let lower = symbol.to_ascii_lowercase();
    let kinds: &[&str] = match payload.e.as_deref() {
        None if payload.u.is_some() => &["bookTicker"],
        Some("depthUpdate") => &["depth@100ms", "depth"],
        Some("trade") => &["trade"],
        Some("aggTrade") => &["aggTrade"],
        Some("24hrMiniTicker") => &["miniTicker"],
        Some("24hrTicker") => &["ticker"],
        Some("kline") => &["kline_1m"],
        Some(_) => &[],
        None => return None,
    };
    let streams: Vec<Arc<str>> = kinds
        .iter()
        .map(|kind| Arc::from(format!("{lower}@{kind}")))
        .collect();
    let first = streams.first().map_or("", |stream| stream);
    Some(Frame {
        t_ns,
        wrapped: format!(r#"{{"stream":"{first}","data":{text}}}"#).into(),
        payload: text.into(),
        symbol: symbol.into_owned(),
        streams,
    })
}

fn described(payload: &str) -> Option<Payload<'_>> {
    serde_json::from_str(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Option<Frame> {
        frame_of(None, text)
    }

    #[test]
    fn raw_frames_get_the_stream_they_came_by_and_stay_as_they_are() {
        let text = r#"{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.10","A":"3"}"#;
        let ticker = frame(text).unwrap();
        assert_eq!(&*ticker.streams[0], "btcusdt@bookTicker");
        assert_eq!(ticker.payload.as_str(), text);
        assert_eq!(
            ticker.wrapped.as_str(),
            format!(r#"{{"stream":"btcusdt@bookTicker","data":{text}}}"#)
        );
        let diff = frame(r#"{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":1,"u":2,"b":[],"a":[]}"#);
        assert_eq!(diff.unwrap().streams.len(), 2);
        assert!(frame(r#"{"result":null,"id":1}"#).is_none());
    }

    /// A file of `kurs record`, packed in two pieces as its recorder packs them.
    fn recording(lines: &[&str]) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kurs-20261121T231300Z-0001.jsonl.zst");
        let mut packed = Vec::new();
        for line in lines {
            let piece = format!("{line}\n");
            packed.extend(zstd::bulk::compress(piece.as_bytes(), 3).unwrap());
        }
        std::fs::write(&path, &packed).unwrap();
        (folder, path, packed)
    }

    const HEAD: &str = r#"{"t_ns":1,"mono_ns":1,"dir":"meta","frame":{"what":"head","format":1,"started":"2026-11-21T23:13:00.000Z"}}"#;
    const KRAKEN: &str = r#"{"t_ns":2,"mono_ns":2,"dir":"rx","source":"sim:kraken","conn":1,"frame":{"channel":"heartbeat"}}"#;
    const BOOK: &str = r#"{"t_ns":3,"mono_ns":3,"dir":"rest","source":"sim:binance","status":200,"head":{"for":"book","symbol":"BTCUSDT"},"frame":{"lastUpdateId":7,"bids":[],"asks":[]}}"#;
    const REFUSED: &str = r#"{"t_ns":3,"mono_ns":3,"dir":"rest","source":"sim:binance","status":429,"head":{"for":"book","symbol":"ETHUSDT"},"text":"slow down"}"#;
    const TICKER: &str = r#"{"t_ns":4,"mono_ns":4,"dir":"rx","source":"sim:binance","conn":1,"frame":{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.10","A":"3"}}}"#;
    const GARBAGE: &str =
        r#"{"t_ns":5,"mono_ns":5,"dir":"rx","source":"sim:binance","conn":1,"text":"<html>"}"#;
    const DOWN: &str = r#"{"t_ns":6,"mono_ns":6,"dir":"meta","source":"sim:binance","frame":{"what":"down","why":"cut","silent":false}}"#;

    #[test]
    fn of_a_recording_the_frames_and_books_of_binance_are_played() {
        let lines = [HEAD, KRAKEN, BOOK, REFUSED, TICKER, GARBAGE, DOWN, TICKER];
        let (_folder, path, packed) = recording(&lines);
        let capture = Capture::read(&path).unwrap();
        assert_eq!(capture.frames.len(), 2);
        assert_eq!(&*capture.frames[0].streams[0], "btcusdt@bookTicker");
        assert_eq!(capture.frames[0].t_ns, Some(4));
        assert_eq!(capture.symbols, BTreeSet::from(["BTCUSDT".to_owned()]));
        let books = &capture.snapshots["BTCUSDT"];
        assert_eq!((books.len(), books[0].after_frames), (1, 0));
        assert_eq!(
            &books[0].body[..],
            br#"{"lastUpdateId":7,"bids":[],"asks":[]}"#
        );
        // Its recorder was killed while it wrote the last piece.
        std::fs::write(&path, &packed[..packed.len() - 5]).unwrap();
        assert_eq!(Capture::read(&path).unwrap().frames.len(), 1);
    }

    #[test]
    fn a_recording_of_other_venues_is_refused_with_a_way_to_run_it() {
        let (_folder, path, _) = recording(&[HEAD, KRAKEN]);
        let error = Capture::read(&path).unwrap_err().to_string();
        assert_eq!(
            error,
            "the capture holds frames of kraken and none of binance, the one venue that captures \
             are played as; `kurs replay` runs a recording of any source"
        );
    }
}
