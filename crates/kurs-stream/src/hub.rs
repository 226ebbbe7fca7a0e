//! From the updates of the view to the mailboxes.
//!
//! One lock is held while the view takes an update in and while a listener is told how everything
//! stands: so a beginning and what follows it fit together without a gap or a repetition. Nothing
//! is waited for under it.

mod beginning;
mod inner;
mod render;

pub use beginning::{HelloDocument, SnapshotDocument};
pub use render::{ErrorEvent, RateEvent, SourceEvent};

use crate::config::StreamConfig;
use crate::document::{ByeDocument, Document, GapDocument};
use crate::event::Event;
use crate::listener::{Listener, Refused};
use crate::mailbox::{Ended, Mailbox};
use crate::places::{Place, Places};
use crate::position::Position;
use crate::pump::Pump;
use crate::ring::Ring;
use crate::topic::Topic;
use inner::Inner;
use kurs_bus::Update;
use kurs_core::{Pair, RateState};
use kurs_reader::{Answer, Missing, RateDocument, RateView, Told};
use kurs_telemetry::metrics::StreamMetrics;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often derived rates that have changed are told, and what has run out is looked for.
const TICK: Duration = Duration::from_millis(50);
/// Every so many ticks it is looked for what has run out.
const EXPIRY_TICKS: u64 = 5;

/// Tells what changes to everybody who listens.
pub struct Hub {
    pub(crate) view: Arc<RateView>,
    pub(crate) config: StreamConfig,
    pub(crate) metrics: StreamMetrics,
    pub(crate) inner: Mutex<Inner>,
    places: Arc<Places>,
    numbers: AtomicU64,
    /// One for each core; each listener has its own.
    pumps: Vec<Arc<Pump>>,
}

impl Hub {
    /// Nobody listens yet. `seed`: of the spread of reconnects.
    #[must_use]
    pub fn new(
        view: Arc<RateView>,
        config: StreamConfig,
        metrics: StreamMetrics,
        seed: u64,
    ) -> Arc<Self> {
        let ring = Ring::new(config.ring(), config.ring_events);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Arc::new(Self {
            pumps: (0..cores).map(|_| Arc::default()).collect(),
            view,
            metrics,
            inner: Mutex::new(Inner {
                ring,
                listeners: BTreeMap::new(),
                topics: HashMap::new(),
                told: HashMap::new(),
                changed: BTreeSet::new(),
                made_of: HashMap::new(),
                all_rates: None,
                degraded: Arc::from(""),
                is_draining: false,
                random: fastrand::Rng::with_seed(seed),
            }),
            places: Places::new(config.per_address),
            config,
            numbers: AtomicU64::new(0),
        })
    }

    /// Updates went past this Reader: everybody is told so, and how everything stands now.
    pub fn lost(&self, detail: &str) {
        let mut inner = self.inner.lock();
        inner.ring.break_off();
        inner.all_rates = None;
        let gap = gap("lost", detail, inner.ring.head_text());
        let mut by_mailbox: BTreeMap<u64, (Arc<Mailbox>, Vec<Topic>)> = BTreeMap::new();
        for (topic, mailboxes) in &inner.topics {
            for (number, mailbox) in mailboxes {
                let entry = by_mailbox.entry(*number);
                let (_, topics) = entry.or_insert_with(|| (Arc::clone(mailbox), Vec::new()));
                topics.push(*topic);
            }
        }
        for (mailbox, mut topics) in by_mailbox.into_values() {
            topics.sort_unstable();
            mailbox.say([Arc::clone(&gap)]);
            mailbox.say(self.beginning(&mut inner, &topics));
        }
    }

    /// Updates may be late or missing from now on, or are not any more: then `why` is empty.
    pub fn degraded(&self, why: &str) {
        let mut inner = self.inner.lock();
        if *inner.degraded == *why {
            return;
        }
        let was_degraded = !inner.degraded.is_empty();
        inner.degraded = why.into();
        if !was_degraded {
            // What comes out of the store is not every update.
            inner.ring.break_off();
            inner.all_rates = None;
        }
        let beat = inner.heartbeat();
        inner.tell_all(&beat);
    }

    /// These rates were taken out of the store.
    pub fn restored(&self, pairs: &[Pair]) {
        let mut inner = self.inner.lock();
        inner.all_rates = None;
        for pair in pairs {
            inner.may_have_changed(*pair);
            let is_heard = inner.topics.contains_key(&Topic::Rates)
                || inner.topics.contains_key(&Topic::Rate(*pair));
            if is_heard {
                let event = Arc::new(self.rate_event(*pair, inner.ring.head_text()));
                inner.tell(Topic::Rate(*pair), &event);
                inner.tell(Topic::Rates, &event);
            }
        }
    }

