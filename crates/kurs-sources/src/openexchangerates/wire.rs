//! What Open Exchange Rates sends, as it sends it. Numbers stay text until they are prices.

use crate::decode::{DecodeError, Rates, excerpt};
use kurs_core::{Asset, Pair, Price, Wall};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// One latest.json.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// When the table was published.
    pub published_at: Wall,
    /// The asset that one unit of is priced, USD on the free plan.
    pub base: Asset,
    /// Base-XXX for every code of the table, as given: never inverted.
    pub rates: Rates,
}

/// Reads latest.json or historical/*.json.
///
/// # Errors
/// [`DecodeError`] when it is not of that shape or has no usable rate.
pub fn decode(body: &[u8]) -> Result<Table, DecodeError> {
    #[derive(Deserialize)]
    struct Reply {
        timestamp: i64,
        base: String,
        rates: BTreeMap<String, Box<RawValue>>,
    }
    let reply: Reply = serde_json::from_slice(body)
        .map_err(|error| DecodeError::Format(excerpt(&error.to_string(), 160)))?;
    let base = Asset::parse(&reply.base)
        .map_err(|_| DecodeError::Format("the base is no currency".into()))?;
    let mut rates = Rates::default();
    for (code, value) in &reply.rates {
        let Ok(asset) = Asset::parse(code) else {
            rates.reject(code, "no currency code");
            continue;
        };
        // The base itself is listed too, as 1.
        let Ok(pair) = Pair::of(base, asset) else {
            continue;
        };
        match Price::parse(value.get()) {
            Ok(price) => rates.add(pair, price),
            Err(error) => rates.reject(code, &error.to_string()),
        }
    }
    if rates.rates.is_empty() {
        return Err(DecodeError::Empty(rates.rejected.join(", ")));
    }
    Ok(Table {
        published_at: Wall::from_unix_seconds(reply.timestamp),
        base,
        rates,
    })
}

/// The message of an error body, such as `invalid_app_id`; `None` when it is no error body.
#[must_use]
pub fn refused(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Reply {
        error: bool,
        message: String,
    }
    let reply: Reply = serde_json::from_slice(body).ok()?;
    // The description is left out: it may repeat the key.
    reply.error.then(|| excerpt(&reply.message, 64))
}
