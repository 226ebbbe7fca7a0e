//! One line of a capture: JSON, the frame inside it untouched.
//!
//! `{"t_ns":..,"mono_ns":..,"dir":"rx","source":"binance","conn":3,"url":"..","frame":{..}}`.
//! A frame that is a JSON value on one line stands under `frame` as it came, byte for byte. Any
//! other text stands under `text`, any other bytes under `hex`: what was received always comes
//! back exactly.

use kurs_core::{Mono, Now, Wall};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::Write;
use thiserror::Error;

/// Version of the format, told in the first line of each file.
pub const FORMAT: u32 = 1;

/// The way of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// A connection was made.
    Open,
    /// Sent to the venue. Written by other recorders only; a replay needs none of it.
    Tx,
    /// A frame was received.
    Rx,
    /// A REST answer was received.
    Rest,
    /// Whatever else a source was told, and what the recorder says of itself.
    Meta,
}

impl Direction {
    /// The word in the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Tx => "tx",
            Self::Rx => "rx",
            Self::Rest => "rest",
            Self::Meta => "meta",
        }
    }
}

/// One line, read or to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line<'a> {
    /// Wall time of receipt, nanoseconds since 1970; absent in captures that did not note it.
    pub t_ns: Option<i64>,
    /// Monotonic time of receipt, nanoseconds since the recorder started; absent in captures of
    /// others.
    pub mono_ns: Option<u64>,
    /// Which way.
    pub direction: Direction,
    /// Whose line it is.
    pub source: Option<Cow<'a, str>>,
    /// Number of the connection within its source.
    pub connection: Option<u64>,
    /// Where it came from, without anything secret.
    pub url: Option<Cow<'a, str>>,
    /// HTTP status of a REST answer.
    pub status: Option<u16>,
    /// What must be known of a REST answer besides, as a JSON object.
    pub head: Option<Cow<'a, str>>,
    /// The frame, the body, or the words of a meta line. Absent where there is none.
    pub bytes: Option<Cow<'a, [u8]>>,
}

/// Why a line cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// Not a line of a capture.
    #[error("it is not a line of a capture: {0}")]
    Malformed(String),
    /// Its `hex` is none.
    #[error("its `hex` does not hold pairs of hexadecimal digits")]
    Hex,
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default)]
    t_ns: Option<i64>,
    #[serde(default)]
    mono_ns: Option<u64>,
    dir: Direction,
    #[serde(borrow, default)]
    source: Option<Text<'a>>,
    #[serde(default)]
    conn: Option<u64>,
    #[serde(borrow, default)]
    url: Option<Text<'a>>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(borrow, default)]
    head: Option<&'a RawValue>,
    #[serde(borrow, default)]
    frame: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<Text<'a>>,
    #[serde(borrow, default)]
    hex: Option<Text<'a>>,
}

impl<'a> Line<'a> {
    /// A line without source, connection and bytes.
    #[must_use]
    pub const fn new(direction: Direction) -> Self {
        Self {
            t_ns: None,
            mono_ns: None,
            direction,
            source: None,
            connection: None,
            url: None,
            status: None,
            head: None,
            bytes: None,
        }
    }

    /// The same line at this time.
    #[must_use]
    pub const fn at(mut self, now: Now) -> Self {
        self.t_ns = Some(now.wall.0.saturating_mul(1_000));
        self.mono_ns = Some(now.mono.0);
        self
    }

    /// The time of the line, where both clocks were noted.
    #[must_use]
    pub fn now(&self) -> Option<Now> {
        Some(Now {
            mono: Mono(self.mono_ns?),
            wall: Wall(self.t_ns?.div_euclid(1_000)),
        })
    }

