//! One run of a polled source, from start to shutdown.

use super::{GRACE, Polled};
use crate::decode::DecodeError;
use crate::poller::{Poller, Step};
use crate::protocol::{Entry, Picture, Protocol, Received, Refusal};
use crate::source::Context;
use kurs_core::{EventKind, Mono, Now, Pair, Quote, SourceEvent, SourceState, Tick};
use kurs_net::http::{FetchError, Fetched};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep;

/// Sleeps are cut to this, so that a wall clock that jumped is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Requests that one poll may take: the table, and what the source finds it needs besides.
const REQUESTS_PER_POLL: u32 = 3;

/// Pairs without a price that one line of the log names; it counts the others.
const PAIRS_TOLD: usize = 3;

/// What was handed over last.
struct Delivered {
    entries: Vec<Entry>,
    expires: Mono,
}

pub(super) struct Run<'a, P> {
    source: &'a Polled<P>,
    poller: Poller,
    protocol: P,
    context: Context,
    delivered: Option<Delivered>,
    marked: BTreeMap<Pair, String>,
    rejected: Vec<String>,
    failing: bool,
    /// A refusal that only a person can end has been told.
    refused: bool,
}

impl<'a, P: Protocol> Run<'a, P> {
    pub(super) fn new(source: &'a Polled<P>, context: Context) -> Self {
        Self {
            source,
            poller: Poller::new(source.schedule.clone(), source.backoff_cap, context.seed),
            protocol: source.protocol.clone(),
            context,
            delivered: None,
            marked: BTreeMap::new(),
            rejected: Vec::new(),
            failing: false,
            refused: false,
        }
    }

    pub(super) async fn until_shutdown(&mut self, context: &mut Context) {
        loop {
            let now = context.clock.now();
            self.show_times(now);
            let wait = match self.poller.step(now) {
                Step::Poll => {
                    if !self.poll(context).await {
                        return;
                    }
                    continue;
                }
                Step::Wait(wait) => wait,
                Step::Busy => LONGEST_SLEEP,
            };
            if !self.sleep_through(wait, context).await {
                return;
            }
        }
    }

    /// Sleeps no longer than `wait` and serves a change of the picture on the way. False at
    /// shutdown.
    async fn sleep_through(&mut self, wait: Duration, context: &mut Context) -> bool {
        let now = context.clock.now();
        let change = self.protocol.changes_at(now);
        let until_change = change.map_or(LONGEST_SLEEP, |at| at.since(now.wall));
        tokio::select! {
            () = sleep(wait.min(until_change).min(LONGEST_SLEEP)) => {}
            () = shutdown(&mut context.shutdown) => return false,
        }
        let now = context.clock.now();
        if change.is_some_and(|at| at <= now.wall) {
            self.hand_over(now, false);
        }
        true
    }

