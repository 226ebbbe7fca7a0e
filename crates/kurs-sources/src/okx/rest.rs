//! The venue's REST interface: `public/instruments` and `market/tickers`.

use super::wire::best;
use crate::levels::shortened;
use crate::venue::codec::{AnswerError, Listed, PolledTop, Request};
use kurs_core::Pair;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

const INSTRUMENTS: &str = "/api/v5/public/instruments?instType=SPOT";
const TICKERS: &str = "/api/v5/market/tickers?instType=SPOT";
/// Too many requests.
const TOO_MANY: &str = "50011";
/// The instrument does not exist.
const UNKNOWN_INSTRUMENT: &str = "51001";

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(default, borrow)]
    msg: Cow<'a, str>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Instrument {
    #[serde(rename = "instId")]
    symbol: String,
    /// live, suspend, preopen or test.
    state: String,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(rename = "instId")]
    symbol: String,
    #[serde(rename = "askPx", borrow)]
    ask: Cow<'a, str>,
    #[serde(rename = "askSz", borrow)]
    ask_size: Cow<'a, str>,
    #[serde(rename = "bidPx", borrow)]
    bid: Cow<'a, str>,
    #[serde(rename = "bidSz", borrow)]
    bid_size: Cow<'a, str>,
}

/// One symbol is asked for by its name, several by the whole list.
pub(super) fn ask_listing(symbols: &[String]) -> Vec<Request> {
    let path = match symbols {
        [] => return Vec::new(),
        [one] => format!("{INSTRUMENTS}&instId={one}"),
        _ => INSTRUMENTS.to_owned(),
    };
    vec![Request { path, weight: 1 }]
}

pub(super) fn read_listing(status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
    let instruments: Vec<Instrument> = match rows(status, body) {
        // Only said when one symbol was asked for: it is not listed.
        Err(AnswerError::BadSymbol) => return Ok(Vec::new()),
        Err(error) => return Err(error),
        Ok(rows) => read(rows)?,
    };
    let listed = instruments.into_iter().map(|instrument| Listed {
        trades: instrument.state == "live",
        pair: Pair::parse(&instrument.symbol).ok(),
        symbol: instrument.symbol,
    });
    Ok(listed.collect())
}

/// One request brings the best prices of all symbols.
pub(super) fn ask_tops(symbols: &[String]) -> Vec<Request> {
    let request = Request {
        path: TICKERS.to_owned(),
        weight: 1,
    };
    symbols.first().map(|_| request).into_iter().collect()
}

pub(super) fn read_tops(status: u16, body: &[u8]) -> Result<Vec<PolledTop>, AnswerError> {
    let tickers: Vec<Ticker<'_>> = read(rows(status, body)?)?;
    let tops = tickers.into_iter().map(|ticker| {
        let bid = best(&ticker.bid, &ticker.bid_size).ok().flatten();
        let ask = best(&ticker.ask, &ticker.ask_size).ok().flatten();
        PolledTop {
            symbol: ticker.symbol,
            sides: bid.zip(ask),
        }
    });
    Ok(tops.collect())
}

fn read<'a, T: Deserialize<'a>>(rows: &'a RawValue) -> Result<Vec<T>, AnswerError> {
    serde_json::from_str(rows.get()).map_err(|_| AnswerError::Unreadable)
}

/// The rows of an answer that is none of the venue's errors.
fn rows(status: u16, body: &[u8]) -> Result<&RawValue, AnswerError> {
    if status == 429 {
        return Err(limited());
    }
    let Ok(answer) = serde_json::from_slice::<Answer<'_>>(body) else {
        return Err(match status {
            200 => AnswerError::Unreadable,
            _ => AnswerError::Refused(format!("HTTP {status}")),
        });
    };
    match &*answer.code {
        "0" if status == 200 => answer.data.ok_or(AnswerError::Unreadable),
        "0" => Err(AnswerError::Refused(format!("HTTP {status}"))),
        TOO_MANY => Err(limited()),
        UNKNOWN_INSTRUMENT => Err(AnswerError::BadSymbol),
        code => Err(AnswerError::Refused(shortened(&format!(
            "{code}: {}",
            answer.msg
        )))),
    }
}

