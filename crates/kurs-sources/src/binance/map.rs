//! From frames to our words: symbols to pairs, texts to prices, and every change once, over
//! whichever of two connections it came.

use super::subscribe::{Channel, stream_id, symbol_of};
use super::wire::{self, BookTicker, Trade, Wire};
use kurs_core::{Mono, Pair, Price, Quote, Tick, Wall};
use kurs_net::{Frame, StreamId};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// Symbols that are ever known to one decoder. A symbol keeps its number for life.
const SYMBOLS_MAX: u32 = StreamId::LIMIT / 2;
/// A newer connection that is ahead of the older one waits this long for it to catch up.
const HOLD_MAX: Duration = Duration::from_millis(250);
/// Update ids that go on below the last one for this long have begun anew.
const REGRESS_MAX: Duration = Duration::from_secs(2);

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// A new best bid or ask.
    Tick {
        /// The stream it came by.
        stream: StreamId,
        /// The price.
        tick: Tick,
    },
    /// Seen before, or older than what was seen; proves the stream alive all the same.
    Duplicate {
        /// The stream it came by.
        stream: StreamId,
    },
    /// A new trade.
    Trade {
        /// The stream it came by.
        stream: StreamId,
        /// The pair.
        pair: Pair,
        /// Its price.
        price: Price,
        /// When the venue says it happened.
        traded_at: Wall,
        /// When the venue sent the frame.
        sent_at: Wall,
    },
    /// A command was accepted.
    Accepted {
        /// Its number.
        command: u64,
    },
    /// A command was refused.
    Refused {
        /// Its number.
        command: u64,
        /// The venue's words.
        why: String,
    },
    /// The venue will close the connection soon.
    ShutdownNotice,
    /// A frame of a kind or a symbol that is not followed.
    Other,
    /// Readable, but no price: crossed sides, or not greater than zero.
    Rejected {
        /// The pair.
        pair: Pair,
    },
    /// Not a frame of this venue.
    Unreadable,
}

#[derive(Debug)]
struct Symbol {
    name: String,
    pair: Pair,
    followed: bool,
    /// Last update id passed on.
    update_id: Option<u64>,
    /// Newest connection whose frames follow on what was passed on.
    connection: u64,
    /// Came over a newer connection, ahead of what the older one has brought so far.
    held: Option<(Tick, u64, Mono)>,
    /// Since when ids have been too low with no other connection to explain it.
    regress_since: Option<Mono>,
    trade_id: Option<u64>,
    trade_connection: u64,
}

/// FNV-1a: symbols are a few bytes, and only followed ones are ever keys, so nobody outside can
/// make them collide.
#[derive(Debug, Clone, Copy)]
struct SymbolHasher(u64);

impl Default for SymbolHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for SymbolHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Decodes frames. One pass per frame, no allocation for ticks and trades.
#[derive(Debug, Default)]
pub struct Decoder {
    symbols: Vec<Symbol>,
    by_name: HashMap<String, u32, BuildHasherDefault<SymbolHasher>>,
    valid_for: Duration,
    oldest_open: u64,
    /// Oldest connection that has brought a frame and has not ended. Not every number gets so
    /// far: attempts that fail have numbers too.
    oldest_heard: Option<u64>,
}

impl Decoder {
    /// Follows nothing yet. Ticks will be good for `valid_for`.
    #[must_use]
    pub fn new(valid_for: Duration) -> Self {
        Self {
            valid_for,
            ..Self::default()
        }
    }

    /// Follows a pair; gives the number of its symbol. `None` when another followed pair is
    /// written the same way, or too many symbols were followed.
    pub fn follow(&mut self, pair: Pair) -> Option<u32> {
        let name = symbol_of(pair);
        if let Some(index) = self.by_name.get(&name).copied() {
            let symbol = self.symbol_mut(index)?;
            if symbol.followed && symbol.pair != pair {
                return None;
            }
            symbol.pair = pair;
            symbol.followed = true;
            return Some(index);
        }
        let index = u32::try_from(self.symbols.len())
            .ok()
            .filter(|index| *index < SYMBOLS_MAX)?;
        self.by_name.insert(name.clone(), index);
        self.symbols.push(Symbol {
            name,
            pair,
            followed: true,
            update_id: None,
            connection: 0,
            held: None,
            regress_since: None,
            trade_id: None,
            trade_connection: 0,
        });
        Some(index)
    }

