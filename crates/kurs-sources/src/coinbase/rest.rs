//! The venue's REST interface: `/products`, `/products/<id>/ticker`.

use crate::levels::{Number, shortened};
use crate::venue::codec::{AnswerError, Listed, PolledTop, Request};
use kurs_core::{Asset, Pair};
use serde::Deserialize;
use std::borrow::Cow;

const PRODUCTS: &str = "/products";
const TICKER: &str = "/ticker";

#[derive(Deserialize)]
struct Product<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    base_currency: Cow<'a, str>,
    #[serde(borrow, default)]
    quote_currency: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(default)]
    trading_disabled: bool,
    #[serde(default)]
    cancel_only: bool,
    #[serde(default)]
    post_only: bool,
    #[serde(default)]
    auction_mode: bool,
}

impl Product<'_> {
    /// In every one of the special modes the book stands still or may be crossed.
    fn trades(&self) -> bool {
        let is_special =
            self.trading_disabled || self.cancel_only || self.post_only || self.auction_mode;
        self.status == "online" && !is_special
    }

    fn pair(&self) -> Option<Pair> {
        let base = Asset::parse(&self.base_currency).ok()?;
        Pair::of(base, Asset::parse(&self.quote_currency).ok()?).ok()
    }
}

/// `size` of this answer is that of the last trade: there are no sizes of the sides.
#[derive(Deserialize)]
struct Ticker {
    bid: Number,
    ask: Number,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

pub(super) fn listing() -> Request {
    Request {
        path: PRODUCTS.to_owned(),
        weight: 1,
    }
}

pub(super) fn top(symbol: &str) -> Request {
    Request {
        path: format!("{PRODUCTS}/{symbol}{TICKER}"),
        weight: 1,
    }
}

pub(super) fn read_listing(status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
    check(status, body)?;
    let products: Vec<Product<'_>> =
        serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    let listed = products.iter().map(|product| Listed {
        symbol: product.id.clone().into_owned(),
        pair: product.pair(),
        trades: product.trades(),
    });
    Ok(listed.collect())
}

pub(super) fn read_top(
    request: &Request,
    status: u16,
    body: &[u8],
) -> Result<Vec<PolledTop>, AnswerError> {
    check(status, body)?;
    let symbol = request
        .path
        .strip_prefix(PRODUCTS)
        .and_then(|rest| rest.strip_prefix('/')?.strip_suffix(TICKER))
        .ok_or(AnswerError::Unreadable)?;
    let ticker: Ticker = serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    // Zero is how the venue writes a side without orders; what is no number at all is no answer.
    if ticker.bid.0.is_none() || ticker.ask.0.is_none() {
        return Err(AnswerError::Unreadable);
    }
    let sides = ticker.bid.price().zip(ticker.ask.price());
    Ok(vec![PolledTop {
        symbol: symbol.to_owned(),
        sides: sides.map(|(bid, ask)| ((bid, None), (ask, None))),
    }])
}

fn check(status: u16, body: &[u8]) -> Result<(), AnswerError> {
    match status {
        200 => Ok(()),
        404 => Err(AnswerError::BadSymbol),
        429 => Err(AnswerError::Limited {
            retry_after_s: None,
        }),
        _ => {
            let words = serde_json::from_slice::<Refusal<'_>>(body);
            let why = words.map_or_else(
                |_| format!("HTTP {status}"),
                |refusal| format!("HTTP {status}: {}", shortened(&refusal.message)),
            );
            Err(AnswerError::Refused(why))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_products_that_are_open_to_all_orders_trade() {
        let body = br#"[
            {"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"online","trading_disabled":false,"cancel_only":false,"post_only":false,"limit_only":false,"auction_mode":false},
            {"id":"A-USD","status":"delisted","trading_disabled":true},
            {"id":"B-USD","status":"online","trading_disabled":true},
            {"id":"C-USD","status":"online","cancel_only":true},
            {"id":"D-USD","status":"online","auction_mode":true},
            {"id":"E-USD","status":"online","post_only":true},
            {"id":"F-USD","status":"online","limit_only":true}]"#;
        let listed = read_listing(200, body).unwrap();
        let open: Vec<&str> = listed
            .iter()
            .filter(|listed| listed.trades)
            .map(|listed| &*listed.symbol)
            .collect();
        assert_eq!(open, ["BTC-USD", "F-USD"]);
        assert_eq!(listed.len(), 7);
        assert_eq!(listed[0].pair, Pair::parse("BTC-USD").ok());
        assert_eq!(listed[1].pair, None);
    }

    #[test]
    fn a_ticker_gives_the_sides_of_the_product_that_was_asked_for() {
        let body = br#"{"ask":"6267.71","bid":"6265.15","volume":"53602.03","trade_id":86326522,"price":"6268.48","size":"0.00698254","time":"2020-03-20T00:22:57.833Z"}"#;
        let tops = read_top(&top("BTC-USD"), 200, body).unwrap();
        assert_eq!(tops.len(), 1);
        assert_eq!(tops[0].symbol, "BTC-USD");
        let ((bid, bid_size), (ask, ask_size)) = tops[0].sides.unwrap();
        assert_eq!(
            (bid.to_string(), ask.to_string()),
            ("6265.15".to_owned(), "6267.71".to_owned())
        );
        assert_eq!((bid_size, ask_size), (None, None));
    }

    #[test]
    fn a_side_without_orders_is_no_price_and_no_error() {
        let tops = read_top(&top("A-USD"), 200, br#"{"ask":"0","bid":"1"}"#).unwrap();
        assert_eq!(tops[0].sides, None);
    }

    #[test]
    fn refusals_are_named_by_what_can_be_done() {
        let read = |status, body: &[u8]| read_top(&top("X-USD"), status, body).unwrap_err();
        assert_eq!(
            read(404, br#"{"message":"NotFound"}"#),
            AnswerError::BadSymbol
        );
        assert_eq!(
            read(429, br#"{"message":"Public rate limit exceeded"}"#),
            AnswerError::Limited {
                retry_after_s: None
            }
        );
        assert_eq!(
            read(503, br#"{"message":"down"}"#),
            AnswerError::Refused("HTTP 503: down".to_owned())
        );
        assert_eq!(
            read(500, b"<html>"),
            AnswerError::Refused("HTTP 500".to_owned())
        );
        for body in [&b"<html>"[..], b"{}", br#"{"bid":"NaN","ask":"1"}"#, b""] {
            assert_eq!(read(200, body), AnswerError::Unreadable);
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(5_000));
        assert!(read(500, long.as_bytes()).to_string().len() < 200);
    }
}
