//! What a polled source holds to be true, and what it has told: everything but when to ask.

use super::GRACE;
use crate::decode::DecodeError;
use crate::input::{Input, Machine, Wishes};
use crate::poller::Schedule;
use crate::protocol::{Entry, Picture, Protocol, Received, Refusal};
use crate::source::EventSink;
use crate::stats::SourceStats;
use kurs_core::{EventKind, Mono, Now, Pair, SourceEvent, SourceId, SourceState, Tick, Wall};
use kurs_net::http::{Fetch, FetchError, Fetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Requests that one poll may take: the table, and what the source finds it needs besides.
const REQUESTS_PER_POLL: u32 = 3;

/// Pairs without a price that one line of the log names; it counts the others.
const PAIRS_TOLD: usize = 3;

/// What was handed over last.
struct Delivered {
    entries: Vec<Entry>,
    expires: Mono,
}

/// The state of a polled source.
pub(super) struct Ledger<P> {
    source: SourceId,
    stats: Arc<SourceStats>,
    schedule: Arc<dyn Schedule>,
    max_age: Option<Duration>,
    protocol: P,
    events: Arc<dyn EventSink>,
    /// The latest request.
    request: Option<Fetch>,
    /// Requests of the present poll.
    requests: u32,
    /// When the picture changes without a new answer.
    change_at: Option<Wall>,
    delivered: Option<Delivered>,
    marked: BTreeMap<Pair, String>,
    rejected: Vec<String>,
    failing: bool,
    /// A refusal that only a person can end has been told.
    refused: bool,
}

/// What a ledger is made of.
pub(super) struct LedgerParts<P> {
    pub(super) source: SourceId,
    pub(super) stats: Arc<SourceStats>,
    pub(super) schedule: Arc<dyn Schedule>,
    pub(super) max_age: Option<Duration>,
    pub(super) protocol: P,
    pub(super) events: Arc<dyn EventSink>,
}

impl<P: Protocol> Ledger<P> {
    pub(super) fn new(parts: LedgerParts<P>) -> Self {
        Self {
            source: parts.source,
            stats: parts.stats,
            schedule: parts.schedule,
            max_age: parts.max_age,
            protocol: parts.protocol,
            events: parts.events,
            request: None,
            requests: 0,
            change_at: None,
            delivered: None,
            marked: BTreeMap::new(),
            rejected: Vec::new(),
            failing: false,
            refused: false,
        }
    }

    /// The latest request, once.
    pub(super) const fn take_request(&mut self) -> Option<Fetch> {
        self.request.take()
    }

    /// When the picture changes without a new answer.
    pub(super) const fn change_at(&self) -> Option<Wall> {
        self.change_at
    }

    fn ask(&mut self, now: Now) {
        if self.requests == 0 && self.failing {
            self.stats.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.requests += 1;
        self.request = Some(self.protocol.request(now));
    }

    fn answered(
        &mut self,
        now: Now,
        answer: &Result<Fetched, FetchError>,
    ) -> Result<Received, Refusal> {
        let mut read = self.read(answer, now);
        if matches!(read, Ok(Received::More)) && self.requests >= REQUESTS_PER_POLL {
            read = Err(DecodeError::Empty("too many requests for one table".into()).into());
        }
        match &read {
            Ok(Received::More) => return read,
            Ok(Received::Done) => self.succeed(now),
            Err(refusal) => self.fail(now, refusal),
        }
        self.requests = 0;
        read
    }

    fn read(
        &mut self,
        answer: &Result<Fetched, FetchError>,
        now: Now,
    ) -> Result<Received, Refusal> {
        match answer {
            Ok(fetched) => {
                self.stats.message(now.wall);
                self.protocol.receive(fetched.clone(), now)
            }
            Err(error) => Err(self
                .protocol
                .judge(error)
                .unwrap_or_else(|| Refusal::from(error))),
        }
    }

    fn succeed(&mut self, now: Now) {
        let recovered = self.failing;
        self.failing = false;
        self.refused = false;
        let picture = self.hand_over(now, recovered);
        // The same table comes many times a day; its bad rows are told once.
        if picture.rejected != self.rejected {
            for row in &picture.rejected {
                self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(source = %self.source, row, "a row of the table is left out");
            }
            self.rejected.clone_from(&picture.rejected);
        }
        if recovered {
            tracing::info!(source = %self.source, "answers again");
        }
    }

    fn fail(&mut self, now: Now, refusal: &Refusal) {
        let stats = &self.stats;
        stats.failures.fetch_add(1, Ordering::Relaxed);
        if refusal.undecodable {
            stats.decode_errors.fetch_add(1, Ordering::Relaxed);
        }
        let changed = &*stats.condition().why != refusal.why.as_str();
        if !self.failing || changed {
            let source = self.source;
            let why = refusal.why.as_str();
            if !refusal.needs_action {
                tracing::warn!(%source, why, "a poll failed; it is tried again");
            }
            self.announce(now, SourceState::Down, why);
        }
        // Its words may differ every time: told once until it answers again.
        if refusal.needs_action && !std::mem::replace(&mut self.refused, true) {
            let why = refusal.why.as_str();
            tracing::error!(source = %self.source, why, "the source refuses; a setting must be changed");
        }
        self.failing = true;
    }

    /// Delivers the picture if it differs from what was delivered last, lasts longer, or ends a
    /// failure; then the marks and the state.
    fn hand_over(&mut self, now: Now, recovered: bool) -> Picture {
        let picture = self.protocol.picture(now);
        let valid_until = picture
            .valid_until
            .unwrap_or_else(|| self.schedule.next_after(now.wall).plus(GRACE));
        let mut valid_for = valid_until.since(now.wall);
        if let Some(max_age) = self.max_age {
            valid_for = valid_for.min(max_age);
        }
        let expires = now.mono.plus(valid_for);
        let news = recovered
            || self.delivered.as_ref().is_none_or(|last| {
                last.entries != picture.entries
                    || expires.since(last.expires) > Duration::from_secs(1)
            });
        self.stats.pairs.store(
            u32::try_from(picture.entries.len()).unwrap_or(u32::MAX),
            Ordering::Relaxed,
        );
        if news && !picture.entries.is_empty() {
            let ticks: Arc<[Tick]> = picture
                .entries
                .iter()
                .map(|entry| tick(entry, valid_for, now))
                .collect();
            self.deliver(now, EventKind::Table(ticks));
            self.delivered = Some(Delivered {
                entries: picture.entries.clone(),
                expires,
            });
        }
        self.mark(now, &picture);
        if !self.failing {
            let (state, why) = match picture.entries.is_empty() || valid_for.is_zero() {
                false => (SourceState::Live, ""),
                true => (SourceState::Stale, "the latest table is out of date"),
            };
            let condition = self.stats.condition();
            if condition.state != state {
                self.announce(now, state, why);
            }
        }
        picture
    }

    fn mark(&mut self, now: Now, picture: &Picture) {
        let is_news = |(pair, why): &(&Pair, &String)| self.marked.get(*pair) != Some(*why);
        let fresh: Vec<_> = picture.missing.iter().filter(is_news).collect();
        for (pair, why) in &fresh {
            let kind = EventKind::PairState {
                pair: **pair,
                state: SourceState::Stale,
                why: why.as_str().into(),
            };
            self.deliver(now, kind);
        }
        if !fresh.is_empty() {
            let first: Vec<String> = fresh
                .iter()
                .take(PAIRS_TOLD)
                .map(|(pair, why)| format!("{pair} ({why})"))
                .collect();
            let pairs = first.join(", ");
            tracing::warn!(source = %self.source, count = fresh.len(), pairs, "no usable price");
        }
        for pair in self.marked.keys() {
            if !picture.missing.contains_key(pair) {
                let kind = EventKind::PairState {
                    pair: *pair,
                    state: SourceState::Live,
                    why: "".into(),
                };
                self.deliver(now, kind);
            }
        }
        self.marked.clone_from(&picture.missing);
    }

    fn announce(&self, now: Now, state: SourceState, why: &str) {
        self.stats.set_state(state, why, now.wall);
        self.deliver(
            now,
            EventKind::State {
                state,
                why: why.into(),
            },
        );
    }

    fn deliver(&self, now: Now, kind: EventKind) {
        self.events.deliver(SourceEvent {
            source: self.source,
            received: now,
            kind,
        });
    }
}

impl<P: Protocol> Machine for Ledger<P> {
    fn source(&self) -> SourceId {
        self.source
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn take(&mut self, now: Now, input: Input<'_>, wishes: &mut Wishes) {
        match input {
            Input::Asked => self.ask(now),
            Input::Reply { answer, .. } => wishes.answered = Some(self.answered(now, answer)),
            Input::Time if self.change_at.is_some_and(|at| at <= now.wall) => {
                self.hand_over(now, false);
            }
            // Of streaming venues.
            _ => {}
        }
        self.change_at = self.protocol.changes_at(now);
    }
}

fn tick(entry: &Entry, valid_for: Duration, now: Now) -> Tick {
    Tick {
        pair: entry.pair,
        quote: entry.quote,
        sizes: None,
        // Nothing can have been observed after it arrived; such a date is a clock that is wrong.
        observed_at: entry.observed_at.map(|at| at.min(now.wall)),
        valid_for,
        event_id: None,
    }
}
