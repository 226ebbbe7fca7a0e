//! A pair's place in the view, and what it holds at the moment.

use crate::document::RateDocument;
use crate::rendered::{Rendered, json_of};
use arc_swap::ArcSwapOption;
use kurs_bus::{Body, SourcePrice, Update};
use kurs_core::rate::{Evidence, PolicyKind};
use kurs_core::{Mono, Now, Pair, Rate, RateState, SourceState, UpdateId, Wall};
use kurs_pricing::Market;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A pair's place: exists as long as the process, so that it can be kept by whoever uses it.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) pair: Pair,
    held: ArcSwapOption<Held>,
    /// Why the pair's own policy gives no rate, until it gives one.
    none: ArcSwapOption<Unpriced>,
}

/// A pair whose own policy gives no rate yet.
#[derive(Debug)]
pub(crate) struct Unpriced {
    pub(crate) id: UpdateId,
    pub(crate) why: Arc<str>,
}

impl Slot {
    pub(crate) fn new(pair: Pair) -> Self {
        Self {
            pair,
            held: ArcSwapOption::empty(),
            none: ArcSwapOption::empty(),
        }
    }

    /// Why there is no rate by the pair's own policy; `None` when it has one or has no policy.
    pub(crate) fn unpriced(&self) -> Option<Arc<Unpriced>> {
        self.none.load_full()
    }

    pub(crate) fn set_unpriced(&self, none: Option<Unpriced>) {
        self.none.store(none.map(Arc::new));
    }

    /// The id of the last update that was taken in.
    pub(crate) fn last_id(&self) -> Option<UpdateId> {
        let held = self.held.load().as_ref().map(|held| held.id());
        held.max(self.none.load().as_ref().map(|none| none.id))
    }

    /// Only what is said of the pair itself counts, no way around it: it is published, or its
    /// policy says that there is none.
    pub(crate) fn is_settled(&self) -> bool {
        self.held.load().is_some() || self.none.load().is_some()
    }

    pub(crate) fn load(&self) -> Option<Arc<Held>> {
        self.held.load_full()
    }

    /// Looks at what is held without taking part in it.
    pub(crate) fn look<T>(&self, question: impl FnOnce(Option<&Held>) -> T) -> T {
        let held = self.held.load();
        question(held.as_deref())
    }

    pub(crate) fn store(&self, held: Option<Arc<Held>>) {
        self.held.store(held);
    }

    /// The finished body, if the rate is fresh at `now`. No more than two pointer reads when it
    /// was rendered before.
    pub(crate) fn hot(&self, now: Mono) -> Option<Arc<Rendered>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        if held.state() != RateState::Fresh || !held.is_usable(now) {
            return None;
        }
        Some(Arc::clone(held.rendered()))
    }
}

/// A rate as held by this Reader: immutable but for its body, which is rendered on first use.
#[derive(Debug)]
pub(crate) struct Held {
    update: Arc<Update>,
    /// Until when it may be used as fresh, on this machine's clock.
    pub(crate) valid_until: Mono,
    /// When it came, on this machine's clock, and what time its ages are counted from: the
    /// Writer's time of publishing off the bus, our own out of the store.
    received: (Mono, Wall),
    rendered: OnceLock<Arc<Rendered>>,
}

impl Held {
    /// Takes a rate off the bus: its validity is counted from receipt, less what it was late.
    pub(crate) fn from_bus(update: Arc<Update>, late: Duration, now: Mono) -> Option<Self> {
        let Body::Rate(rate) = &update.body else {
            return None;
        };
        let valid_until = now.plus(rate.valid_for.saturating_sub(late));
        Some(Self {
            valid_until,
            received: (now, rate.published_at),
            update,
            rendered: OnceLock::new(),
        })
    }

    /// Takes a rate out of the store: what is left of its validity by the wall clock, and never
    /// more than it had when it was published.
    pub(crate) fn from_store(id: UpdateId, rate: Rate, now: Now) -> Self {
        let left = rate.expires_at().since(now.wall);
        Self::with_left(id, rate, left, now)
    }

    /// The same when the store has told what is left.
    pub(crate) fn with_left(id: UpdateId, rate: Rate, left: Duration, now: Now) -> Self {
        let left = left.min(rate.valid_for);
        let update = Arc::new(Update {
            id,
            body: Body::Rate(rate),
            cause: None,
            at: None,
        });
        Self {
            valid_until: now.mono.plus(left),
            received: (now.mono, now.wall),
            update,
            rendered: OnceLock::new(),
        }
    }

    pub(crate) fn id(&self) -> UpdateId {
        self.update.id
    }

    /// The rate. A slot holds nothing else, see the constructors.
    pub(crate) fn rate(&self) -> Option<&Rate> {
        match &self.update.body {
            Body::Rate(rate) => Some(rate),
            _ => None,
        }
    }

