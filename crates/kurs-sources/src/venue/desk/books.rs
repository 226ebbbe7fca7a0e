//! Order books: the prices that come from them, their best levels, and how they are brought
//! back in step.

use super::Desk;
use super::row::Row;
use crate::book::{BookView, LEVELS_MAX};
use crate::input::Wishes;
use crate::venue::books::{Message, Outcome};
use crate::venue::codec::{Channel, Symbols};
use crate::venue::symbols::stream_id;
use kurs_book::{Book, Verdict};
use kurs_core::{EventKind, Level, Mono, Now, Pair, Quote, Sizes, SourceState, Tick};
use kurs_net::Heard;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Best levels of one pair are delivered no more often than this.
const DEPTH_EVERY: Duration = Duration::from_millis(100);
/// Levels per side that are delivered.
const DEPTH_LEVELS: usize = 50;
/// A book that stays behind the best price for so long has lost its stream.
const BEHIND_MAX: Duration = Duration::from_secs(5);
/// Books that are asked for only because their time is up follow one another at this distance.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

impl Desk {
    /// A message about a book. True when it is about a followed pair.
    pub(super) fn book_said(&mut self, now: Now, index: u32, message: Message<'_>) -> bool {
        let (manner, lines, stats) = (&self.manner, self.lines, &self.stats.books);
        let row = usize::try_from(index)
            .ok()
            .and_then(|at| self.rows.get_mut(at))
            .filter(|row| row.followed);
        let Some(row) = row else {
            return false;
        };
        row.book_held_at = Some(now.mono);
        let outcome = row.books.take(now, message, manner, lines, stats);
        if outcome.changed {
            row.behind_since = None;
        }
        self.book_moved(now, index, outcome);
        // Even an unchanged book is a sign of life.
        if self.facts.top_from_book && !outcome.changed {
            self.confirm(now, index);
        }
        true
    }

    /// A message about a book could not be used.
    pub(super) fn book_spoilt(&mut self, now: Now, connection: u64, index: u32) {
        let (manner, stats) = (&self.manner, &self.stats.books);
        let row = usize::try_from(index)
            .ok()
            .and_then(|at| self.rows.get_mut(at))
            .filter(|row| row.followed);
        if let Some(row) = row {
            let outcome = row.books.spoil(connection, manner, stats);
            self.book_moved(now, index, outcome);
        }
    }

    /// The symbol lives on this connection, so its book is due there.
    pub(super) fn expect_book(&mut self, now: Now, connection: u64, index: u32) {
        let follows_books = self
            .channels
            .iter()
            .any(|(channel, _)| *channel == Channel::Book);
        let (manner, lines) = (&self.manner, self.lines);
        let row = usize::try_from(index)
            .ok()
            .and_then(|at| self.rows.get_mut(at));
        if let Some(row) = row.filter(|row| row.followed && follows_books) {
            row.books.alive(now.mono, connection, manner, lines);
        }
    }

    pub(super) fn book_connection_ended(&mut self, now: Now, connection: u64, index: u32) {
        let (lines, stats) = (self.lines, &self.stats.books);
        let row = usize::try_from(index)
            .ok()
            .and_then(|at| self.rows.get_mut(at));
        if let Some(row) = row.filter(|row| row.followed) {
            let outcome = row.books.ended(now, connection, lines, stats);
            self.book_moved(now, index, outcome);
        }
    }

    /// The venue answered a request for a snapshot.
    pub(super) fn book_answered(
        &mut self,
        now: Now,
        symbol: &str,
        status: u16,
        body: &[u8],
        wishes: &mut Wishes,
    ) {
        let mut changes = std::mem::take(&mut self.snapshot);
        changes.clear();
        let read = self.codec.read_book(status, body, &mut changes);
        match read {
            Ok(ids) => {
                let stats = &self.stats.books;
                let index = self.table.find(symbol);
                let row = index
                    .and_then(|index| usize::try_from(index).ok())
                    .and_then(|at| self.rows.get_mut(at));
                if let Some((index, row)) = index.zip(row) {
                    row.book_held_at = Some(now.mono);
                    let taken = row.books.snapshot(now, ids, &changes, stats);
                    if let Some((verdict, outcome)) = taken {
                        if verdict == Verdict::SnapshotTooOld {
                            tracing::debug!(source = %self.source, symbol, "the snapshot is too old");
                        }
                        self.book_moved(now, index, outcome);
                    }
                }
            }
            Err(error) => {
                self.stats.failures.fetch_add(1, Ordering::Relaxed);
                wishes.refused = Some(error);
            }
        }
        self.snapshot = changes;
    }

