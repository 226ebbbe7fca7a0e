//! The venue's REST interface: `/v5/market/instruments-info`, `/v5/market/tickers`. An error
//! usually comes with HTTP 200 and a `retCode`.

use crate::levels::{Number, shortened};
use crate::venue::codec::{AnswerError, Listed, PolledTop, Request};
use kurs_core::{Asset, Pair, Price};
use rust_decimal::Decimal;
use serde::Deserialize;
use std::borrow::Cow;

const LISTING: &str = "/v5/market/instruments-info?category=spot";
const TOPS: &str = "/v5/market/tickers?category=spot";

/// Requests beyond the limit are answered like this, and those after them not at all, for
/// ten minutes, seconds.
const SHUT_S: u64 = 600;

/// `retCode`: a parameter is wrong, and the symbol is the only one that varies.
const BAD_PARAMETER: i64 = 10_001;
/// `retCode`: too many requests of this client, or of its address.
const TOO_MANY: [i64; 2] = [10_006, 10_018];

#[derive(Deserialize)]
struct Outcome<'a> {
    #[serde(rename = "retCode")]
    code: i64,
    #[serde(rename = "retMsg", borrow, default)]
    message: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "Row: Deserialize<'de>"))]
struct Answer<Row> {
    result: Rows<Row>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "Row: Deserialize<'de>"))]
struct Rows<Row> {
    list: Vec<Row>,
}

#[derive(Deserialize)]
struct Instrument<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "baseCoin", borrow, default)]
    base: Cow<'a, str>,
    #[serde(rename = "quoteCoin", borrow, default)]
    quote: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
}

impl Instrument<'_> {
    fn pair(&self) -> Option<Pair> {
        let base = Asset::parse(&self.base).ok()?;
        Pair::of(base, Asset::parse(&self.quote).ok()?).ok()
    }
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "bid1Price")]
    bid: Number,
    #[serde(rename = "bid1Size")]
    bid_size: Option<Number>,
    #[serde(rename = "ask1Price")]
    ask: Number,
    #[serde(rename = "ask1Size")]
    ask_size: Option<Number>,
}

/// One symbol is asked for by name, several by the list of all, which costs the same.
fn request(path: &str, symbols: &[String]) -> Vec<Request> {
    let path = match symbols {
        [] => return Vec::new(),
        [one] => format!("{path}&symbol={one}"),
        _ => path.to_owned(),
    };
    vec![Request { path, weight: 1 }]
}

pub(super) fn listing(symbols: &[String]) -> Vec<Request> {
    request(LISTING, symbols)
}

pub(super) fn tops(symbols: &[String]) -> Vec<Request> {
    request(TOPS, symbols)
}

pub(super) fn read_listing(status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
    let rows: Vec<Instrument<'_>> = read(status, body)?;
    let listed = rows.into_iter().map(|row| Listed {
        pair: row.pair(),
        trades: row.status == "Trading",
        symbol: row.symbol.into_owned(),
    });
    Ok(listed.collect())
}

pub(super) fn read_tops(status: u16, body: &[u8]) -> Result<Vec<PolledTop>, AnswerError> {
    let rows: Vec<Ticker<'_>> = read(status, body)?;
    let tops = rows.into_iter().map(|row| PolledTop {
        sides: side(row.bid, row.bid_size).zip(side(row.ask, row.ask_size)),
        symbol: row.symbol.into_owned(),
    });
    Ok(tops.collect())
}

/// An empty side is written as an empty text or as zero.
fn side(price: Number, size: Option<Number>) -> Option<(Price, Option<Decimal>)> {
    let size = size.and_then(Number::size).filter(|size| !size.is_zero());
    Some((price.price()?, size))
}

fn read<'a, Row: Deserialize<'a>>(status: u16, body: &'a [u8]) -> Result<Vec<Row>, AnswerError> {
    check(status, body)?;
    let outcome: Outcome<'_> = serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    match outcome.code {
        0 => {}
        BAD_PARAMETER => return Err(AnswerError::BadSymbol),
        code if TOO_MANY.contains(&code) => return Err(limited()),
        code => {
            let words = shortened(&outcome.message);
            return Err(AnswerError::Refused(format!("retCode {code}: {words}")));
        }
    }
    let answer: Answer<Row> = serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    Ok(answer.result.list)
}