    /// Follows a pair no longer.
    pub fn unfollow(&mut self, index: u32) {
        if let Some(symbol) = self.symbol_mut(index) {
            symbol.followed = false;
            symbol.update_id = None;
            symbol.held = None;
            symbol.trade_id = None;
        }
    }

    /// The venue's word for the symbol with this number.
    #[must_use]
    pub fn symbol_name(&self, index: u32) -> Option<&str> {
        let symbol = usize::try_from(index)
            .ok()
            .and_then(|index| self.symbols.get(index))?;
        Some(&symbol.name)
    }

    /// Number of a followed symbol.
    #[must_use]
    pub fn followed_index(&self, name: &str) -> Option<u32> {
        let index = *self.by_name.get(name)?;
        let symbol = usize::try_from(index)
            .ok()
            .and_then(|index| self.symbols.get(index))?;
        symbol.followed.then_some(index)
    }

    fn symbol_mut(&mut self, index: u32) -> Option<&mut Symbol> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.symbols.get_mut(index))
    }

    /// Decodes one frame.
    pub fn decode(&mut self, frame: Frame<'_>) -> Decoded {
        if self
            .oldest_heard
            .is_none_or(|heard| frame.connection < heard)
        {
            self.oldest_heard = Some(frame.connection);
        }
        match wire::read(frame.text) {
            Wire::BookTicker(ticker) => self.book_ticker(&frame, &ticker),
            Wire::Trade(trade) => self.trade(&frame, &trade),
            Wire::Accepted { command } => Decoded::Accepted { command },
            Wire::Refused { command, why } => Decoded::Refused { command, why },
            Wire::ShutdownNotice => Decoded::ShutdownNotice,
            Wire::Other => Decoded::Other,
            Wire::Unreadable => Decoded::Unreadable,
        }
    }

    /// Connections below `oldest_open` have ended: what a newer one was holding back is due.
    pub fn ended(&mut self, oldest_open: u64, mut release: impl FnMut(StreamId, Tick)) {
        self.oldest_open = self.oldest_open.max(oldest_open);
        self.oldest_heard = self.oldest_heard.filter(|heard| *heard >= oldest_open);
        for (symbol, index) in self.symbols.iter_mut().zip(0_u32..) {
            if symbol.connection >= self.oldest_open {
                continue;
            }
            let Some((tick, connection, _)) = symbol.held.take() else {
                continue;
            };
            if tick.event_id > symbol.update_id {
                symbol.update_id = tick.event_id;
                symbol.connection = connection;
                release(stream_id(index, Channel::BookTicker), tick);
            }
        }
    }

    fn book_ticker(&mut self, frame: &Frame<'_>, ticker: &BookTicker<'_>) -> Decoded {
        let oldest_open = self.oldest_open;
        let is_alone = self.oldest_heard >= Some(frame.connection);
        let valid_for = self.valid_for;
        let Some(index) = self.by_name.get(&*ticker.symbol).copied() else {
            return Decoded::Other;
        };
        let Some(symbol) = self.symbol_mut(index) else {
            return Decoded::Other;
        };
        if !symbol.followed {
            return Decoded::Other;
        }
        let quote = match read_quote(ticker) {
            Ok(quote) => quote,
            Err(refusal) => return refusal.decoded(symbol.pair),
        };
        let stream = stream_id(index, Channel::BookTicker);
        let tick = Tick {
            pair: symbol.pair,
            quote,
            observed_at: None,
            valid_for,
            event_id: Some(ticker.update_id),
        };
        if symbol.passes(frame, ticker.update_id, &tick, oldest_open, is_alone) {
            Decoded::Tick { stream, tick }
        } else {
            Decoded::Duplicate { stream }
        }
    }

    fn trade(&mut self, frame: &Frame<'_>, trade: &Trade<'_>) -> Decoded {
        let oldest_open = self.oldest_open;
        let Some(index) = self.by_name.get(&*trade.symbol).copied() else {
            return Decoded::Other;
        };
        let Some(symbol) = self.symbol_mut(index) else {
            return Decoded::Other;
        };
        if !symbol.followed {
            return Decoded::Other;
        }
        let price = match read_price(&trade.price) {
            Ok(price) => price,
            Err(refusal) => return refusal.decoded(symbol.pair),
        };
        let stream = stream_id(index, Channel::Trade);
        let known = symbol.trade_id.is_some_and(|last| trade.trade_id <= last);
        // Only a connection that begins after the last one ended may begin lower.
        let anew =
            frame.connection > symbol.trade_connection && symbol.trade_connection < oldest_open;
        symbol.trade_connection = symbol.trade_connection.max(frame.connection);
        if known && !anew {
            return Decoded::Duplicate { stream };
        }
        symbol.trade_id = Some(trade.trade_id);
        Decoded::Trade {
            stream,
            pair: symbol.pair,
            price,
            traded_at: venue_time(trade.traded_at),
            sent_at: venue_time(trade.event_at),
        }
    }
}

