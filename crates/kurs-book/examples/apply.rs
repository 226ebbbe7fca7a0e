//! Measures what a message costs once it is decoded:
//! `KURS_FIXTURES=... cargo run --release -p kurs-book --example apply`
//!
//! Diffs of the Binance BTCUSDT capture go through a synced book, and through the plainest
//! sorted map for comparison. Of several rounds the fastest and the middle one are printed.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]
#![expect(clippy::unwrap_used, reason = "nothing to measure without the capture")]

use kurs_book::{BookUpdate, Change, Ids, Kind, Scheme, Side, SyncedBook};
use kurs_core::{Mono, Price};
use kurs_testkit::fixtures;
use rust_decimal::Decimal;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

const ROUNDS: usize = 101;

#[derive(Deserialize)]
struct Wrapped {
    data: serde_json::Value,
}

struct Message {
    kind: Kind,
    ids: Ids,
    changes: Vec<Change>,
}

fn levels(side: Side, value: &serde_json::Value) -> impl Iterator<Item = Change> {
    value.as_array().unwrap().iter().map(move |level| Change {
        side,
        price: Price::parse(level[0].as_str().unwrap()).unwrap(),
        size: level[1].as_str().unwrap().parse().unwrap(),
    })
}

fn messages() -> Option<Vec<Message>> {
    let file = fixtures::file("binance/spot_btcusdt_20240808.jsonl.gz")?;
    let mut messages = Vec::new();
    for line in fixtures::lines(&file) {
        let text = line.text();
        let frame: serde_json::Value = match serde_json::from_str::<Wrapped>(text) {
            Ok(wrapped) => wrapped.data,
            Err(_) => serde_json::from_str(text).unwrap(),
        };
        let (kind, first, last, bids, asks) = if frame["lastUpdateId"].is_u64() {
            let last = "lastUpdateId";
            (Kind::Snapshot, last, last, "bids", "asks")
        } else if frame["e"] == "depthUpdate" {
            (Kind::Diff, "U", "u", "b", "a")
        } else {
            continue;
        };
        let ids = Ids::Range {
            first: frame[first].as_u64().unwrap(),
            last: frame[last].as_u64().unwrap(),
        };
        let bids = levels(Side::Bid, &frame[bids]);
        let changes = bids.chain(levels(Side::Ask, &frame[asks])).collect();
        messages.push(Message { kind, ids, changes });
    }
    Some(messages)
}

fn synced(messages: &[Message]) {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    for message in messages {
        let update = BookUpdate {
            kind: message.kind,
            ids: message.ids,
            checksum: None,
            changes: &message.changes,
        };
        black_box(book.take(Mono(0), update));
        black_box(
            book.book()
                .and_then(|book| book.best_bid().zip(book.best_ask())),
        );
    }
    assert!(book.is_synced());
}

fn plain(messages: &[Message]) {
    let mut sides = [
        BTreeMap::<Decimal, Decimal>::new(),
        BTreeMap::<Decimal, Decimal>::new(),
    ];
    for message in messages {
        for change in &message.changes {
            let side = &mut sides[usize::from(change.side == Side::Ask)];
            let price = change.price.value();
            if change.size.is_zero() {
                side.remove(&price);
            } else {
                side.insert(price, change.size);
            }
        }
        black_box((sides[0].last_key_value(), sides[1].first_key_value()));
    }
}

fn measure(name: &str, messages: &[Message], run: fn(&[Message])) {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            run(messages);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    for (word, time) in [("fastest", times[0]), ("middle", times[ROUNDS / 2])] {
        let nanos = time.as_nanos();
        let count = messages.len() as u128;
        let changes: u128 = messages.iter().map(|one| one.changes.len() as u128).sum();
        println!(
            "{name}, {word} round: {} ns per message, {} ns per level, {} messages/s",
            nanos / count,
            nanos / changes,
            count * 1_000_000_000 / nanos,
        );
    }
}

fn main() {
    let Some(messages) = messages() else {
        println!("KURS_FIXTURES is not set");
        return;
    };
    let changes: usize = messages.iter().map(|message| message.changes.len()).sum();
    println!("{} messages, {changes} levels", messages.len());
    measure("synced book", &messages, synced);
    measure("BTreeMap alone", &messages, plain);
}
