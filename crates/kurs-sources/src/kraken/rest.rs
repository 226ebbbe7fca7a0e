//! The venue's REST interface: `AssetPairs` and `Ticker`. Errors come with HTTP 200.

use super::names;
use super::wire::best;
use crate::levels::{Number, shortened};
use crate::venue::codec::{AnswerError, Listed, PolledTop, Request};
use kurs_core::Pair;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::HashMap;

const PAIRS: &str = "/0/public/AssetPairs";
const TICKER: &str = "/0/public/Ticker?pair=";
/// Symbols asked for in one request: about 1,000 characters of path.
const SYMBOLS_PER_REQUEST: usize = 100;
const UNKNOWN_PAIR: &str = "EQuery:Unknown asset pair";

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default)]
    error: Vec<String>,
    #[serde(default = "Option::default")]
    result: Option<HashMap<String, T>>,
}

#[derive(Deserialize)]
struct AssetPair {
    /// Absent from dark pools, which have no stream either.
    #[serde(default)]
    wsname: Option<String>,
    /// online, cancel_only, post_only, limit_only or reduce_only.
    #[serde(default)]
    status: Option<String>,
}

/// Best ask and bid: price, whole lots, lots.
#[derive(Deserialize)]
struct Ticker {
    a: (Number, IgnoredAny, Number),
    b: (Number, IgnoredAny, Number),
}

/// One symbol is asked for by its name. Of several, the whole list is fetched (some 1.5 MB):
/// one unknown name would spoil the answer about all.
pub(super) fn ask_listing(symbols: &[String]) -> Vec<Request> {
    let path = match symbols {
        [] => return Vec::new(),
        [one] => format!("{PAIRS}?pair={}", names::asked(one)),
        _ => PAIRS.to_owned(),
    };
    vec![Request { path, weight: 1 }]
}

pub(super) fn read_listing(status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
    let pairs = match read::<AssetPair>(status, body) {
        // Only said when one symbol was asked for: it is not listed.
        Err(AnswerError::BadSymbol) => return Ok(Vec::new()),
        other => other?,
    };
    let listed = pairs.into_values().filter_map(|pair| {
        let status = pair.status.as_deref().unwrap_or("online");
        let symbol = names::symbol(&pair.wsname?)?;
        Some(Listed {
            pair: Pair::parse(&symbol).ok(),
            symbol,
            // In the other states there is no matching, and prices stand still.
            trades: matches!(status, "online" | "limit_only" | "reduce_only"),
        })
    });
    Ok(listed.collect())
}

pub(super) fn ask_tops(symbols: &[String]) -> Vec<Request> {
    let batches = symbols.chunks(SYMBOLS_PER_REQUEST);
    let requests = batches.map(|batch| {
        let names: Vec<String> = batch.iter().map(|symbol| names::asked(symbol)).collect();
        Request {
            path: format!("{TICKER}{}", names.join(",")),
            weight: 1,
        }
    });
    requests.collect()
}

/// Keys of the answer are not the names asked by. Which symbol a key means is found among those
/// of the request: every form that an asked name may come back in is known.
pub(super) fn read_tops(
    request: &Request,
    status: u16,
    body: &[u8],
) -> Result<Vec<PolledTop>, AnswerError> {
    let tickers = read::<Ticker>(status, body)?;
    let names = request.path.strip_prefix(TICKER).unwrap_or_default();
    let mut by_key: HashMap<String, String> = HashMap::new();
    for (symbol, keys) in names.split(',').filter_map(names::answered) {
        for key in keys {
            by_key.entry(key).or_insert_with(|| symbol.clone());
        }
    }
    let tops = tickers.into_iter().filter_map(|(key, ticker)| {
        let symbol = by_key.get(&key)?.clone();
        let bid = best(ticker.b.0, ticker.b.2).ok();
        let ask = best(ticker.a.0, ticker.a.2).ok();
        let sides = bid.zip(ask);
        Some(PolledTop { symbol, sides })
    });
    Ok(tops.collect())
}

fn read<T: DeserializeOwned>(status: u16, body: &[u8]) -> Result<HashMap<String, T>, AnswerError> {
    if status == 429 {
        return Err(limited());
    }
    let Ok(answer) = serde_json::from_slice::<Answer<T>>(body) else {
        return Err(match status {
            200 => AnswerError::Unreadable,
            _ => AnswerError::Refused(format!("HTTP {status}")),
        });
    };
    // Warnings begin with W and come beside a result.
    if let Some(error) = answer.error.iter().find(|error| error.starts_with('E')) {
        return Err(refusal(error));
    }
    match answer.result {
        Some(result) if status == 200 => Ok(result),
        Some(_) => Err(AnswerError::Refused(format!("HTTP {status}"))),
        None => Err(AnswerError::Unreadable),
    }
}

