//! The venue's frames as they are written, by a JSON parser: known kinds in one pass without
//! copying, everything else over a JSON tree.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A frame by its kind.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wire<'a> {
    BookTicker(BookTicker<'a>),
    DepthUpdate(DepthUpdate<'a>),
    Trade(Trade<'a>),
    Accepted {
        command: u64,
    },
    Refused {
        command: u64,
        why: String,
    },
    ShutdownNotice,
    /// A kind that is known to exist, or is announced as one of its own.
    Other,
    Unreadable,
}

// The types of borrowed texts are spelt out: by any other name serde would copy them.

/// Best bid and ask: `{"u":..,"s":..,"b":..,"B":..,"a":..,"A":..}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct BookTicker<'a> {
    /// Book update id.
    #[serde(rename = "u")]
    pub(super) update_id: u64,
    #[serde(rename = "s", borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(rename = "b", borrow)]
    pub(super) bid: Cow<'a, str>,
    #[serde(rename = "B", borrow)]
    pub(super) bid_size: Cow<'a, str>,
    #[serde(rename = "a", borrow)]
    pub(super) ask: Cow<'a, str>,
    #[serde(rename = "A", borrow)]
    pub(super) ask_size: Cow<'a, str>,
}

/// A diff of a book: `{"e":"depthUpdate","E":..,"s":..,"U":..,"u":..,"b":[..],"a":[..]}`.
#[derive(Debug, Deserialize)]
pub(super) struct DepthUpdate<'a> {
    #[serde(rename = "E")]
    pub(super) event_at: i64,
    #[serde(rename = "s", borrow)]
    pub(super) symbol: Cow<'a, str>,
    /// First update id covered.
    #[serde(rename = "U")]
    pub(super) first: u64,
    /// Last update id covered.
    #[serde(rename = "u")]
    pub(super) last: u64,
    #[serde(rename = "b", borrow)]
    pub(super) bids: &'a RawValue,
    #[serde(rename = "a", borrow)]
    pub(super) asks: &'a RawValue,
}

impl PartialEq for DepthUpdate<'_> {
    fn eq(&self, other: &Self) -> bool {
        let parts = |update: &Self| {
            let levels = (update.bids.get().to_owned(), update.asks.get().to_owned());
            let ids = (update.event_at, update.first, update.last);
            (update.symbol.clone().into_owned(), ids, levels)
        };
        parts(self) == parts(other)
    }
}

impl Eq for DepthUpdate<'_> {}

/// A trade: `{"e":"trade","E":..,"s":..,"t":..,"p":..,"q":..,"T":..,...}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Trade<'a> {
    #[serde(rename = "E")]
    pub(super) event_at: i64,
    #[serde(rename = "s", borrow)]
    pub(super) symbol: Cow<'a, str>,
    #[serde(rename = "t")]
    pub(super) trade_id: u64,
    #[serde(rename = "p", borrow)]
    pub(super) price: Cow<'a, str>,
    #[serde(rename = "T")]
    pub(super) traded_at: i64,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

const WRAPPED: &str = r#"{"stream":""#;

/// A longer frame is not of this venue: a diff that changes every level of a book of 5000 takes a
/// third of it. It bounds what the JSON tree of one frame takes, which is many times its length.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Reads a frame, wrapped or bare.
pub(super) fn read(text: &str) -> Wire<'_> {
    if text.len() > FRAME_BYTES_MAX {
        return Wire::Unreadable;
    }
    if let Some(rest) = text.strip_prefix(WRAPPED) {
        // The name says what the frame holds; it cannot hold a quote or the JSON would end.
        let name = rest.split('"').next().unwrap_or_default();
        if name.ends_with("@bookTicker") {
            if let Ok(wrapped) = serde_json::from_str::<Wrapped<BookTicker<'_>>>(text) {
                return Wire::BookTicker(wrapped.data);
            }
        } else if name.ends_with("@trade")
            && let Ok(wrapped) = serde_json::from_str::<Wrapped<Trade<'_>>>(text)
        {
            return Wire::Trade(wrapped.data);
        }
    } else if text.starts_with(r#"{"u":"#) {
        if let Ok(ticker) = serde_json::from_str::<BookTicker<'_>>(text) {
            return Wire::BookTicker(ticker);
        }
    } else if text.starts_with(r#"{"e":"trade""#)
        && let Ok(trade) = serde_json::from_str::<Trade<'_>>(text)
    {
        return Wire::Trade(trade);
    }
    // Levels are read from the text itself, in whatever order the keys come.
    if text.contains(r#""depthUpdate""#) {
        if let Ok(wrapped) = serde_json::from_str::<Wrapped<DepthUpdate<'_>>>(text) {
            return Wire::DepthUpdate(wrapped.data);
        }
        if let Ok(update) = serde_json::from_str::<DepthUpdate<'_>>(text) {
            return Wire::DepthUpdate(update);
        }
    }
    read_tree(text)
}

