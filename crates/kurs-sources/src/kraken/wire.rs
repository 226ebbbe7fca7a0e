//! Frames as the venue writes them. Data in the usual order of keys is read in one pass;
//! whatever is written otherwise is taken apart first, which decides the same.

use super::book::Books;
use super::number::{number, time};
use crate::levels::{Number, shortened};
use crate::rows;
use crate::venue::codec::{Channel, Heap, Said, Symbols};
use kurs_book::Kind;
use kurs_core::Price;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A longer frame is not of this venue: a book of depth 1000 takes a third of it. It bounds
/// what one frame can make the reader's vectors grow to.
const FRAME_BYTES_MAX: usize = 256 << 10;
const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

/// A frame in any order of keys.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    channel: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    success: Option<bool>,
    #[serde(default)]
    symbol: Option<String>,
    #[serde(default)]
    req_id: Option<u64>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    price: &'a RawValue,
    trade_id: u64,
    #[serde(borrow)]
    timestamp: &'a RawValue,
}

#[derive(Deserialize)]
struct Ticker<'a> {
    #[serde(borrow)]
    symbol: Cow<'a, str>,
    #[serde(borrow)]
    bid: &'a RawValue,
    #[serde(borrow)]
    bid_qty: &'a RawValue,
    #[serde(borrow)]
    ask: &'a RawValue,
    #[serde(borrow)]
    ask_qty: &'a RawValue,
    #[serde(default, borrow)]
    timestamp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(default, borrow)]
    system: Cow<'a, str>,
}

/// Reads a frame.
pub(super) fn read(text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
    if text == HEARTBEAT {
        heap.said.push(Said::Heartbeat);
        return;
    }
    let (said, changes) = (heap.said.len(), heap.changes.len());
    if !reads(text, symbols, heap) {
        heap.said.truncate(said);
        heap.changes.truncate(changes);
        heap.said.push(Said::Unreadable);
    } else if heap.said.len() == said {
        heap.said.push(Said::Other);
    }
}

fn reads(text: &str, symbols: &dyn Symbols, heap: &mut Heap) -> bool {
    if text.len() > FRAME_BYTES_MAX {
        return false;
    }
    let (said, changes) = (heap.said.len(), heap.changes.len());
    if let Some((channel, kind, rows)) = usual(text)
        && data(channel, kind, rows, symbols, heap)
    {
        return true;
    }
    heap.said.truncate(said);
    heap.changes.truncate(changes);
    let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
        return false;
    };
    if frame.method.is_some() || frame.error.is_some() {
        answer(&frame, symbols, heap);
        return true;
    }
    let Some(channel) = &frame.channel else {
        return false;
    };
    let kind = frame.kind.as_deref().unwrap_or_default();
    match frame.data {
        Some(rows) => data(channel, kind, rows.get(), symbols, heap),
        None if channel == "heartbeat" => {
            heap.said.push(Said::Heartbeat);
            true
        }
        None => !matches!(&**channel, "book" | "trade" | "ticker"),
    }
}

