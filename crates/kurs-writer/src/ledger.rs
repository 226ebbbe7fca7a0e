//! What is written down of every update, so that any moment can be told again: what was
//! published, how the sources stood, and when they gave nothing. Pure: updates in, entries out.

use kurs_bus::{Body, NoRate, SourcePrice, Update};
use kurs_core::{Pair, SourceId, SourceState, UpdateId, Wall};
use kurs_store::{
    Gap, HistoryRow, OfficialRate, PriceState, Published, PublishedEvent, StoredRate,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Banks whose rates are official, with the time from UTC to their calendar day.
const BANKS: [(&str, Duration); 2] = [
    // A rate of the day is set in the afternoon of that day.
    ("ecb", Duration::ZERO),
    // In force from midnight in Moscow, which is three hours before that of UTC.
    ("cbr", Duration::from_secs(3 * 3_600)),
];

/// One thing to be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Something was published.
    Published(Published),
    /// A source's price changed its state.
    State(PriceState),
    /// A gap began or ended.
    Gap(Gap),
}

/// What the ledger must know of the time before it begins.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// The rates that an earlier Writer published and that still stand.
    pub standing: Vec<StoredRate>,
    /// Up to when the earlier Writer wrote down everything: what it followed has a gap from then.
    pub recorded_until: Option<Wall>,
    /// What it followed.
    pub followed: Vec<(SourceId, Pair)>,
    /// Gaps that have not ended.
    pub open: Vec<Gap>,
}

/// How a source's price of a pair stood last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stand {
    state: SourceState,
    why: Arc<str>,
}

/// Keeps what the next entry depends on.
#[derive(Debug, Default)]
pub struct Ledger {
    standing: HashMap<Pair, StoredRate>,
    stands: HashMap<(SourceId, Pair), Stand>,
    open: HashMap<(SourceId, Pair), Gap>,
}

impl Ledger {
    /// Goes on where an earlier Writer ended.
    #[must_use]
    pub fn new(before: Before) -> Self {
        let standing = before.standing.into_iter();
        let mut open: HashMap<_, _> = HashMap::new();
        if let Some(began) = before.recorded_until {
            for (source, pair) in before.followed {
                let gap = Gap {
                    source,
                    pair,
                    began,
                    ended: None,
                    why: "kurs did not run".into(),
                    is_filled: false,
                };
                open.insert((source, pair), gap);
            }
        }
        // One that was open already began earlier.
        let earlier = before.open.into_iter();
        open.extend(earlier.map(|gap| ((gap.source, gap.pair), gap)));
        Self {
            standing: standing.map(|stored| (stored.rate.pair, stored)).collect(),
            stands: HashMap::new(),
            open,
        }
    }

    /// What is to be written down of an update that is published at `now`.
    pub fn update(&mut self, update: &Update, now: Wall, entries: &mut Vec<Entry>) {
        match &update.body {
            Body::Rate(rate) => {
                let rate = rate.clone();
                let stored = StoredRate {
                    id: update.id,
                    rate: rate.clone(),
                };
                self.standing.insert(rate.pair, stored);
                entries.push(Entry::Published(Published::rate(update.id, rate)));
            }
            Body::NoRate(NoRate {
                pair,
                why,
                withdraws,
            }) => {
                if *withdraws {
                    self.standing.remove(pair);
                }
                let event = PublishedEvent::NoRate {
                    why: Arc::clone(why),
                    withdraws: *withdraws,
                    standing: self.standing.get(pair).cloned().map(Box::new),
                };
                entries.push(published(update.id, *pair, now, event));
            }
            Body::Withdrawn(pair) => {
                self.standing.remove(pair);
                let event = PublishedEvent::Withdrawn;
                entries.push(published(update.id, *pair, now, event));
            }
            Body::SourcePrice(price) => self.price(update.id, price, now, entries),
            Body::SourceStatus(_) | Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => {}
        }
    }

