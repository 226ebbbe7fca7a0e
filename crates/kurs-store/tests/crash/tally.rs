//! What was acknowledged, held against what is stored.

use super::load::{
    PAIRS, ROWS_PER_EVENT, ROWS_PER_STATE, Span, event, first_kept, row, state, time,
};
use super::writer::{BATCH_ROWS_MAX, Begin, Said};
use kurs_core::{Epoch, Seq, UpdateId, Wall};
use kurs_store::conformance::{all_pages, all_published, all_published_pages, everything, pair};
use kurs_store::{HistoryQuery, PublishedQuery, Store};
use std::collections::{HashMap, HashSet};
use std::fmt;

/// Rows behind the last acknowledged one that the next process stores under the old epoch: those
/// of a spool that the killed one left.
const LEFT_BEHIND: u64 = 40;
/// Rows before it that are stored once more.
const REPEATED: u64 = 30;

/// What writers said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Epoch and number.
    acknowledged: HashSet<(u64, u64)>,
    /// Acknowledged spans, in order.
    spans: Vec<Span>,
    /// The greatest acknowledged id.
    newest: (u64, u64),
    /// Behind the last acknowledged row.
    pub(crate) end: u64,
    pub(crate) processes: u32,
    pub(crate) refusals: u64,
    pub(crate) packed: u64,
    pub(crate) deleted: u64,
    pub(crate) slowest_begin_ms: u64,
}

impl Tally {
    /// Takes note of what a writer said.
    pub(crate) fn hear(&mut self, said: Said) {
        match said {
            Said::Began { after_ms, .. } => {
                self.processes += 1;
                self.slowest_begin_ms = self.slowest_begin_ms.max(after_ms);
            }
            Said::Stored(span) => {
                let numbers = span.first..span.end;
                self.acknowledged
                    .extend(numbers.map(|number| (span.epoch, number)));
                self.spans.push(span);
                self.newest = self.newest.max((span.epoch, span.end - 1));
                self.end = self.end.max(span.end);
            }
            Said::Refused => self.refusals += 1,
            Said::Packed(count) => self.packed += count,
            Said::Deleted(count) => self.deleted += count,
            Said::Failed(why) => panic!("a writer failed: {why}"),
        }
    }

    /// How many rows were acknowledged.
    pub(crate) fn rows(&self) -> usize {
        self.acknowledged.len()
    }

    /// What the next process begins with: it stores again what may or may not be there, and
    /// something that was stored long ago.
    pub(crate) fn next(&self, random: &mut fastrand::Rng) -> Begin {
        let Some(last) = self.spans.iter().max_by_key(|span| (span.end, span.epoch)) else {
            return Begin::default();
        };
        let first = last.end + LEFT_BEHIND;
        let last = Span {
            epoch: last.epoch,
            first: last.first.max(last.end.saturating_sub(REPEATED)),
            end: first,
        };
        let old = self.spans[random.usize(..self.spans.len())];
        Begin {
            repeats: vec![old, last],
            first,
        }
    }

    /// Holds what is stored against what was acknowledged, from the row `first` on. Writers may go
    /// on meanwhile.
    pub(crate) async fn check(&self, store: &dyn Store, first: u64) {
        let rows = self.rows_of(store, first).await;
        let events = self.events_of(store, first).await;
        // Deletion goes on as well; a writer is a batch ahead of what it said.
        let until = store.recorded_until().await.unwrap();
        let until = until.unwrap_or(Wall(time(0).0));
        let ahead = u64::try_from((until.0 - time(0).0) / (time(1).0 - time(0).0)).unwrap();
        let first_kept = first_kept(ahead + 2 * BATCH_ROWS_MAX);
        let from = first.max(first_kept);
        let wanted = |number: &u64| *number >= from;
        let mut found = Found::default();
        found.count("rows", &rows, |number| wanted(number), &self.acknowledged);
        let with_event: HashSet<(u64, u64)> = self
            .acknowledged
            .iter()
            .copied()
            .filter(|(_, number)| number % ROWS_PER_EVENT == 0)
            .collect();
        found.count("events", &events, |number| wanted(number), &with_event);
        assert!(found.is_good(), "{found}");
        assert!(
            self.end <= ahead,
            "recorded until {ahead}, not {}",
            self.end
        );
        self.check_states(store, from).await;
        self.check_current(store).await;
    }

