//! The venue's REST interface: which symbols trade, best prices, snapshots of books.

use crate::levels::{SideOf, Sink, shortened};
use crate::venue::codec::{AnswerError, Listed, PolledTop, Request};
use kurs_book::{Change, Ids, Side};
use kurs_core::price::parse_decimal;
use kurs_core::{Pair, Price};
use serde::Deserialize;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Symbols in one request: the URL stays below 8 KiB.
const SYMBOLS_MAX: usize = 250;
/// Levels of a snapshot per side, and what they cost.
const SNAPSHOT: (u32, u32) = (1_000, 50);

/// A symbol as `exchangeInfo` describes it.
#[derive(Debug, Deserialize)]
struct ListedSymbol<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(rename = "baseAsset", borrow)]
    base: Cow<'a, str>,
    #[serde(rename = "quoteAsset", borrow)]
    quote: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<ListedSymbol<'a>>,
}

#[derive(Deserialize)]
struct BestPrices<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(rename = "bidPrice", borrow)]
    bid: Cow<'a, str>,
    #[serde(rename = "bidQty", borrow, default)]
    bid_size: Cow<'a, str>,
    #[serde(rename = "askPrice", borrow)]
    ask: Cow<'a, str>,
    #[serde(rename = "askQty", borrow, default)]
    ask_size: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    id: u64,
    #[serde(borrow)]
    bids: &'a RawValue,
    #[serde(borrow)]
    asks: &'a RawValue,
}

#[derive(Deserialize)]
struct ErrorBody<'a> {
    code: i64,
    #[serde(borrow, default)]
    msg: Cow<'a, str>,
}

/// What the venue says of these symbols. One unknown symbol spoils the whole call.
pub(super) fn listing(symbols: &[String]) -> Request {
    let which = match symbols {
        [one] => format!("symbol={one}"),
        many => format!("symbols={}", list(many)),
    };
    Request {
        path: format!("/exchangeInfo?{which}&showPermissionSets=false"),
        weight: 20,
    }
}

pub(super) fn read_listing(status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
    check(status, body)?;
    let info: ExchangeInfo<'_> =
        serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    let listed = info.symbols.iter().map(|row| {
        let pair = Pair::parse(&format!("{}-{}", row.base, row.quote)).ok();
        Listed {
            symbol: row.symbol.clone().into_owned(),
            pair,
            // Assets that have no name here are nobody's pair.
            trades: row.status == "TRADING" && pair.is_some(),
        }
    });
    Ok(listed.collect())
}

/// Best prices of these symbols.
pub(super) fn tops(symbols: &[String]) -> Vec<Request> {
    let chunks = symbols.chunks(SYMBOLS_MAX);
    chunks
        .map(|symbols| Request {
            path: format!("/ticker/bookTicker?symbols={}", list(symbols)),
            weight: 4,
        })
        .collect()
}

pub(super) fn read_tops(status: u16, body: &[u8]) -> Result<Vec<PolledTop>, AnswerError> {
    check(status, body)?;
    let rows: Vec<BestPrices<'_>> =
        serde_json::from_slice(body).map_err(|_| AnswerError::Unreadable)?;
    let side = |price: &str, size: &str| {
        let size = parse_decimal(size).ok();
        Some((Price::parse(price).ok()?, size))
    };
    let tops = rows.iter().map(|row| PolledTop {
        symbol: row.symbol.clone().into_owned(),
        // The venue writes an empty side of a book as zero: such a symbol has no price at
        // present.
        sides: side(&row.bid, &row.bid_size).zip(side(&row.ask, &row.ask_size)),
    });
    Ok(tops.collect())
}

/// A snapshot of a book.
pub(super) fn book(symbol: &str) -> Request {
    let (levels, weight) = SNAPSHOT;
    Request {
        path: format!("/depth?symbol={symbol}&limit={levels}"),
        weight,
    }
}

pub(super) fn read_book(
    status: u16,
    body: &[u8],
    changes: &mut Vec<Change>,
) -> Result<Ids, AnswerError> {
    check(status, body)?;
    let unreadable = |_| AnswerError::Unreadable;
    let snapshot: Snapshot<'_> = serde_json::from_slice(body).map_err(unreadable)?;
    read_side(Side::Bid, snapshot.bids, changes)?;
    read_side(Side::Ask, snapshot.asks, changes)?;
    let (first, last) = (snapshot.id, snapshot.id);
    Ok(Ids::Range { first, last })
}