impl Symbol {
    /// Whether a change is passed on now. While two connections overlap, the older one leads
    /// until the newer has brought something already known: from there on it misses nothing.
    /// `is_alone`: no older connection is open beside the frame's.
    fn passes(
        &mut self,
        frame: &Frame<'_>,
        update_id: u64,
        tick: &Tick,
        oldest_open: u64,
        is_alone: bool,
    ) -> bool {
        let now = frame.received.mono;
        let Some(last) = self.update_id else {
            self.connection = self.connection.max(frame.connection);
            self.update_id = Some(update_id);
            return true;
        };
        let older_is_open = self.connection >= oldest_open;
        if frame.connection > self.connection {
            if !older_is_open {
                // The first word after a gap holds, whatever its id.
                self.connection = frame.connection;
                return self.pass(update_id);
            }
            if update_id > last {
                let since = self.held.map_or(now, |(_, _, since)| since);
                if now.since(since) < HOLD_MAX {
                    self.held = Some((*tick, frame.connection, since));
                    return false;
                }
            }
            self.connection = frame.connection;
        }
        if update_id > last {
            return self.pass(update_id);
        }
        // Too low. Over a second connection, or for a moment, that is lag; for ever it is not.
        if frame.connection < self.connection || !is_alone || update_id == last {
            return false;
        }
        let since = *self.regress_since.get_or_insert(now);
        now.since(since) >= REGRESS_MAX && self.pass(update_id)
    }

    fn pass(&mut self, update_id: u64) -> bool {
        self.update_id = Some(update_id);
        self.held = None;
        self.regress_since = None;
        true
    }
}

/// Why a text is no usable price.
enum Refusal {
    Unreadable,
    Impossible,
}

impl Refusal {
    const fn decoded(self, pair: Pair) -> Decoded {
        match self {
            Self::Unreadable => Decoded::Unreadable,
            Self::Impossible => Decoded::Rejected { pair },
        }
    }
}

fn read_price(text: &str) -> Result<Price, Refusal> {
    Price::parse(text).map_err(|error| match error {
        kurs_core::PriceError::Malformed => Refusal::Unreadable,
        _ => Refusal::Impossible,
    })
}

fn read_quote(ticker: &BookTicker<'_>) -> Result<Quote, Refusal> {
    let (bid, ask) = (read_price(&ticker.bid)?, read_price(&ticker.ask)?);
    Quote::sides(bid, ask).map_err(|_| Refusal::Impossible)
}

/// Milliseconds, or microseconds when the URL asked for them.
fn venue_time(number: i64) -> Wall {
    const MICROSECONDS_FROM: i64 = 100_000_000_000_000;
    if number.abs() >= MICROSECONDS_FROM {
        Wall(number)
    } else {
        Wall::from_unix_ms(number)
    }
}

#[cfg(test)]
mod tests;