fn read_tree(text: &str) -> Wire<'static> {
    let Ok(tree) = serde_json::from_str::<Value>(text) else {
        return Wire::Unreadable;
    };
    let (Some(stream), Some(data)) = (tree.get("stream").and_then(Value::as_str), tree.get("data"))
    else {
        return payload(&tree);
    };
    if stream == "!serverShutdown" {
        return Wire::ShutdownNotice;
    }
    match payload(data) {
        // Partial books and whatever the venue adds: named by the wrapper, unknown inside.
        Wire::Unreadable if !is_followed(stream) => Wire::Other,
        other => other,
    }
}

/// True for names of streams whose frames must be readable.
fn is_followed(stream: &str) -> bool {
    ["@bookTicker", "@trade", "@depth@100ms"]
        .iter()
        .any(|kind| stream.ends_with(kind))
}

fn payload(tree: &Value) -> Wire<'static> {
    if tree
        .as_array()
        .is_some_and(|rows| rows.iter().all(|row| row.get("e").is_some()))
    {
        return Wire::Other;
    }
    match tree.get("e").and_then(Value::as_str) {
        Some("serverShutdown") => return Wire::ShutdownNotice,
        Some("trade") => return trade(tree),
        // What can be read of these was read before.
        Some("depthUpdate") => return Wire::Unreadable,
        Some(_) => return Wire::Other,
        None => {}
    }
    if let Some(answer) = answer(tree) {
        return answer;
    }
    if tree.get("lastUpdateId").is_some() && tree.get("bids").is_some() {
        return Wire::Other;
    }
    book_ticker(tree)
}

/// Keys in an unusual order, or a known frame in an unusual wrapping.
fn book_ticker(tree: &Value) -> Wire<'static> {
    let Ok(ticker) = BookTicker::deserialize(tree) else {
        return Wire::Unreadable;
    };
    Wire::BookTicker(BookTicker {
        update_id: ticker.update_id,
        symbol: owned(ticker.symbol),
        bid: owned(ticker.bid),
        bid_size: owned(ticker.bid_size),
        ask: owned(ticker.ask),
        ask_size: owned(ticker.ask_size),
    })
}

fn trade(tree: &Value) -> Wire<'static> {
    let Ok(trade) = Trade::deserialize(tree) else {
        return Wire::Unreadable;
    };
    Wire::Trade(Trade {
        event_at: trade.event_at,
        symbol: owned(trade.symbol),
        trade_id: trade.trade_id,
        price: owned(trade.price),
        traded_at: trade.traded_at,
    })
}

