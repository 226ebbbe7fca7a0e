//! What CoinGecko sends, as it sends it. Numbers stay text until they are prices.

use crate::decode::{DecodeError, excerpt};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Answer of /simple/price: by coin id, by currency or field name, the JSON text of the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Fields by coin id.
    pub coins: BTreeMap<String, BTreeMap<String, String>>,
}

/// CoinGecko says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its own error code; `None` where it gave none.
    pub code: Option<u32>,
    /// Its words.
    pub message: String,
}

/// Reads an answer of /simple/price.
///
/// # Errors
/// [`DecodeError::Format`] when it is not of that shape. Prices are judged later, one by one.
pub fn decode(body: &[u8]) -> Result<Reply, DecodeError> {
    type Coins = BTreeMap<String, Option<BTreeMap<String, Box<RawValue>>>>;
    let coins: Coins = serde_json::from_slice(body)
        .map_err(|error| DecodeError::Format(excerpt(&error.to_string(), 160)))?;
    let text = |(name, value): (String, Box<RawValue>)| (name, value.get().to_owned());
    let coins = coins
        .into_iter()
        .map(|(id, fields)| {
            (
                id,
                fields.unwrap_or_default().into_iter().map(text).collect(),
            )
        })
        .collect();
    Ok(Reply { coins })
}

/// Reads any of the three shapes of refusal; `None` when it is none of them.
#[must_use]
pub fn refused(body: &[u8]) -> Option<Refused> {
    #[derive(Deserialize)]
    struct Status {
        error_code: Option<u32>,
        error_message: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Outer { status: Status },
        Inner { error: Inner },
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Inner {
        Text(String),
        Object { status: Status },
    }
    let message = |text: &str| excerpt(text, 160);
    Some(match serde_json::from_slice(body).ok()? {
        Shape::Inner {
            error: Inner::Text(text),
        } => Refused {
            code: None,
            message: message(&text),
        },
        Shape::Outer { status }
        | Shape::Inner {
            error: Inner::Object { status },
        } => {
            let said = status
                .error_message
                .or_else(|| Some(status.error_code?.to_string()))?;
            Refused {
                code: status.error_code,
                message: message(&said),
            }
        }
    })
}
