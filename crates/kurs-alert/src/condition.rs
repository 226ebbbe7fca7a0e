//! What is watched.

use kurs_core::price::{DecimalText, parse_decimal};
use kurs_core::{Asset, Pair, Price, SourceId};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Longest time that an alert may look back on or wait for.
pub const TIME_MAX: Duration = Duration::from_secs(7 * 86_400);
/// The time between two firings where none is said.
pub const COOLDOWN: Duration = Duration::from_secs(60);
/// How long something is bad before it is told, where that is not said.
pub const AFTER: Duration = Duration::from_secs(30);

/// On which side of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// At the value or above.
    Above,
    /// At the value or below.
    Below,
}

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The rate is above or below a value.
    Threshold {
        /// The pair.
        pair: Pair,
        /// On which side it is told.
        side: Side,
        /// The value.
        value: Price,
    },
    /// The rate has moved by so many percent.
    Percent {
        /// The pair.
        pair: Pair,
        /// By how many, either way.
        percent: Decimal,
        /// Within this time; `None` since it was told last.
        window: Option<Duration>,
    },
    /// A source is not live.
    SourceLoss {
        /// The source.
        source: SourceId,
        /// For this long.
        after: Duration,
    },
    /// A pair has no fresh rate.
    Freeze {
        /// The pair.
        pair: Pair,
        /// For this long.
        after: Duration,
    },
    /// A stablecoin is not worth its dollar.
    Depeg {
        /// The stablecoin.
        asset: Asset,
        /// How many percent away.
        percent: Decimal,
    },
}

/// A condition with the terms on which it fires again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// What is watched.
    pub condition: Condition,
    /// By how many percent of the value a rate must come back before a threshold can fire again.
    pub margin_percent: Decimal,
    /// The least time between two firings.
    pub cooldown: Duration,
}

/// A condition as people write it, and as it is stored. Which fields belong to which kind is told
/// by [`ConditionDocument::understand`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConditionDocument {
    /// `threshold`, `percent`, `source_loss`, `freeze` or `depeg`.
    #[schemars(extend("enum" = KINDS))]
    pub kind: Arc<str>,
    /// The pair of a threshold, a move or a freeze, such as `BTC-USD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair: Option<Arc<str>>,
    /// The source of a source loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
    /// The stablecoin of a depeg, such as `USDT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<Arc<str>>,
    /// Of a threshold: `above` or `below`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["above", "below", null]))]
    pub side: Option<Arc<str>>,
    /// The value of a threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub value: Option<Arc<str>>,
    /// How many percent a rate must move, or a stablecoin be away from its dollar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub percent: Option<Arc<str>>,
    /// Within how many seconds a rate must move; absent: since it was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_seconds: Option<u32>,
    /// For how many seconds a source must be lost or a pair frozen; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_seconds: Option<u32>,
    /// By how many percent of the value a rate must come back before a threshold fires again; 0.5
    /// when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub margin_percent: Option<Arc<str>>,
    /// The least time between two firings; 60 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown_seconds: Option<u32>,
}

/// The kinds of conditions.
pub const KINDS: [&str; 5] = ["threshold", "percent", "source_loss", "freeze", "depeg"];

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The field.
    pub field: &'static str,
    /// What is wrong, in one sentence.
    pub why: String,
}

impl Condition {
    /// Its word, one of [`KINDS`].
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Threshold { .. } => "threshold",
            Self::Percent { .. } => "percent",
            Self::SourceLoss { .. } => "source_loss",
            Self::Freeze { .. } => "freeze",
            Self::Depeg { .. } => "depeg",
        }
    }

    /// The pair whose rate is looked at, if it is a rate.
    #[must_use]
    pub fn pair(&self) -> Option<Pair> {
        match self {
            Self::Threshold { pair, .. }
            | Self::Percent { pair, .. }
            | Self::Freeze { pair, .. } => Some(*pair),
            Self::Depeg { asset, .. } => Some(Pair::new(*asset, dollar()?)),
            Self::SourceLoss { .. } => None,
        }
    }

    /// The source whose state is looked at, if it is that.
    #[must_use]
    pub const fn source(&self) -> Option<SourceId> {
        match self {
            Self::SourceLoss { source, .. } => Some(*source),
            _ => None,
        }
    }
}