    /// How long ago something was observed that the rate was made of: by the Writer's one clock
    /// up to publishing, by ours since receipt. Two machines' clocks are never compared.
    pub(crate) fn since(&self, observed_at: Wall, now: Mono) -> Duration {
        let (received, at) = self.received;
        at.plus(now.since(received)).since(observed_at)
    }

    /// When it ran out, if it did without a word of the Writer.
    pub(crate) fn ran_out(&self, now: Mono) -> Option<Wall> {
        let rate = self.rate()?;
        (self.state() != self.state_at(now)).then(|| rate.expires_at())
    }

    /// True while the rate is within its validity; a suspect one says so itself.
    pub(crate) fn is_usable(&self, now: Mono) -> bool {
        now < self.valid_until && matches!(self.state(), RateState::Fresh | RateState::Suspect)
    }

    pub(crate) fn state(&self) -> RateState {
        self.rate().map_or(RateState::Halted, |rate| rate.state)
    }

    /// State at a moment: a fresh rate turns stale by itself.
    pub(crate) fn state_at(&self, now: Mono) -> RateState {
        match self.state() {
            RateState::Fresh | RateState::Suspect if now >= self.valid_until => RateState::Stale,
            state => state,
        }
    }

    pub(crate) fn document(&self, asked: Pair, now: Mono) -> Option<RateDocument> {
        Some(RateDocument::of(
            asked,
            self.id(),
            self.rate()?,
            self.state_at(now),
        ))
    }

    /// The body as long as it is fresh.
    fn rendered(&self) -> &Arc<Rendered> {
        self.rendered.get_or_init(|| {
            let (body, state) = match self.rate() {
                Some(rate) => (
                    json_of(&RateDocument::of(rate.pair, self.id(), rate, rate.state)),
                    rate.state,
                ),
                None => (Vec::new(), RateState::Halted),
            };
            Arc::new(Rendered::new(
                body,
                format!("\"{}\"", self.id()),
                self.valid_until,
                state,
            ))
        })
    }

    /// True when [`Self::market`] gives something that may be used.
    pub(crate) fn is_edge(&self, now: Mono) -> bool {
        self.is_usable(now) && self.rate().is_some_and(is_market)
    }

    /// The rate as an edge of the graph, if it is a market's price.
    pub(crate) fn market(&self) -> Option<Market> {
        self.rate().filter(|rate| is_market(rate)).map(market_of)
    }

    /// The rate taken as one step, whatever it is made of: for its inverse.
    pub(crate) fn as_market(&self) -> Option<Market> {
        self.rate().map(market_of)
    }
}

/// One source's own price, or what several say of the market: one of them may say it in another
/// quote currency. Not what is computed over several markets, such as a rule with a margin.
fn is_market(rate: &Rate) -> bool {
    let of_several = |evidence: &Arc<Evidence>| {
        matches!(evidence.policy, PolicyKind::Median | PolicyKind::Merged)
    };
    rate.is_direct() || rate.evidence.as_ref().is_some_and(of_several)
}

fn market_of(rate: &Rate) -> Market {
    Market {
        pair: rate.pair,
        value: rate.value,
        bid: rate.bid,
        ask: rate.ask,
        confidence: rate.confidence,
        source: rate.source,
        observed_at: rate.observed_at,
        expires_at: rate.expires_at(),
    }
}

/// For answers.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// One source's own price as held by this Reader.
#[derive(Debug)]
pub(crate) struct HeldPrice {
    pub(crate) id: UpdateId,
    pub(crate) price: SourcePrice,
    received: Mono,
    pub(crate) valid_until: Mono,
}

impl HeldPrice {
    pub(crate) fn new(id: UpdateId, price: SourcePrice, late: Duration, now: Mono) -> Self {
        Self {
            id,
            valid_until: now.plus(price.valid_for.saturating_sub(late)),
            received: now,
            price,
        }
    }

    pub(crate) fn is_live(&self, now: Mono) -> bool {
        self.price.state == SourceState::Live && now < self.valid_until
    }

    pub(crate) fn state_at(&self, now: Mono) -> SourceState {
        match self.price.state {
            SourceState::Live if now >= self.valid_until => SourceState::Stale,
            state => state,
        }
    }

    /// Age: what it was when published, by the Writer's one clock, plus the time since receipt
    /// by ours. Two machines' clocks are never compared.
    pub(crate) fn age_ms(&self, now: Mono) -> u64 {
        milliseconds(self.since(self.price.observed_at, now))
    }

    /// How long ago something was observed, as [`Held::since`].
    pub(crate) fn since(&self, observed_at: Wall, now: Mono) -> Duration {
        let before = self.price.published_at.since(observed_at);
        before + now.since(self.received)
    }

    pub(crate) fn market(&self) -> Market {
        Market {
            pair: self.price.pair,
            value: self.price.value,
            bid: self.price.bid,
            ask: self.price.ask,
            confidence: None,
            source: self.price.source,
            observed_at: self.price.observed_at,
            expires_at: self.price.published_at.plus(self.price.valid_for),
        }
    }
}
