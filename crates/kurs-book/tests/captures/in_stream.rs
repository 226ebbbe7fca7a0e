//! Kraken, OKX, Bybit and Coinbase: snapshots come in the stream.

use crate::reader::{Number, both, capture, change, frames, take};
use kurs_book::{Change, Gap, Ids, Kind, Scheme, Side, SyncedBook, Verdict};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::HashMap;

/// The books of a capture by symbol, and what became of its messages.
struct Replay {
    scheme: Scheme,
    depth: Option<usize>,
    books: HashMap<String, SyncedBook>,
    synced: usize,
    applied: usize,
    repeated: usize,
    checked: usize,
    lost: Vec<(String, Gap)>,
}

impl Replay {
    fn new(scheme: Scheme, depth: Option<usize>) -> Self {
        Self {
            scheme,
            depth,
            books: HashMap::new(),
            synced: 0,
            applied: 0,
            repeated: 0,
            checked: 0,
            lost: Vec::new(),
        }
    }

    fn take(&mut self, name: &str, kind: Kind, ids: Ids, sum: Option<u32>, changes: &[Change]) {
        let book = self.books.entry(name.to_owned());
        let book = book.or_insert_with(|| SyncedBook::new(self.scheme, self.depth));
        match take(book, kind, ids, sum, changes) {
            Verdict::Synced => self.synced += 1,
            Verdict::Applied => self.applied += 1,
            Verdict::Duplicate => self.repeated += 1,
            Verdict::Lost(gap) => self.lost.push((name.to_owned(), gap)),
            other => panic!("{name}: {other:?}"),
        }
        self.checked += usize::from(sum.is_some_and(|sum| sum != 0));
        assert!(self.lost.is_empty(), "{:?}", self.lost);
        assert!(book.is_synced());
    }
}

#[derive(Deserialize)]
struct KrakenLevel {
    price: Number,
    qty: Number,
}

#[derive(Deserialize)]
struct KrakenEntry {
    symbol: String,
    bids: Vec<KrakenLevel>,
    asks: Vec<KrakenLevel>,
    checksum: Option<u32>,
}

#[derive(Deserialize)]
struct KrakenFrame {
    channel: Option<String>,
    r#type: Option<String>,
    #[serde(default)]
    data: Option<Box<RawValue>>,
}

fn kraken(path: &str, depth: usize, checksums: usize) {
    let Some(file) = capture(path) else {
        return;
    };
    let mut replay = Replay::new(Scheme::KrakenChecksum, Some(depth));
    for text in frames(&file) {
        let frame: KrakenFrame = serde_json::from_str(&text).unwrap();
        if frame.channel.as_deref() != Some("book") {
            continue;
        }
        let kind = match frame.r#type.as_deref() {
            Some("snapshot") => Kind::Snapshot,
            _ => Kind::Diff,
        };
        let entries: Vec<KrakenEntry> = serde_json::from_str(frame.data.unwrap().get()).unwrap();
        for entry in entries {
            let bids = entry.bids.iter().map(|at| (Side::Bid, at));
            let levels = bids.chain(entry.asks.iter().map(|at| (Side::Ask, at)));
            let changes: Vec<_> = levels
                .map(|(side, at)| change(side, &at.price.0, &at.qty.0))
                .collect();
            replay.take(&entry.symbol, kind, Ids::None, entry.checksum, &changes);
        }
    }
    assert_eq!(replay.checked, checksums, "{path}");
}

#[test]
fn every_kraken_v2_checksum_is_the_books() {
    kraken("kraken/v2_book_btcusd_d10_20260824.jsonl", 10, 4);
    kraken(
        "kraken/v2shape_book_6pairs_20210417_derived.jsonl.gz",
        1_000,
        2_523,
    );
}

/// Levels are price, size, time and sometimes a mark.
#[derive(Deserialize)]
struct KrakenPayload {
    r#as: Option<Vec<Vec<Number>>>,
    bs: Option<Vec<Vec<Number>>>,
    a: Option<Vec<Vec<Number>>>,
    b: Option<Vec<Vec<Number>>>,
    c: Option<String>,
}

