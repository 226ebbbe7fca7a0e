//! Binance: after every diff the book's best prices and sizes are those that the venue says
//! for the same update id.

use crate::reader::{Number, both, capture, take, written};
use kurs_book::{Ids, Kind, Scheme, SyncedBook, Verdict};
use kurs_testkit::fixtures::{self, Direction};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// A frame, or the wrapping of one, or an answer.
#[derive(Debug, Deserialize)]
struct Frame {
    data: Option<Box<Frame>>,
    e: Option<String>,
    s: Option<String>,
    #[serde(rename = "U")]
    first: Option<u64>,
    u: Option<u64>,
    b: Option<Box<RawValue>>,
    a: Option<Box<RawValue>>,
    #[serde(rename = "B")]
    bid_size: Option<Number>,
    #[serde(rename = "A")]
    ask_size: Option<Number>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
    bids: Option<Vec<Vec<Number>>>,
    asks: Option<Vec<Vec<Number>>>,
}

impl Frame {
    fn unwrapped(mut self) -> Self {
        self.data.take().map_or(self, |data| *data)
    }
}

/// Levels of a diff. In a `bookTicker` the same key holds a price.
fn levels(raw: &RawValue) -> Vec<Vec<Number>> {
    serde_json::from_str(raw.get()).unwrap()
}

fn price(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap()
}

type Best = (String, String);

#[derive(Default)]
struct Tally {
    frames: usize,
    snapshots: usize,
    synced: usize,
    applied: usize,
    gaps: usize,
    crossed: u64,
    compared: usize,
    differing: Vec<String>,
}

struct Symbol {
    book: SyncedBook,
    /// What `bookTicker` said by update id, and what the book said.
    told: HashMap<u64, (Best, Best)>,
    had: HashMap<u64, (Best, Best)>,
}

impl Symbol {
    fn new() -> Self {
        Self {
            book: SyncedBook::new(Scheme::IdRange, None),
            told: HashMap::new(),
            had: HashMap::new(),
        }
    }

    fn heard(&mut self, verdict: Verdict, tally: &mut Tally) {
        match verdict {
            Verdict::Synced => tally.synced += 1,
            Verdict::Applied => tally.applied += 1,
            Verdict::Lost(_) => tally.gaps += 1,
            Verdict::Buffered | Verdict::Duplicate | Verdict::SnapshotTooOld => return,
        }
        if let (Some(id), Some(book)) = (self.book.last_id(), self.book.book()) {
            let best = (book.best_bid().unwrap(), book.best_ask().unwrap());
            self.had.insert(id, (written(best.0), written(best.1)));
        }
    }
}

/// Replays files one after the other, as one stream.
fn replay(paths: &[&str]) -> Option<Tally> {
    let mut tally = Tally::default();
    let mut symbols: HashMap<String, Symbol> = HashMap::new();
    for path in paths {
        let file = capture(&format!("binance/{path}"))?;
        for line in fixtures::lines(&file) {
            if !matches!(line.dir, Direction::Rx | Direction::Rest) {
                continue;
            }
            tally.frames += 1;
            let url = line.url.clone().unwrap_or_default();
            let frame: Frame = serde_json::from_str(line.text()).unwrap();
            let frame = frame.unwrapped();
            let asked = url.split_once("symbol=").map(|(_, rest)| rest);
            let asked = asked.map(|rest| rest.split(['&', ' ']).next().unwrap().to_owned());
            let Some(name) = frame.s.clone().or(asked) else {
                continue;
            };
            let symbol = symbols.entry(name).or_insert_with(Symbol::new);
            take_frame(symbol, frame, &mut tally);
        }
    }
    for symbol in symbols.values() {
        tally.crossed += symbol.book.counters().crossed;
        for (id, had) in &symbol.had {
            if let Some(told) = symbol.told.get(id) {
                tally.compared += 1;
                if told != had {
                    tally.differing.push(format!("{id}: {told:?} {had:?}"));
                }
            }
        }
    }
    Some(tally)
}

