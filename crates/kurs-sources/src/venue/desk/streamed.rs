//! Data by stream: frames, and what becomes of connections.

use super::Desk;
use super::row::Row;
use crate::input::Wishes;
use crate::venue::codec::{Channel, Heap, Offer, Said};
use crate::venue::judge::Worth;
use crate::venue::symbols::stream_id;
use kurs_core::{EventKind, Now, Price, Quote, Sizes, SourceState, Tick, Wall};
use kurs_net::Heard;
use rust_decimal::Decimal;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A time that is further off than 20 years was never meant to be one: venues send the year 1
/// and 1970 by mistake.
const TIME_OFF_MAX: Duration = Duration::from_secs(20 * 366 * 86_400);
/// Where a time is further off than this, one of the clocks is wrong: it dates nothing.
const CLOCK_OFF_MAX: Duration = Duration::from_secs(86_400);

impl Desk {
    /// Takes a frame in.
    pub(super) fn frame(&mut self, now: Now, connection: u64, text: &str, wishes: &mut Wishes) {
        self.stats.message(now.wall);
        self.lines.heard(connection);
        let mut heap = std::mem::take(&mut self.heap);
        heap.clear();
        self.codec.read(text, &self.table, &mut heap);
        let Heap { said, changes } = &mut heap;
        let mut worth = Worth::Useless(text.len());
        for said in said.drain(..) {
            match said {
                Said::Unreadable => worth = Worth::Unreadable,
                Said::Other => {}
                _ if worth != Worth::Unreadable => worth = Worth::Useful,
                _ => {}
            }
            self.said(now, connection, said, changes, wishes);
        }
        self.heap = heap;
        if worth == Worth::Unreadable {
            self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(why) = self.judges.frame(now.mono, connection, worth) {
            let why = why.to_owned();
            wishes.heard.push((connection, Heard::Unfit { why }));
        }
    }

    fn said(
        &mut self,
        now: Now,
        connection: u64,
        said: Said,
        changes: &[kurs_book::Change],
        wishes: &mut Wishes,
    ) {
        let mut hear = |heard| wishes.heard.push((connection, heard));
        match said {
            Said::Top {
                symbol,
                bid,
                ask,
                id,
                at,
            } => {
                if self.top(now, connection, symbol, (bid, ask), id, at) {
                    hear(Heard::Data(stream_id(symbol, Channel::Top)));
                }
            }
            Said::NoTop { symbol } => {
                if let Some(row) = self.row_mut(symbol) {
                    row.streamed_at = Some(now.mono);
                    row.shown = None;
                    row.top.clear();
                    self.mark(
                        now,
                        symbol,
                        SourceState::Stale,
                        "no best bid or no best ask",
                    );
                    hear(Heard::Data(stream_id(symbol, Channel::Top)));
                }
            }
            Said::Book {
                symbol,
                kind,
                ids,
                checksum,
                changes: range,
                at,
            } => {
                let message = crate::venue::books::Message {
                    connection,
                    kind,
                    ids,
                    checksum,
                    changes: changes.get(range).unwrap_or_default(),
                    at: self.dated(now, at),
                };
                if self.book_said(now, symbol, message) {
                    hear(Heard::Data(stream_id(symbol, Channel::Book)));
                }
            }
            Said::Trade {
                symbol,
                id,
                price,
                traded_at,
                sent_at,
            } => {
                if self.trade(now, connection, symbol, id, (price, traded_at)) {
                    self.dated(now, Some(sent_at));
                    hear(Heard::Data(stream_id(symbol, Channel::Trades)));
                }
            }
            Said::Alive { symbol, channel } => {
                if self.row(symbol).is_some() {
                    self.alive(now, connection, symbol);
                    let stream = Some(stream_id(symbol, channel));
                    hear(Heard::Alive { stream });
                }
            }
            Said::Heartbeat => hear(Heard::Alive { stream: None }),
            Said::Accepted { command } => hear(Heard::Accepted { command }),
            Said::Refused { command, why } => hear(Heard::Refused { command, why }),
            Said::StreamRefused {
                symbol,
                channel,
                why,
            } => {
                let stream = stream_id(symbol, channel);
                self.refused(now, symbol, channel, &why);
                wishes
                    .heard
                    .push((connection, Heard::StreamRefused { stream, why }));
            }
            Said::ShutdownNotice => hear(Heard::ShutdownNotice),
            Said::Halted { why } => {
                // A connection to a venue that is closed is of no use; the next one tells
                // whether it has opened again.
                self.halted = Some(why.clone());
                self.report(now, SourceState::Down, &why);
                hear(Heard::Unfit { why });
            }
            Said::Other | Said::Unreadable => {}
            Said::Impossible { symbol, channel } => {
                self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
                if channel == Channel::Book {
                    self.book_spoilt(now, connection, symbol);
                }
            }
        }
    }

    /// The venue does not carry a stream. Without the one that prices come from, the pair has
    /// none, unless another connection still brings them.
    fn refused(&mut self, now: Now, index: u32, channel: Channel, why: &str) {
        let needed = if self.facts.top_from_book {
            Channel::Book
        } else {
            Channel::Top
        };
        let is_live = |row: &Row| row.reported == SourceState::Live;
        if channel == needed && !self.row(index).is_some_and(is_live) {
            self.mark(now, index, SourceState::Down, why);
        }
    }

    /// The venue's own time of a frame, unless it cannot be. It tells the lag.
    pub(super) fn dated(&self, now: Now, at: Option<Wall>) -> Option<Wall> {
        let at = at?;
        let off = now.wall.since(at).max(at.since(now.wall));
        if off > TIME_OFF_MAX {
            return None;
        }
        let lag_micros = now.wall.0.saturating_sub(at.0);
        self.stats.set_lag_ms(lag_micros.div_euclid(1_000));
        // Nothing can have been observed after it arrived.
        (off <= CLOCK_OFF_MAX).then(|| at.min(now.wall))
    }

    /// A best price. True when it is one of a followed pair.
    fn top(
        &mut self,
        now: Now,
        connection: u64,
        index: u32,
        sides: (Offer, Offer),
        id: Option<u64>,
        at: Option<Wall>,
    ) -> bool {
        let observed_at = self.dated(now, at);
        let (valid_for, lines) = (self.waits.max_age, self.lines);
        let from_book = self.facts.top_from_book;
        let by_range = self.facts.scheme == kurs_book::Scheme::IdRange;
        let Some(row) = self.row_mut(index) else {
            return false;
        };
        if from_book {
            return true;
        }
        let Some((quote, sizes)) = quote_of(sides) else {
            self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let tick = Tick {
            pair: row.pair,
            quote,
            sizes,
            observed_at,
            valid_for,
            event_id: id,
        };
        if let Some(id) = id.filter(|_| by_range) {
            row.note_top_id(now.mono, id);
        }
        if row.top.passes(now.mono, connection, &tick, lines) {
            self.streamed(now, index, tick);
        } else if id.is_some() && row.top.last_id() == id {
            self.confirm(now, index);
        }
        true
    }

    /// A new price of the stream.
    pub(super) fn streamed(&mut self, now: Now, index: u32, tick: Tick) {
        // The engine must not meet a price of a source it holds for down.
        if !self.socket_live {
            self.socket_up(now);
        }
        let Some(row) = self.row_mut(index) else {
            return;
        };
        row.streamed_at = Some(now.mono);
        row.delivered_at = now.mono;
        row.shown = Some(tick);
        if row.reported != SourceState::Live {
            self.mark(now, index, SourceState::Live, "");
        }
        self.deliver(now, EventKind::Tick(tick));
    }

    /// The stream says that its last price still holds. It is delivered again before it is too
    /// old to be used.
    pub(super) fn confirm(&mut self, now: Now, index: u32) {
        let is_live = self.socket_live;
        let again_after = self.waits.silence / 2;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        let Some(tick) = row.shown.filter(|_| is_live) else {
            return;
        };
        row.streamed_at = Some(now.mono);
        let is_late = now.mono.since(row.delivered_at) >= again_after;
        if is_late || row.reported != SourceState::Live {
            self.streamed(now, index, tick);
            self.confirm_depth(now, index, tick.quote);
        }
    }

    /// A sign of life of a symbol.
    fn alive(&mut self, now: Now, connection: u64, index: u32) {
        self.expect_book(now, connection, index);
        self.confirm(now, index);
    }

    /// A trade. True when it is one of a followed pair.
    fn trade(
        &mut self,
        now: Now,
        connection: u64,
        index: u32,
        id: u64,
        (price, traded_at): (Price, Wall),
    ) -> bool {
        let oldest_open = self.lines.oldest_open;
        let Some(row) = self.row_mut(index) else {
            return false;
        };
        let known = row.trade_id.is_some_and(|last| id <= last);
        // Only a connection that begins after the last one ended may begin lower.
        let anew = connection > row.trade_connection && row.trade_connection < oldest_open;
        row.trade_connection = row.trade_connection.max(connection);
        if known && !anew {
            return true;
        }
        row.trade_id = Some(id);
        let pair = row.pair;
        let trade = EventKind::Trade {
            pair,
            price,
            traded_at,
        };
        self.deliver(now, trade);
        true
    }

    /// Data comes over the socket.
    pub(super) fn socket_up(&mut self, now: Now) {
        self.socket_live = true;
        self.halted = None;
        self.stats.set_mode("websocket");
        self.report(now, SourceState::Live, "");
    }

    /// The only socket is lost, or another attempt failed. `silent`: it was not broken, it only
    /// brought nothing, which is no reason to doubt fresh REST prices.
    pub(super) fn socket_down(&mut self, now: Now, why: &str, silent: bool, wishes: &mut Wishes) {
        self.stats.reconnects.fetch_add(1, Ordering::Relaxed);
        let was_live = std::mem::replace(&mut self.socket_live, false);
        let is_bridged = if was_live {
            silent && self.rest_speaks(now.mono)
        } else {
            self.is_reported(SourceState::Live)
        };
        if is_bridged {
            self.stats.set_mode("rest");
        } else {
            let halted = self.halted.clone();
            self.report(now, SourceState::Down, halted.as_deref().unwrap_or(why));
        }
        wishes.poll_now |= was_live;
    }

    /// A connection has ended, and with it every one below `oldest_open`.
    pub(super) fn connection_ended(&mut self, now: Now, connection: u64, oldest_open: u64) {
        self.lines.ended(oldest_open);
        self.judges.ended(connection, oldest_open);
        let lines = self.lines;
        for index in self.indexes() {
            self.book_connection_ended(now, connection, index);
            // Without a live socket the price would be of a source that is down.
            let released = self.row_mut(index).and_then(|row| row.top.ended(lines));
            if let Some(tick) = released {
                self.streamed(now, index, tick);
            }
        }
        self.count_books();
    }

    /// Does what has become due.
    pub(super) fn time(&mut self, now: Now, wishes: &mut Wishes) {
        self.advance_books(now, wishes);
        self.judge_silence(now);
    }
}

/// The price, unless it is impossible.
fn quote_of((bid, ask): (Offer, Offer)) -> Option<(Quote, Option<Sizes>)> {
    let quote = Quote::sides(bid.0, ask.0).ok()?;
    let is_negative =
        |size: Option<Decimal>| size.is_some_and(|size| size.is_sign_negative() && !size.is_zero());
    if is_negative(bid.1) || is_negative(ask.1) {
        return None;
    }
    let sizes = bid
        .1
        .zip(ask.1)
        .filter(|(bid, ask)| !bid.is_zero() && !ask.is_zero());
    Some((quote, sizes.map(|(bid, ask)| Sizes { bid, ask })))
}