/// Splits `{"channel":"..","type":"..","data":[..]}`, written so and not otherwise, into its
/// three values. Whether the last is JSON is found out by reading it.
fn usual(text: &str) -> Option<(&str, &str, &str)> {
    let (channel, rest) = word(text.strip_prefix(r#"{"channel":""#)?)?;
    let (kind, rest) = word(rest.strip_prefix(r#","type":""#)?)?;
    let rows = rest.strip_prefix(r#","data":"#)?.strip_suffix('}')?;
    Some((channel, kind, rows))
}

/// A JSON string without escapes up to its closing quote, and what follows.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once('"')?;
    let is_plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_plain.then_some((word, rest))
}

/// Reads the rows of a data frame; false when they are not what the channel carries.
fn data(channel: &str, kind: &str, rows: &str, symbols: &dyn Symbols, heap: &mut Heap) -> bool {
    let read = match channel {
        "book" => {
            let kind = match kind {
                "snapshot" => Kind::Snapshot,
                "update" => Kind::Diff,
                _ => return false,
            };
            let books = Books {
                kind,
                symbols,
                heap,
            };
            rows::all(rows, books)
        }
        "trade" => rows::each(rows, |row: Trade<'_>| trade(&row, symbols, heap)),
        "ticker" => rows::each(rows, |row: Ticker<'_>| ticker(&row, symbols, heap)),
        "status" => rows::each(rows, |row: Status<'_>| status(&row, heap)),
        // Whatever it holds; `instrument` has an object here.
        _ => serde_json::from_str::<IgnoredAny>(rows).map(drop),
    };
    read.is_ok()
}

fn trade(row: &Trade<'_>, symbols: &dyn Symbols, heap: &mut Heap) {
    let Some(symbol) = symbols.find(&row.symbol) else {
        return;
    };
    let channel = Channel::Trades;
    heap.said
        .push(match (number(row.price).price(), time(row.timestamp)) {
            (Some(price), Some(at)) => Said::Trade {
                symbol,
                id: row.trade_id,
                price,
                traded_at: at,
                sent_at: at,
            },
            // It dates nothing, but it came.
            (Some(_), None) => Said::Alive { symbol, channel },
            (None, _) => Said::Impossible { symbol, channel },
        });
}

fn ticker(row: &Ticker<'_>, symbols: &dyn Symbols, heap: &mut Heap) {
    let Some(symbol) = symbols.find(&row.symbol) else {
        return;
    };
    let bid = best(number(row.bid), number(row.bid_qty));
    let ask = best(number(row.ask), number(row.ask_qty));
    heap.said.push(match (bid, ask) {
        (Err(Absent::Impossible), _) | (_, Err(Absent::Impossible)) => Said::Impossible {
            symbol,
            channel: Channel::Top,
        },
        (Ok(bid), Ok(ask)) => Said::Top {
            symbol,
            bid,
            ask,
            id: None,
            at: row.timestamp.and_then(time),
        },
        _ => Said::NoTop { symbol },
    });
}

/// Why there is no best price.
pub(super) enum Absent {
    /// A dead or empty market writes zero.
    None,
    /// Below zero, or no number.
    Impossible,
}

/// A best price with its size.
pub(super) fn best(price: Number, size: Number) -> Result<(Price, Option<Decimal>), Absent> {
    match (price.0, price.price(), size.size()) {
        (Some(zero), _, _) | (_, Some(_), Some(zero)) if zero.is_zero() => Err(Absent::None),
        (_, Some(price), Some(size)) => Ok((price, Some(size))),
        _ => Err(Absent::Impossible),
    }
}

fn status(row: &Status<'_>, heap: &mut Heap) {
    if !matches!(&*row.system, "" | "online") {
        heap.said.push(Said::Halted {
            why: shortened(&row.system),
        });
    }
}

/// Acknowledgements and refusals come one per symbol. A refusal names the pair but not the
/// channel: a pair that is not supported is so on every channel.
fn answer(frame: &Frame<'_>, symbols: &dyn Symbols, heap: &mut Heap) {
    let is_subscribe = frame.method.as_deref() == Some("subscribe");
    if frame.method.as_deref() == Some("pong") {
        return heap.said.push(Said::Heartbeat);
    }
    let Some(error) = &frame.error else {
        // Each symbol's own acknowledgement proves that the command was understood; symbols of
        // it that are refused say so by their names.
        if frame.success == Some(true)
            && let Some(command) = frame.req_id
        {
            let command = Some(command);
            heap.said.push(Said::Accepted { command });
        }
        return;
    };
    // What cannot be unsubscribed is not subscribed, and what is subscribed already need not be.
    let is_harmless = !is_subscribe && frame.method.is_some();
    // Asked for again later; taking the command apart would only send more messages.
    let is_too_fast = error.contains("msg rate");
    if is_harmless || is_too_fast || error.contains("lready subscribed") {
        return;
    }
    let named = match &frame.symbol {
        Some(name) => Some(&**name),
        None => error.split_whitespace().find(|word| word.contains('/')),
    };
    if let Some(name) = named {
        if let Some(symbol) = symbols.find(name) {
            for channel in [Channel::Book, Channel::Trades] {
                let why = shortened(error);
                heap.said.push(Said::StreamRefused {
                    symbol,
                    channel,
                    why,
                });
            }
        }
    } else if let Some(command) = frame.req_id {
        let command = Some(command);
        let why = shortened(error);
        heap.said.push(Said::Refused { command, why });
    }
}
