//! Rows, rates and queries of the checks.

use crate::{HistoryQuery, HistoryRow, Store, StoreError, StoredRate};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, TrackedSymbol, UpdateId, Wall,
};
use std::sync::Arc;
use std::time::Duration;

/// The update `seq` of epoch 1 of shard 0.
#[must_use]
pub const fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

/// A pair by its name.
#[must_use]
pub fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

/// A source by its name.
#[must_use]
pub fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

/// A price by its text.
#[must_use]
pub fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

/// A row of BTC-USDT without sides.
#[must_use]
pub fn row(from: &str, seq: u64, received_at_us: i64) -> HistoryRow {
    HistoryRow {
        pair: pair("BTC-USDT"),
        source: source(from),
        id: id(seq),
        value: price("54000.01"),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: Wall(received_at_us),
    }
}

/// Everything of BTC-USDT, `limit` rows a page.
#[must_use]
pub fn everything(limit: u32) -> HistoryQuery {
    HistoryQuery {
        pair: pair("BTC-USDT"),
        source: None,
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
        after: None,
    }
}

/// All rows of a query, page by page.
///
/// # Errors
/// As [`Store::history`].
pub async fn all_pages(
    store: &dyn Store,
    query: HistoryQuery,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut query = query;
    let mut rows = Vec::new();
    loop {
        let page = store.history(query.clone()).await?;
        rows.extend(page.rows);
        if page.next.is_none() {
            return Ok(rows);
        }
        query.after = page.next;
    }
}

/// A current rate of `of` with the id `id`.
#[must_use]
pub fn rate(of: &str, id: UpdateId, value: &str) -> StoredRate {
    let rate = Rate {
        pair: pair(of),
        value: price(value),
        bid: Some(price("0.10")),
        ask: None,
        confidence: None,
        source: source("binance"),
        state: RateState::Fresh,
        legs: None,
        observed_at: Wall::from_unix_ms(1_000),
        published_at: Wall::from_unix_ms(1_001),
        valid_for: Duration::from_millis(5_000),
        evidence: None,
        depeg: None,
        choice: Arc::new(Choice {
            source: source("binance"),
            since: Wall::from_unix_ms(900),
            reason: "binance is first and live".into(),
            skipped: Vec::new(),
        }),
    };
    StoredRate { id, rate }
}

pub(super) fn symbol(name: &str, of: &str, added_at_us: i64) -> TrackedSymbol {
    TrackedSymbol {
        symbol: name.into(),
        pair: pair(of),
        added_at: Wall(added_at_us),
    }
}