/// 403 means too many requests when it says so, and otherwise a country that is not served.
fn check(status: u16, body: &[u8]) -> Result<(), AnswerError> {
    const TOO_FREQUENT: &[u8] = b"access too frequent";
    let is_limited = || {
        let words = body.get(..4_096).unwrap_or(body);
        words
            .windows(TOO_FREQUENT.len())
            .any(|part| part.eq_ignore_ascii_case(TOO_FREQUENT))
    };
    match status {
        200 => Ok(()),
        403 if is_limited() => Err(limited()),
        403 => Err(AnswerError::Refused("HTTP 403: blocked here".to_owned())),
        429 => Err(limited()),
        _ => Err(AnswerError::Refused(format!("HTTP {status}"))),
    }
}

const fn limited() -> AnswerError {
    AnswerError::Limited {
        retry_after_s: Some(SHUT_S),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_symbol_is_asked_for_by_name_and_many_by_one_request() {
        let names = ["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
        let paths = |symbols| {
            let requests = tops(symbols);
            requests
                .into_iter()
                .map(|request| request.path)
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(&names[..0]), Vec::<String>::new());
        assert_eq!(
            paths(&names[..1]),
            ["/v5/market/tickers?category=spot&symbol=BTCUSDT"]
        );
        assert_eq!(paths(&names), ["/v5/market/tickers?category=spot"]);
        assert_eq!(
            listing(&names)[0].path,
            "/v5/market/instruments-info?category=spot"
        );
    }

    #[test]
    fn only_symbols_that_are_open_trade() {
        let body = br#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[
            {"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading"},
            {"symbol":"NEWUSDT","status":"PreLaunch"}]},"retExtInfo":{},"time":1}"#;
        let listed = read_listing(200, body).unwrap();
        let open: Vec<_> = listed
            .iter()
            .map(|row| (&*row.symbol, row.trades))
            .collect();
        assert_eq!(open, [("BTCUSDT", true), ("NEWUSDT", false)]);
        assert_eq!(listed[0].pair, Pair::parse("BTC-USDT").ok());
        assert_eq!(listed[1].pair, None);
        let none = br#"{"retCode":0,"retMsg":"OK","result":{"list":[]}}"#;
        assert_eq!(read_listing(200, none), Ok(Vec::new()));
    }

    #[test]
    fn best_prices_come_with_sizes_and_empty_sides_without_a_price() {
        let body = br#"{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[
            {"symbol":"BTCUSDT","bid1Price":"20517.96","bid1Size":"2","ask1Price":"20527.77","ask1Size":"1.862172","usdIndexPrice":""},
            {"symbol":"AUSDT","bid1Price":"","bid1Size":"","ask1Price":"1","ask1Size":"1"},
            {"symbol":"BUSDT","bid1Price":"0","ask1Price":"1"}]},"time":1673859087947}"#;
        let tops = read_tops(200, body).unwrap();
        let ((bid, bid_size), (ask, ask_size)) = tops[0].sides.unwrap();
        let texts = [bid.to_string(), ask.to_string()];
        assert_eq!(texts, ["20517.96", "20527.77"]);
        assert_eq!(bid_size, Some(Decimal::from(2)));
        assert_eq!(ask_size.unwrap().to_string(), "1.862172");
        assert_eq!((tops[1].sides, tops[2].sides), (None, None));
    }

    #[test]
    fn refusals_are_named_by_what_can_be_done() {
        let read = |status, body: &str| read_tops(status, body.as_bytes()).unwrap_err();
        let ten_minutes = AnswerError::Limited {
            retry_after_s: Some(600),
        };
        assert_eq!(
            read(403, "access too frequent, please try again later"),
            ten_minutes
        );
        assert_eq!(
            read(
                200,
                r#"{"retCode":10006,"retMsg":"Too many visits!","result":{}}"#
            ),
            ten_minutes
        );
        assert_eq!(
            read(
                200,
                r#"{"retCode":10001,"retMsg":"Not supported symbols","result":{}}"#
            ),
            AnswerError::BadSymbol
        );
        assert_eq!(
            read(
                403,
                "<html>The Amazon CloudFront distribution is configured to block</html>"
            ),
            AnswerError::Refused("HTTP 403: blocked here".to_owned())
        );
        assert_eq!(
            read(
                200,
                r#"{"retCode":10016,"retMsg":"Server error.","result":{}}"#
            ),
            AnswerError::Refused("retCode 10016: Server error.".to_owned())
        );
        for text in [
            "",
            "<html>",
            "{}",
            r#"{"retCode":0,"result":{}}"#,
            r#"{"retCode":"0"}"#,
        ] {
            assert_eq!(read(200, text), AnswerError::Unreadable, "{text}");
        }
    }
}
