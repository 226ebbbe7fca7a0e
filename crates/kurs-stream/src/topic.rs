//! What can be listened to.

use kurs_bus::Body;
use kurs_core::{Pair, SourceId};
use std::fmt;
use thiserror::Error;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// `rate:BTC-USD`: the rate of a pair, published or derived, under the names it was asked for.
    Rate(Pair),
    /// `rates`: all published rates.
    Rates,
    /// `top:binance:BTC-USDT`: a source's own best prices of a market.
    Top(SourceId, Pair),
    /// `sources`: state and counters of all sources.
    Sources,
}

/// The text names no topic; says why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct TopicError(String);

impl Topic {
    /// Reads a topic. `pair` understands the names of pairs.
    ///
    /// # Errors
    /// [`TopicError`] says what is wrong.
    pub fn parse<E: fmt::Display>(
        text: &str,
        pair: impl Fn(&str) -> Result<Pair, E>,
    ) -> Result<Self, TopicError> {
        let pair = |text: &str| pair(text).map_err(|error| TopicError(error.to_string()));
        match text.split_once(':') {
            None if text == "rates" => Ok(Self::Rates),
            None if text == "sources" => Ok(Self::Sources),
            Some(("rate", name)) => Ok(Self::Rate(pair(name)?)),
            Some(("top", rest)) => {
                let (source, name) = rest
                    .split_once(':')
                    .filter(|(source, _)| *source != "sim")
                    .or_else(|| {
                        // The name of a simulated source has a colon of its own.
                        let (at, _) = rest.match_indices(':').nth(1)?;
                        Some((rest.get(..at)?, rest.get(at + 1..)?))
                    })
                    .ok_or_else(|| TopicError("top:SOURCE:PAIR is missing its pair".to_owned()))?;
                let source = SourceId::parse(source)
                    .map_err(|error| TopicError(format!("{source}: {error}")))?;
                Ok(Self::Top(source, pair(name)?))
            }
            _ => Err(TopicError(
                "is none of rate:PAIR, rates, top:SOURCE:PAIR, sources".to_owned(),
            )),
        }
    }
}

impl Topic {
    /// What an update is about; `None` where nobody can listen to that.
    #[must_use]
    pub const fn of(body: &Body) -> Option<Self> {
        Some(match body {
            Body::Rate(rate) => Self::Rate(rate.pair),
            Body::NoRate(none) => Self::Rate(none.pair),
            Body::Withdrawn(pair) => Self::Rate(*pair),
            Body::SourcePrice(price) => Self::Top(price.source, price.pair),
            Body::SourceStatus(_) => Self::Sources,
            Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => return None,
        })
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(pair) => write!(formatter, "rate:{pair}"),
            Self::Rates => formatter.write_str("rates"),
            Self::Top(source, pair) => write!(formatter, "top:{source}:{pair}"),
            Self::Sources => formatter.write_str("sources"),
        }
    }
}

impl serde::Serialize for Topic {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Topic, TopicError> {
        Topic::parse(text, Pair::parse)
    }

    #[test]
    fn a_topic_survives_its_text() {
        for text in [
            "rate:BTC-USD",
            "rates",
            "sources",
            "top:binance:BTC-USDT",
            "top:sim:binance:BTC-USDT",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_topic_is_told_why() {
        for (text, why) in [
            ("", "is none of"),
            ("rates:", "is none of"),
            ("book:binance:BTC-USDT", "is none of"),
            ("top:binance", "missing its pair"),
            ("top:sim:binance", "missing its pair"),
        ] {
            let told = parse(text).unwrap_err().to_string();
            assert!(told.contains(why), "{text}: {told}");
        }
        assert!(parse("rate:").is_err());
        assert!(parse("top:no source!:BTC-USDT").is_err());
    }
}