    /// Symbols whose snapshots must be asked for.
    pub(in crate::venue) fn snapshots_wanted(&self) -> Vec<Arc<str>> {
        self.followed_rows()
            .filter(|(_, row)| row.books.wants_snapshot())
            .filter_map(|(index, _)| self.table.name(index).cloned())
            .collect()
    }

    /// The book that is read changed, or is another, or is none any more.
    fn book_moved(&mut self, now: Now, index: u32, outcome: Outcome) {
        if outcome.turned {
            self.count_books();
        }
        if !outcome.changed {
            return;
        }
        if self.facts.top_from_book {
            self.tick_from_book(now, index);
        }
        if let Some(row) = self.row_mut(index)
            && row.wants_depth
        {
            row.depth_changed = true;
            self.tell_depth(now, index);
        }
    }

    fn tick_from_book(&mut self, now: Now, index: u32) {
        let valid_for = self.waits.max_age;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        let best = row.books.book().and_then(|book| {
            let (bid, ask) = book.best_bid().zip(book.best_ask())?;
            let quote = Quote::sides(bid.price, ask.price).ok()?;
            let (bid, ask) = (bid.size, ask.size);
            Some((quote, Sizes { bid, ask }))
        });
        let Some((quote, sizes)) = best else {
            row.shown = None;
            // Where no connection is left, that is what will be told.
            if !row.books.is_empty() && row.last_data().is_some() {
                let why = row.books.why();
                self.mark(now, index, SourceState::Syncing, &why);
            }
            return;
        };
        let is_same = |shown: &Tick| shown.quote == quote && shown.sizes == Some(sizes);
        if row.shown.as_ref().is_some_and(is_same) {
            self.confirm(now, index);
            return;
        }
        let tick = Tick {
            pair: row.pair,
            quote,
            sizes: Some(sizes),
            observed_at: row.books.times().0,
            valid_for,
            event_id: row.books.last_id(),
        };
        self.streamed(now, index, tick);
    }

    /// Delivers the best levels if they changed and their time has come, or once that there are
    /// none any more.
    fn tell_depth(&mut self, now: Now, index: u32) {
        let valid_for = self.waits.max_age;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        if !row.depth_changed {
            return;
        }
        let pair = row.pair;
        let depth = match row.books.book() {
            Some(book) => {
                if row
                    .depth_at
                    .is_some_and(|at| now.mono.since(at) < DEPTH_EVERY)
                {
                    return;
                }
                row.depth_at = Some(now.mono);
                Some(Arc::new(book.depth(DEPTH_LEVELS)))
            }
            None => {
                row.depth_changed = false;
                if row.depth_at.take().is_none() {
                    return;
                }
                None
            }
        };
        row.depth_changed = false;
        let told = EventKind::Depth {
            pair,
            depth,
            valid_for,
        };
        self.deliver(now, told);
    }

    /// REST brought this best price: a book that agrees with it holds.
    pub(super) fn hold_book(&mut self, now: Now, index: u32, quote: Quote) {
        if let Some(row) = self.row_mut(index)
            && row.books.book().is_some_and(|book| agrees(book, quote))
        {
            row.book_held_at = Some(now.mono);
        }
    }

    /// Why a book that is in step is none to rely on: nothing has said for too long that it
    /// holds, although its connection is still open.
    fn lifeless(&self, row: &Row) -> Option<String> {
        let silent = self.now.since(row.book_life());
        // A pair that is stale was not confirmed by REST either.
        let longest = match row.reported {
            SourceState::Stale => self.waits.silence.min(self.waits.max_age),
            _ => self.waits.max_age,
        };
        (silent >= longest).then(|| format!("no sign of life for {} s", silent.as_secs()))
    }