fn refusal(error: &str) -> AnswerError {
    let is_limit = [
        "EGeneral:Too many requests",
        "EGeneral:Temporary lockout",
        "EAPI:Rate limit exceeded",
        "EService:Throttled",
    ];
    if is_limit.iter().any(|limit| error.starts_with(limit)) {
        limited()
    } else if error.starts_with(UNKNOWN_PAIR) {
        AnswerError::BadSymbol
    } else {
        AnswerError::Refused(shortened(error))
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

    fn symbols(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_symbol_is_asked_for_alone_and_several_by_the_whole_list() {
        let paths = |names: &[&str]| {
            let asked = ask_listing(&symbols(names)).into_iter();
            asked.map(|request| request.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(&["BTC/USD"]), ["/0/public/AssetPairs?pair=XBTUSD"]);
        assert_eq!(paths(&["BTC/USD", "A/B"]), ["/0/public/AssetPairs"]);
        assert!(paths(&[]).is_empty());
    }

    #[test]
    fn listed_pairs_are_named_as_the_stream_names_them() {
        let body = br#"{"error":[],"result":{
            "XXBTZUSD":{"altname":"XBTUSD","wsname":"XBT/USD","base":"XXBT","quote":"ZUSD","status":"online"},
            "XDGUSD":{"altname":"XDGUSD","wsname":"XDG/USD","status":"limit_only"},
            "AUSD":{"wsname":"A/USD","status":"cancel_only"},
            "BUSD":{"wsname":"B/USD","status":"post_only"},
            "XXBTZEUR.d":{"altname":"XBTEUR.d","status":"online"}}}"#;
        let mut listed = read_listing(200, body).unwrap();
        listed.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let found: Vec<(&str, bool)> = listed
            .iter()
            .map(|listed| (&*listed.symbol, listed.trades))
            .collect();
        assert_eq!(
            found,
            [
                ("A/USD", false),
                ("B/USD", false),
                ("BTC/USD", true),
                ("DOGE/USD", true)
            ]
        );
    }

    #[test]
    fn a_pair_that_is_unknown_alone_is_simply_not_listed() {
        let body = br#"{"error":["EQuery:Unknown asset pair"]}"#;
        assert_eq!(read_listing(200, body), Ok(Vec::new()));
        let request = &ask_tops(&symbols(&["A/USD"]))[0];
        assert_eq!(read_tops(request, 200, body), Err(AnswerError::BadSymbol));
    }

    #[test]
    fn best_prices_come_back_under_the_names_asked_by_whatever_their_keys() {
        let asked = symbols(&["BTC/USD", "USDT/USD", "SOL/USD", "ETH/BTC", "DEAD/USD"]);
        let requests = ask_tops(&asked);
        assert_eq!(
            requests[0].path,
            "/0/public/Ticker?pair=XBTUSD,USDTUSD,SOLUSD,ETHXBT,DEADUSD"
        );
        let body = br#"{"error":[],"result":{
            "XXBTZUSD":{"a":["52609.60000","1","1.500"],"b":["52609.50000","2","2.250"],"c":["1","2"]},
            "USDTZUSD":{"a":["1.00010","1","1.000"],"b":["1.00000","1","1.000"]},
            "SOLUSD":{"a":["150.10","1","1.000"],"b":["150.00","1","1.000"]},
            "XETHXXBT":{"a":["0.05001","1","1.000"],"b":["0.05000","1","1.000"]},
            "DEADUSD":{"a":["0.00000","0","0.000"],"b":["0.00000","0","0.000"]},
            "OTHERUSD":{"a":["1","1","1"],"b":["1","1","1"]}}}"#;
        let mut tops = read_tops(&requests[0], 200, body).unwrap();
        tops.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        let found: Vec<(&str, Option<String>)> = tops
            .iter()
            .map(|top| {
                let sides = top.sides.as_ref();
                let text = sides.map(|(bid, ask)| {
                    format!("{}x{} {}x{}", bid.0, bid.1.unwrap(), ask.0, ask.1.unwrap())
                });
                (&*top.symbol, text)
            })
            .collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            found,
            [
                ("BTC/USD", text("52609.50000x2.250 52609.60000x1.500")),
                ("DEAD/USD", None),
                ("ETH/BTC", text("0.05000x1.000 0.05001x1.000")),
                ("SOL/USD", text("150.00x1.000 150.10x1.000")),
                ("USDT/USD", text("1.00000x1.000 1.00010x1.000")),
            ]
        );
    }

    #[test]
    fn many_symbols_are_asked_for_in_several_requests() {
        let many: Vec<String> = (0..250).map(|number| format!("A{number}/USD")).collect();
        let requests = ask_tops(&many);
        assert_eq!(requests.len(), 3);
        assert!(requests.iter().all(|request| request.path.len() < 2_000));
    }

    #[test]
    fn errors_in_answers_of_success_are_named_by_what_can_be_done() {
        let request = &ask_tops(&symbols(&["BTC/USD"]))[0];
        let read = |status, body: &[u8]| read_tops(request, status, body).unwrap_err();
        for body in [
            &br#"{"error":["EGeneral:Too many requests"]}"#[..],
            br#"{"error":["EAPI:Rate limit exceeded"]}"#,
            br#"{"error":["EService:Throttled: 1700000000"]}"#,
        ] {
            assert_eq!(read(200, body), limited());
        }
        assert_eq!(read(429, b"<html>"), limited());
        assert_eq!(
            read(200, br#"{"error":["EService:Unavailable"]}"#),
            AnswerError::Refused("EService:Unavailable".to_owned())
        );
        assert_eq!(
            read(520, b"<html>"),
            AnswerError::Refused("HTTP 520".to_owned())
        );
        for body in [&b"<html>"[..], b"", b"{}", b"[]", br#"{"error":[]}"#] {
            assert_eq!(read(200, body), AnswerError::Unreadable);
        }
        let long = format!(r#"{{"error":["E{}"]}}"#, "x".repeat(5_000));
        assert!(read(200, long.as_bytes()).to_string().len() < 200);
    }

    #[test]
    fn prices_that_are_no_numbers_confirm_nothing() {
        let request = &ask_tops(&symbols(&["BTC/USD"]))[0];
        for bad in [r#""NaN""#, r#""-1""#, r#""1e308""#, "null", "1.5"] {
            let body = format!(
                r#"{{"error":[],"result":{{"XXBTZUSD":{{"a":[{bad},"1","1"],"b":["1","1","1"]}}}}}}"#
            );
            let tops = read_tops(request, 200, body.as_bytes()).unwrap();
            assert_eq!(tops[0].sides, None, "{bad}");
        }
    }
}
