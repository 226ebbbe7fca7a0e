//! What kurs publishes.

use crate::pair::Pair;
use crate::price::{DecimalText, Price};
use crate::source::{SourceId, SourceState};
use crate::time::Wall;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// May this rate be used? Only `fresh` may be used blindly.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RateState {
    /// Within its validity.
    Fresh,
    /// Past its validity; the value is the last one known.
    Stale,
    /// Within its validity, but contradicted by other evidence.
    Suspect,
    /// No source gives it any more.
    Halted,
}

impl RateState {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
            Self::Suspect => "suspect",
            Self::Halted => "halted",
        }
    }
}

/// One market on the way from base to quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Leg {
    /// The market as its source quotes it.
    pub pair: Pair,
    /// Who quotes it.
    pub source: SourceId,
    /// The price used, in the market's own direction.
    pub value: Price,
    /// True when the way goes from the market's quote to its base: 1 / value was used.
    pub inverted: bool,
    /// When it was observed.
    pub observed_at: Wall,
    /// Until when it is valid.
    pub expires_at: Wall,
}

/// A source that was passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Skipped {
    /// The source.
    pub source: SourceId,
    /// Its state for this pair.
    pub state: SourceState,
    /// One short phrase for people.
    pub why: Arc<str>,
}

/// Why this source serves this pair at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The source in use.
    pub source: SourceId,
    /// Since when.
    pub since: Wall,
    /// One sentence for people: "kraken since 12:03:00Z: binance is stale".
    pub reason: Arc<str>,
    /// Better sources that are not used, best first.
    pub skipped: Vec<Skipped>,
}

/// How a pair gets its rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// The first live source in order of preference.
    #[default]
    Priority,
    /// The median of the sources' prices, without those that are out of line.
    Median,
    /// One fair price from the order books of all exchanges together.
    Merged,
    /// An expression over other prices.
    Rule,
    /// A number that somebody answers for.
    Fixed,
}

impl PolicyKind {
    /// The word used in configuration and answers; also the source of a combined rate.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Priority => "priority",
            Self::Median => "median",
            Self::Merged => "merged",
            Self::Rule => "rule",
            Self::Fixed => "fixed",
        }
    }
}

/// How the fair price of one order book is found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FairMethod {
    /// The middle of best bid and best ask.
    #[default]
    Mid,
    /// The middle weighted with what is offered on both sides.
    WeightedMid,
    /// The middle at growing volumes, weighted down with the volume.
    DepthWeighted,
}

impl FairMethod {
    /// The word used in configuration and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mid => "mid",
            Self::WeightedMid => "weighted_mid",
            Self::DepthWeighted => "depth_weighted",
        }
    }
}

/// A stablecoin that is not worth its dollar: more than 1 % away. A mark, no judgement: the
/// rate is what the market says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Depeg {
    /// The stablecoin's market against the dollar.
    pub pair: Pair,
    /// Its price.
    pub value: Price,
    /// How far from 1, in percent; negative below.
    #[schemars(with = "DecimalText")]
    pub percent: Decimal,
}

/// What the rate of a pair was made of, where that is more than one source's own price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The kind of policy.
    pub policy: PolicyKind,
    /// The fair price that was asked for; each constituent says which one it could give.
    pub price: FairMethod,
    /// The rule as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The rule with the numbers it was evaluated with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<Arc<str>>,
    /// Everything that was looked at, used or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constituents: Vec<Constituent>,
    /// What the outlier gate measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateReading>,
    /// Bid and ask were put this many percent around the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub spread_percent: Option<Decimal>,
    /// Terms of a fixed rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<FixedTerms>,
    /// Further remarks for people, such as why a rate is suspect.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Arc<str>>,
}

/// One price that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Constituent {
    /// Who; `median`, `rule` and so on for a pair with a policy of its own.
    pub source: SourceId,
    /// The pair it is a price of.
    pub pair: Pair,
    /// The markets it was made of, where these are not the pair itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Pair>,
    /// The fair price; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Price>,
    /// Best bid, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// The fair price this is.
    pub price: FairMethod,
    /// True when the rate is made of it.
    pub used: bool,
    /// Why it is not used, or not with the fair price that was asked for; empty otherwise.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub why: Arc<str>,
    /// When it was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Wall>,
    /// Until when it may be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Wall>,
}

/// What the outlier gate measured: a price further from the median than the limit is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateReading {
    /// Median of all live constituents.
    #[schemars(with = "DecimalText")]
    pub median: Decimal,
    /// Median of their distances from it.
    #[schemars(with = "DecimalText")]
    pub mad: Decimal,
    /// The greatest distance that is let in; half of it to come back.
    #[schemars(with = "DecimalText")]
    pub limit: Decimal,
}

/// Terms of a fixed rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FixedTerms {
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Arc<str>>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Wall>,
}

