//! Frames in the words all venues share.

use super::quick;
use super::wire::{self, BookTicker, DepthUpdate, Trade, Wire};
use crate::levels::{SideOf, Sink};
use crate::venue::codec::{Channel, Heap, Offer, Said, Symbols};
use kurs_book::{Ids, Kind, Side};
use kurs_core::price::parse_decimal;
use kurs_core::{Price, PriceError, Wall};
use rust_decimal::Decimal;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

/// Reads a frame.
pub(super) fn frame(text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
    if let Some(said) = quick::frame(text, symbols, &mut heap.changes) {
        heap.said.push(said);
        return;
    }
    heap.changes.clear();
    let said = match wire::read(text) {
        Wire::BookTicker(ticker) => book_ticker(&ticker, symbols),
        Wire::DepthUpdate(update) => depth_update(&update, symbols, heap),
        Wire::Trade(trade) => trade_of(&trade, symbols),
        Wire::Accepted { command } => Said::Accepted {
            command: Some(command),
        },
        Wire::Refused { command, why } => Said::Refused {
            command: Some(command),
            why,
        },
        Wire::ShutdownNotice => Said::ShutdownNotice,
        Wire::Other => Said::Other,
        Wire::Unreadable => Said::Unreadable,
    };
    heap.said.push(said);
}

fn book_ticker(ticker: &BookTicker<'_>, symbols: &dyn Symbols) -> Said {
    let Some(symbol) = symbols.find(&ticker.symbol) else {
        return Said::Other;
    };
    let sides = || {
        let bid = read_side_of(&ticker.bid, &ticker.bid_size)?;
        Ok((bid, read_side_of(&ticker.ask, &ticker.ask_size)?))
    };
    match sides() {
        Ok((bid, ask)) => Said::Top {
            symbol,
            bid,
            ask,
            id: Some(ticker.update_id),
            at: None,
        },
        Err::<_, Refusal>(refusal) => refusal.said(symbol, Channel::Top),
    }
}

/// The best price of one side and what is offered there.
fn read_side_of(price: &str, size: &str) -> Result<Offer, Refusal> {
    Ok((read_price(price)?, Some(read_size(size)?)))
}

fn trade_of(trade: &Trade<'_>, symbols: &dyn Symbols) -> Said {
    let Some(symbol) = symbols.find(&trade.symbol) else {
        return Said::Other;
    };
    match read_price(&trade.price) {
        Ok(price) => Said::Trade {
            symbol,
            id: trade.trade_id,
            price,
            traded_at: venue_time(trade.traded_at),
            sent_at: venue_time(trade.event_at),
        },
        Err(refusal) => refusal.said(symbol, Channel::Trades),
    }
}

fn depth_update(update: &DepthUpdate<'_>, symbols: &dyn Symbols, heap: &mut Heap) -> Said {
    let Some(symbol) = symbols.find(&update.symbol) else {
        return Said::Other;
    };
    let from = heap.changes.len();
    let mut is_broken = false;
    for (side, levels) in [(Side::Bid, update.bids), (Side::Ask, update.asks)] {
        if !read_side(side, levels, heap, &mut is_broken) {
            return Said::Unreadable;
        }
    }
    if is_broken {
        return Refusal::Impossible.said(symbol, Channel::Book);
    }
    book(
        symbol,
        (update.first, update.last),
        update.event_at,
        from..heap.changes.len(),
    )
}

fn read_side(side: Side, levels: &RawValue, heap: &mut Heap, is_broken: &mut bool) -> bool {
    let changes = &mut heap.changes;
    let sink = Sink { changes, is_broken };
    let mut json = serde_json::Deserializer::from_str(levels.get());
    SideOf { side, sink }.deserialize(&mut json).is_ok()
}

/// A diff of a book.
pub(super) const fn book(
    symbol: u32,
    (first, last): (u64, u64),
    event_at: i64,
    changes: std::ops::Range<usize>,
) -> Said {
    Said::Book {
        symbol,
        kind: Kind::Diff,
        ids: Ids::Range { first, last },
        checksum: None,
        changes,
        at: Some(venue_time(event_at)),
    }
}

/// Why a text is no usable number.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Unreadable,
    Impossible,
}

impl Refusal {
    const fn said(self, symbol: u32, channel: Channel) -> Said {
        match self {
            Self::Unreadable => Said::Unreadable,
            Self::Impossible => Said::Impossible { symbol, channel },
        }
    }
}

fn read_price(text: &str) -> Result<Price, Refusal> {
    Price::parse(text).map_err(|error| match error {
        PriceError::Malformed => Refusal::Unreadable,
        _ => Refusal::Impossible,
    })
}

fn read_size(text: &str) -> Result<Decimal, Refusal> {
    let size = parse_decimal(text).map_err(|_| Refusal::Unreadable)?;
    if size.is_sign_negative() && !size.is_zero() {
        return Err(Refusal::Impossible);
    }
    Ok(size)
}

/// Milliseconds, or microseconds when the URL asked for them.
const fn venue_time(number: i64) -> Wall {
    const MICROSECONDS_FROM: u64 = 100_000_000_000_000;
    if number.unsigned_abs() >= MICROSECONDS_FROM {
        Wall(number)
    } else {
        Wall::from_unix_ms(number)
    }
}

#[cfg(test)]
mod tests;