    /// The best price was confirmed: levels that agree with it hold as well.
    pub(super) fn confirm_depth(&mut self, now: Now, index: u32, quote: Quote) {
        let again_after = self.waits.silence / 2;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        let is_late = |at| now.mono.since(at) >= again_after;
        if !row.wants_depth || !row.depth_at.is_some_and(is_late) {
            return;
        }
        if row.books.book().is_some_and(|book| agrees(book, quote)) {
            row.depth_changed = true;
            self.tell_depth(now, index);
        }
    }

    /// Messages that waited are due, books out of step are asked for again, levels are told.
    pub(super) fn advance_books(&mut self, now: Now, wishes: &mut Wishes) {
        let mut may_refresh = self
            .refreshed_at
            .is_none_or(|at| now.mono.since(at) >= REFRESH_EVERY);
        let could_refresh = may_refresh;
        for index in self.indexes() {
            let (manner, stats) = (&self.manner, &self.stats.books);
            let row = usize::try_from(index)
                .ok()
                .and_then(|at| self.rows.get_mut(at))
                .filter(|row| row.followed && !row.books.is_empty());
            let Some(row) = row else {
                continue;
            };
            let mut late = row.books.advance(now, stats);
            let stream = stream_id(index, Channel::Book);
            let is_behind = |since: Mono| now.mono.since(since) >= BEHIND_MAX;
            if row.behind_since.is_some_and(is_behind) {
                row.behind_since = None;
                let (connection, lost) = row.books.fall_silent(stats);
                wishes.heard.push((connection, Heard::Renew { stream }));
                late.changed |= lost.changed;
                late.turned |= lost.turned;
            }
            let renewed = row
                .books
                .renewals(now.mono, manner, &mut may_refresh, |connection| {
                    wishes.heard.push((connection, Heard::Renew { stream }));
                });
            self.book_moved(
                now,
                index,
                Outcome {
                    changed: late.changed || renewed.changed,
                    turned: late.turned || renewed.turned,
                },
            );
            self.tell_depth(now, index);
        }
        if could_refresh && !may_refresh {
            self.refreshed_at = Some(now.mono);
        }
    }

    /// Counts the books that are in step.
    pub(super) fn count_books(&self) {
        let synced = self
            .followed_rows()
            .filter(|(_, row)| row.books.is_synced())
            .count();
        let synced = u32::try_from(synced).unwrap_or(u32::MAX);
        self.stats.books.synced.store(synced, Ordering::Relaxed);
    }

    pub(super) fn book_view(&self, pair: Pair, levels: usize) -> Option<BookView> {
        let follows_books = self
            .channels
            .iter()
            .any(|(channel, _)| *channel == Channel::Book);
        let (index, row) = self
            .followed_rows()
            .find(|(_, row)| row.pair == pair && follows_books)?;
        let synced = row.books.book();
        let lifeless = synced.and_then(|_| self.lifeless(row));
        let book = synced.filter(|_| lifeless.is_none());
        let (observed_at, received_at) = row.books.times();
        let sides = |book: &Book| {
            let length = |side| book.len(side);
            (length(kurs_book::Side::Bid), length(kurs_book::Side::Ask))
        };
        Some(BookView {
            symbol: self.table.name(index)?.clone(),
            depth: book.map(|book| Arc::new(book.depth(levels.min(LEVELS_MAX)))),
            why: match (synced, lifeless) {
                (Some(_), why) => why.unwrap_or_default().into(),
                (None, _) => row.books.why().into(),
            },
            levels: book.map_or((0, 0), sides),
            last_id: row.books.last_id(),
            observed_at,
            received_at,
            scheme: self.manner.scheme,
            counters: row.books.counters(),
        })
    }
}

/// Whether this is what the book shows at its top.
fn agrees(book: &Book, quote: Quote) -> bool {
    let price = |level: Option<Level>| level.map(|level| level.price);
    price(book.best_bid()) == quote.bid() && price(book.best_ask()) == quote.ask()
}