#[test]
fn every_kraken_v1_checksum_is_the_books() {
    let Some(file) = capture("kraken/v1_book_6pairs_20210417.jsonl.gz") else {
        return;
    };
    let mut replay = Replay::new(Scheme::KrakenChecksum, Some(1_000));
    for text in frames(&file) {
        let Ok(parts) = serde_json::from_str::<Vec<Box<RawValue>>>(&text) else {
            continue;
        };
        let name: String = serde_json::from_str(parts.last().unwrap().get()).unwrap();
        let (mut changes, mut sum, mut kind) = (Vec::new(), None, Kind::Diff);
        for part in &parts[1..parts.len() - 2] {
            let payload: KrakenPayload = serde_json::from_str(part.get()).unwrap();
            if payload.r#as.is_some() || payload.bs.is_some() {
                kind = Kind::Snapshot;
            }
            let bids = payload.bs.or(payload.b).unwrap_or_default();
            let asks = payload.r#as.or(payload.a).unwrap_or_default();
            changes.extend(both(&bids, &asks));
            sum = payload.c.map(|text| text.parse().unwrap()).or(sum);
        }
        replay.take(&name, kind, Ids::None, sum, &changes);
    }
    assert_eq!(replay.checked, 2_523);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OkxArg {
    channel: String,
    inst_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OkxBook {
    asks: Vec<Vec<Number>>,
    bids: Vec<Vec<Number>>,
    checksum: Option<i32>,
    seq_id: Option<i64>,
    prev_seq_id: Option<i64>,
}

#[derive(Deserialize)]
struct OkxFrame {
    arg: Option<OkxArg>,
    action: Option<String>,
    data: Option<Box<RawValue>>,
}

fn okx(path: &str, scheme: Scheme) -> Option<Replay> {
    let mut replay = Replay::new(scheme, None);
    for text in frames(&capture(path)?) {
        let frame: OkxFrame = serde_json::from_str(&text).unwrap();
        let (Some(arg), Some(action), Some(data)) = (frame.arg, frame.action, frame.data) else {
            continue;
        };
        assert!(arg.channel.starts_with("books"));
        let kind = match action.as_str() {
            "snapshot" => Kind::Snapshot,
            _ => Kind::Diff,
        };
        let books: Vec<OkxBook> = serde_json::from_str(data.get()).unwrap();
        for book in books {
            let ids = book.seq_id.map_or(Ids::None, |id| Ids::Chain {
                previous: book.prev_seq_id.and_then(|id| u64::try_from(id).ok()),
                id: u64::try_from(id).unwrap(),
            });
            let sum = book.checksum.map(i32::cast_unsigned);
            let changes = both(&book.bids, &book.asks);
            replay.take(&arg.inst_id, kind, ids, sum, &changes);
        }
    }
    Some(replay)
}

#[test]
fn every_okx_checksum_of_2021_and_2022_is_the_books() {
    for (path, checksums, books) in [
        ("okx/books_tbt_10inst_20210722_conn1.jsonl.gz", 1_504, 10),
        ("okx/books_tbt_10inst_20210722_conn2.jsonl.gz", 1_446, 10),
        ("okx/books_tbt_10inst_20220227.jsonl.gz", 3_679, 10),
    ] {
        let Some(replay) = okx(path, Scheme::ChainWithChecksum) else {
            return;
        };
        assert_eq!(
            (replay.checked, replay.synced),
            (checksums, books),
            "{path}"
        );
    }
}

#[test]
fn the_okx_chain_of_2026_is_unbroken_and_its_empty_checksums_say_nothing() {
    for scheme in [Scheme::Chain, Scheme::ChainWithChecksum] {
        let Some(replay) = okx("okx/books_btcusdt_20260824.jsonl", scheme) else {
            return;
        };
        assert_eq!((replay.synced, replay.applied, replay.checked), (1, 6, 0));
    }
}

#[derive(Deserialize)]
struct BybitBook {
    s: String,
    b: Vec<Vec<Number>>,
    a: Vec<Vec<Number>>,
    u: u64,
}

#[derive(Deserialize)]
struct BybitFrame {
    topic: Option<String>,
    r#type: Option<String>,
    data: Option<Box<RawValue>>,
}

#[test]
fn the_bybit_count_is_unbroken() {
    for (path, applied) in [
        ("bybit/v5_spot_orderbook50_btcusdt_20260824.jsonl", 8),
        ("bybit/v5_spot_samples_20241108.jsonl", 1),
    ] {
        let Some(file) = capture(path) else {
            return;
        };
        let mut replay = Replay::new(Scheme::Counter, Some(50));
        for text in frames(&file) {
            let frame: BybitFrame = serde_json::from_str(&text).unwrap();
            let is_book = frame
                .topic
                .is_some_and(|topic| topic.starts_with("orderbook."));
            let (true, Some(data)) = (is_book, frame.data) else {
                continue;
            };
            let kind = match frame.r#type.as_deref() {
                Some("snapshot") => Kind::Snapshot,
                _ => Kind::Diff,
            };
            let book: BybitBook = serde_json::from_str(data.get()).unwrap();
            let changes = both(&book.b, &book.a);
            replay.take(&book.s, kind, Ids::Counter(book.u), None, &changes);
        }
        assert_eq!((replay.synced, replay.applied), (1, applied), "{path}");
    }
}

#[derive(Deserialize)]
struct CoinbaseFrame {
    r#type: String,
    product_id: Option<String>,
    #[serde(default)]
    bids: Vec<Vec<Number>>,
    #[serde(default)]
    asks: Vec<Vec<Number>>,
    #[serde(default)]
    changes: Vec<(String, Number, Number)>,
}

#[test]
fn coinbase_books_never_cross() {
    let path = "coinbase/exchange_level2_ticker_matches_6products_20210417.jsonl.gz";
    let Some(file) = capture(path) else {
        return;
    };
    let mut replay = Replay::new(Scheme::Unverifiable, None);
    for text in frames(&file) {
        let frame: CoinbaseFrame = serde_json::from_str(&text).unwrap();
        let (kind, changes) = match frame.r#type.as_str() {
            "snapshot" => (Kind::Snapshot, both(&frame.bids, &frame.asks)),
            "l2update" => {
                let levels = frame.changes.iter().map(|(side, price, size)| {
                    let is_bid = side == "buy";
                    let side = if is_bid { Side::Bid } else { Side::Ask };
                    change(side, &price.0, &size.0)
                });
                (Kind::Diff, levels.collect())
            }
            _ => continue,
        };
        let name = frame.product_id.unwrap();
        replay.take(&name, kind, Ids::None, None, &changes);
        assert!(replay.books[&name].book().is_some(), "{name}");
    }
    assert_eq!((replay.synced, replay.applied), (6, 5_559));
}