fn dollar() -> Option<Asset> {
    Asset::parse("USD").ok()
}

/// Half a percent.
fn usual_margin() -> Decimal {
    Decimal::new(5, 1)
}

impl Terms {
    /// A condition on the usual terms.
    #[must_use]
    pub fn usual(condition: Condition) -> Self {
        Self {
            condition,
            margin_percent: usual_margin(),
            cooldown: COOLDOWN,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn document(&self) -> ConditionDocument {
        let mut document = ConditionDocument {
            kind: self.condition.kind().into(),
            cooldown_seconds: Some(seconds(self.cooldown)),
            ..ConditionDocument::default()
        };
        match &self.condition {
            Condition::Threshold { pair, side, value } => {
                document.pair = text(pair);
                document.value = text(value);
                document.margin_percent = text(&self.margin_percent);
                document.side = Some(match side {
                    Side::Above => "above".into(),
                    Side::Below => "below".into(),
                });
            }
            Condition::Percent {
                pair,
                percent,
                window,
            } => {
                document.pair = text(pair);
                document.percent = text(percent);
                document.window_seconds = window.map(seconds);
            }
            Condition::SourceLoss { source, after } => {
                document.source = text(source);
                document.after_seconds = Some(seconds(*after));
            }
            Condition::Freeze { pair, after } => {
                document.pair = text(pair);
                document.after_seconds = Some(seconds(*after));
            }
            Condition::Depeg { asset, percent } => {
                document.asset = text(asset);
                document.percent = text(percent);
            }
        }
        document
    }

    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> Arc<str> {
        serde_json::to_string(&self.document())
            .unwrap_or_default()
            .into()
    }
}

fn text(value: &impl ToString) -> Option<Arc<str>> {
    Some(value.to_string().into())
}

fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

impl ConditionDocument {
    /// What it means.
    ///
    /// # Errors
    /// All mistakes in it, by field.
    pub fn understand(&self) -> Result<Terms, Vec<Mistake>> {
        let mut reading = Reading {
            document: self,
            used: vec!["kind", "cooldown_seconds"],
            mistakes: Vec::new(),
        };
        let terms = reading.terms();
        reading.refuse_unused();
        match terms {
            Some(terms) if reading.mistakes.is_empty() => Ok(terms),
            _ => Err(reading.mistakes),
        }
    }
}

/// Reads the fields that belong to a kind, and notes what is wrong.
struct Reading<'a> {
    document: &'a ConditionDocument,
    used: Vec<&'static str>,
    mistakes: Vec<Mistake>,
}

impl Reading<'_> {
    fn terms(&mut self) -> Option<Terms> {
        let kind = Arc::clone(&self.document.kind);
        let cooldown = self.seconds(
            "cooldown_seconds",
            self.document.cooldown_seconds,
            0,
            COOLDOWN,
        );
        let mut margin_percent = usual_margin();
        let condition = match &*kind {
            "threshold" => {
                let (pair, side, value) = (self.pair(), self.side(), self.value());
                if let Some(margin) = self.margin() {
                    margin_percent = margin;
                }
                Condition::Threshold {
                    pair: pair?,
                    side: side?,
                    value: value?,
                }
            }
            "percent" => {
                let (pair, percent) = (self.pair(), self.percent());
                self.used.push("window_seconds");
                let window = self.document.window_seconds;
                let window =
                    window.map(|given| self.seconds("window_seconds", Some(given), 10, TIME_MAX));
                Condition::Percent {
                    pair: pair?,
                    percent: percent?,
                    window,
                }
            }
            "source_loss" => {
                let (source, after) = (self.source(), self.after());
                Condition::SourceLoss {
                    source: source?,
                    after,
                }
            }
            "freeze" => {
                let (pair, after) = (self.pair(), self.after());
                Condition::Freeze { pair: pair?, after }
            }
            "depeg" => {
                let (asset, percent) = (self.asset(), self.percent());
                Condition::Depeg {
                    asset: asset?,
                    percent: percent?,
                }
            }
            _ => {
                self.mistake("kind", format!("must be one of {}", KINDS.join(", ")));
                return None;
            }
        };
        Some(Terms {
            condition,
            margin_percent,
            cooldown,
        })
    }

