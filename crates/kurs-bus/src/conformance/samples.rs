//! Updates to write, send and read in tests.

use super::make::{rate, update, update_of};
use crate::{Body, BookCounts, Cause, Heartbeat, NoRate, SourcePrice, SourceStatus, Update};
use kurs_core::rate::{
    Constituent, Depeg, Evidence, FairMethod, FixedTerms, GateReading, PolicyKind,
};
use kurs_core::{
    Choice, Leg, Mono, Pair, Price, Rate, Skipped, SourceId, SourceKind, SourceState,
    TrackedSymbol, Wall,
};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::time::Duration;

fn pair() -> Pair {
    Pair::parse("BTC-USDT").unwrap()
}

fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

/// An update of every kind, numbered 1 to 7.
#[must_use]
pub fn every_kind() -> Vec<Arc<Update>> {
    let at = Wall::from_unix_ms(1_790_000_000_123);
    let price = SourcePrice {
        source: source("sim:binance"),
        pair: pair(),
        value: Price::parse("64364.270").unwrap(),
        bid: Some(Price::parse("64364.26").unwrap()),
        ask: None,
        state: SourceState::Stale,
        why: "silent \"for\" 3 s".into(),
        observed_at: at,
        received_at: at,
        published_at: at,
        valid_for: Duration::from_millis(4_321),
    };
    let status = SourceStatus {
        source: source("kraken"),
        kind: SourceKind::Exchange,
        priority: 3,
        state: SourceState::Live,
        why: "".into(),
        since: at,
        mode: "websocket".into(),
        pairs: 5,
        messages: 6,
        decode_errors: 0,
        reconnects: 1,
        failures: 0,
        books: BookCounts::default(),
        overlaps: 0,
        last_message_at: Some(at),
        next_poll_at: None,
        limited_until: None,
        lag_ms: Some(-3),
    };
    let tracked = TrackedSymbol {
        symbol: "BTCUSDT".into(),
        pair: pair(),
        added_at: at,
    };
    let none = NoRate {
        pair: pair(),
        why: "no leg".into(),
        withdraws: true,
    };
    let beat = Heartbeat {
        writer: "writer-1".into(),
        follows: Some("0.1-77".parse().unwrap()),
        ends: true,
    };
    vec![
        rate("BTC-USDT", 1),
        update(2, Body::SourcePrice(price)),
        update(3, Body::SourceStatus(status)),
        update(4, Body::Tracked(Arc::from([tracked]))),
        update(5, Body::Withdrawn(pair())),
        update(6, Body::NoRate(none)),
        update(7, Body::Heartbeat(beat)),
    ]
}

/// A rate with every member that one can have, and a cause.
#[must_use]
pub fn full_rate(seq: u64) -> Arc<Update> {
    let at = Wall::from_unix_ms(1_790_000_000_123);
    let price = |text: &str| Price::parse(text).unwrap();
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    let part = Constituent {
        source: source("binance"),
        pair: pair(),
        path: vec![Pair::parse("BTC-USDC").unwrap()],
        value: Some(price("64364.270")),
        bid: Some(price("64364.26")),
        ask: Some(price("64364.28")),
        price: FairMethod::WeightedMid,
        used: true,
        why: "mid: no sizes".into(),
        observed_at: Some(at),
        expires_at: Some(at),
    };
    let evidence = Evidence {
        policy: PolicyKind::Median,
        price: FairMethod::Mid,
        rule: Some("BTC-USDT * 2".into()),
        evaluated: Some("64364.270 * 2".into()),
        constituents: vec![part],
        gate: Some(GateReading {
            median: decimal("64364.270"),
            mad: decimal("0.00"),
            limit: decimal("64.364270"),
        }),
        spread_percent: Some(decimal("0.5")),
        fixed: Some(FixedTerms {
            owner: Some("treasury".into()),
            until: Some(at),
        }),
        notes: vec!["one source is left".into()],
    };
    let skipped = Skipped {
        source: source("kraken"),
        state: SourceState::Stale,
        why: "silent for 6 s".into(),
    };
    let leg = Leg {
        pair: pair(),
        source: source("binance"),
        value: price("64364.270"),
        inverted: true,
        observed_at: at,
        expires_at: at,
    };
    let depeg = Depeg {
        pair: Pair::parse("USDT-USD").unwrap(),
        value: price("0.98"),
        percent: decimal("-2.00"),
    };
    let Body::Rate(plain) = rate("BTC-USDT", seq).body.clone() else {
        unreachable!("a rate is built")
    };
    let body = Body::Rate(Rate {
        bid: Some(price("64364.26")),
        ask: Some(price("64364.28")),
        confidence: Some(decimal("0.01")),
        legs: Some(Arc::from([leg])),
        choice: Arc::new(Choice {
            source: source("binance"),
            since: at,
            reason: "kraken is stale".into(),
            skipped: vec![skipped],
        }),
        evidence: Some(Arc::new(evidence)),
        depeg: Some(Arc::from([depeg])),
        ..plain
    });
    let cause = Cause {
        source: source("binance"),
        pair: pair(),
        event_id: 4_711,
    };
    Arc::new(Update {
        cause: Some(cause),
        at: Some(Mono(7_000_000)),
        ..Update::clone(&update(seq, body))
    })
}

/// What happens to a consumer that is no part of kurs: every kind of update, an exact price, one
/// update twice, a new Writer, a word of the former one, and a gap.
#[must_use]
pub fn scene() -> Vec<Arc<Update>> {
    let exact = |epoch: u64, seq: u64, value: &str| {
        let Body::Rate(mut rate) = rate("SHIB-BTC", seq).body.clone() else {
            unreachable!("a rate is built")
        };
        rate.value = Price::parse(value).unwrap();
        update_of(epoch, seq, Body::Rate(rate))
    };
    let begin = Heartbeat {
        writer: "writer-2".into(),
        follows: Some("0.1-9".parse().unwrap()),
        ends: false,
    };
    let mut scene = every_kind();
    scene.extend([
        full_rate(8),
        full_rate(8),
        exact(1, 9, "0.0000000000000000012345678900"),
        update_of(2, 1, Body::Heartbeat(begin)),
        exact(2, 2, "7922816251426433759354395033.5"),
        exact(1, 10, "666"),
        exact(2, 3, "0.1"),
        exact(2, 5, "100"),
    ]);
    scene
}

/// What `examples/consumers/kurs_consumer.py` prints of [`scene`].
pub const SCENE_LINES: [&str; 8] = [
    "0.1-1 BTC-USDT 2.10 fresh binance 5000",
    "0.1-5 BTC-USDT - withdrawn",
    "0.1-6 BTC-USDT - no leg",
    "0.1-8 BTC-USDT 9.10 fresh binance 5000",
    "0.1-9 SHIB-BTC 0.0000000000000000012345678900 fresh binance 5000",
    "0.2-2 SHIB-BTC 7922816251426433759354395033.5 fresh binance 5000",
    "0.2-3 SHIB-BTC 0.1 fresh binance 5000",
    "0.2-5 SHIB-BTC 100 fresh binance 5000",
];
/// What it says of [`scene`] when it hears all of it.
pub const SCENE_GAP: &str = "gap in shard 0 before 2-5: take the last values";
