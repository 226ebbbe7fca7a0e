//! Rows, rates and queries of the checks.

use crate::{
    Batch, BookSnapshot, Candle, CandleQuery, Claim, CurrentRate, Gap, GapQuery, HistoryQuery,
    HistoryRow, Interval, OfficialQuery, OfficialRate, OfficialVersion, Origin, PriceState,
    Published, PublishedQuery, Recorded, SnapshotQuery, Store, StoreError, StoredRate,
};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SourceState, TrackedSymbol,
    UpdateId, Wall,
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

/// The rate `seq` of BTC-USDT as it was published.
#[must_use]
pub fn published(seq: u64, at_ms: i64, value: &str) -> Published {
    let StoredRate { id, rate } = rate("BTC-USDT", id(seq), value);
    Published::rate(
        id,
        Rate {
            published_at: Wall::from_unix_ms(at_ms),
            ..rate
        },
    )
}

/// A one-minute candle of binance for BTC-USDT, as it was folded here.
#[must_use]
pub fn candle(minute: i64, close: &str) -> Candle {
    Candle {
        pair: pair("BTC-USDT"),
        source: Some(source("binance")),
        interval: Interval::Minute,
        start: Wall::from_unix_seconds(minute * 60),
        open: price("10.50"),
        high: price("12.00"),
        low: price("9.00"),
        close: price(close),
        count: 7,
        origin: Origin::Live,
    }
}

/// A change of binance's state for BTC-USDT.
#[must_use]
pub fn state(seq: u64, at_us: i64, state: SourceState) -> PriceState {
    PriceState {
        id: id(seq),
        source: source("binance"),
        pair: pair("BTC-USDT"),
        at: Wall(at_us),
        state,
        why: "it says so".into(),
    }
}

/// A gap of binance in BTC-USDT.
#[must_use]
pub fn gap(began_us: i64, ended_us: Option<i64>) -> Gap {
    Gap {
        source: source("binance"),
        pair: pair("BTC-USDT"),
        began: Wall(began_us),
        ended: ended_us.map(Wall),
        why: "no answer".into(),
        is_filled: false,
    }
}

/// A book of binance for BTC-USDT.
#[must_use]
pub fn book(at_us: i64) -> BookSnapshot {
    let level = |at: &str, quantity: &str| (price(at), quantity.parse().unwrap());
    BookSnapshot {
        source: source("binance"),
        pair: pair("BTC-USDT"),
        at: Wall(at_us),
        bids: vec![level("54000.01", "1.500"), level("54000.00", "0.00100000")],
        asks: vec![level("54000.02", "12")],
    }
}

/// The rate of the CBR for a day since 1970.
#[must_use]
pub fn official(day: i64, value: &str, seen_at_us: i64) -> OfficialRate {
    OfficialRate {
        source: source("cbr"),
        pair: pair("USD-RUB"),
        day: Wall::from_unix_seconds(day * 86_400),
        value: price(value),
        seen_at: Wall(seen_at_us),
    }
}

/// One of everything, each with its own identity by `seq`.
#[must_use]
pub fn one_of_everything(seq: u64) -> Batch {
    let at = i64::try_from(seq).unwrap();
    Batch {
        rows: vec![row("binance", seq, at * 1_000)],
        published: vec![published(seq, at, "54000.10")],
        states: vec![state(seq, at * 1_000, SourceState::Live)],
        candles: vec![candle(at, "11.00")],
        gaps: vec![gap(at * 1_000, None)],
        books: vec![book(at * 1_000)],
        official: vec![official(at, "90.5000", at * 1_000)],
        recorded_until: Some(Recorded {
            shard: 0,
            until: Wall(at * 1_000),
        }),
        current: vec![current("BTC-USDT", id(seq), "54000.10")],
        fence: None,
    }
}