fn take_frame(symbol: &mut Symbol, frame: Frame, tally: &mut Tally) {
    if let (Some(id), Some(bids), Some(asks)) = (frame.last_update_id, frame.bids, frame.asks) {
        let ids = Ids::Range {
            first: id,
            last: id,
        };
        tally.snapshots += 1;
        let changes = both(&bids, &asks);
        let verdict = take(&mut symbol.book, Kind::Snapshot, ids, None, &changes);
        return symbol.heard(verdict, tally);
    }
    let (Some(bids), Some(asks)) = (frame.b, frame.a) else {
        return;
    };
    match (frame.e.as_deref(), frame.first, frame.u) {
        (Some("depthUpdate"), Some(first), Some(last)) => {
            let ids = Ids::Range { first, last };
            let changes = both(&levels(&bids), &levels(&asks));
            let verdict = take(&mut symbol.book, Kind::Diff, ids, None, &changes);
            symbol.heard(verdict, tally);
        }
        (None, None, Some(id)) => {
            let bid = (price(&bids), frame.bid_size.unwrap().0);
            let ask = (price(&asks), frame.ask_size.unwrap().0);
            symbol.told.insert(id, (bid, ask));
        }
        _ => {}
    }
}

/// The books of a capture are synced by every snapshot in it, unbroken, never crossed, and
/// at their best prices are what the venue says.
fn holds(paths: &[&str], snapshots: usize, compared: usize) {
    let Some(tally) = replay(paths) else {
        return;
    };
    let Tally {
        frames, applied, ..
    } = tally;
    eprintln!(
        "{paths:?}: {frames} frames, {applied} applied, {} compared",
        tally.compared
    );
    assert_eq!(
        (tally.snapshots, tally.synced),
        (snapshots, snapshots),
        "{paths:?}"
    );
    assert_eq!((tally.gaps, tally.crossed), (0, 0), "{paths:?}");
    assert!(
        tally.differing.is_empty(),
        "{paths:?}: {:?}",
        tally.differing
    );
    assert_eq!(tally.compared, compared, "{paths:?}");
}

#[test]
fn books_have_the_best_prices_and_sizes_of_book_ticker_in_every_comparable_case() {
    holds(
        &[
            "spot_btcusdt_20240808.jsonl.gz",
            "spot_btcusdt_20240809.jsonl.gz",
        ],
        1,
        1_072,
    );
    holds(&["spot_10pairs_20210417.jsonl.gz"], 10, 202);
    holds(&["us_4pairs_20210814.jsonl.gz"], 4, 79);
}

#[test]
fn a_snapshot_that_comes_after_the_diffs_it_belongs_to_is_spliced() {
    holds(&["us_btcusdt_20260824.jsonl"], 1, 0);
}

#[test]
fn a_chain_of_diffs_without_a_snapshot_has_no_gap_when_one_is_made_for_it() {
    let Some(file) = capture("binance/spot_trxusdt_us_depth_20250304_derived.jsonl.gz") else {
        return;
    };
    let mut symbol = Symbol::new();
    let mut tally = Tally::default();
    for line in fixtures::lines(&file).filter(|line| line.dir == Direction::Rx) {
        let frame: Frame = serde_json::from_str(line.text()).unwrap();
        let frame = frame.unwrapped();
        if tally.frames == 0 {
            let id = frame.u.unwrap();
            let ids = Ids::Range {
                first: id,
                last: id,
            };
            // Nothing is known of the book before; only the ids are tried here.
            take(&mut symbol.book, Kind::Snapshot, ids, None, &[]);
        }
        tally.frames += 1;
        take_frame(&mut symbol, frame, &mut tally);
    }
    assert_eq!((tally.synced, tally.gaps, tally.crossed), (1, 0, 0));
    assert_eq!(tally.applied + 1, tally.frames);
}
