//! What a codec makes of a frame: helpers of the tests of all codecs.

use crate::venue::codec::{Codec, Heap, Said, Symbols};
use kurs_book::{Change, Ids, Kind, Side};

/// Symbols that are followed, each under its place in the list.
pub(crate) struct Names(pub(crate) &'static [&'static str]);

impl Symbols for Names {
    fn find(&self, name: &str) -> Option<u32> {
        let mut known = (0..).zip(self.0);
        known
            .find(|(_, known)| **known == name)
            .map(|(number, _)| number)
    }
}

/// All that a frame says.
pub(crate) fn heap(codec: &impl Codec, names: &Names, text: &str) -> Heap {
    let mut heap = Heap::default();
    codec.read(text, names, &mut heap);
    assert!(!heap.said.is_empty(), "{text}");
    heap
}

/// The one thing that a frame says.
pub(crate) fn said(codec: &impl Codec, names: &Names, text: &str) -> Said {
    let mut heap = heap(codec, names, text);
    assert_eq!(heap.said.len(), 1, "{text}");
    heap.said.pop().unwrap()
}

/// Levels in words: `Bid 100 0.5`.
pub(crate) fn levels(changes: &[Change]) -> Vec<String> {
    let level = |change: &Change| format!("{:?} {} {}", change.side, change.price, change.size);
    changes.iter().map(level).collect()
}

/// The one book message of a frame.
pub(crate) struct Book {
    pub(crate) symbol: u32,
    pub(crate) kind: Kind,
    pub(crate) ids: Ids,
    pub(crate) checksum: Option<u32>,
    /// Its levels in short: `b100x0.5 a101x2`.
    pub(crate) levels: String,
}

/// The one book message that is all a frame says.
pub(crate) fn book(codec: &impl Codec, names: &Names, text: &str) -> Book {
    let heap = heap(codec, names, text);
    let [
        Said::Book {
            symbol,
            kind,
            ids,
            checksum,
            changes,
            ..
        },
    ] = &heap.said[..]
    else {
        panic!("{text}: {:?}", heap.said)
    };
    let level = |change: &Change| {
        let side = match change.side {
            Side::Bid => 'b',
            Side::Ask => 'a',
        };
        format!("{side}{}x{}", change.price, change.size)
    };
    let levels: Vec<String> = heap.changes[changes.clone()].iter().map(level).collect();
    Book {
        symbol: *symbol,
        kind: *kind,
        ids: *ids,
        checksum: *checksum,
        levels: levels.join(" "),
    }
}