/// Everything that was published of BTC-USDT, `limit` events a page.
#[must_use]
pub fn all_published(limit: u32) -> PublishedQuery {
    PublishedQuery {
        pair: pair("BTC-USDT"),
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
        after: None,
    }
}

/// All events of a query, page by page.
///
/// # Errors
/// As [`Store::published`].
pub async fn all_published_pages(
    store: &dyn Store,
    query: PublishedQuery,
) -> Result<Vec<Published>, StoreError> {
    let mut query = query;
    let mut events = Vec::new();
    loop {
        let page = store.published(query.clone()).await?;
        events.extend(page.events);
        if page.next.is_none() {
            return Ok(events);
        }
        query.after = page.next;
    }
}

/// The rates, without what is left of them.
pub(super) fn rates(current: Vec<CurrentRate>) -> Vec<StoredRate> {
    current.into_iter().map(|current| current.stored).collect()
}

/// All that a store says about BTC-USDT by binance and USD-RUB by the CBR, asked in full.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) rows: Vec<HistoryRow>,
    pub(super) published: Vec<Published>,
    pub(super) states: Vec<PriceState>,
    pub(super) candles: Vec<Candle>,
    pub(super) gaps: Vec<Gap>,
    pub(super) books: Vec<BookSnapshot>,
    pub(super) official: Vec<OfficialVersion>,
    pub(super) recorded_until: Option<Wall>,
    pub(super) current: Vec<StoredRate>,
}

impl Told {
    pub(super) async fn by(store: &dyn Store) -> Self {
        let (from, of) = (source("binance"), pair("BTC-USDT"));
        let (start, end, limit) = (Wall::MIN, Wall::MAX, 1_000);
        Self {
            rows: all_pages(store, everything(1_000)).await.unwrap(),
            published: all_published_pages(store, all_published(1_000))
                .await
                .unwrap(),
            states: store.states_at(of, Wall::MAX).await.unwrap(),
            candles: store.candles(all_candles(1_000)).await.unwrap(),
            gaps: store.gaps(all_gaps(1_000)).await.unwrap(),
            books: store
                .books(SnapshotQuery {
                    source: from,
                    pair: of,
                    start,
                    end,
                    limit,
                })
                .await
                .unwrap(),
            official: store.official(all_official(1_000)).await.unwrap(),
            recorded_until: store.recorded_until().await.unwrap(),
            current: rates(store.load_current().await.unwrap()),
        }
    }
}

/// All one-minute candles of binance for BTC-USDT.
#[must_use]
pub fn all_candles(limit: u32) -> CandleQuery {
    CandleQuery {
        pair: pair("BTC-USDT"),
        source: Some(source("binance")),
        interval: Interval::Minute,
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
    }
}

/// All gaps.
#[must_use]
pub const fn all_gaps(limit: u32) -> GapQuery {
    GapQuery {
        pair: None,
        source: None,
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
    }
}

/// All rates of the CBR for USD-RUB.
#[must_use]
pub fn all_official(limit: u32) -> OfficialQuery {
    OfficialQuery {
        source: source("cbr"),
        pair: pair("USD-RUB"),
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
    }
}

/// A claim of the shard for a Writer of this name, for a minute.
#[must_use]
pub fn claim(shard: u16, writer: &str) -> Claim {
    Claim {
        shard,
        writer: writer.into(),
        ttl: Duration::from_secs(60),
        heard: None,
        is_alone: false,
    }
}

/// Takes a shard from whoever had it, who cannot be alive.
pub async fn begin_epoch(store: &dyn Store, shard: u16) -> Epoch {
    let claim = Claim {
        is_alone: true,
        ..claim(shard, "alone")
    };
    store.claim(claim).await.unwrap().expect("it is free")
}

/// A rate as it is handed to the store, with a minute left.
#[must_use]
pub fn current(of: &str, id: UpdateId, value: &str) -> CurrentRate {
    CurrentRate {
        stored: rate(of, id, value),
        left: Duration::from_secs(60),
    }
}
