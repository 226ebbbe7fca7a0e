//! What tests of recorded books share: symbols by name, books of the plainest kind, and frames
//! to be damaged.

#![allow(dead_code, reason = "each test uses some of it")]

use kurs_book::{Change, Kind, Side};
use kurs_sources::venue::codec::{Codec, Heap, Said, Symbols};
use proptest::sample::Index;
use rust_decimal::Decimal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// Prices and sizes as text.
pub(crate) type Texts = Vec<(String, String)>;

/// Followed symbols.
pub(crate) struct Names {
    known: RefCell<Vec<String>>,
    learns: bool,
}

impl Names {
    /// Follows whatever is asked for.
    pub(crate) fn learning() -> Self {
        Self {
            known: RefCell::default(),
            learns: true,
        }
    }

    /// Follows these.
    pub(crate) fn of(names: &[&str]) -> Self {
        Self {
            known: RefCell::new(names.iter().map(|name| (*name).to_owned()).collect()),
            learns: false,
        }
    }

    /// The symbol with this number.
    pub(crate) fn name(&self, number: u32) -> String {
        self.known.borrow()[number as usize].clone()
    }
}

impl Symbols for Names {
    fn find(&self, name: &str) -> Option<u32> {
        let mut known = self.known.borrow_mut();
        let found = known.iter().position(|other| other == name);
        if found.is_none() && self.learns {
            known.push(name.to_owned());
        }
        let number = found.or_else(|| self.learns.then(|| known.len() - 1))?;
        u32::try_from(number).ok()
    }
}

/// A book of the plainest kind, with checksums computed by definition.
#[derive(Default)]
pub(crate) struct Depths {
    bids: BTreeMap<Decimal, (String, String)>,
    asks: BTreeMap<Decimal, (String, String)>,
}

impl Depths {
    pub(crate) fn apply(&mut self, kind: Kind, changes: &[Change], depth: usize) {
        if kind == Kind::Snapshot {
            self.bids.clear();
            self.asks.clear();
        }
        for change in changes {
            let side = match change.side {
                Side::Bid => &mut self.bids,
                Side::Ask => &mut self.asks,
            };
            let price = change.price.value();
            if change.size.is_zero() {
                side.remove(&price);
            } else {
                side.insert(price, (price.to_string(), change.size.to_string()));
            }
        }
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    pub(crate) fn is_crossed(&self) -> bool {
        match (self.bids.keys().next_back(), self.asks.keys().next()) {
            (Some(bid), Some(ask)) => bid >= ask,
            _ => false,
        }
    }

    /// Levels as text, best first.
    pub(crate) fn levels(&self) -> (Texts, Texts) {
        (
            self.bids.values().rev().cloned().collect(),
            self.asks.values().cloned().collect(),
        )
    }

    pub(crate) fn kraken_checksum(&self) -> u32 {
        let (bids, asks) = self.levels();
        let mut text = String::new();
        for (price, size) in asks.iter().take(10).chain(bids.iter().take(10)) {
            for number in [price, size] {
                text += number.replace('.', "").trim_start_matches('0');
            }
        }
        crc32(text.as_bytes())
    }

    pub(crate) fn okx_checksum(&self) -> u32 {
        let (bids, asks) = self.levels();
        let mut words = Vec::new();
        for at in 0..25 {
            for (price, size) in [bids.get(at), asks.get(at)].into_iter().flatten() {
                words.extend([&**price, &**size]);
            }
        }
        crc32(words.join(":").as_bytes())
    }
}

/// CRC-32 of IEEE 802.3, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let mask = (crc & 1).wrapping_neg();
            crc = (crc >> 1) ^ (0xedb8_8320 & mask);
        }
    }
    !crc
}

/// Seeds of a fuzz target: (name, text).
pub(crate) fn corpus(target: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let entries = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut seeds = Vec::new();
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        // What a fuzzer adds to the folder is no text and no seed of ours.
        if let Ok(text) = std::fs::read_to_string(entry.path())
            && name.contains(|letter: char| !letter.is_ascii_hexdigit())
        {
            seeds.push((name, text));
        }
    }
    seeds.sort();
    assert!(seeds.len() >= 10, "{}", folder.display());
    seeds
}

/// What is put into a frame to damage it.
pub(crate) const DAMAGE: &str = r#"[\x00-\x7f]{0,6}|"[^"]{0,4}"|-?[0-9]{1,25}(\.[0-9]{1,20})?(e-?[0-9]{1,4})?|null|\[|\{|\]|\}|,"bids":\[\]|,"seqId":1"#;

/// A frame with a part of it replaced.
pub(crate) fn damaged(frame: &str, at: Index, cut: usize, put: &str) -> String {
    let mut from = at.index(frame.len());
    while !frame.is_char_boundary(from) {
        from -= 1;
    }
    let mut until = (from + cut).min(frame.len());
    while !frame.is_char_boundary(until) {
        until += 1;
    }
    format!("{}{put}{}", &frame[..from], &frame[until..])
}

/// Lets a codec read a frame, and checks what holds of every frame.
pub(crate) fn check_frame(codec: &dyn Codec, text: &str) {
    for names in [Names::learning(), Names::of(&[])] {
        let mut heap = Heap::default();
        codec.read(text, &names, &mut heap);
        assert!(!heap.said.is_empty(), "{text}");
        assert!(heap.said.len() <= 1 + text.len() / 4, "{text}");
        assert!(heap.changes.len() <= text.len() / 8, "{text}");
        assert!(heap.changes.capacity() <= 8 + text.len(), "{text}");
        let mut end = 0;
        for said in &heap.said {
            if let Said::Book { changes, .. } = said {
                assert!(changes.start == end && changes.end >= end, "{text}");
                end = changes.end;
            }
        }
        assert_eq!(end, heap.changes.len(), "{text}");
        let mut again = Heap::default();
        codec.read(text, &names, &mut again);
        assert_eq!(heap.said, again.said);
    }
}
