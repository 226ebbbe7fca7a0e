//! The series that candles are made of.

use super::{CandlesError, CandlesQuestion};
use crate::document::RateDocument;
use crate::view::{Missing, RateView};
use kurs_core::{Pair, SourceId, Wall};
use kurs_pricing::cross::MAX_LEGS;
use kurs_store::{CandleQuery, Interval, Store, StoreError};

/// What candles are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// The stored series of the canonical pair.
    Own,
    /// The stored series of these markets, from base to quote.
    Legs(Vec<Step>),
}

/// One market on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The market.
    pub pair: Pair,
    /// True when the way goes from its quote to its base.
    pub inverted: bool,
}

const OWN: &str = "own";

impl Way {
    /// The way over these markets, in their order, each in the direction that leads on.
    #[must_use]
    pub fn over(asked: Pair, markets: impl IntoIterator<Item = Pair>) -> Option<Self> {
        let Pair { base, quote } = asked.canonical();
        let mut at = base;
        let mut steps = Vec::new();
        for pair in markets {
            let inverted = match pair {
                Pair { base, .. } if base == at => false,
                Pair { quote, .. } if quote == at => true,
                _ => return None,
            };
            at = if inverted { pair.base } else { pair.quote };
            steps.push(Step { pair, inverted });
        }
        let fits = at == quote && (1..=MAX_LEGS).contains(&steps.len());
        match steps.as_slice() {
            _ if !fits => None,
            [only] if !only.inverted => Some(Self::Own),
            _ => Some(Self::Legs(steps)),
        }
    }

    /// The markets that the candles of the asked pair are joined from; empty for a series of
    /// its own.
    #[must_use]
    pub fn markets(&self) -> Vec<Pair> {
        match self {
            Self::Own => Vec::new(),
            Self::Legs(steps) => steps.iter().map(|step| step.pair).collect(),
        }
    }

    /// As text of letters, digits, dashes and underscores.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Own => OWN.to_owned(),
            Self::Legs(steps) => {
                let names: Vec<String> = steps.iter().map(|step| step.pair.to_string()).collect();
                names.join("_")
            }
        }
    }

    /// Reads what [`Way::to_text`] wrote for the same pair.
    #[must_use]
    pub fn of_text(asked: Pair, text: &str) -> Option<Self> {
        if text == OWN {
            return Some(Self::Own);
        }
        let markets: Option<Vec<Pair>> = text
            .split('_')
            .take(MAX_LEGS + 1)
            .map(|name| Pair::parse(name).ok())
            .collect();
        Self::over(asked, markets?).filter(|way| *way != Self::Own)
    }
}

/// The way that answers a question: the pair's own series, that of the pair the other way round,
/// or the markets that the pair is priced over at present.
pub(super) async fn find(
    view: &RateView,
    store: &dyn Store,
    question: &CandlesQuestion,
) -> Result<Way, CandlesError> {
    let (asked, source) = (question.asked, question.source);
    let pair = asked.canonical();
    for (pair, way) in [
        (pair, Way::Own),
        (
            pair.inverse(),
            Way::Legs(vec![Step {
                pair: pair.inverse(),
                inverted: true,
            }]),
        ),
    ] {
        let is_published = source.is_none() && view.slot(pair).is_some_and(|s| s.is_settled());
        if is_published || has_any(store, pair, source, question.interval).await? {
            return Ok(way);
        }
    }
    if source.is_some() {
        return Ok(Way::Own);
    }
    let over = |document: &RateDocument| Way::over(asked, document.path.iter().copied());
    let way = match view.rate(asked, None) {
        Ok(answer) => over(&answer.document),
        Err(Missing::Expired(document)) => over(&document),
        Err(Missing::NoRateYet(_) | Missing::NoRate(..)) => None,
        Err(missing) => return Err(CandlesError::Missing(missing)),
    };
    Ok(way.unwrap_or(Way::Own))
}

/// True when any candle of a series is stored; of the interval asked for, or of the one that is
/// kept longest.
async fn has_any(
    store: &dyn Store,
    pair: Pair,
    source: Option<SourceId>,
    interval: Interval,
) -> Result<bool, StoreError> {
    for interval in [interval, Interval::Day] {
        let query = CandleQuery {
            pair,
            source,
            interval,
            start: Wall::MIN,
            end: Wall::MAX,
            limit: 1,
        };
        if !store.candles(query).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
