//! What a listener is told first: how everything stands, or what came since it was heard last.

use super::render::ErrorEvent;
use super::{Hub, Inner};
use crate::config::StreamConfig;
use crate::document::Document;
use crate::event::Event;
use crate::position::Position;
use crate::topic::Topic;
use kurs_bus::{SourcePrice, SourceStatus, Update};
use kurs_core::{Mono, Pair, RateState};
use kurs_reader::{Answer, Missing, RateDocument};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Rates in one snapshot event, at most.
const CHUNK: usize = 500;
/// For how long the picture of all rates is used again: what came since is told after it.
const USED_AGAIN: Duration = Duration::from_millis(500);

/// Data of `snapshot`.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct SnapshotDocument {
    /// Rates, as every other answer shows them.
    pub rates: Vec<Arc<RateDocument>>,
    /// Topics of which nothing can be shown, and why.
    pub errors: Vec<ErrorEvent>,
    /// Sources' own prices.
    pub prices: Vec<SourcePrice>,
    /// State and counters of sources.
    pub sources: Vec<SourceStatus>,
    /// No further part of this snapshot follows.
    pub last: bool,
}

/// Data of `hello`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HelloDocument {
    /// It goes on where the client had ended: no snapshot comes.
    pub resumed: bool,
    /// What is listened to.
    #[schemars(with = "Vec<String>")]
    pub topics: Arc<[Topic]>,
    /// How often the stream says that it lives, milliseconds.
    pub heartbeat_ms: u64,
    /// Empty while all is well, else why updates may be late.
    pub degraded: Arc<str>,
}

/// The picture of all rates at one moment.
pub(super) struct AllRates {
    at: Mono,
    position: Position,
    events: Vec<Arc<Event>>,
}

impl Hub {
    /// How these topics stand now.
    pub(super) fn beginning(&self, inner: &mut Inner, topics: &[Topic]) -> Vec<Arc<Event>> {
        let mut told = Vec::new();
        if topics.contains(&Topic::Rates) {
            told.extend(self.all_rates(inner));
        }
        let mut document = SnapshotDocument {
            last: true,
            ..SnapshotDocument::default()
        };
        for topic in topics {
            match topic {
                Topic::Rates => {}
                Topic::Rate(pair) => match self.look(inner, *pair) {
                    Ok(rate) => document.rates.push(rate),
                    Err(missing) => document.errors.push(ErrorEvent::of(*pair, &missing)),
                },
                Topic::Top(source, pair) => match self.view.price_of(*source, *pair) {
                    Some(price) => document.prices.push(price),
                    None => document.errors.push(ErrorEvent {
                        topic: Some(*topic),
                        code: "no-price-yet",
                        detail: format!("{source} has given no price of it"),
                    }),
                },
                Topic::Sources => document.sources.extend(self.view.sources()),
            }
        }
        let is_only_rates = topics == [Topic::Rates];
        if !is_only_rates {
            let head = inner.ring.head_text();
            let document = Document::Snapshot(document);
            told.push(Arc::new(Event::telling(document, head)));
        }
        told
    }

    /// The present rate of a pair that somebody begins to listen to.
    fn look(&self, inner: &mut Inner, pair: Pair) -> Result<Arc<RateDocument>, Missing> {
        let answer = self.view.rate(pair, None);
        inner.note(pair, &answer, self.view.publishes(pair));
        match answer {
            Ok(answer) => Ok(answer.document),
            Err(Missing::Expired(document)) => Ok(Arc::new(*document)),
            Err(missing) => Err(missing),
        }
    }

