//! The venue's REST interface: one gate before all requests, which stays shut for as long as
//! the venue said.

use super::desk::Polled;
use crate::stats::SourceStats;
use bytes::Bytes;
use kurs_core::price::parse_decimal;
use kurs_core::{Clock, Mono, Price, Quote};
use kurs_net::http::{Fetch, FetchError, Fetched, HttpClient};
use parking_lot::Mutex;
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// From first byte sent to last byte received.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A longer answer is refused, bytes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// Wait after 429 when the venue names none.
const LIMITED_DELAY: Duration = Duration::from_secs(60);
/// Wait after 418 when the venue names none: the shortest ban.
const BANNED_DELAY: Duration = Duration::from_secs(120);
/// Wait after 403 and 451: the address is refused, which changes slowly.
const BLOCKED_DELAY: Duration = Duration::from_secs(300);

/// Why there is no answer, named by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum RestError {
    /// No request may be sent before this.
    #[error("{why}")]
    Shut {
        /// Until when.
        until: Mono,
        /// One phrase for people.
        why: String,
    },
    /// One of the symbols is not traded.
    #[error("a symbol is not traded there")]
    BadSymbol,
    /// Try again later.
    #[error("{0}")]
    Failed(String),
}

/// Why and until when nothing may be sent.
#[derive(Debug, Clone)]
struct Shut {
    until: Mono,
    why: String,
}

/// REST client of the venue.
#[derive(Debug)]
pub(super) struct Rest {
    http: HttpClient,
    base: String,
    clock: Arc<dyn Clock>,
    stats: Arc<SourceStats>,
    shut: Mutex<Option<Shut>>,
}

/// A symbol as `exchangeInfo` describes it.
#[derive(Debug, Deserialize)]
pub(super) struct ListedSymbol {
    pub(super) symbol: String,
    pub(super) status: String,
    #[serde(rename = "baseAsset")]
    pub(super) base: String,
    #[serde(rename = "quoteAsset")]
    pub(super) quote: String,
}

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<ListedSymbol>,
}

#[derive(Deserialize)]
struct BestPrices<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "bidPrice", borrow)]
    bid: Cow<'a, str>,
    #[serde(rename = "askPrice", borrow)]
    ask: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
}

impl Rest {
    pub(super) fn new(
        http: HttpClient,
        base: String,
        clock: Arc<dyn Clock>,
        stats: Arc<SourceStats>,
    ) -> Self {
        Self {
            http,
            base,
            clock,
            stats,
            shut: Mutex::new(None),
        }
    }

    /// Best prices of these symbols, in one call.
    pub(super) async fn best_prices(&self, symbols: &[String]) -> Result<Vec<Polled>, RestError> {
        let body = self
            .get(&format!("ticker/bookTicker?symbols={}", list(symbols)))
            .await?;
        read_best_prices(&body)
    }

    /// What the venue says of these symbols. One unknown symbol spoils the whole call.
    pub(super) async fn symbols(&self, symbols: &[String]) -> Result<Vec<ListedSymbol>, RestError> {
        let which = match symbols {
            [one] => format!("symbol={one}"),
            many => format!("symbols={}", list(many)),
        };
        let body = self
            .get(&format!("exchangeInfo?{which}&showPermissionSets=false"))
            .await?;
        let info: ExchangeInfo = serde_json::from_slice(&body).map_err(|_| unreadable())?;
        Ok(info.symbols)
    }