    /// One poll, all its requests. False at shutdown.
    async fn poll(&mut self, context: &mut Context) -> bool {
        if self.failing {
            self.source.stats.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        for _ in 0..REQUESTS_PER_POLL {
            let fetch = self.protocol.request(context.clock.now());
            let transport = self.source.transport.clone();
            let get = async move { transport.get(fetch).await };
            tokio::pin!(get);
            let answer = loop {
                let now = context.clock.now();
                let change = self.protocol.changes_at(now);
                let until_change = change.map_or(LONGEST_SLEEP, |at| at.since(now.wall));
                tokio::select! {
                    answer = &mut get => break answer,
                    () = sleep(until_change.min(LONGEST_SLEEP)) => {
                        let now = context.clock.now();
                        if change.is_some_and(|at| at <= now.wall) {
                            self.hand_over(now, false);
                        }
                    }
                    () = shutdown(&mut context.shutdown) => return false,
                }
            };
            let now = context.clock.now();
            match self.read(answer, now) {
                Ok(Received::Done) => {
                    self.succeed(now);
                    return true;
                }
                Ok(Received::More) => {}
                Err(refusal) => {
                    self.fail(now, &refusal);
                    return true;
                }
            }
        }
        let now = context.clock.now();
        self.fail(
            now,
            &DecodeError::Empty("too many requests for one table".into()).into(),
        );
        true
    }

    fn read(&mut self, answer: Result<Fetched, FetchError>, now: Now) -> Result<Received, Refusal> {
        match answer {
            Ok(fetched) => {
                self.source.stats.message(now.wall);
                self.protocol.receive(fetched, now)
            }
            Err(error) => Err(self
                .protocol
                .judge(&error)
                .unwrap_or_else(|| Refusal::from(&error))),
        }
    }

    fn succeed(&mut self, now: Now) {
        self.poller.succeeded(now);
        let recovered = self.failing;
        self.failing = false;
        self.refused = false;
        let picture = self.hand_over(now, recovered);
        // The same table comes many times a day; its bad rows are told once.
        if picture.rejected != self.rejected {
            for row in &picture.rejected {
                self.source
                    .stats
                    .decode_errors
                    .fetch_add(1, Ordering::Relaxed);
                tracing::warn!(source = %self.source.id, row, "a row of the table is left out");
            }
            self.rejected.clone_from(&picture.rejected);
        }
        if recovered {
            tracing::info!(source = %self.source.id, "answers again");
        }
        self.show_times(now);
    }

    fn fail(&mut self, now: Now, refusal: &Refusal) {
        let stats = &self.source.stats;
        stats.failures.fetch_add(1, Ordering::Relaxed);
        if refusal.undecodable {
            stats.decode_errors.fetch_add(1, Ordering::Relaxed);
        }
        self.poller.failed(now, &refusal.failure);
        let changed = &*stats.condition().why != refusal.why.as_str();
        if !self.failing || changed {
            let source = self.source.id;
            let why = refusal.why.as_str();
            if !refusal.needs_action {
                tracing::warn!(%source, why, "a poll failed; it is tried again");
            }
            self.announce(now, SourceState::Down, why);
        }
        // Its words may differ every time: told once until it answers again.
        if refusal.needs_action && !std::mem::replace(&mut self.refused, true) {
            let why = refusal.why.as_str();
            tracing::error!(source = %self.source.id, why, "the source refuses; a setting must be changed");
        }
        self.failing = true;
        self.show_times(now);
    }

    /// Delivers the picture if it differs from what was delivered last, lasts longer, or ends a
    /// failure; then the marks and the state.
    fn hand_over(&mut self, now: Now, recovered: bool) -> Picture {
        let picture = self.protocol.picture(now);
        let valid_until = picture
            .valid_until
            .unwrap_or_else(|| self.poller.next_slot_after(now.wall).plus(GRACE));
        let mut valid_for = valid_until.since(now.wall);
        if let Some(max_age) = self.source.max_age {
            valid_for = valid_for.min(max_age);
        }
        let expires = now.mono.plus(valid_for);
        let news = recovered
            || self.delivered.as_ref().is_none_or(|last| {
                last.entries != picture.entries
                    || expires.since(last.expires) > Duration::from_secs(1)
            });
        self.source.stats.pairs.store(
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
            let condition = self.source.stats.condition();
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
            tracing::warn!(source = %self.source.id, count = fresh.len(), pairs, "no usable price");
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
        self.source.stats.set_state(state, why, now.wall);
        self.deliver(
            now,
            EventKind::State {
                state,
                why: why.into(),
            },
        );
    }

    fn deliver(&self, now: Now, kind: EventKind) {
        self.context.events.deliver(SourceEvent {
            source: self.source.id,
            received: now,
            kind,
        });
    }

    fn show_times(&self, now: Now) {
        self.source
            .stats
            .set_next_poll_at(self.poller.next_poll_at(now));
        self.source
            .stats
            .set_limited_until(self.poller.limited_until(now));
    }
}

fn tick(entry: &Entry, valid_for: Duration, now: Now) -> Tick {
    Tick {
        pair: entry.pair,
        quote: Quote::Single(entry.price),
        // Nothing can have been observed after it arrived; such a date is a clock that is wrong.
        observed_at: entry.observed_at.map(|at| at.min(now.wall)),
        valid_for,
        event_id: None,
    }
}

/// Returns when shutdown is asked for, or when nobody can ask any more.
async fn shutdown(receiver: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = receiver.wait_for(|stop| *stop).await;
}
