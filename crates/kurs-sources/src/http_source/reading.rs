//! How rates are described in the configuration: one by one, or as a table of rows.

use kurs_core::Pair;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Where the price of one pair stands. Written as the path alone, or as a table of these keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// The part of the document that the other paths start from; unset: the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// The price, from sources that give one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What the source buys at; with `ask`, instead of `value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<String>,
    /// What the source sells at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<String>,
    /// The price is for so many units, of the base, or with `inverse` of the quote: a number, or
    /// the path of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// True when the document has the price of the quote in the base.
    pub inverse: bool,
    /// When the source says the price was true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<String>,
}

/// Rates that stand in rows of the same form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// All rows: `$.rates[*]`, `//Valute`, `row`. The other paths start from each of them.
    pub rows: String,
    /// The pair of a row, such as BTC-USD or BTCUSD; instead of `base` and `quote`.
    pub pair: Option<String>,
    /// The base: an asset in capitals that all rows have in common, or the path of one.
    /// `name()` is the name that the row itself has.
    pub base: Option<String>,
    /// The quote, written as the base.
    pub quote: Option<String>,
    /// The price, from sources that give one; unset, and `bid` and `ask` too: the row itself.
    pub value: Option<String>,
    /// What the source buys at; with `ask`, instead of `value`.
    pub bid: Option<String>,
    /// What the source sells at.
    pub ask: Option<String>,
    /// The price is for so many units, of the base, or with `inverse` of the quote: a number, or
    /// the path of one.
    pub unit: Option<Unit>,
    /// True when the document has the price of the quote in the base.
    pub inverse: bool,
    /// When the source says the price was true.
    pub observed_at: Option<String>,
    /// Only these pairs are read, and each must be there; empty: all rows.
    pub pairs: Vec<Pair>,
}

/// How many units a price is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// Always so many.
    Of(u64),
    /// The document says it here.
    At(String),
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Of(number) => serializer.serialize_u64(*number),
            Self::At(path) => serializer.serialize_str(path),
        }
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(path) => Ok(Self::At(path)),
            other => other.as_u64().map(Self::Of).ok_or_else(|| {
                serde::de::Error::custom("unit is a whole number such as 100, or a path")
            }),
        }
    }
}

impl JsonSchema for Unit {
    fn schema_name() -> Cow<'static, str> {
        "Unit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a whole number, or the path of one",
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }],
        })
    }
}

/// What is described pair by pair. Entries that cannot be understood are kept apart, so that all
/// of them can be told at once with their keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// By pair, under its canonical assets.
    pub by_pair: BTreeMap<Pair, Reading>,
    /// Keys that are wrong, with the reason.
    pub wrong: Vec<(String, String)>,
}

impl Readings {
    fn add(&mut self, key: &str, entry: Value) {
        let reading = match entry {
            Value::String(path) => Ok(Reading {
                value: Some(path),
                ..Reading::default()
            }),
            table @ Value::Object(_) => {
                serde_json::from_value::<Reading>(table).map_err(|error| error.to_string())
            }
            _ => Err("expected a path, or a table with value, bid, ask, ...".to_owned()),
        };
        let pair = Pair::parse(key).and_then(|pair| {
            let pair = pair.canonical();
            Pair::of(pair.base, pair.quote)
        });
        match (pair.map_err(|error| error.to_string()), reading) {
            (Ok(pair), Ok(_)) if self.by_pair.contains_key(&pair) => {
                self.wrong
                    .push((key.to_owned(), format!("{pair} is given twice")));
            }
            (Ok(pair), Ok(reading)) => {
                self.by_pair.insert(pair, reading);
            }
            (Err(why), _) | (Ok(_), Err(why)) => self.wrong.push((key.to_owned(), why)),
        }
    }
}

impl Serialize for Readings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.by_pair.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Readings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut readings = Self::default();
        for (key, entry) in BTreeMap::<String, Value>::deserialize(deserializer)? {
            readings.add(&key, entry);
        }
        Ok(readings)
    }
}

impl JsonSchema for Readings {
    fn schema_name() -> Cow<'static, str> {
        "Readings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let reading = generator.subschema_for::<Reading>();
        json_schema!({
            "description": "paths by pair",
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": "string" }, reading] },
        })
    }
}
