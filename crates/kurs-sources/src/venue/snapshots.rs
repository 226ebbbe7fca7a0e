//! Snapshots of books by REST, for venues that send none in the stream: each symbol in its
//! turn, few at a time, rarer the more often they were of no use.

use super::codec::Codec;
use super::door::Door;
use super::rest::{Answer, Rest, RestError};
use crate::input::Input;
use kurs_core::{Clock, Mono};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often books are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Requests at the same time.
const IN_FLIGHT_MAX: usize = 4;
/// Delay before the second request for the same book; it doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Longest delay.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// A book that wanted nothing for so long begins with a short delay again.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// Requests made for one book.
#[derive(Debug, Clone, Copy)]
struct Record {
    attempts: u32,
    last_at: Mono,
    in_flight: bool,
}

impl Record {
    fn not_before(self) -> Mono {
        let doublings = self.attempts.saturating_sub(1).min(16);
        let delay = RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX);
        self.last_at.plus(delay)
    }
}

/// Whose turn it is.
#[derive(Debug, Default)]
struct Turns {
    waiting: VecDeque<Arc<str>>,
    records: BTreeMap<Arc<str>, Record>,
}

impl Turns {
    /// The books that want a snapshot at present; those that wait already keep their place.
    fn update(&mut self, now: Mono, wanted: &[Arc<str>]) {
        self.waiting.retain(|symbol| wanted.contains(symbol));
        for symbol in wanted {
            let is_under_way = self
                .records
                .get(symbol)
                .is_some_and(|record| record.in_flight);
            if !is_under_way && !self.waiting.contains(symbol) {
                self.waiting.push_back(symbol.clone());
            }
        }
        self.records
            .retain(|_, record| record.in_flight || now.since(record.last_at) < FORGET_AFTER);
    }

    /// The next symbol to ask for.
    fn next(&mut self, now: Mono) -> Option<Arc<str>> {
        let under_way = self.records.values().filter(|record| record.in_flight);
        if under_way.count() >= IN_FLIGHT_MAX {
            return None;
        }
        let is_ready = |symbol: &Arc<str>| {
            let record = self.records.get(symbol);
            record.is_none_or(|record| now >= record.not_before())
        };
        let at = self.waiting.iter().position(is_ready)?;
        let symbol = self.waiting.remove(at)?;
        let record = self.records.entry(symbol.clone()).or_insert(Record {
            attempts: 0,
            last_at: now,
            in_flight: false,
        });
        record.attempts = record.attempts.saturating_add(1);
        record.last_at = now;
        record.in_flight = true;
        Some(symbol)
    }

    /// A request has ended, whatever came of it.
    fn ended(&mut self, now: Mono, symbol: &str) {
        if let Some(record) = self.records.get_mut(symbol) {
            record.in_flight = false;
            record.last_at = now;
        }
    }
}

/// Asks for snapshots.
pub(super) struct Snapshots {
    pub(super) door: Arc<Door>,
    pub(super) rest: Arc<Rest>,
    pub(super) codec: Arc<dyn Codec>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Snapshots {
    /// Asks for ever.
    pub(super) async fn run(self) {
        let mut turns = Turns::default();
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                Some(done) = under_way.join_next() => {
                    let done: Result<(Arc<str>, Result<Answer, RestError>), _> = done;
                    if let Ok((symbol, answer)) = done {
                        self.answered(&symbol, answer);
                        turns.ended(self.clock.now().mono, &symbol);
                    }
                }
            }
            let now = self.clock.now().mono;
            let wanted = self.door.look(super::desk::Desk::snapshots_wanted);
            turns.update(now, &wanted);
            // Its weight does not depend on the symbol.
            let weight = wanted
                .first()
                .and_then(|symbol| self.codec.ask_book(symbol))
                .map_or(0, |request| request.weight);
            while !wanted.is_empty() && self.rest.has_room_for_book(weight) {
                let Some(symbol) = turns.next(now) else { break };
                let Some(request) = self.codec.ask_book(&symbol) else {
                    break;
                };
                let rest = self.rest.clone();
                under_way.spawn(async move { (symbol, rest.get(&request).await) });
                // Give it the time to take its place in the budget.
                tokio::task::yield_now().await;
            }
        }
    }

    fn answered(&self, symbol: &str, answer: Result<Answer, RestError>) {
        let now = self.clock.now();
        match answer {
            Ok(Answer { status, body }) => {
                let input = Input::Book {
                    symbol,
                    status,
                    body: &body,
                };
                if let Some(refused) = self.door.tell(now, input) {
                    let error = self.rest.refused(refused);
                    tracing::debug!(symbol, %error, "no snapshot");
                }
            }
            Err(error) => {
                let why = error.to_string();
                self.door.tell(now, Input::BookFailed { symbol, why: &why });
                tracing::debug!(symbol, why, "no snapshot");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count)
            .map(|number| format!("S{number}").into())
            .collect()
    }

    #[test]
    fn every_symbol_has_its_turn_before_any_has_its_second() {
        let wanted = names(20);
        let mut turns = Turns::default();
        let mut now = Mono(0);
        let mut asked: Vec<Arc<str>> = Vec::new();
        while asked.len() < 40 {
            turns.update(now, &wanted);
            while let Some(symbol) = turns.next(now) {
                asked.push(symbol.clone());
                turns.ended(now, &symbol);
            }
            now = now.plus(Duration::from_millis(50));
        }
        let (mut first, mut second) = (asked[..20].to_vec(), asked[20..40].to_vec());
        first.sort();
        second.sort();
        let mut all = wanted;
        all.sort();
        assert_eq!((first, second), (all.clone(), all));
    }

    #[test]
    fn a_book_that_will_not_join_is_asked_for_less_and_less_often() {
        let wanted = names(1);
        let mut turns = Turns::default();
        let mut asked = 0;
        for step in 0..1_200_u64 {
            let now = Mono(0).plus(Duration::from_millis(step * 50));
            turns.update(now, &wanted);
            if let Some(symbol) = turns.next(now) {
                asked += 1;
                turns.ended(now, &symbol);
            }
        }
        assert!((7..=9).contains(&asked), "{asked} requests in a minute");
    }

    #[test]
    fn few_requests_are_under_way_at_a_time() {
        let wanted = names(20);
        let mut turns = Turns::default();
        turns.update(Mono(0), &wanted);
        let begun = std::iter::from_fn(|| turns.next(Mono(0))).count();
        assert_eq!(begun, IN_FLIGHT_MAX);
        turns.update(Mono(0), &wanted);
        assert_eq!(turns.next(Mono(0)), None);
    }
}