/// The rate of one pair as published by the Writer. `value` units of the quote asset cost one
/// unit of the base asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The pair, canonical assets.
    pub pair: Pair,
    /// The fair price.
    pub value: Price,
    /// Best bid, if known on every leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask, if known on every leg.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// Half-width of what the constituents support, in units of the quote asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub confidence: Option<Decimal>,
    /// The source of the leg that starts at the base asset; `median`, `merged`, `rule` or `fixed`
    /// for a rate that is nobody's own price.
    pub source: SourceId,
    /// State when published. Expiry is counted down by whoever holds the rate.
    pub state: RateState,
    /// The markets it is made of, from base to quote. `None`: the one market `pair` of `source`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legs: Option<Arc<[Leg]>>,
    /// When the oldest leg was observed.
    pub observed_at: Wall,
    /// When the Writer published it.
    pub published_at: Wall,
    /// How long from publishing it may be used as fresh. Counted on the holder's own monotonic
    /// clock, since two machines' wall clocks are never compared. In whole milliseconds in text.
    #[serde(
        rename = "valid_for_ms",
        alias = "valid_for",
        with = "crate::time::milliseconds"
    )]
    #[schemars(with = "u64")]
    pub valid_for: Duration,
    /// Why this source.
    pub choice: Arc<Choice>,
    /// What it was made of. `None`: one source's own price, or the product of `legs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Arc<Evidence>>,
    /// Stablecoins among its markets that are not worth their dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depeg: Option<Arc<[Depeg]>>,
}

impl Rate {
    /// Until when it may be used as fresh, on the Writer's wall clock. For display.
    #[must_use]
    pub fn expires_at(&self) -> Wall {
        self.published_at.plus(self.valid_for)
    }

    /// The same rate with every time in it cut to the millisecond, as answers show it and as it
    /// is stored: what is computed from it is then the same wherever and whenever it is read.
    #[must_use]
    pub fn in_milliseconds(mut self) -> Self {
        let cut = Wall::to_millisecond;
        // To the nearest: a validity to the full hour was counted on another clock than the wall's.
        let nearest = |time: Wall| cut(time.plus(Duration::from_micros(500)));
        let expires_at = nearest(self.expires_at());
        self.published_at = cut(self.published_at);
        self.observed_at = cut(self.observed_at);
        self.valid_for = expires_at.since(self.published_at);
        if let Some(legs) = &self.legs {
            let legs = legs.iter().map(|leg| Leg {
                observed_at: cut(leg.observed_at),
                expires_at: nearest(leg.expires_at),
                ..*leg
            });
            self.legs = Some(legs.collect());
        }
        if let Some(evidence) = &mut self.evidence {
            let is_whole = |part: &Constituent| {
                let times = [part.observed_at, part.expires_at];
                times.into_iter().flatten().all(|time| cut(time) == time)
            };
            if !evidence.constituents.iter().all(is_whole) {
                for part in &mut Arc::make_mut(evidence).constituents {
                    part.observed_at = part.observed_at.map(cut);
                    part.expires_at = part.expires_at.map(nearest);
                }
            }
        }
        if cut(self.choice.since) != self.choice.since {
            let choice = Arc::make_mut(&mut self.choice);
            choice.since = cut(choice.since);
        }
        self
    }

    /// True when the price is one source's own, not computed over several markets.
    #[must_use]
    pub const fn is_direct(&self) -> bool {
        self.legs.is_none()
    }

    /// The markets it is made of, from base to quote.
    #[must_use]
    pub fn legs(&self) -> std::borrow::Cow<'_, [Leg]> {
        match &self.legs {
            Some(legs) => std::borrow::Cow::Borrowed(legs),
            None => std::borrow::Cow::Owned(vec![Leg {
                pair: self.pair,
                source: self.source,
                value: self.value,
                inverted: false,
                observed_at: self.observed_at,
                expires_at: self.expires_at(),
            }]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_in_milliseconds_is_what_its_stored_text_says() {
        let time = |microseconds: i64| Wall(1_790_000_000_000_000 + microseconds);
        let pair = Pair::parse("BTC-USDT").unwrap();
        let source = SourceId::parse("binance").unwrap();
        let value = Price::parse("64364.270").unwrap();
        let rate = Rate {
            pair,
            value,
            bid: None,
            ask: None,
            confidence: None,
            source,
            state: RateState::Fresh,
            legs: Some(Arc::from([Leg {
                pair,
                source,
                value,
                inverted: false,
                observed_at: time(1_001),
                expires_at: Wall::MAX,
            }])),
            observed_at: time(1_001),
            published_at: time(1_900),
            // To 7,000.2 ms.
            valid_for: Duration::from_micros(5_000_000 + 1_998_300),
            choice: Arc::new(Choice {
                source,
                since: time(-1),
                reason: "it is there".into(),
                skipped: Vec::new(),
            }),
            evidence: None,
            depeg: None,
        };
        let stored = |rate: &Rate| -> Rate {
            serde_json::from_str(&serde_json::to_string(rate).unwrap()).unwrap()
        };
        let cut = rate.clone().in_milliseconds();
        assert_ne!(stored(&rate), rate);
        assert_eq!(stored(&cut).observed_at, cut.observed_at);
        assert_eq!(cut.expires_at(), time(7_000_000));
        assert_eq!(cut.clone().in_milliseconds(), cut);
        assert_eq!(cut.choice.since, time(-1_000));
    }
}