    fn price(&mut self, id: UpdateId, price: &SourcePrice, now: Wall, entries: &mut Vec<Entry>) {
        let key = (price.source, price.pair);
        let is_live = price.state == SourceState::Live;
        let former = self.stands.get(&key);
        if former.is_some_and(|former| former.state == price.state && former.why == price.why) {
            return;
        }
        let was_live = former.is_some_and(|former| former.state == SourceState::Live);
        let stand = Stand {
            state: price.state,
            why: Arc::clone(&price.why),
        };
        self.stands.insert(key, stand);
        entries.push(Entry::State(PriceState {
            id,
            source: price.source,
            pair: price.pair,
            at: now,
            state: price.state,
            why: Arc::clone(&price.why),
        }));
        if is_live {
            if let Some(gap) = self.open.remove(&key) {
                let ended = Some(now.max(gap.began));
                entries.push(Entry::Gap(Gap { ended, ..gap }));
            }
        } else if was_live {
            let gap = Gap {
                source: price.source,
                pair: price.pair,
                began: now,
                ended: None,
                why: Arc::clone(&price.why),
                is_filled: false,
            };
            self.open.insert(key, gap.clone());
            entries.push(Entry::Gap(gap));
        }
    }
}

fn published(id: UpdateId, pair: Pair, now: Wall, event: PublishedEvent) -> Entry {
    Entry::Published(Published {
        id,
        pair,
        published_at: now.to_millisecond(),
        event,
    })
}

