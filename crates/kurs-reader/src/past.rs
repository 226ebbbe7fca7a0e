//! What was served at a moment of the past: the same view, made of what had been published by
//! then, and asked by the same functions.

use crate::document::{ExplainDocument, RateDocument};
use crate::view::{Missing, RateView, ViewConfig};
use kurs_bus::{Body, NoRate, SourcePrice, Update};
use kurs_core::event::NOT_TRACKED;
use kurs_core::{Epoch, ManualClock, Mono, Now, Pair, SourceState, Wall};
use kurs_store::{
    HistoryRow, PriceState, Published, PublishedEvent, PublishedQuery, Store, StoreError,
    StoredRate,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The view as it was at one moment.
#[derive(Debug)]
pub struct Past {
    view: RateView,
    at: Wall,
}

/// How a price of a source that was live then is held: its true end was told as a change of state.
const WHILE_LIVE: Duration = Duration::from_secs(24 * 3_600);

/// More events than are published of one pair in one millisecond.
const SAME_MILLISECOND_MAX: u32 = 10_000;

impl Past {
    /// What was served at `at`, which is taken to the millisecond: everything published in that
    /// millisecond counts. `present` knows the names that are understood.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recall(
        present: &RateView,
        store: &dyn Store,
        at: Wall,
    ) -> Result<Self, StoreError> {
        let at = at.to_millisecond();
        let events = store.published_at(at).await?;
        Ok(Self::of(present, events, at))
    }

    /// What was served at `at` when the rate of `asked` had the number `seq`: of what was
    /// published in that very millisecond as much as it takes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn recall_numbered(
        present: &RateView,
        store: &dyn Store,
        (at, seq): (Wall, u64),
        asked: Pair,
    ) -> Result<Self, StoreError> {
        let at = at.to_millisecond();
        let mut events = store.published_at(at).await?;
        let at_the_end = Self::of(present, events.clone(), at);
        // What came later in the same step may have led to this answer without being part of it,
        // such as a shorter way that ceased to be one.
        if at_the_end
            .rate(asked, true)
            .is_ok_and(|document| document.seq == seq)
        {
            return Ok(at_the_end);
        }
        step_back(store, &mut events, at, seq).await?;
        Ok(Self::of(present, events, at))
    }

    /// The same out of events that were read already: the last one of each pair.
    #[must_use]
    pub fn of(present: &RateView, events: Vec<Published>, at: Wall) -> Self {
        let clock = ManualClock::new(Now {
            mono: Mono(0),
            wall: at,
        });
        let config = ViewConfig {
            directions: present.directions().to_vec(),
        };
        let view = RateView::new(Arc::new(clock), config);
        for event in events {
            let update = |body: Body| {
                view.apply(&Arc::new(Update {
                    id: event.id,
                    body,
                    cause: None,
                    at: None,
                }));
            };
            match event.event {
                PublishedEvent::Rate(rate) => view.restore(StoredRate { id: event.id, rate }),
                PublishedEvent::NoRate {
                    why,
                    withdraws,
                    standing,
                } => {
                    if let Some(standing) = standing {
                        view.restore(*standing);
                    }
                    update(Body::NoRate(NoRate {
                        pair: event.pair,
                        why,
                        withdraws,
                    }));
                }
                PublishedEvent::Withdrawn => update(Body::Withdrawn(event.pair)),
            }
        }
        view.set_loaded();
        Self { view, at }
    }

    /// The moment.
    #[must_use]
    pub const fn at(&self) -> Wall {
        self.at
    }

    /// False when nothing had been published by then, or nothing of that time is kept.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.view.last_id().is_some()
    }

    /// The rate that was served.
    ///
    /// # Errors
    /// [`Missing`] as it was said then; an expired rate when `allow_stale` does not say that it
    /// may be given.
    pub fn rate(&self, asked: Pair, allow_stale: bool) -> Result<Arc<RateDocument>, Missing> {
        match self.view.rate(asked, None) {
            Ok(answer) => Ok(answer.document),
            Err(Missing::Expired(document)) if allow_stale => Ok(Arc::from(document)),
            Err(missing) => Err(missing),
        }
    }

    /// The rate that was served, with everything behind it: its own evidence, and what every
    /// source had said last of its markets.
    ///
    /// # Errors
    /// [`PastError::Missing`] as [`Self::rate`], and [`PastError::Store`].
    pub async fn explain(
        &self,
        store: &dyn Store,
        asked: Pair,
        allow_stale: bool,
    ) -> Result<ExplainDocument, PastError> {
        let told = self.view.explain(asked, None, allow_stale)?;
        let epoch = Epoch(told.rate.epoch);
        let pairs: BTreeSet<Pair> = told.rate.legs.iter().map(|leg| leg.pair).collect();
        for pair in pairs {
            let rows = store.last_rows(pair, self.at).await?;
            let states = store.states_at(pair, self.at).await?;
            for row in rows {
                self.restore_price(&row, &states, epoch);
            }
        }
        Ok(self.view.explain(asked, None, allow_stale)?)
    }

    /// A source's own price as it was then. What an earlier Writer received counts as long as this
    /// one has told nothing of it.
    fn restore_price(&self, row: &HistoryRow, states: &[PriceState], epoch: Epoch) {
        let told = states.iter().find(|told| told.source == row.source);
        let Some(told) = told.filter(|told| told.id.epoch == epoch) else {
            return;
        };
        if &*told.why == NOT_TRACKED {
            return;
        }
        let price = SourcePrice {
            source: row.source,
            pair: row.pair,
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            state: told.state,
            why: Arc::clone(&told.why),
            observed_at: row.observed_at.unwrap_or(row.received_at),
            received_at: row.received_at,
            published_at: self.at,
            valid_for: match told.state {
                SourceState::Live => WHILE_LIVE,
                _ => Duration::ZERO,
            },
        };
        self.view.apply(&Arc::new(Update {
            id: row.id,
            body: Body::SourcePrice(price),
            cause: None,
            at: None,
        }));
    }
}

/// Puts in the place of each event that has a greater number, and is of this very millisecond,
/// the one that was the last of its pair before.
async fn step_back(
    store: &dyn Store,
    events: &mut Vec<Published>,
    at: Wall,
    seq: u64,
) -> Result<(), StoreError> {
    let is_later = |event: &Published| event.published_at == at && event.id.seq.0 > seq;
    let later: Vec<Pair> = events
        .iter()
        .filter(|event| is_later(event))
        .map(|event| event.pair)
        .collect();
    if later.is_empty() {
        return Ok(());
    }
    events.retain(|event| !is_later(event));
    let mut before = store.published_at(Wall(at.0.saturating_sub(1_000))).await?;
    before.retain(|event| later.contains(&event.pair));
    for pair in later {
        let query = PublishedQuery {
            pair,
            start: at,
            end: at.plus(Duration::from_millis(1)),
            limit: SAME_MILLISECOND_MAX,
            after: None,
        };
        let within = store.published(query).await?.events;
        let last = within.into_iter().rfind(|event| !is_later(event));
        let former = before.iter().find(|event| event.pair == pair).cloned();
        events.extend(last.or(former));
    }
    Ok(())
}

/// Why a rate of the past cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// There was none.
    #[error("there was no rate")]
    Missing(Missing),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Missing> for PastError {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}
