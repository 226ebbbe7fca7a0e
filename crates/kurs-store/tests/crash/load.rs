//! Rows and events by their number. Time runs fast: a minute passes from row to row, so that a
//! second of writing is more than a day to be packed and deleted.

use kurs_core::{Epoch, Pair, Rate, Seq, SourceId, SourceState, UpdateId, Wall};
use kurs_store::conformance::{pair, price, rate, source};
use kurs_store::{
    Batch, CurrentRate, Fence, HistoryRow, Outdated, PriceState, Published, PublishedEvent,
    Recorded, StoredRate,
};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// 2026-01-01T00:00:00Z.
const BEGIN: i64 = 1_767_225_600_000_000;
const STEP: i64 = 60_000_000;
/// 2 hours: so long rows stay plain.
const PACK_AFTER: i64 = 2 * 3_600 * 1_000_000;

/// Every so many rows come with a published event, and with a state.
pub(super) const ROWS_PER_EVENT: u64 = 4;
pub(super) const ROWS_PER_STATE: u64 = 10;

/// The pairs of all rows.
pub(super) const PAIRS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];

/// The time of a row.
pub(super) fn time(number: u64) -> Wall {
    Wall(BEGIN + i64::try_from(number).unwrap() * STEP)
}

/// What may be packed when so many rows are stored.
pub(super) fn packed_before(rows: u64) -> Wall {
    Wall(time(rows).0 - PACK_AFTER)
}

/// The first row that stays when so many are stored: the oldest quarter goes.
pub(super) const fn first_kept(rows: u64) -> u64 {
    rows / 4
}

/// What goes when so many rows are stored.
pub(super) fn outdated(rows: u64) -> Outdated {
    let before = time(first_kept(rows));
    Outdated {
        published: Some(before),
        ..Outdated::rows(before)
    }
}

fn id(epoch: u64, number: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(epoch),
        seq: Seq(number),
    }
}

fn series(number: u64) -> (Pair, SourceId) {
    let (of, from) = match number % 3 {
        0 => (PAIRS[0], "binance"),
        1 => (PAIRS[1], "binance"),
        _ => (PAIRS[0], "kraken"),
    };
    (pair(of), source(from))
}

/// A row: the same for the same number, in whichever process.
pub(super) fn row(epoch: u64, number: u64) -> HistoryRow {
    let (pair, source) = series(number);
    let cents = |more: u64| {
        let cents = 5_000_000 + number % 99_991 + more;
        price(&format!("{}.{:02}000000", cents / 100, cents % 100))
    };
    let received_at = time(number);
    HistoryRow {
        pair,
        source,
        id: id(epoch, number),
        value: cents(1),
        bid: Some(cents(0)),
        ask: Some(cents(2)),
        observed_at: Some(Wall(received_at.0 - 1_500)),
        received_at,
    }
}

fn current(epoch: u64, number: u64, of: &str) -> StoredRate {
    let StoredRate { id, rate } = rate(of, id(epoch, number), &format!("{}.50", number + 1));
    let rate = Rate {
        published_at: time(number),
        ..rate
    };
    StoredRate { id, rate }
}

/// The event that comes with a row.
pub(super) fn event(epoch: u64, number: u64) -> Published {
    let nth = number / ROWS_PER_EVENT;
    let of = PAIRS[usize::try_from(nth % 2).unwrap()];
    let StoredRate { id, rate } = current(epoch, number, of);
    let event = match nth % 9 {
        0 => PublishedEvent::Withdrawn,
        1 => PublishedEvent::NoRate {
            why: "too few sources".into(),
            withdraws: false,
            standing: Some(Box::new(current(epoch, number, of))),
        },
        _ => PublishedEvent::Rate(rate),
    };
    Published {
        id,
        pair: pair(of),
        published_at: time(number),
        event,
    }
}

/// The state that comes with a row.
pub(super) fn state(epoch: u64, number: u64) -> PriceState {
    let (pair, source) = series(number);
    let states = [SourceState::Live, SourceState::Stale, SourceState::Down];
    PriceState {
        id: id(epoch, number),
        source,
        pair,
        at: time(number),
        state: states[usize::try_from(number / ROWS_PER_STATE % 3).unwrap()],
        why: format!("row {number}").into(),
    }
}

/// Rows of one epoch, from a number up to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) epoch: u64,
    pub(crate) first: u64,
    pub(crate) end: u64,
}

impl Span {
    /// All of it, as the recorder hands it over.
    pub(crate) fn batch(self) -> Batch {
        let Self { epoch, first, end } = self;
        let every = |step: u64| (first..end).filter(move |number| number % step == 0);
        Batch {
            rows: (first..end).map(|number| row(epoch, number)).collect(),
            published: every(ROWS_PER_EVENT)
                .map(|number| event(epoch, number))
                .collect(),
            states: every(ROWS_PER_STATE)
                .map(|number| state(epoch, number))
                .collect(),
            recorded_until: Some(Recorded {
                shard: 0,
                until: time(end),
            }),
            current: PAIRS
                .into_iter()
                .map(|of| CurrentRate {
                    stored: current(epoch, end - 1, of),
                    left: Duration::from_secs(60),
                })
                .collect(),
            ..Batch::default()
        }
    }

    /// The same, by the Writer whose epoch it is.
    pub(crate) fn fenced_batch(self) -> Batch {
        let fence = Fence {
            shard: 0,
            epoch: Epoch(self.epoch),
        };
        Batch {
            fence: Some(fence),
            ..self.batch()
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.epoch, self.first, self.end)
    }
}

impl FromStr for Span {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split(':').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().ok_or(());
        Ok(Self {
            epoch: next()?,
            first: next()?,
            end: next()?,
        })
    }
}