    async fn rows_of(&self, store: &dyn Store, first: u64) -> Vec<(u64, u64)> {
        let mut ids = Vec::new();
        for of in PAIRS {
            let query = HistoryQuery {
                pair: pair(of),
                start: time(first),
                ..everything(10_000)
            };
            let rows = all_pages(store, query).await.unwrap();
            let places = rows.iter().map(|row| (row.received_at, row.source, row.id));
            assert!(places.is_sorted(), "a page is out of order");
            for found in rows {
                let (epoch, number) = (found.id.epoch.0, found.id.seq.0);
                assert_eq!(found, row(epoch, number), "a row changed");
                ids.push((epoch, number));
            }
        }
        ids
    }

    async fn events_of(&self, store: &dyn Store, first: u64) -> Vec<(u64, u64)> {
        let mut ids = Vec::new();
        for of in PAIRS {
            let query = PublishedQuery {
                pair: pair(of),
                start: time(first),
                ..all_published(10_000)
            };
            let events = all_published_pages(store, query).await.unwrap();
            let places = events.iter().map(|event| (event.published_at, event.id));
            assert!(places.is_sorted(), "a page is out of order");
            for found in events {
                let (epoch, number) = (found.id.epoch.0, found.id.seq.0);
                assert_eq!(found, event(epoch, number), "an event changed");
                ids.push((epoch, number));
            }
        }
        ids
    }

    /// The last acknowledged states, each asked for at its moment.
    async fn check_states(&self, store: &dyn Store, from: u64) {
        let mut newest: HashMap<u64, u64> = HashMap::new();
        for (epoch, number) in &self.acknowledged {
            let is_recent = *number >= from && number + 200 >= self.end;
            if is_recent && number % ROWS_PER_STATE == 0 {
                let newest = newest.entry(*number).or_default();
                *newest = (*newest).max(*epoch);
            }
        }
        for (number, epoch) in newest {
            let wanted = state(epoch, number);
            let states = store.states_at(wanted.pair, wanted.at).await.unwrap();
            let found = states.iter().find(|state| state.source == wanted.source);
            // An unacknowledged one of a later epoch may stand at the same moment.
            assert!(
                found.is_some_and(|found| found.id >= wanted.id && found.at == wanted.at),
                "{wanted:?} is lost: {states:?}"
            );
        }
    }

    async fn check_current(&self, store: &dyn Store) {
        if self.end == 0 {
            return;
        }
        let current = store.load_current().await.unwrap();
        let newest = UpdateId {
            shard: 0,
            epoch: Epoch(self.newest.0),
            seq: Seq(self.newest.1),
        };
        assert_eq!(current.len(), PAIRS.len());
        assert!(current.iter().all(|rate| rate.stored.id >= newest));
    }
}

/// What is wrong with what was found.
#[derive(Debug, Default)]
struct Found {
    lost: Vec<(&'static str, u64, u64)>,
    doubled: Vec<(&'static str, u64, u64)>,
}

impl Found {
    fn count(
        &mut self,
        what: &'static str,
        ids: &[(u64, u64)],
        is_wanted: impl Fn(&u64) -> bool,
        acknowledged: &HashSet<(u64, u64)>,
    ) {
        let mut seen = HashSet::new();
        for (epoch, number) in ids {
            if !seen.insert((*epoch, *number)) {
                self.doubled.push((what, *epoch, *number));
            }
        }
        for (epoch, number) in acknowledged {
            if is_wanted(number) && !seen.contains(&(*epoch, *number)) {
                self.lost.push((what, *epoch, *number));
            }
        }
    }

    fn is_good(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |found: &[(&'static str, u64, u64)]| {
            let mut some = found.to_vec();
            some.sort_unstable();
            some.truncate(10);
            format!("{some:?}")
        };
        write!(
            formatter,
            "{} lost (such as {}), {} doubled (such as {}), as what, epoch, number",
            self.lost.len(),
            some(&self.lost),
            self.doubled.len(),
            some(&self.doubled)
        )
    }
}
