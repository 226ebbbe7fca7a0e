//! Candles of any pair: as stored where the pair has a series of its own, else joined from the
//! candles of the markets that lead from base to quote.
//!
//! | module | what it holds |
//! |---|---|
//! | [`way`] | [`Way`]: the series that candles are made of |
//! | `join` | candles of several legs made into one |
//! | `slice` | the arithmetic of one slice of time |

mod join;
mod slice;
pub mod way;

pub use way::Way;

use crate::view::{Missing, RateView};
use kurs_core::{Pair, SourceId, Wall};
use kurs_store::{Candle, CandleQuery, Interval, Store, StoreError};

/// Which candles.
#[derive(Debug, Clone)]
pub struct CandlesQuestion {
    /// The pair under the name it was asked for.
    pub asked: Pair,
    /// Only what this source said; `None`: what was published.
    pub source: Option<SourceId>,
    /// Length of the candles.
    pub interval: Interval,
    /// Begun at or after.
    pub start: Wall,
    /// Begun before.
    pub end: Wall,
    /// At most this many, from 1 to 1,000.
    pub limit: u32,
    /// The series that an earlier page was made of, so that this one is made of the same.
    pub way: Option<Way>,
}

/// One page of candles, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandlesPage {
    /// What they are made of.
    pub way: Way,
    /// The candles, of the canonical pair.
    pub candles: Vec<Candle>,
    /// Where the next page starts; `None` when this is the last. A page that had to pass over
    /// much may hold fewer candles than asked for, even none, and still have a next one.
    pub next: Option<Wall>,
}

/// Why there are no candles.
#[derive(Debug, Clone)]
pub enum CandlesError {
    /// Nothing is known of the pair.
    Missing(Missing),
    /// The store cannot be asked; try again later.
    Store(StoreError),
}

impl From<StoreError> for CandlesError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Answers a question for candles.
///
/// # Errors
/// [`CandlesError`] says why there is no answer.
pub async fn candles(
    view: &RateView,
    store: &dyn Store,
    question: CandlesQuestion,
) -> Result<CandlesPage, CandlesError> {
    let way = match question.way.clone() {
        Some(way) => way,
        None => way::find(view, store, &question).await?,
    };
    let pair = question.asked.canonical();
    let (candles, next) = match &way {
        Way::Own => own(store, pair, &question).await?,
        Way::Legs(legs) => join::joined(store, pair, legs, &question).await?,
    };
    Ok(CandlesPage { way, candles, next })
}

/// The candles of a stored series.
async fn own(
    store: &dyn Store,
    pair: Pair,
    question: &CandlesQuestion,
) -> Result<(Vec<Candle>, Option<Wall>), StoreError> {
    // One more than asked for tells whether there is a next page.
    let mut candles = store
        .candles(CandleQuery {
            pair,
            source: question.source,
            interval: question.interval,
            start: question.start,
            end: question.end,
            limit: question.limit.saturating_add(1),
        })
        .await?;
    let most = usize::try_from(question.limit).unwrap_or(usize::MAX);
    let next = candles.get(most).map(|candle| candle.start);
    candles.truncate(most);
    Ok((candles, next))
}

#[cfg(test)]
mod tests;
