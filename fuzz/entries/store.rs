//! What comes back from databases and disks. Included by the fuzz targets and by
//! `kurs-store/tests/corpus.rs`.

use kurs_core::{Pair, SourceId};
use kurs_store::packed::{events, rows};
use kurs_store::spool::memory::MemoryDisk;
use kurs_store::spool::{Spool, SpoolOptions};
use std::collections::BTreeMap;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 3] = [
    ("packed_rows", packed_rows),
    ("packed_events", packed_events),
    ("spool", spool),
];

/// More batches than the longest input can hold.
const BATCHES_MAX: usize = 10_000;

fn pair() -> Pair {
    Pair::parse("BTC-USDT").expect("a pair")
}

/// A block of received rates. What is read can be packed again and stays the same.
pub fn packed_rows(bytes: &[u8]) {
    let places = rows::places(bytes);
    let source = SourceId::parse("binance").expect("a source");
    let Some(read) = rows::decode(bytes, pair(), source) else {
        return;
    };
    let found: Vec<_> = read.iter().map(|row| (row.received_at, row.id)).collect();
    assert_eq!(places, Some(found));
    let again = rows::encode(&read).expect("what was read");
    assert_eq!(rows::decode(&again, pair(), source), Some(read));
}

/// A block of published events. Each is the one of its place.
pub fn packed_events(bytes: &[u8]) {
    let places = events::places(bytes);
    let Some(block) = events::Events::open(bytes, pair()) else {
        return;
    };
    assert_eq!(places.as_deref(), Some(block.places()));
    assert!(block.places().is_sorted());
    let events: Option<Vec<_>> = (0..block.places().len())
        .map(|index| block.get(index))
        .collect();
    assert_eq!(block.get(block.places().len()), None);
    let Some(events) = events else { return };
    for (event, place) in events.iter().zip(block.places()) {
        assert_eq!((event.published_at, event.id), *place);
    }
    if let Some(again) = events::encode(&events) {
        assert_eq!(events::places(&again), places);
    }
}

/// A file of the spool as it is found at the start; the first byte says of which kind. It is
/// drained to its end, and what is written behind it comes out behind it.
pub fn spool(bytes: &[u8]) {
    let Some((kind, content)) = bytes.split_first() else {
        return;
    };
    let lane = if kind % 2 == 0 { "kept" } else { "raw" };
    let name = format!("{lane}-{:020}.spool", kind / 2);
    let disk = MemoryDisk::of_files(BTreeMap::from([(name, content.to_vec())]));
    let options = SpoolOptions::of_bytes(1 << 20);
    let mut spool = Spool::open_on(Box::new(disk), options).expect("the disk is well");
    for _ in 0..BATCHES_MAX {
        let Some(waiting) = spool.next(1_000).expect("the disk is well") else {
            assert!(spool.is_empty());
            return;
        };
        assert!(waiting.records > 0);
        spool.done(waiting.through);
    }
    panic!("it has no end");
}