const fn limited() -> AnswerError {
    AnswerError::Limited {
        retry_after_s: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_symbol_is_asked_for_alone_and_several_by_the_whole_list() {
        let one = vec!["BTC-USDT".to_owned()];
        let two = vec!["BTC-USDT".to_owned(), "ETH-USDT".to_owned()];
        let path = |symbols: &[String]| ask_listing(symbols).remove(0).path;
        assert!(path(&one).ends_with("?instType=SPOT&instId=BTC-USDT"));
        assert!(path(&two).ends_with("?instType=SPOT"));
        assert_eq!(ask_tops(&two).len(), 1);
        assert!(ask_listing(&[]).is_empty() && ask_tops(&[]).is_empty());
    }

    #[test]
    fn only_instruments_that_are_live_trade() {
        let body = br#"{"code":"0","msg":"","data":[
            {"instType":"SPOT","instId":"BTC-USDT","baseCcy":"BTC","quoteCcy":"USDT","state":"live"},
            {"instId":"A-USDT","state":"suspend"},{"instId":"B-USDT","state":"preopen"},{"instId":"C-USDT","state":"test"}]}"#;
        let listed = read_listing(200, body).unwrap();
        let open: Vec<&str> = listed
            .iter()
            .filter(|listed| listed.trades)
            .map(|listed| &*listed.symbol)
            .collect();
        assert_eq!((listed.len(), open), (4, vec!["BTC-USDT"]));
    }

    #[test]
    fn an_instrument_that_is_unknown_alone_is_simply_not_listed() {
        let body = br#"{"code":"51001","msg":"Instrument ID does not exist","data":[]}"#;
        for status in [200, 400] {
            assert_eq!(read_listing(status, body), Ok(Vec::new()));
            assert_eq!(read_tops(status, body), Err(AnswerError::BadSymbol));
        }
    }

    #[test]
    fn an_empty_side_is_no_price() {
        let body = br#"{"code":"0","msg":"","data":[
            {"instType":"SPOT","instId":"BTC-USDT","last":"64028.6","askPx":"64028.7","askSz":"2.31126955","bidPx":"64028.6","bidSz":"0.00503393","ts":"1786538789464"},
            {"instId":"A-USDT","askPx":"","askSz":"","bidPx":"1.5","bidSz":"2"},
            {"instId":"B-USDT","askPx":"0","askSz":"0","bidPx":"1.5","bidSz":"2"},
            {"instId":"C-USDT","askPx":"NaN","askSz":"1","bidPx":"-1.5","bidSz":"2"}]}"#;
        let tops = read_tops(200, body).unwrap();
        assert_eq!(tops.len(), 4);
        let ((bid, bid_size), (ask, ask_size)) = tops[0].sides.unwrap();
        assert_eq!([bid.to_string(), ask.to_string()], ["64028.6", "64028.7"]);
        assert_eq!(
            [bid_size.unwrap().to_string(), ask_size.unwrap().to_string()],
            ["0.00503393", "2.31126955"]
        );
        assert!(tops[1..].iter().all(|top| top.sides.is_none()));
    }

    #[test]
    fn errors_are_named_by_what_can_be_done() {
        let read = |status, body: &[u8]| read_tops(status, body).unwrap_err();
        let too_many = br#"{"code":"50011","msg":"Too Many Requests","data":[]}"#;
        assert_eq!(read(200, too_many), limited());
        assert_eq!(read(429, too_many), limited());
        assert_eq!(read(429, b"<html>"), limited());
        assert_eq!(
            read(
                503,
                br#"{"code":"50001","msg":"Service temporarily unavailable","data":[]}"#
            ),
            AnswerError::Refused("50001: Service temporarily unavailable".to_owned())
        );
        assert_eq!(
            read(502, b"<html>"),
            AnswerError::Refused("HTTP 502".to_owned())
        );
        for body in [
            &b"<html>"[..],
            b"",
            b"{}",
            b"[]",
            br#"{"code":"0"}"#,
            br#"{"code":"0","data":{}}"#,
        ] {
            assert_eq!(read(200, body), AnswerError::Unreadable);
        }
        let long = format!(r#"{{"code":"1","msg":"{}"}}"#, "x".repeat(5_000));
        assert!(read(200, long.as_bytes()).to_string().len() < 200);
    }
}