    async fn get(&self, path: &str) -> Result<Bytes, RestError> {
        if let Some(shut) = self.shut.lock().clone()
            && self.clock.now().mono < shut.until
        {
            return Err(RestError::Shut {
                until: shut.until,
                why: shut.why,
            });
        }
        let fetch = Fetch {
            url: format!("{}/{path}", self.base),
            headers: Vec::new(),
            validators: None,
            timeout: TIMEOUT,
            max_body_bytes: BODY_BYTES_MAX,
        };
        match self.http.get(fetch).await {
            Ok(Fetched::Body { bytes, .. }) => {
                if self.shut.lock().take().is_some() {
                    self.stats.set_limited_until(None);
                }
                Ok(bytes)
            }
            Ok(Fetched::NotModified) => Err(RestError::Failed("an answer without a body".into())),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: FetchError) -> RestError {
        match error {
            FetchError::Limited {
                status,
                retry_after,
                ..
            } => {
                let usual = if status == 418 {
                    BANNED_DELAY
                } else {
                    LIMITED_DELAY
                };
                let delay = retry_after.unwrap_or(usual);
                self.shut_for(delay, format!("limited by the venue (HTTP {status})"))
            }
            FetchError::Refused {
                status: status @ (403 | 451),
                ..
            } => self.shut_for(BLOCKED_DELAY, format!("blocked here (HTTP {status})")),
            FetchError::Refused {
                status: 400 | 404,
                body,
            } if is_bad_symbol(&body) => RestError::BadSymbol,
            other => RestError::Failed(other.to_string()),
        }
    }

    /// Shuts the gate. A later end is never brought forward: several requests may be under way.
    fn shut_for(&self, delay: Duration, why: String) -> RestError {
        let now = self.clock.now();
        let mut shut = self.shut.lock();
        let until = now.mono.plus(delay);
        let until = shut
            .as_ref()
            .map_or(until, |earlier| earlier.until.max(until));
        *shut = Some(Shut {
            until,
            why: why.clone(),
        });
        self.stats
            .set_limited_until(Some(now.wall.plus(until.since(now.mono))));
        RestError::Shut { until, why }
    }
}

/// `["A","B"]`, percent-encoded. Symbols are letters and digits.
fn list(symbols: &[String]) -> String {
    let quoted: Vec<String> = symbols
        .iter()
        .map(|symbol| format!("%22{symbol}%22"))
        .collect();
    format!("%5B{}%5D", quoted.join("%2C"))
}

/// -1100 to -1199 and -1220 complain of a parameter, and the symbols are the only one that varies.
fn is_bad_symbol(body: &[u8]) -> bool {
    let code = serde_json::from_slice::<ErrorBody>(body).map(|error| error.code);
    matches!(code, Ok(-1199..=-1100 | -1220))
}

fn read_best_prices(body: &[u8]) -> Result<Vec<Polled>, RestError> {
    let rows: Vec<BestPrices<'_>> = serde_json::from_slice(body).map_err(|_| unreadable())?;
    // The venue writes an empty side of a book as zero: such a symbol has no price at present,
    // which is no mistake of the answer.
    let has_book = |row: &&BestPrices<'_>| {
        let is_zero = |text: &str| parse_decimal(text).is_ok_and(|number| number.is_zero());
        !is_zero(&row.bid) && !is_zero(&row.ask)
    };
    let prices = rows.iter().filter(has_book).map(|row| {
        let sides = Price::parse(&row.bid).ok().zip(Price::parse(&row.ask).ok());
        let quote = sides.and_then(|(bid, ask)| Quote::sides(bid, ask).ok());
        Polled {
            symbol: row.symbol.clone().into_owned(),
            quote,
        }
    });
    Ok(prices.collect())
}

fn unreadable() -> RestError {
    RestError::Failed("an answer that cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_prices_are_marked_not_used() {
        let body = br#"[{"symbol":"A","bidPrice":"1.0","bidQty":"1","askPrice":"1.1","askQty":"1"},
            {"symbol":"B","bidPrice":"0.0","askPrice":"0.0"},{"symbol":"C","bidPrice":"2","askPrice":"1"}]"#;
        let prices = read_best_prices(body).unwrap();
        let usable: Vec<_> = prices
            .iter()
            .map(|price| (&*price.symbol, price.quote.is_some()))
            .collect();
        assert_eq!(usable, [("A", true), ("C", false)], "B has an empty book");
        assert!(read_best_prices(b"<html>").is_err());
    }

    #[test]
    fn a_bad_symbol_is_told_from_other_refusals() {
        assert!(is_bad_symbol(br#"{"code":-1121,"msg":"Invalid symbol."}"#));
        assert!(!is_bad_symbol(
            br#"{"code":-1003,"msg":"Too many requests."}"#
        ));
        assert!(!is_bad_symbol(b"<html>"));
    }

    #[test]
    fn symbols_are_listed_percent_encoded() {
        assert_eq!(list(&["A".into(), "B".into()]), "%5B%22A%22%2C%22B%22%5D");
    }
}
