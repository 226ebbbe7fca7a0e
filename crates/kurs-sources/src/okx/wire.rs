//! Frames as the venue writes them. Data in the usual order of keys is read in one pass;
//! whatever is written otherwise is taken apart first, which decides the same.

use super::book::Books;
use super::{refusal, subscribe};
use crate::levels::shortened;
use crate::rows;
use crate::venue::codec::{Channel, Heap, Said, Symbols};
use kurs_book::Kind;
use kurs_core::price::parse_decimal;
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A longer frame is not of this venue: a book of 400 levels takes a sixth of it. It bounds
/// what one frame can make the reader's vectors grow to.
const FRAME_BYTES_MAX: usize = 256 << 10;
/// The answer to our sign of life, the one frame that is no JSON.
const PONG: &str = "pong";
/// Milliseconds since 1970 at the start of the year 2000: what is older is no time.
const EARLIEST_MS: i64 = 946_684_800_000;
/// The link will be closed for a service upgrade.
const UPGRADE: &str = "64008";
/// The request as a whole makes no sense.
const INVALID_REQUEST: &str = "60012";
/// Too many requests.
const TOO_FREQUENT: &str = "60014";

/// A frame in any order of keys.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(default)]
    event: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    arg: Option<Arg>,
    #[serde(default)]
    action: Option<String>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Arg {
    channel: String,
    /// Absent from channels of the whole venue.
    #[serde(default, rename = "instId")]
    symbol: Option<String>,
}

/// Best prices: lists of one level or none.
#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow)]
    asks: Best<'a>,
    #[serde(borrow)]
    bids: Best<'a>,
    #[serde(default, borrow)]
    ts: Option<&'a RawValue>,
    #[serde(default, rename = "seqId")]
    id: Option<i64>,
}

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(rename = "tradeId", borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "px", borrow)]
    price: Cow<'a, str>,
    #[serde(borrow)]
    ts: &'a RawValue,
}

/// Reads a frame.
pub(super) fn read(text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
    let (said, changes) = (heap.said.len(), heap.changes.len());
    if text == PONG {
        heap.said.push(Said::Heartbeat);
        return;
    }
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
    if let Some(usual) = usual(text)
        && data(&usual, symbols, heap)
    {
        return true;
    }
    heap.said.truncate(said);
    heap.changes.truncate(changes);
    let Ok(frame) = serde_json::from_str::<Frame<'_>>(text) else {
        return false;
    };
    if let Some(name) = &frame.event {
        event(name, &frame, symbols, &mut heap.said);
        return true;
    }
    let (Some(arg), Some(rows)) = (&frame.arg, frame.data) else {
        return false;
    };
    let data_frame = Data {
        channel: &arg.channel,
        symbol: arg.symbol.as_deref().unwrap_or_default(),
        action: frame.action.as_deref(),
        rows: rows.get(),
    };
    data(&data_frame, symbols, heap)
}

/// A frame with data, taken apart.
struct Data<'a> {
    channel: &'a str,
    symbol: &'a str,
    action: Option<&'a str>,
    rows: &'a str,
}

