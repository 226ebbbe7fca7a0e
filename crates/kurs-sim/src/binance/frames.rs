//! What goes over the streams, as text. Times are those of the wall at sending.

use crate::faults::{WrongPrice, price_text};
use crate::market::symbol::Top;
use crate::market::{DepthDiff, DepthPace, Level, MarketEvent, MarketEventKind, Summary, Trade};
use kurs_core::Wall;
use std::fmt::Write as _;

/// How times are counted on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeUnit {
    Milliseconds,
    Microseconds,
}

impl TimeUnit {
    const fn count(self, wall: Wall) -> i64 {
        match self {
            Self::Milliseconds => wall.unix_ms(),
            Self::Microseconds => wall.0,
        }
    }
}

/// The streams an event goes to.
pub(crate) fn streams_of(event: &MarketEvent) -> Vec<String> {
    let symbol = event.symbol.to_ascii_lowercase();
    match &event.kind {
        MarketEventKind::Top(_) => vec![format!("{symbol}@bookTicker")],
        MarketEventKind::Trade(_) => vec![format!("{symbol}@trade"), format!("{symbol}@aggTrade")],
        MarketEventKind::Depth(diff) => match diff.pace {
            DepthPace::Fast => vec![format!("{symbol}@depth@100ms")],
            DepthPace::Slow => vec![format!("{symbol}@depth")],
        },
        MarketEventKind::Summary(_) => vec![format!("{symbol}@miniTicker")],
    }
}

/// The payload of an event on one of its streams.
pub(crate) fn payload(
    event: &MarketEvent,
    stream: &str,
    wall: Wall,
    unit: TimeUnit,
    wrong: Option<&WrongPrice>,
) -> String {
    let (symbol, time) = (&*event.symbol, unit.count(wall));
    match &event.kind {
        MarketEventKind::Top(top) => book_ticker(symbol, top, wrong),
        MarketEventKind::Trade(trade) => {
            trade_frame(symbol, trade, time, stream.ends_with("@aggTrade"), wrong)
        }
        MarketEventKind::Depth(diff) => depth(symbol, diff, time, wrong),
        MarketEventKind::Summary(summary) => mini_ticker(symbol, summary, time, wrong),
    }
}

fn book_ticker(symbol: &str, top: &Top, wrong: Option<&WrongPrice>) -> String {
    format!(
        r#"{{"u":{},"s":"{symbol}","b":"{}","B":"{}","a":"{}","A":"{}"}}"#,
        top.id,
        price_text(top.bid.0, wrong),
        top.bid.1,
        price_text(top.ask.0, wrong),
        top.ask.1,
    )
}

fn trade_frame(
    symbol: &str,
    trade: &Trade,
    time: i64,
    aggregate: bool,
    wrong: Option<&WrongPrice>,
) -> String {
    let Trade {
        id,
        quantity,
        buyer_is_maker,
        ..
    } = trade;
    let price = price_text(trade.price, wrong);
    if aggregate {
        return format!(
            r#"{{"e":"aggTrade","E":{time},"s":"{symbol}","a":{id},"p":"{price}","q":"{quantity}","f":{id},"l":{id},"T":{time},"m":{buyer_is_maker},"M":true}}"#
        );
    }
    format!(
        r#"{{"e":"trade","E":{time},"s":"{symbol}","t":{id},"p":"{price}","q":"{quantity}","T":{time},"m":{buyer_is_maker},"M":true}}"#
    )
}

/// `[["61837.63000000","3.78826000"],...]`
pub(crate) fn levels(levels: &[Level], wrong: Option<&WrongPrice>) -> String {
    let mut text = String::with_capacity(levels.len() * 32 + 2);
    text.push('[');
    for (index, (price, size)) in levels.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(text, r#"{comma}["{}","{size}"]"#, price_text(*price, wrong));
    }
    text.push(']');
    text
}

fn depth(symbol: &str, diff: &DepthDiff, time: i64, wrong: Option<&WrongPrice>) -> String {
    format!(
        r#"{{"e":"depthUpdate","E":{time},"s":"{symbol}","U":{},"u":{},"b":{},"a":{}}}"#,
        diff.first_id,
        diff.last_id,
        levels(&diff.bids, wrong),
        levels(&diff.asks, wrong),
    )
}

fn mini_ticker(symbol: &str, summary: &Summary, time: i64, wrong: Option<&WrongPrice>) -> String {
    format!(
        r#"{{"e":"24hrMiniTicker","E":{time},"s":"{symbol}","c":"{}","o":"{}","h":"{}","l":"{}","v":"{:.8}","q":"{:.8}"}}"#,
        price_text(summary.close, wrong),
        price_text(summary.open, wrong),
        price_text(summary.high, wrong),
        price_text(summary.low, wrong),
        summary.volume,
        summary.quote_volume,
    )
}

/// The wrapper of a combined connection.
pub(crate) fn combined(stream: &str, payload: &str) -> String {
    format!(r#"{{"stream":"{stream}","data":{payload}}}"#)
}

/// The notice before the server goes down, raw.
pub(crate) fn server_shutdown(wall: Wall, unit: TimeUnit) -> String {
    format!(r#"{{"e":"serverShutdown","E":{}}}"#, unit.count(wall))
}