/// The official rate that a row of a bank is; `None` of all other sources.
#[must_use]
pub fn official(row: &HistoryRow) -> Option<OfficialRate> {
    let (_, ahead) = BANKS.iter().find(|(bank, _)| *bank == row.source.plain())?;
    let local = row.observed_at?.plus(*ahead);
    const DAY_US: i64 = 86_400_000_000;
    Some(OfficialRate {
        source: row.source,
        pair: row.pair,
        day: Wall(local.0.saturating_sub(local.0.rem_euclid(DAY_US))),
        value: row.value,
        seen_at: row.received_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::rate::Choice;
    use kurs_core::{Epoch, Price, Rate, RateState, Seq};

    fn pair(text: &str) -> Pair {
        Pair::parse(text).unwrap()
    }

    fn source(text: &str) -> SourceId {
        SourceId::parse(text).unwrap()
    }

    fn id(seq: u64) -> UpdateId {
        UpdateId {
            shard: 0,
            epoch: Epoch(2),
            seq: Seq(seq),
        }
    }

    fn rate(text: &str, value: &str) -> Rate {
        Rate {
            pair: pair(text),
            value: Price::parse(value).unwrap(),
            bid: None,
            ask: None,
            confidence: None,
            source: source("binance"),
            state: RateState::Fresh,
            legs: None,
            observed_at: Wall(1_000),
            published_at: Wall(2_345),
            valid_for: Duration::from_secs(5),
            choice: Arc::new(Choice {
                source: source("binance"),
                since: Wall(0),
                reason: "".into(),
                skipped: Vec::new(),
            }),
            evidence: None,
            depeg: None,
        }
    }

    fn price(state: SourceState, why: &str) -> Body {
        Body::SourcePrice(SourcePrice {
            source: source("binance"),
            pair: pair("BTC-USDT"),
            value: Price::parse("1").unwrap(),
            bid: None,
            ask: None,
            state,
            why: why.into(),
            observed_at: Wall(0),
            received_at: Wall(0),
            published_at: Wall(0),
            valid_for: Duration::ZERO,
        })
    }

    /// Entries of one update at `now`.
    fn told(ledger: &mut Ledger, seq: u64, now: i64, body: Body) -> Vec<Entry> {
        let mut entries = Vec::new();
        ledger.update(
            &Update {
                id: id(seq),
                body,
                cause: None,
                at: None,
            },
            Wall(now),
            &mut entries,
        );
        entries
    }

    fn gaps(entries: &[Entry]) -> Vec<(i64, Option<i64>, &str)> {
        let gaps = entries.iter().filter_map(|entry| match entry {
            Entry::Gap(gap) => Some((gap.began.0, gap.ended.map(|ended| ended.0), &*gap.why)),
            _ => None,
        });
        gaps.collect()
    }

    #[test]
    fn a_reason_for_no_rate_is_written_down_with_the_rate_that_stands_beside_it() {
        let mut ledger = Ledger::default();
        let no_rate = |withdraws| {
            Body::NoRate(NoRate {
                pair: pair("BTC-USD"),
                why: "no leg".into(),
                withdraws,
            })
        };
        let standing = |entries: &[Entry]| match &entries[0] {
            Entry::Published(Published {
                event: PublishedEvent::NoRate { standing, .. },
                ..
            }) => standing.as_ref().map(|stored| stored.id),
            other => panic!("{other:?}"),
        };
        assert_eq!(standing(&told(&mut ledger, 1, 5_432, no_rate(false))), None);
        let entries = told(&mut ledger, 2, 5_432, Body::Rate(rate("BTC-USD", "1")));
        let Entry::Published(event) = &entries[0] else {
            panic!("{entries:?}")
        };
        assert_eq!(event.published_at, Wall(2_000));
        let entries = told(&mut ledger, 3, 5_432, no_rate(false));
        assert_eq!(standing(&entries), Some(id(2)));
        assert_eq!(standing(&told(&mut ledger, 4, 6_000, no_rate(true))), None);
        assert_eq!(standing(&told(&mut ledger, 5, 6_000, no_rate(false))), None);

        let before = Before {
            standing: vec![StoredRate {
                id: id(1),
                rate: rate("BTC-USD", "1"),
            }],
            ..Before::default()
        };
        let mut next = Ledger::new(before);
        let entries = told(&mut next, 1, 9_000, no_rate(false));
        assert_eq!(standing(&entries), Some(id(1)));
    }

    #[test]
    fn a_state_is_written_down_when_it_changes_and_a_gap_from_its_end_to_its_return() {
        use SourceState::{Down, Live, Stale};
        let mut ledger = Ledger::default();
        let entries = told(&mut ledger, 1, 10, price(Live, ""));
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert!(told(&mut ledger, 2, 20, price(Live, "")).is_empty());
        let entries = told(&mut ledger, 3, 30, price(Stale, "silent"));
        assert_eq!(gaps(&entries), [(30, None, "silent")]);
        let entries = told(&mut ledger, 4, 40, price(Down, "cut"));
        assert!(gaps(&entries).is_empty(), "the same gap: {entries:?}");
        let entries = told(&mut ledger, 5, 50, price(Live, ""));
        assert_eq!(gaps(&entries), [(30, Some(50), "silent")]);
        assert!(matches!(&entries[0], Entry::State(state) if state.state == Live));
    }

    #[test]
    fn the_time_in_which_nothing_ran_is_a_gap_of_what_was_followed() {
        let followed = (source("binance"), pair("BTC-USDT"));
        let before = Before {
            recorded_until: Some(Wall(100)),
            followed: vec![followed],
            ..Before::default()
        };
        let mut ledger = Ledger::new(before.clone());
        let entries = told(&mut ledger, 1, 500, price(SourceState::Live, ""));
        assert_eq!(gaps(&entries), [(100, Some(500), "kurs did not run")]);
        // It was down before the end already.
        let open = Gap {
            source: followed.0,
            pair: followed.1,
            began: Wall(60),
            ended: None,
            why: "cut".into(),
            is_filled: false,
        };
        let mut ledger = Ledger::new(Before {
            open: vec![open],
            ..before
        });
        let entries = told(&mut ledger, 1, 500, price(SourceState::Live, ""));
        assert_eq!(gaps(&entries), [(60, Some(500), "cut")]);
    }

    #[test]
    fn a_banks_row_is_the_official_rate_of_its_own_calendar_day() {
        let row = |bank: &str, observed_at: &str| HistoryRow {
            pair: pair("USD-RUB"),
            source: source(bank),
            id: id(1),
            value: Price::parse("90.8021").unwrap(),
            bid: None,
            ask: None,
            observed_at: Some(observed_at.parse().unwrap()),
            received_at: Wall(5),
        };
        let day = |row: HistoryRow| official(&row).map(|rate| rate.day.to_string());
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(
            day(row("cbr", "2026-11-20T21:00:00Z")),
            is("2026-11-21T00:00:00.000Z")
        );
        assert_eq!(
            day(row("sim:ecb", "2026-11-20T15:00:00Z")),
            is("2026-11-20T00:00:00.000Z")
        );
        assert_eq!(day(row("binance", "2026-11-20T15:00:00Z")), None);
    }
}
