//! Plain updates and commands, as many as a check wants.

use crate::{Body, Command, SourcePrice, Update};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SourceState, UpdateId, Wall,
};
use std::sync::Arc;
use std::time::Duration;

/// A rate of `of`, update `seq` of epoch 1 of shard 0.
#[must_use]
pub fn rate(of: &str, seq: u64) -> Arc<Update> {
    let source = SourceId::parse("binance").unwrap();
    let now = Wall::from_unix_ms(1_000);
    let choice = Choice {
        source,
        since: now,
        reason: "".into(),
        skipped: Vec::new(),
    };
    let rate = Rate {
        pair: Pair::parse(of).unwrap(),
        value: Price::parse(&format!("{}.10", seq + 1)).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: now,
        published_at: now,
        valid_for: Duration::from_secs(5),
        evidence: None,
        depeg: None,
        choice: Arc::new(choice),
    };
    update(seq, Body::Rate(rate))
}

/// The command to stop following a symbol.
#[must_use]
pub fn untrack(symbol: &str) -> Command {
    Command::Untrack {
        symbol: symbol.into(),
        by: None,
    }
}

/// Update `seq` of epoch 1 of shard 0.
#[must_use]
pub fn update(seq: u64, body: Body) -> Arc<Update> {
    update_of(1, seq, body)
}

/// Update `seq` of an epoch of shard 0.
#[must_use]
pub fn update_of(epoch: u64, seq: u64, body: Body) -> Arc<Update> {
    Arc::new(Update {
        id: UpdateId {
            shard: 0,
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
        body,
        cause: None,
        at: None,
    })
}

/// A price of a source, update `seq` of epoch 1 of shard 0.
pub(super) fn source_price(from: &str, of: &str, seq: u64) -> Arc<Update> {
    let now = Wall::from_unix_ms(1_000);
    let price = SourcePrice {
        source: SourceId::parse(from).unwrap(),
        pair: Pair::parse(of).unwrap(),
        value: Price::parse("1.10").unwrap(),
        bid: None,
        ask: None,
        state: SourceState::Live,
        why: "".into(),
        observed_at: now,
        received_at: now,
        published_at: now,
        valid_for: Duration::from_secs(5),
    };
    update(seq, Body::SourcePrice(price))
}

/// The withdrawal of a pair, update `seq` of epoch 1 of shard 0.
pub(super) fn withdrawn(seq: u64, pair: &str) -> Arc<Update> {
    update(seq, Body::Withdrawn(Pair::parse(pair).unwrap()))
}