    /// A client listens to these topics. With a position it goes on from there, if that is known;
    /// else it is told how everything stands.
    ///
    /// # Errors
    /// [`Refused`] when there are too many, or this Reader ends.
    pub fn listen(
        self: &Arc<Self>,
        topics: &[Topic],
        resume: Option<Position>,
    ) -> Result<Listener, Refused> {
        let mut inner = self.inner.lock();
        if inner.is_draining {
            self.metrics.refused.drain.inc();
            return Err(Refused::Draining);
        }
        if inner.listeners.len() >= self.config.max {
            self.metrics.refused.capacity.inc();
            return Err(Refused::Full);
        }
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let later = resume.as_ref().and_then(|from| inner.ring.after(from));
        let is_resumed = later.is_some();
        let heard = resume.clone().filter(|_| is_resumed);
        let mut mailbox = Mailbox::new(&self.config, heard);
        let pumps = self.pumps.len().max(1);
        let pump = usize::try_from(number).unwrap_or_default() % pumps;
        if let Some(pump) = self.pumps.get(pump) {
            mailbox = mailbox.with_pump(Arc::clone(pump));
        }
        let mailbox = Arc::new(mailbox);
        let hello = inner.hello(&self.config, is_resumed, topics);
        mailbox.say([hello]);
        inner.listeners.insert(number, Arc::clone(&mailbox));
        self.put_in(&mut inner, topics, number, &mailbox);
        match (later, resume) {
            (Some(later), Some(from)) => {
                mailbox.say(self.since(&mut inner, topics, &later, &from));
            }
            (_, resume) => {
                if resume.is_some() {
                    let detail = "the place to go on from is not known any more";
                    mailbox.say([gap("resume", detail, inner.ring.head_text())]);
                }
                mailbox.say(self.beginning(&mut inner, topics));
            }
        }
        drop(inner);
        self.metrics.open.inc();
        Ok(Listener::new(Arc::clone(self), number, mailbox, topics))
    }

    /// A listener wants to hear more.
    pub(crate) fn join(&self, number: u64, mailbox: &Arc<Mailbox>, topics: &[Topic]) {
        let mut inner = self.inner.lock();
        self.put_in(&mut inner, topics, number, mailbox);
        mailbox.say(self.beginning(&mut inner, topics));
    }

    fn put_in(&self, inner: &mut Inner, topics: &[Topic], number: u64, mailbox: &Arc<Mailbox>) {
        if topics.contains(&Topic::Rates) && !inner.topics.contains_key(&Topic::Rates) {
            // What stands already is no news to those who hear all rates from now on.
            for pair in self.view.pairs() {
                let answer = self.view.rate(pair, None);
                inner.note(pair, &answer, true);
            }
        }
        for topic in topics {
            inner.join(*topic, number, mailbox);
        }
    }

    /// A listener wants to hear less.
    pub(crate) fn leave(&self, number: u64, topics: impl Iterator<Item = Topic>) {
        let mut inner = self.inner.lock();
        for topic in topics {
            inner.part(topic, number);
        }
    }

    /// A listener is gone.
    pub(crate) fn gone(&self, number: u64, topics: impl Iterator<Item = Topic>) {
        self.leave(number, topics);
        let mailbox = self.inner.lock().listeners.remove(&number);
        if let Some(mailbox) = mailbox {
            self.metrics.open.dec();
            self.metrics.conflations.inc_by(mailbox.conflations());
        }
    }

    /// A place for one more stream of an address, if it may have one more, whatever it speaks.
    #[must_use]
    pub fn enter(&self, address: IpAddr) -> Option<Place> {
        let place = self.places.enter(address);
        if place.is_none() {
            self.metrics.refused.address.inc();
        }
        place
    }

    /// Topics that one listener may have.
    #[must_use]
    pub const fn topics_max(&self) -> usize {
        self.config.topics
    }

    /// How long a client may take nothing of what is to be sent.
    #[must_use]
    pub const fn write_patience(&self) -> Duration {
        Duration::from_millis(self.config.write_ms)
    }

    /// After how long a client that was cut comes back, milliseconds; not all at once.
    #[must_use]
    pub fn retry_ms(&self) -> u64 {
        self.inner.lock().random.u64(1_500..=2_500)
    }

    /// How many listen.
    #[must_use]
    pub fn listeners(&self) -> usize {
        self.inner.lock().listeners.len()
    }