fn owned(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// Answers to commands; errors come bare or inside `error`.
fn answer(tree: &Value) -> Option<Wire<'static>> {
    let id = tree.get("id")?;
    let error = tree.get("error").unwrap_or(tree);
    let refused = error.get("code").is_some() || tree.get("error").is_some();
    if !refused && tree.get("result").is_none() {
        return None;
    }
    let Some(command) = id.as_u64() else {
        return Some(Wire::Other);
    };
    if !refused {
        return Some(Wire::Accepted { command });
    }
    let message = error
        .get("msg")
        .and_then(Value::as_str)
        .unwrap_or("no reason given");
    Some(Wire::Refused {
        command,
        why: message.chars().take(120).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &Wire<'_>) {
        assert_eq!(&read(text), expect, "{text}");
    }

    fn ticker() -> Wire<'static> {
        Wire::BookTicker(BookTicker {
            update_id: 5,
            symbol: "BTCUSDT".into(),
            bid: "1.0".into(),
            bid_size: "2".into(),
            ask: "1.1".into(),
            ask_size: "3".into(),
        })
    }

    #[test]
    fn texts_of_the_frames_that_come_in_numbers_are_not_copied() {
        let wrapped =
            r#"{"stream":"x@bookTicker","data":{"u":5,"s":"X","b":"1","B":"2","a":"3","A":"4"}}"#;
        let Wire::BookTicker(ticker) = read(wrapped) else {
            panic!("no ticker")
        };
        for text in [ticker.symbol, ticker.bid, ticker.ask] {
            assert!(matches!(text, Cow::Borrowed(_)));
        }
        let trade = r#"{"e":"trade","E":1,"s":"X","t":9,"p":"1","q":"2","T":3,"m":false,"M":true}"#;
        let Wire::Trade(trade) = read(trade) else {
            panic!("no trade")
        };
        assert!(matches!(
            (trade.symbol, trade.price),
            (Cow::Borrowed(_), Cow::Borrowed(_))
        ));
    }

    #[test]
    fn a_book_ticker_is_read_bare_wrapped_reordered_and_escaped() {
        for text in [
            r#"{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}"#,
            r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.0","B":"2","a":"1.1","A":"3"}}"#,
            r#"{"data":{"A":"3","a":"1.1","B":"2","b":"1.0","s":"BTCUSDT","u":5},"stream":"btcusdt@bookTicker"}"#,
            r#"{ "s":"BTC\u0055SDT", "u":5,"b":"1.0","B":"2","a":"1.1","A":"3"}"#,
        ] {
            check(text, &ticker());
        }
    }

    #[test]
    fn answers_to_commands_are_read_in_both_forms() {
        check(r#"{"result":null,"id":7}"#, &Wire::Accepted { command: 7 });
        let why = "Invalid request".to_owned();
        let refused = Wire::Refused { command: 2, why };
        check(r#"{"code":2,"msg":"Invalid request","id":2}"#, &refused);
        check(
            r#"{"error":{"code":2,"msg":"Invalid request"},"id":2}"#,
            &refused,
        );
        check(r#"{"result":null,"id":null}"#, &Wire::Other);
    }

    #[test]
    fn shutdown_notices_are_read_bare_and_wrapped() {
        check(
            r#"{"e":"serverShutdown","E":1770123456789}"#,
            &Wire::ShutdownNotice,
        );
        check(
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
            &Wire::ShutdownNotice,
        );
    }

    #[test]
    fn kinds_that_are_not_followed_are_no_errors() {
        for text in [
            r#"{"stream":"x@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}}"#,
            r#"{"stream":"x@somethingNew","data":{"z":1}}"#,
            r#"[{"e":"24hrMiniTicker","s":"X"}]"#,
        ] {
            check(text, &Wire::Other);
        }
    }

    #[test]
    fn broken_frames_are_unreadable() {
        for text in [
            "",
            "{",
            "null",
            "5",
            "\u{fffd}",
            "{}",
            r#"{"u":5,"s":"X","b":"1"}"#,
            r#"{"u":-5,"s":"X","b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"u":5,"s":"X","b":1.5,"B":"1","a":2,"A":"1"}"#,
            r#"{"e":"depthUpdate","E":1,"s":"X","U":1,"b":[["1","2"]],"a":[]}"#,
            r#"{"stream":"x@depth@100ms","data":{"E":1}}"#,
            r#"{"stream":"x@bookTicker","data":null}"#,
            r#"{"e":"trade","s":"X"}"#,
            r#"{"u":5,"s":"X","b":"1.0","B":"2","a":"1.1""#,
        ] {
            check(text, &Wire::Unreadable);
        }
    }

    #[test]
    fn a_frame_longer_than_any_of_the_venue_is_not_taken_apart() {
        let of = |zeros: usize| format!(r#"{{"e":"anything new","x":[0{}]}}"#, ",0".repeat(zeros));
        check(&of(FRAME_BYTES_MAX / 4), &Wire::Other);
        check(&of(FRAME_BYTES_MAX / 2), &Wire::Unreadable);
    }
}