    fn mistake(&mut self, field: &'static str, why: impl Into<String>) {
        let why = why.into();
        self.mistakes.push(Mistake { field, why });
    }

    fn wanted(&mut self, field: &'static str, given: &Option<Arc<str>>) -> Option<Arc<str>> {
        self.used.push(field);
        if given.is_none() {
            let why = format!("is missing; {} needs it", self.document.kind);
            self.mistake(field, why);
        }
        given.clone()
    }

    fn pair(&mut self) -> Option<Pair> {
        let text = self.wanted("pair", &self.document.pair)?;
        let pair = Pair::parse(&text);
        pair.map_err(|error| self.mistake("pair", error.to_string()))
            .ok()
    }

    fn source(&mut self) -> Option<SourceId> {
        let text = self.wanted("source", &self.document.source)?;
        let source = SourceId::parse(&text);
        source
            .map_err(|error| self.mistake("source", error.to_string()))
            .ok()
    }

    fn asset(&mut self) -> Option<Asset> {
        let text = self.wanted("asset", &self.document.asset)?;
        match Asset::parse(&text) {
            Err(error) => self.mistake("asset", error.to_string()),
            Ok(asset) if Some(asset) == dollar() => {
                self.mistake("asset", "is the dollar itself");
            }
            Ok(asset) => return Some(asset),
        }
        None
    }

    fn side(&mut self) -> Option<Side> {
        let text = self.wanted("side", &self.document.side)?;
        match &*text {
            "above" => Some(Side::Above),
            "below" => Some(Side::Below),
            _ => {
                self.mistake("side", "must be above or below");
                None
            }
        }
    }

    fn value(&mut self) -> Option<Price> {
        let text = self.wanted("value", &self.document.value)?;
        let value = Price::parse(&text);
        value
            .map_err(|error| self.mistake("value", error.to_string()))
            .ok()
    }

    fn percent(&mut self) -> Option<Decimal> {
        let text = self.wanted("percent", &self.document.percent)?;
        self.percentage("percent", &text, Decimal::new(1, 2))
    }

    fn margin(&mut self) -> Option<Decimal> {
        self.used.push("margin_percent");
        let text = self.document.margin_percent.clone()?;
        self.percentage("margin_percent", &text, Decimal::ZERO)
    }

    fn percentage(&mut self, field: &'static str, text: &str, least: Decimal) -> Option<Decimal> {
        let most = Decimal::from(if field == "margin_percent" { 50 } else { 1_000 });
        match parse_decimal(text) {
            Ok(percent) if percent >= least && percent <= most && percent.scale() <= 8 => {
                return Some(percent);
            }
            Ok(_) => self.mistake(
                field,
                format!("must be from {least} to {most}, with at most 8 digits after the point"),
            ),
            Err(error) => self.mistake(field, error.to_string()),
        }
        None
    }

    fn after(&mut self) -> Duration {
        self.used.push("after_seconds");
        self.seconds("after_seconds", self.document.after_seconds, 1, AFTER)
    }

    fn seconds(
        &mut self,
        field: &'static str,
        given: Option<u32>,
        least: u32,
        usual: Duration,
    ) -> Duration {
        let Some(given) = given else { return usual };
        let most = seconds(TIME_MAX);
        if !(least..=most).contains(&given) {
            self.mistake(field, format!("must be from {least} to {most}"));
        }
        Duration::from_secs(given.into())
    }

    /// A field of another kind would be passed over in silence.
    fn refuse_unused(&mut self) {
        let document = self.document;
        if !KINDS.contains(&&*document.kind) {
            return;
        }
        for (field, is_given) in [
            ("pair", document.pair.is_some()),
            ("source", document.source.is_some()),
            ("asset", document.asset.is_some()),
            ("side", document.side.is_some()),
            ("value", document.value.is_some()),
            ("percent", document.percent.is_some()),
            ("window_seconds", document.window_seconds.is_some()),
            ("after_seconds", document.after_seconds.is_some()),
            ("margin_percent", document.margin_percent.is_some()),
        ] {
            if is_given && !self.used.contains(&field) {
                self.mistake(field, format!("does not belong to {}", document.kind));
            }
        }
    }
}

#[cfg(test)]
mod tests;