    /// Tells derived rates, what has run out, and heartbeats, until `shutdown` turns true; then
    /// sends everybody elsewhere.
    pub async fn run(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut number = 0_u64;
        let mut beat_at = self.view.mono().plus(self.heartbeat());
        // They end with this.
        let mut pumps = JoinSet::new();
        for pump in &self.pumps {
            pumps.spawn(Arc::clone(pump).run());
        }
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = shutdown.wait_for(|ended| *ended) => break,
            }
            number += 1;
            let now = self.view.mono();
            self.tell_derived();
            if number.is_multiple_of(EXPIRY_TICKS) {
                self.tell_expired();
            }
            if now >= beat_at {
                beat_at = now.plus(self.heartbeat());
                let mut inner = self.inner.lock();
                let beat = inner.heartbeat();
                inner.tell_all(&beat);
                for mailbox in inner.listeners.values() {
                    mailbox.passed(inner.ring.head());
                }
            }
        }
        self.drain();
        // The last words are the tasks' own.
        drop(pumps);
    }

    const fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.config.heartbeat_ms)
    }

    /// Ends what belongs to these owners, who may not listen any more. Returns how many ended.
    pub fn end_where(&self, is_over: impl Fn(u64) -> bool) -> usize {
        let inner = self.inner.lock();
        let mut ended = 0;
        for mailbox in inner.listeners.values() {
            let owner = mailbox.owner();
            if owner != 0 && is_over(owner) {
                let bye = Document::Bye(ByeDocument {
                    reason: "revoked".into(),
                    reconnect_after_ms: 0,
                });
                let bye = Event::telling(bye, Arc::from(""));
                mailbox.end(Ended::Revoked, Some(Arc::new(bye)));
                ended += 1;
            }
        }
        ended
    }

    /// Sends everybody elsewhere, at moments that are spread.
    pub fn drain(&self) {
        let mut inner = self.inner.lock();
        inner.is_draining = true;
        let mailboxes: Vec<Arc<Mailbox>> = inner.listeners.values().cloned().collect();
        for mailbox in mailboxes {
            let bye = Document::Bye(ByeDocument {
                reason: "drain".into(),
                reconnect_after_ms: inner.random.u64(0..=self.config.spread_ms),
            });
            // Without a place: what still waits here is told elsewhere, after what was heard last.
            let bye = Event::telling(bye, Arc::from(""));
            mailbox.end(Ended::Drained, Some(Arc::new(bye)));
        }
    }

    /// Rates that are made of others, where one of these has changed.
    fn tell_derived(&self) {
        let mut inner = self.inner.lock();
        let changed = std::mem::take(&mut inner.changed);
        for pair in changed {
            self.tell_if_new(&mut inner, pair);
        }
    }

    /// Rates that have run out without a word of the Writer.
    fn tell_expired(&self) {
        let mut inner = self.inner.lock();
        let told = inner.told.iter();
        let mut changed: BTreeSet<Pair> = told
            .filter(|(_, told)| told.is_derived)
            .map(|(pair, _)| *pair)
            .collect();
        // Of those that are published the state alone is looked at: they may be many.
        self.view.each_state(|pair, state| {
            let told = inner.told.get(&pair).and_then(|told| told.last);
            if told.is_some_and(|(before, _, _)| before != state) {
                changed.insert(pair);
            }
        });
        for pair in changed {
            self.tell_if_new(&mut inner, pair);
        }
    }

    fn tell_if_new(&self, inner: &mut Inner, pair: Pair) {
        let answer = self.view.rate(pair, None);
        let present = present(&answer);
        let told = inner.told.entry(pair).or_default();
        if std::mem::replace(&mut told.last, present) == present {
            return;
        }
        let is_derived = told.is_derived;
        let event = Event::from_answer(pair, &answer, inner.ring.head_text());
        let event = Arc::new(event);
        inner.tell(Topic::Rate(pair), &event);
        if is_derived {
            if let Ok(answer) = &answer {
                inner.made_of_these(pair, &answer.document.path);
            }
        } else {
            inner.tell(Topic::Rates, &event);
        }
    }

    fn rate_event(&self, pair: Pair, position: Arc<str>) -> Event {
        Event::from_answer(pair, &self.view.rate(pair, None), position)
    }
}

/// Updates went past this Reader, or come from elsewhere.
fn gap(reason: &'static str, detail: &str, position: Arc<str>) -> Arc<Event> {
    let document = Document::Gap(GapDocument {
        reason,
        detail: Some(detail.into()),
        missed: None,
    });
    Arc::new(Event::telling(document, position))
}

/// What tells whether a rate is another one than before.
fn present(answer: &Result<Answer, Missing>) -> Option<(RateState, u64, u64)> {
    let of = |document: &RateDocument| (document.state, document.epoch, document.seq);
    match answer {
        Ok(answer) => Some(of(&answer.document)),
        Err(Missing::Expired(document)) => Some(of(document)),
        Err(_) => None,
    }
}

/// What the Reader's follower takes in is told.
impl Told for Hub {
    fn around(&self, update: &Arc<Update>, take: &mut dyn FnMut() -> bool) -> bool {
        let mut inner = self.inner.lock();
        let is_taken = take();
        if is_taken {
            inner.applied(self.view.mono(), update);
        }
        is_taken
    }

    fn lost(&self, detail: &str) {
        Self::lost(self, detail);
    }

    fn degraded(&self, why: &str) {
        Self::degraded(self, why);
    }

    fn restored(&self, pairs: &[Pair]) {
        Self::restored(self, pairs);
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Hub")
            .field("listeners", &self.listeners())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