/// Splits `{"arg":{"channel":"..","instId":".."},"action":"..","data":[..]}`, with or without an
/// action, written so and not otherwise. Whether the rows are JSON is found out by reading them.
fn usual(text: &str) -> Option<Data<'_>> {
    let (channel, rest) = word(text.strip_prefix(r#"{"arg":{"channel":""#)?)?;
    let (symbol, rest) = word(rest.strip_prefix(r#","instId":""#)?)?;
    let rest = rest.strip_prefix('}')?;
    let (action, rest) = match rest.strip_prefix(r#","action":""#) {
        Some(rest) => {
            let (action, rest) = word(rest)?;
            (Some(action), rest)
        }
        None => (None, rest),
    };
    let rows = rest.strip_prefix(r#","data":"#)?.strip_suffix('}')?;
    Some(Data {
        channel,
        symbol,
        action,
        rows,
    })
}

/// A JSON string without escapes up to its closing quote, and what follows.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once('"')?;
    let is_plain = word
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_plain.then_some((word, rest))
}

/// Reads the rows of a data frame; false when they are not what the channel carries.
fn data(data: &Data<'_>, symbols: &dyn Symbols, heap: &mut Heap) -> bool {
    let rows = data.rows;
    let (Some(channel), Some(symbol)) =
        (subscribe::channel(data.channel), symbols.find(data.symbol))
    else {
        return serde_json::from_str::<IgnoredAny>(rows).is_ok();
    };
    let read = match channel {
        Channel::Book => {
            let kind = match data.action {
                Some("snapshot") => Kind::Snapshot,
                Some("update") => Kind::Diff,
                _ => return false,
            };
            rows::all(rows, Books { symbol, kind, heap })
        }
        Channel::Top | Channel::Heartbeat => {
            rows::each(rows, |row: Top<'_>| heap.said.push(top(&row, symbol)))
        }
        Channel::Trades => rows::each(rows, |row: Trade<'_>| heap.said.push(trade(&row, symbol))),
    };
    read.is_ok()
}

/// Milliseconds since 1970 as a JSON string; `None` for anything else and for the years before
/// 2000.
pub(super) fn time(raw: &RawValue) -> Option<Wall> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    let milliseconds: i64 = text.parse().ok()?;
    let at = Wall::from_unix_ms(milliseconds);
    (milliseconds >= EARLIEST_MS && at <= Wall::MAX).then_some(at)
}

fn top(row: &Top<'_>, symbol: u32) -> Said {
    match (row.bids.read(), row.asks.read()) {
        (Ok(Some(bid)), Ok(Some(ask))) => Said::Top {
            symbol,
            bid,
            ask,
            id: row.id.and_then(|id| u64::try_from(id).ok()),
            at: row.ts.and_then(time),
        },
        (Ok(_), Ok(_)) => Said::NoTop { symbol },
        _ => Said::Impossible {
            symbol,
            channel: Channel::Top,
        },
    }
}

fn trade(row: &Trade<'_>, symbol: u32) -> Said {
    let channel = Channel::Trades;
    let price = Price::parse(&row.price).ok();
    match (row.id.parse().ok().zip(price), time(row.ts)) {
        (Some((id, price)), Some(at)) => Said::Trade {
            symbol,
            id,
            price,
            traded_at: at,
            sent_at: at,
        },
        // It dates nothing, but it came.
        (Some(_), None) => Said::Alive { symbol, channel },
        (None, _) => Said::Impossible { symbol, channel },
    }
}

/// The best level of one side as written; an empty side is an empty list or an empty text.
struct Best<'a>(Option<(Cow<'a, str>, Cow<'a, str>)>);

/// A text that is borrowed unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug)]
pub(super) struct Impossible;

impl Best<'_> {
    fn read(&self) -> Result<Option<(Price, Option<Decimal>)>, Impossible> {
        self.0
            .as_ref()
            .map_or(Ok(None), |(price, size)| best(price, size))
    }
}

/// A best price with its size; `None` when the side is empty, which is written as empty texts
/// or as zero.
pub(super) fn best(
    price: &str,
    size: &str,
) -> Result<Option<(Price, Option<Decimal>)>, Impossible> {
    if price.is_empty() {
        return Ok(None);
    }
    let price = parse_decimal(price).map_err(|_| Impossible)?;
    let size = match size {
        "" => None,
        text => Some(parse_decimal(text).map_err(|_| Impossible)?),
    };
    if price.is_zero() || size.is_some_and(|size| size.is_zero()) {
        return Ok(None);
    }
    if size.is_some_and(|size| size.is_sign_negative()) {
        return Err(Impossible);
    }
    let price = Price::new(price).map_err(|_| Impossible)?;
    Ok(Some((price, size)))
}

impl<'de: 'a, 'a> Deserialize<'de> for Best<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BestVisitor)
    }
}

struct BestVisitor;

impl<'de> Visitor<'de> for BestVisitor {
    type Value = Best<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the best level of a side")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Best<'de>, E> {
        if text.is_empty() {
            Ok(Best(None))
        } else {
            Err(E::invalid_type(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut levels: A) -> Result<Best<'de>, A::Error> {
        let first = levels.next_element::<Level<'de>>()?;
        while levels.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Best(first.map(|level| (level.0, level.1))))
    }
}

/// `["price","size",..]`, of which the rest is skipped.
struct Level<'a>(Cow<'a, str>, Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Level<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(LevelVisitor)
    }
}

struct LevelVisitor;

impl<'de> Visitor<'de> for LevelVisitor {
    type Value = Level<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a price and a size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Level<'de>, A::Error> {
        let price = words.next_element::<Text<'de>>()?;
        let size = words.next_element::<Text<'de>>()?;
        let (Some(price), Some(size)) = (price, size) else {
            return Err(de::Error::custom("a level without price or size"));
        };
        while words.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Level(price.0, size.0))
    }
}

/// What is no data: acknowledgements, errors, notices, and events that are yet to be invented.
fn event(name: &str, frame: &Frame<'_>, symbols: &dyn Symbols, said: &mut Vec<Said>) {
    let command = frame.id.as_deref().and_then(|id| id.parse().ok());
    let code = frame.code.as_deref().unwrap_or_default();
    match (name, command) {
        ("error" | "notice", _) if code == UPGRADE => said.push(Said::ShutdownNotice),
        // Each stream's own acknowledgement proves that the command was understood; streams of
        // it that are refused say so by their names.
        ("subscribe" | "unsubscribe", Some(_)) => said.push(Said::Accepted { command }),
        // Asked for again later; taking the command apart would only send more messages.
        ("error", _) if code == TOO_FREQUENT => {}
        ("error", command) => {
            let message = frame.msg.as_deref().unwrap_or("no reason given");
            let refused = |command| Said::Refused {
                command: Some(command),
                why: shortened(&format!("{code}: {message}")),
            };
            match command {
                // It repeats the request with all streams, of which one may be at fault.
                Some(command) if code == INVALID_REQUEST => said.push(refused(command)),
                command => {
                    if !refusal::streams(message, symbols, said)
                        && let Some(command) = command
                    {
                        said.push(refused(command));
                    }
                }
            }
        }
        _ => {}
    }
}
