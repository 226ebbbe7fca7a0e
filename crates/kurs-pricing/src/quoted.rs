//! One source's last price for one market.

use crate::effect::SourceRate;
use kurs_core::{Mono, Now, Pair, Price, Quote, Sizes, SourceId, SourceState, Tick, Wall};
use std::sync::Arc;
use std::time::Duration;

/// What a source last said about one pair, and whether it may be used.
#[derive(Debug, Clone)]
pub struct Quoted {
    /// The market.
    pub pair: Pair,
    /// The fair price.
    pub value: Price,
    /// The price as given.
    pub quote: Quote,
    /// What is offered at the best bid and ask, if the source says.
    pub sizes: Option<Sizes>,
    /// When the source says it was true, if it says.
    pub observed_at: Option<Wall>,
    /// When it was received.
    pub received: Now,
    /// Until when it may be used.
    pub valid_until: Mono,
    /// The source's own id of the change.
    pub event_id: Option<u64>,
    /// Set by the source: it cannot vouch for this pair at present.
    pub mark: Option<(SourceState, Arc<str>)>,
    /// True for streamed prices, which fall with their connection.
    pub streamed: bool,
}

/// What a new tick did to a [`Quoted`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The price differs from the last one.
    Changed,
    /// The same price, confirmed.
    Confirmed,
    /// An older or repeated change: ignored.
    Repeated,
}

impl Quoted {
    /// The first price of a source for a pair.
    #[must_use]
    pub fn new(tick: &Tick, value: Price, received: Now, streamed: bool) -> Self {
        Self {
            pair: tick.pair,
            value,
            quote: tick.quote,
            sizes: tick.sizes,
            observed_at: tick.observed_at,
            received,
            valid_until: received.mono.plus(tick.valid_for),
            event_id: tick.event_id,
            mark: None,
            streamed,
        }
    }

    /// Takes a new price. The source itself drops duplicates; an id equal to the last one is
    /// refused here too, so that a repeated frame cannot make an old price look young.
    pub fn take(&mut self, tick: &Tick, value: Price, received: Now, streamed: bool) -> Taken {
        if tick.event_id.is_some() && tick.event_id == self.event_id && self.quote != tick.quote {
            return Taken::Repeated;
        }
        let changed = self.quote != tick.quote;
        let mark_lifted = self.mark.is_some();
        *self = Self::new(tick, value, received, streamed);
        if changed || mark_lifted {
            Taken::Changed
        } else {
            Taken::Confirmed
        }
    }

    /// State at a moment, given the state of its source.
    #[must_use]
    pub fn state(&self, now: Mono, source: SourceState) -> SourceState {
        if self.streamed && source == SourceState::Down {
            return SourceState::Down;
        }
        if let Some((state, _)) = &self.mark
            && *state != SourceState::Live
        {
            return *state;
        }
        if now >= self.valid_until {
            return SourceState::Stale;
        }
        SourceState::Live
    }

    /// When it was true: the source's own time if it gives one, else receipt.
    #[must_use]
    pub fn as_of(&self) -> Wall {
        self.observed_at.unwrap_or(self.received.wall)
    }

    /// Until when it may be used, on the wall clock. For display.
    #[must_use]
    pub fn expires_at(&self) -> Wall {
        let valid_for = self.valid_until.since(self.received.mono);
        self.received.wall.plus(valid_for)
    }

    /// How long from `now` it may still be used.
    #[must_use]
    pub fn remaining(&self, now: Mono) -> Duration {
        self.valid_until.since(now)
    }

    /// The price as it is published or recorded.
    #[must_use]
    pub fn to_source_rate(
        &self,
        source: SourceId,
        now: Mono,
        state: SourceState,
        why: Arc<str>,
    ) -> SourceRate {
        SourceRate {
            source,
            pair: self.pair,
            value: self.value,
            bid: self.quote.bid(),
            ask: self.quote.ask(),
            state,
            why,
            observed_at: self.observed_at,
            received_at: self.received.wall,
            valid_for: self.remaining(now),
        }
    }
}
