//! What kurs published, event by event: the record that answers at which rate somebody settled.

use super::StoredRate;
use kurs_core::{Pair, Rate, UpdateId, Wall};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One event of a pair, as the Writer published it. Unique by pair and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Identity of the update.
    pub id: UpdateId,
    /// The pair.
    pub pair: Pair,
    /// When it was published, to the millisecond, as answers show it. Events of one millisecond
    /// are in the order of their ids.
    pub published_at: Wall,
    /// What was published.
    pub event: PublishedEvent,
}

/// Kinds of [`Published`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum PublishedEvent {
    /// A rate. Times inside it are kept to the millisecond.
    Rate(Rate),
    /// By the pair's policy there is no rate; why.
    NoRate {
        /// The reason in one short phrase.
        why: Arc<str>,
        /// Nobody stands behind what was published of it before.
        withdraws: bool,
        /// The last rate before, which stands beside this as long as it is valid; so that the
        /// last event of a pair is all that is to be known of it. `None` when it `withdraws`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        standing: Option<Box<StoredRate>>,
    },
    /// The pair is not published any more.
    Withdrawn,
}

impl Published {
    /// The event of a rate.
    #[must_use]
    pub fn rate(id: UpdateId, rate: Rate) -> Self {
        Self {
            id,
            pair: rate.pair,
            published_at: rate.published_at.to_millisecond(),
            event: PublishedEvent::Rate(rate),
        }
    }

    /// The rate, if the event is one.
    #[must_use]
    pub const fn as_rate(&self) -> Option<&Rate> {
        match &self.event {
            PublishedEvent::Rate(rate) => Some(rate),
            _ => None,
        }
    }
}

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedQuery {
    /// The pair.
    pub pair: Pair,
    /// Published at or after.
    pub start: Wall,
    /// Published before.
    pub end: Wall,
    /// At most this many; from 1 to 10,000, anything else is taken as the nearer of these.
    pub limit: u32,
    /// Go on after this event.
    pub after: Option<(Wall, UpdateId)>,
}

/// One page of events, oldest first, ordered by time and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPage {
    /// The events.
    pub events: Vec<Published>,
    /// Where the next page starts; `None` when this is the last.
    pub next: Option<(Wall, UpdateId)>,
}
