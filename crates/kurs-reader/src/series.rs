//! What was served of a pair, moment after moment: its own published events, or, of a pair that
//! is not published itself, the events of the markets on its way, joined.

use crate::document::RateDocument;
use crate::past::Past;
use crate::view::{Missing, RateView};
use kurs_core::{Pair, UpdateId, Wall};
use kurs_store::{Published, PublishedQuery, Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Which moments.
#[derive(Debug, Clone, Copy)]
pub struct SeriesQuery {
    /// The pair, under the names it is asked for.
    pub asked: Pair,
    /// Published at or after.
    pub start: Wall,
    /// Published before.
    pub end: Wall,
    /// Events that are looked at, at most; some of them give no rate.
    pub limit: u32,
    /// Go on after this event.
    pub after: Option<(Wall, UpdateId)>,
}

/// One page of a series.
#[derive(Debug, Clone)]
pub struct SeriesPage {
    /// The rate after each event, oldest first. Where there was none, nothing is here.
    pub points: Vec<Arc<RateDocument>>,
    /// Where the next page starts; `None` when this is the last.
    pub next: Option<(Wall, UpdateId)>,
}

/// Events of one market, read page by page.
struct Stream {
    waiting: VecDeque<Published>,
    /// Where the next page starts; `None` after the last.
    next: Option<PublishedQuery>,
}

impl Stream {
    fn new(pair: Pair, query: &SeriesQuery) -> Self {
        let first = PublishedQuery {
            pair,
            start: query.start,
            end: query.end,
            limit: query.limit,
            after: query.after,
        };
        Self {
            waiting: VecDeque::new(),
            next: Some(first),
        }
    }

    /// Makes the next event known, if there is one.
    async fn look(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        while self.waiting.is_empty()
            && let Some(query) = self.next.take()
        {
            let page = store.published(query.clone()).await?;
            self.waiting.extend(page.events);
            self.next = page.next.map(|after| PublishedQuery {
                after: Some(after),
                ..query
            });
        }
        Ok(())
    }

    fn place(&self) -> Option<(Wall, UpdateId)> {
        self.waiting.front().map(place)
    }
}

fn place(event: &Published) -> (Wall, UpdateId) {
    (event.published_at, event.id)
}

/// One page of what was served of a pair. The way of a derived pair is that of the moment at which
/// the page begins.
///
/// # Errors
/// Those of the store.
pub async fn page(
    present: &RateView,
    store: &dyn Store,
    query: SeriesQuery,
) -> Result<SeriesPage, StoreError> {
    let begin = query
        .after
        .map_or_else(|| Wall(query.start.0.saturating_sub(1)), |(at, _)| at);
    let known = store.published_at(begin).await?;
    let markets = match markets(present, &known, query.asked, begin) {
        found if !found.is_empty() => found,
        // Nothing led there yet: the way that was found later.
        _ => {
            let end = Wall(query.end.0.saturating_sub(1)).min(present.now().wall);
            let later = store.published_at(end).await?;
            markets(present, &later, query.asked, end)
        }
    };
    let is_on_the_way = |event: &Published| markets.contains(&event.pair);
    let is_seen = |event: &Published| query.after.is_none_or(|after| place(event) <= after);
    let mut last: BTreeMap<Pair, Published> = known
        .into_iter()
        .filter(|event| is_on_the_way(event) && is_seen(event))
        .map(|event| (event.pair, event))
        .collect();
    let mut streams: Vec<Stream> = markets
        .iter()
        .map(|pair| Stream::new(*pair, &query))
        .collect();
    let mut points = Vec::new();
    let mut seen = None;
    for _ in 0..query.limit {
        let Some(event) = next_event(&mut streams, store).await? else {
            return Ok(SeriesPage { points, next: None });
        };
        let at = event.published_at;
        seen = Some(place(&event));
        last.insert(event.pair, event);
        let past = Past::of(present, last.values().cloned().collect(), at);
        if let Ok(document) = past.rate(query.asked, false) {
            points.push(document);
        }
    }
    for stream in &mut streams {
        stream.look(store).await?;
    }
    let is_more = streams.iter().any(|stream| stream.place().is_some());
    Ok(SeriesPage {
        points,
        next: seen.filter(|_| is_more),
    })
}

/// The earliest event that waits.
async fn next_event(
    streams: &mut [Stream],
    store: &dyn Store,
) -> Result<Option<Published>, StoreError> {
    for stream in streams.iter_mut() {
        stream.look(store).await?;
    }
    let first = streams
        .iter_mut()
        .filter(|stream| stream.place().is_some())
        .min_by_key(|stream| stream.place());
    Ok(first.and_then(|stream| stream.waiting.pop_front()))
}

/// The published markets that the rate of a pair is made of: itself, or those on its way.
fn markets(present: &RateView, events: &[Published], asked: Pair, at: Wall) -> Vec<Pair> {
    let own = asked.canonical();
    for pair in [own, own.inverse()] {
        if events.iter().any(|event| event.pair == pair) {
            return vec![pair];
        }
    }
    let past = Past::of(present, events.to_vec(), at);
    let document = match past.rate(asked, false) {
        Ok(document) => document,
        Err(Missing::Expired(document)) => Arc::from(document),
        Err(_) => return Vec::new(),
    };
    let mut markets: Vec<Pair> = document.legs.iter().map(|leg| leg.pair).collect();
    markets.dedup();
    markets
}