fn read_side(side: Side, levels: &RawValue, changes: &mut Vec<Change>) -> Result<(), AnswerError> {
    let mut is_broken = false;
    let sink = Sink {
        changes,
        is_broken: &mut is_broken,
    };
    let mut json = serde_json::Deserializer::from_str(levels.get());
    let read = SideOf { side, sink }.deserialize(&mut json);
    // A book that lacks a level is not the venue's.
    if read.is_err() || is_broken {
        return Err(AnswerError::Unreadable);
    }
    Ok(())
}

/// `["A","B"]`, percent-encoded. Symbols are letters and digits.
fn list(symbols: &[String]) -> String {
    let quoted: Vec<String> = symbols
        .iter()
        .map(|symbol| format!("%22{symbol}%22"))
        .collect();
    format!("%5B{}%5D", quoted.join("%2C"))
}

/// What an answer with another status than 200 says. -1100 to -1199 and -1220 complain of a
/// parameter, and the symbols are the only one that varies; -1003 of too many requests.
fn check(status: u16, body: &[u8]) -> Result<(), AnswerError> {
    if status == 200 {
        return Ok(());
    }
    let Ok(error) = serde_json::from_slice::<ErrorBody<'_>>(body) else {
        return Err(AnswerError::Refused(format!("refused with HTTP {status}")));
    };
    Err(match error.code {
        -1199..=-1100 | -1220 => AnswerError::BadSymbol,
        -1003 => AnswerError::Limited {
            retry_after_s: None,
        },
        _ => AnswerError::Refused(shortened(&error.msg)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_side_is_no_price_and_garbage_no_answer() {
        let body = br#"[{"symbol":"A","bidPrice":"1.0","bidQty":"1","askPrice":"1.1","askQty":"2"},
            {"symbol":"B","bidPrice":"0.0","askPrice":"0.0"},{"symbol":"C","bidPrice":"2","askPrice":"1"}]"#;
        let prices = read_tops(200, body).unwrap();
        let sides: Vec<_> = prices
            .iter()
            .map(|price| (&*price.symbol, price.sides.is_some()))
            .collect();
        assert_eq!(sides, [("A", true), ("B", false), ("C", true)]);
        let ((_, bid_size), (_, ask_size)) = prices[0].sides.unwrap();
        assert_eq!((bid_size, ask_size), (Some(1.into()), Some(2.into())));
        assert_eq!(read_tops(200, b"<html>"), Err(AnswerError::Unreadable));
    }

    #[test]
    fn a_symbol_trades_only_while_it_is_open_and_means_its_own_pair() {
        let body = br#"{"symbols":[{"symbol":"BTCUSDT","status":"TRADING","baseAsset":"BTC","quoteAsset":"USDT"},
            {"symbol":"ETHBTC","status":"BREAK","baseAsset":"ETH","quoteAsset":"BTC"}]}"#;
        let rows = read_listing(200, body).unwrap();
        let pair = Pair::parse("BTC-USDT").ok();
        assert_eq!(
            (rows[0].pair, rows[0].trades, rows[1].trades),
            (pair, true, false)
        );
    }

    #[test]
    fn a_bad_symbol_and_a_limit_are_told_from_other_refusals() {
        let refused = |body: &[u8]| read_tops(400, body).unwrap_err();
        assert_eq!(
            refused(br#"{"code":-1121,"msg":"Invalid symbol."}"#),
            AnswerError::BadSymbol
        );
        assert!(matches!(
            refused(br#"{"code":-1003,"msg":"Too many requests."}"#),
            AnswerError::Limited { .. }
        ));
        assert!(matches!(refused(b"<html>"), AnswerError::Refused(_)));
    }

    #[test]
    fn symbols_are_listed_percent_encoded() {
        assert_eq!(list(&["A".into(), "B".into()]), "%5B%22A%22%2C%22B%22%5D");
    }

    #[test]
    fn a_snapshot_keeps_its_digits_and_one_broken_level_spoils_it() {
        let mut changes = Vec::new();
        let body = br#"{"lastUpdateId":7,"bids":[["1.50","2.00",[]]],"asks":[["1.60","3"]]}"#;
        let ids = read_book(200, body, &mut changes).unwrap();
        assert_eq!(ids, Ids::Range { first: 7, last: 7 });
        let levels: Vec<_> = changes
            .iter()
            .map(|change| format!("{:?} {} {}", change.side, change.price, change.size))
            .collect();
        assert_eq!(levels, ["Bid 1.50 2.00", "Ask 1.60 3"]);
        for broken in [
            &br#"{"lastUpdateId":7,"bids":[["0","2"]],"asks":[]}"#[..],
            br#"{"lastUpdateId":-7,"bids":[],"asks":[]}"#,
            br#"{"bids":[],"asks":[]}"#,
            b"[]",
        ] {
            assert!(read_book(200, broken, &mut Vec::new()).is_err());
        }
    }
}
