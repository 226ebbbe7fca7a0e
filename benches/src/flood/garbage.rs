//! What the flooded exchange sends. It stands in for OKX, so that what is readable is in the
//! words of OKX.

use crate::relay::{Chunk, binary, ping, text};
use std::fmt::Write as _;

/// Bytes written at once.
const CHUNK_BYTES: usize = 128 << 10;
/// A little less than what kurs takes as one message.
const HUGE_BYTES: usize = 15 << 20;
/// A little less than the longest frame that is read as one of OKX.
const LARGE_BYTES: usize = 250 << 10;
/// How deep brackets are nested.
const DEEP: [usize; 3] = [100, 200, 100_000];
/// JSON of a wrong shape.
const SHAPES: [&str; 6] = [
    "null",
    "[]",
    r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":{}}"#,
    r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[["","",""]],"seqId":-9223372036854775808}]}"#,
    r#"{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[[1,2]],"bids":{"price":1e99999}}]}"#,
    r#"{"stream":"@","data":{"e":"depthUpdate","U":18446744073709551616,"u":-1,"b":[["NaN","1"]]}}"#,
];

/// A kind of flood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Five kinds of what cannot be read, each connection beginning with another.
    Garbage,
    /// Prices in the venue's words of a symbol that nobody asked for.
    Useless,
    /// The same as books of 250 KiB.
    LargeUseless,
    /// Old prices of a followed symbol.
    Repeated,
    /// Pings, of which no dialect knows.
    Pings,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [
        Self::Garbage,
        Self::Useless,
        Self::LargeUseless,
        Self::Repeated,
        Self::Pings,
    ];

    /// In the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Garbage => "garbage: text, wrong JSON, binary, 15 MiB frames, deep nesting",
            Self::Useless => "readable: prices of a symbol that nobody asked for",
            Self::LargeUseless => "readable: its books, 250 KiB each",
            Self::Repeated => "readable: old prices of a followed symbol",
            Self::Pings => "pings of 125 bytes",
        }
    }

    /// What is written.
    pub(super) fn chunks(self) -> Vec<Chunk> {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        match self {
            Self::Garbage => vec![
                filled(|| text(&dice.text())),
                filled_from(SHAPES.iter().map(|shape| text(shape))),
                filled(|| binary(&dice.bytes())),
                huge(),
                deep(),
            ],
            Self::Useless => vec![filled(|| text(&price("NOPE-USDT")))],
            Self::LargeUseless => vec![large()],
            Self::Repeated => vec![filled(|| text(&price("BTC-USDT")))],
            Self::Pings => vec![filled(|| ping(&[b'p'; 125]))],
        }
    }
}

/// Best prices as OKX writes them.
fn price(symbol: &str) -> String {
    format!(
        r#"{{"arg":{{"channel":"bbo-tbt","instId":"{symbol}"}},"data":[{{"asks":[["64000.1","0.5","0","3"]],"bids":[["64000","0.7","0","2"]],"ts":"1731035685326","seqId":1}}]}}"#
    )
}

fn filled(mut frame: impl FnMut() -> Vec<u8>) -> Chunk {
    let mut chunk = Chunk::default();
    while chunk.bytes.len() < CHUNK_BYTES {
        chunk.add(&frame());
    }
    chunk
}

fn filled_from(frames: impl Iterator<Item = Vec<u8>> + Clone) -> Chunk {
    let mut frames = frames.cycle();
    filled(|| frames.next().unwrap_or_default())
}

/// One frame of valid JSON that is far too long.
fn huge() -> Chunk {
    let mut chunk = Chunk::default();
    chunk.add(&text(&format!("[0{}]", ",0".repeat(HUGE_BYTES / 2 - 8))));
    chunk
}

fn deep() -> Chunk {
    let mut chunk = Chunk::default();
    for depth in DEEP {
        chunk.add(&text(&"[".repeat(depth)));
        chunk.add(&text(&format!(
            "{}{}",
            "[".repeat(depth),
            "]".repeat(depth)
        )));
        chunk.add(&text(&format!(
            "{}1{}",
            r#"{"data":"#.repeat(depth),
            "}".repeat(depth)
        )));
    }
    chunk
}

fn large() -> Chunk {
    let mut levels = String::with_capacity(LARGE_BYTES);
    let mut number = 0_u32;
    while levels.len() < LARGE_BYTES {
        let comma = if number == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(levels, r#"{comma}["{number}.5","1","0","1"]"#);
        number += 1;
    }
    let mut chunk = Chunk::default();
    chunk.add(&text(&format!(
        r#"{{"arg":{{"channel":"books","instId":"NOPE-USDT"}},"action":"snapshot","data":[{{"asks":[{levels}],"bids":[],"ts":"1731035685326","seqId":1,"prevSeqId":-1}}]}}"#
    )));
    chunk
}

/// Numbers that look like chance and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below.max(1)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = 10 + self.roll(300);
        (0..length)
            .map(|_| u8::try_from(self.roll(256)).unwrap_or_default())
            .collect()
    }

    fn text(&mut self) -> String {
        let length = 10 + self.roll(300);
        (0..length)
            .map(|_| char::from(u8::try_from(32 + self.roll(95)).unwrap_or(b' ')))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_sources::okx::Okx;
    use kurs_sources::venue::codec::{Codec as _, Heap, Said, Symbols};

    struct OnlyBitcoin;

    impl Symbols for OnlyBitcoin {
        fn find(&self, name: &str) -> Option<u32> {
            (name == "BTC-USDT").then_some(0)
        }
    }

    fn said(text: &str) -> Vec<Said> {
        let mut heap = Heap::default();
        Okx::new().read(text, &OnlyBitcoin, &mut heap);
        heap.said
    }

    #[test]
    fn what_is_called_readable_is_read_by_the_real_decoder() {
        assert_eq!(said(&price("NOPE-USDT")), [Said::Other]);
        assert!(matches!(said(&price("BTC-USDT"))[..], [Said::Top { .. }]));
        let large = large();
        let book = std::str::from_utf8(&large.bytes[10..]).unwrap();
        assert_eq!(said(book), [Said::Other]);
    }

    #[test]
    fn what_is_called_garbage_is_not() {
        for shape in SHAPES {
            let said = said(shape);
            let is_garbage = matches!(said[..], [Said::Unreadable | Said::Impossible { .. }]);
            assert!(is_garbage, "{shape}: {said:?}");
        }
        assert_eq!(said(&Dice(1).text()), [Said::Unreadable]);
    }
}