    /// Reads a line, without its line feed.
    ///
    /// # Errors
    /// [`LineError`] when it is not of the format.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LineError> {
        // A list of values in the right order is no line either.
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        if first != Some(&b'{') {
            return Err(LineError::Malformed("not a JSON object".to_owned()));
        }
        let wire: Wire<'a> = serde_json::from_slice(bytes)
            .map_err(|error| LineError::Malformed(error.to_string()))?;
        let bytes = match (wire.frame, wire.text, wire.hex) {
            (Some(frame), _, _) => Some(Cow::Borrowed(frame.get().as_bytes())),
            (None, Some(Text(Cow::Borrowed(text))), _) => Some(Cow::Borrowed(text.as_bytes())),
            (None, Some(Text(Cow::Owned(text))), _) => Some(Cow::Owned(text.into_bytes())),
            (None, None, Some(Text(hex))) => Some(Cow::Owned(from_hex(&hex)?)),
            (None, None, None) => None,
        };
        Ok(Self {
            t_ns: wire.t_ns,
            mono_ns: wire.mono_ns,
            direction: wire.dir,
            source: wire.source.map(|text| text.0),
            connection: wire.conn,
            url: wire.url.map(|text| text.0),
            status: wire.status,
            head: wire.head.map(|head| head.get().into()),
            bytes,
        })
    }

    /// Appends the line with its line feed.
    pub fn write(&self, into: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _ = self.try_write(into);
    }

    fn try_write(&self, into: &mut Vec<u8>) -> std::io::Result<()> {
        match self.t_ns {
            Some(t_ns) => write!(into, "{{\"t_ns\":{t_ns}")?,
            None => write!(into, "{{\"t_ns\":null")?,
        }
        if let Some(mono_ns) = self.mono_ns {
            write!(into, ",\"mono_ns\":{mono_ns}")?;
        }
        write!(into, ",\"dir\":\"{}\"", self.direction.as_str())?;
        if let Some(source) = &self.source {
            into.write_all(b",\"source\":")?;
            serde_json::to_writer(&mut *into, source)?;
        }
        if let Some(connection) = self.connection {
            write!(into, ",\"conn\":{connection}")?;
        }
        if let Some(url) = &self.url {
            into.write_all(b",\"url\":")?;
            serde_json::to_writer(&mut *into, url)?;
        }
        if let Some(status) = self.status {
            write!(into, ",\"status\":{status}")?;
        }
        if let Some(head) = &self.head {
            write!(into, ",\"head\":{head}")?;
        }
        match self.bytes.as_deref() {
            None => into.write_all(b",\"frame\":null")?,
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if stands_untouched(text) => {
                    into.write_all(b",\"frame\":")?;
                    into.write_all(bytes)?;
                }
                Ok(text) => {
                    into.write_all(b",\"text\":")?;
                    serde_json::to_writer(&mut *into, text)?;
                }
                Err(_) => {
                    into.write_all(b",\"hex\":\"")?;
                    for byte in bytes {
                        write!(into, "{byte:02x}")?;
                    }
                    into.push(b'"');
                }
            },
        }
        into.write_all(b"}\n")
    }
}

/// Whether a text can stand in a line as it is and be read back byte for byte: a JSON value
/// with nothing around it and no line break in it. `null` would read as no frame.
fn stands_untouched(text: &str) -> bool {
    let is_blank = |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii_whitespace());
    let bytes = text.as_bytes();
    if is_blank(bytes.first()) || is_blank(bytes.last()) || text == "null" {
        return false;
    }
    // Line feeds within strings are no JSON, so these stand between tokens.
    if text.contains(['\n', '\r']) {
        return false;
    }
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn from_hex(text: &str) -> Result<Vec<u8>, LineError> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut pairs = text.as_bytes().chunks_exact(2);
    for pair in &mut pairs {
        let value = match *pair {
            [high, low] => digit(high).zip(digit(low)),
            _ => None,
        };
        let byte = value.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.ok_or(LineError::Hex)?);
    }
    if pairs.remainder().is_empty() {
        Ok(bytes)
    } else {
        Err(LineError::Hex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(bytes: &[u8]) -> String {
        let mut line = Line::new(Direction::Rx);
        line.source = Some("binance".into());
        line.connection = Some(3);
        line.bytes = Some(bytes.into());
        let mut written = Vec::new();
        line.write(&mut written);
        assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1);
        let text = String::from_utf8(written).unwrap();
        assert_eq!(Line::parse(text.trim_end().as_bytes()), Ok(line), "{text}");
        text
    }

    #[test]
    fn a_frame_comes_back_byte_for_byte_whatever_it_is() {
        for (bytes, key) in [
            (&br#"{"p": 1.10, "q":"2.00000000"}"#[..], "frame"),
            (br#"[1,2]"#, "frame"),
            (br#""\ud83d""#, "frame"),
            (br#"-0.10e+05"#, "frame"),
            (b" {\"a\":1}", "text"),
            (b"{\"a\":1}\n", "text"),
            (b"{\"a\":\n1}", "text"),
            (b"null", "text"),
            (b"pong", "text"),
            (b"", "text"),
            (b"{\"a\":", "text"),
            (b"{\"a\":1}{}", "text"),
            ("\u{feff}\u{2028}\0\"\\".as_bytes(), "text"),
            (b"\xff\xfe<xml>", "hex"),
        ] {
            let written = round_trip(bytes);
            assert!(written.contains(&format!(",\"{key}\":")), "{written}");
        }
    }

    #[test]
    fn the_fixtures_format_is_read() {
        let text = br#"{"t_ns":1723161255208000000,"dir":"rx","url":"wss://x/y","frame":{"u":1}}"#;
        let line = Line::parse(text).unwrap();
        assert_eq!(
            (line.t_ns, line.mono_ns),
            (Some(1_723_161_255_208_000_000), None)
        );
        assert_eq!(line.bytes.as_deref(), Some(&br#"{"u":1}"#[..]));
        let text = br#"{"t_ns":null,"dir":"open","url":"wss://x/y","frame":null}"#;
        let line = Line::parse(text).unwrap();
        assert_eq!((line.direction, line.bytes), (Direction::Open, None));
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in [
            &b""[..],
            b"{",
            b"[]",
            br#"{"dir":"up"}"#,
            br#"{"t_ns":1}"#,
            br#"{"dir":"rx","hex":"0"}"#,
            br#"{"dir":"rx","hex":"0g"}"#,
            b"\xff",
        ] {
            assert!(Line::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            round_trip(&bytes);
        }

        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            round_trip(text.as_bytes());
        }

        #[test]
        fn no_line_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Line::parse(&bytes);
        }
    }
}
