//! Reading a capture: JSON lines `{"t_ns":..,"dir":"open|tx|rx|rest","url":..,"frame":..}`.

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
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
}

/// A capture is held in memory; a longer one is refused.
const BYTES_MAX: u64 = 1 << 30;

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
}

#[derive(Deserialize)]
struct Line {
    t_ns: Option<u64>,
    dir: String,
    url: Option<String>,
    frame: Option<Box<RawValue>>,
}

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
        let reader: Box<dyn Read> = if path.extension().is_some_and(|end| end == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = BufReader::new(reader.take(BYTES_MAX));
        let mut capture = Self::default();
        let (mut text, mut number, mut bytes) = (String::new(), 0, 0_u64);
        loop {
            text.clear();
            let length = reader.read_line(&mut text).map_err(unreadable)?;
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
        Ok(capture)
    }

    fn take_line(&mut self, text: &str) -> Result<(), String> {
        let line: Line = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let Some(frame) = line.frame else {
            return Ok(());
        };
        match line.dir.as_str() {
            "rx" => self.frames.extend(frame_of(line.t_ns, &frame)),
            "rest" => self.take_rest(line.url.as_deref().unwrap_or(""), &frame),
            "tx" | "open" => return Ok(()),
            other => return Err(format!("unknown direction {other:?}")),
        }
        if let Some(frame) = self.frames.last()
            && !frame.symbol.is_empty()
        {
            self.symbols.insert(frame.symbol.clone());
        }
        Ok(())
    }

    fn take_rest(&mut self, url: &str, frame: &RawValue) {
        let Some((path, query)) = url.split_once('?') else {
            return;
        };
        let symbol = query
            .split(['&', ' '])
            .find_map(|part| part.strip_prefix("symbol="))
            .filter(|_| path.ends_with("/depth"));
        let Some(symbol) = symbol else { return };
        self.symbols.insert(symbol.to_owned());
        self.snapshots
            .entry(symbol.to_owned())
            .or_default()
            .push(Snapshot {
                after_frames: self.frames.len(),
                body: frame.get().to_owned().into(),
            });
    }
}

/// The frame of one line; `None` for answers to commands, which the simulated venue gives itself.
fn frame_of(t_ns: Option<u64>, frame: &RawValue) -> Option<Frame> {
    let text = frame.get();
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
        let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
        frame_of(None, &raw)
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
}