    /// All published rates. Many who come at once share one picture: what came after it follows it.
    fn all_rates(&self, inner: &mut Inner) -> Vec<Arc<Event>> {
        let now = self.view.mono();
        if let Some(all) = &inner.all_rates
            && now.since(all.at) <= USED_AGAIN
            && let Some(later) = inner.ring.after(&all.position)
        {
            let is_rate = |topic| matches!(topic, Topic::Rate(_));
            let later = replayed(&later, all.position.clone(), is_rate);
            return all.events.iter().cloned().chain(later).collect();
        }
        let mut rates = Vec::new();
        for pair in self.view.pairs() {
            match self.view.rate(pair, None) {
                Ok(answer) => rates.push(answer.document),
                Err(Missing::Expired(document)) => rates.push(Arc::new(*document)),
                Err(_) => {}
            }
        }
        let head = inner.ring.head_text();
        let parts = rates.len().div_ceil(CHUNK).max(1);
        let mut rates = rates.into_iter();
        let mut events = Vec::with_capacity(parts);
        for part in 1..=parts {
            let document = SnapshotDocument {
                rates: rates.by_ref().take(CHUNK).collect(),
                last: part == parts,
                ..SnapshotDocument::default()
            };
            let event = Event::telling(Document::Snapshot(document), Arc::clone(&head));
            events.push(Arc::new(event));
        }
        inner.all_rates = Some(AllRates {
            at: now,
            position: inner.ring.head().clone(),
            events: events.clone(),
        });
        events
    }

    /// What somebody who comes back has missed, and how stands what is not told by updates alone:
    /// derived rates, and what has run out.
    pub(super) fn since(
        &self,
        inner: &mut Inner,
        topics: &[Topic],
        later: &[Arc<Update>],
        from: &Position,
    ) -> Vec<Arc<Event>> {
        let wanted: BTreeSet<Topic> = topics.iter().copied().collect();
        let all = wanted.contains(&Topic::Rates);
        let is_wanted = |topic| wanted.contains(&topic) || (all && matches!(topic, Topic::Rate(_)));
        let mut told = replayed(later, from.clone(), is_wanted);
        let mut end = from.clone();
        end.join(inner.ring.head());
        let end: Arc<str> = end.to_string().into();
        for topic in topics {
            let Topic::Rate(pair) = topic else { continue };
            let answer = self.view.rate(*pair, None);
            let publishes = self.view.publishes(*pair);
            inner.note(*pair, &answer, publishes);
            let is_fresh = answer
                .as_ref()
                .is_ok_and(|answer| answer.document.state == RateState::Fresh);
            let is_heard = publishes || was_told(from, &answer);
            if !(is_fresh && is_heard) {
                let event = Event::from_answer(*pair, &answer, Arc::clone(&end));
                told.push(Arc::new(event));
            }
        }
        told
    }
}

/// What these updates tell of some topics to somebody who was here before them.
fn replayed(
    later: &[Arc<Update>],
    mut position: Position,
    is_wanted: impl Fn(Topic) -> bool,
) -> Vec<Arc<Event>> {
    let mut told = Vec::new();
    for update in later {
        position.advance(update.id);
        if Topic::of(&update.body).is_some_and(&is_wanted)
            && let Some(event) = Event::from_update(update, position.to_string().into())
        {
            told.push(Arc::new(event));
        }
    }
    told
}

/// True when a derived rate is made of nothing that came after this position.
fn was_told(from: &Position, answer: &Result<Answer, Missing>) -> bool {
    let Ok(answer) = answer else { return false };
    let mut ids = from.ids();
    // With several shards its number does not say of which one it is.
    match (ids.next(), ids.next()) {
        (Some(id), None) => (answer.document.epoch, answer.document.seq) <= (id.epoch.0, id.seq.0),
        _ => false,
    }
}

impl Inner {
    /// What somebody is told of a pair that is listened to.
    pub(super) fn note(&mut self, pair: Pair, answer: &Result<Answer, Missing>, publishes: bool) {
        let told = self.told.entry(pair).or_default();
        told.is_derived = !publishes;
        told.last = super::present(answer);
        if let Ok(answer) = answer
            && !publishes
        {
            let path = answer.document.path.clone();
            self.made_of_these(pair, &path);
        }
    }

    pub(super) fn hello(
        &self,
        config: &StreamConfig,
        resumed: bool,
        topics: &[Topic],
    ) -> Arc<Event> {
        let document = HelloDocument {
            resumed,
            topics: topics.into(),
            heartbeat_ms: config.heartbeat_ms,
            degraded: Arc::clone(&self.degraded),
        };
        // It says nothing of what was heard.
        Arc::new(Event::telling(Document::Hello(document), Arc::from("")))
    }
}
