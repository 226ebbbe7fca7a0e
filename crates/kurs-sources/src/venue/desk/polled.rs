//! Prices by REST: instead of the socket, or to confirm what it leaves quiet.

use super::Desk;
use crate::venue::codec::{PolledTop, Symbols};
use crate::venue::desk::row::Row;
use kurs_core::{EventKind, Mono, Now, Quote, Sizes, SourceState, Tick};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A pair that was followed a moment ago gets this long to speak before REST is asked.
const FIRST_FRAME_GRACE: Duration = Duration::from_millis(500);

impl Desk {
    /// Symbols a REST poll should ask for now, those longest without data first: all while no
    /// socket speaks, otherwise the quiet ones before they become stale.
    pub(in crate::venue) fn poll_due(&self, now: Mono) -> Vec<String> {
        if self.halted.is_some() {
            return Vec::new();
        }
        let confirm_after = self.waits.confirm;
        let is_due = |row: &Row| match row.last_data() {
            Some(last) if self.socket_live => now.since(last) >= confirm_after,
            _ => now.since(row.since) >= FIRST_FRAME_GRACE,
        };
        let mut due: Vec<(Option<Mono>, u32)> = self
            .followed_rows()
            .filter(|(_, row)| is_due(row))
            .map(|(index, row)| (row.last_data(), index))
            .collect();
        due.sort_unstable();
        due.into_iter()
            .filter_map(|(_, index)| self.table.name(index))
            .map(|name| name.to_string())
            .collect()
    }

    /// True when a followed pair has no price yet: the next poll should not wait.
    pub(in crate::venue) fn has_unpriced(&self) -> bool {
        self.followed_rows()
            .any(|(_, row)| row.last_data().is_none())
    }

    /// A REST poll that was sent at `sent_at` brought these prices.
    pub(super) fn polled(&mut self, now: Now, sent_at: Mono, tops: &[PolledTop]) {
        self.stats.message(now.wall);
        // Of a venue that takes no orders a price means nothing.
        if self.halted.is_some() {
            return;
        }
        if tops.iter().any(|top| quote_of(top).is_some()) {
            self.rest_spoke_at = Some(now.mono);
            self.rest_trouble = None;
            if !self.socket_live {
                self.stats.set_mode("rest");
                self.report(now, SourceState::Live, "");
            }
        }
        for top in tops {
            let Some(index) = self.table.find(&top.symbol) else {
                continue;
            };
            if top.sides.is_none() {
                continue;
            }
            let Some((quote, sizes)) = quote_of(top) else {
                self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            self.confirm_by_rest(now, sent_at, index, quote, sizes);
        }
    }

    fn confirm_by_rest(
        &mut self,
        now: Now,
        sent_at: Mono,
        index: u32,
        quote: Quote,
        sizes: Option<Sizes>,
    ) {
        let valid_for = self.waits.max_age;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        if row.streamed_at.is_some_and(|at| at > sent_at) {
            return;
        }
        row.polled_at = Some(now.mono);
        row.delivered_at = now.mono;
        // What the stream said last is not true any more if REST says otherwise.
        row.shown = row.shown.filter(|shown| shown.quote == quote);
        let tick = Tick {
            pair: row.pair,
            quote,
            sizes,
            observed_at: None,
            valid_for,
            event_id: None,
        };
        self.mark(now, index, SourceState::Live, "");
        self.deliver(now, EventKind::Tick(tick));
        self.hold_book(now, index, quote);
        self.confirm_depth(now, index, quote);
    }

    /// A REST poll failed. Without a socket nothing is left as soon as the last answer is old,
    /// or at once when the venue is `shut` to us.
    pub(super) fn poll_failed(&mut self, now: Now, why: &str, shut: bool) {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        if shut {
            self.rest_spoke_at = None;
        }
        self.rest_trouble = Some(why.to_owned());
        let is_bridged = self.is_reported(SourceState::Live) && self.rest_speaks(now.mono);
        if !self.socket_live && !is_bridged {
            self.report(now, SourceState::Down, why);
        }
    }

    /// True when REST prices are fresh enough to stand in for the socket.
    pub(super) fn rest_speaks(&self, now: Mono) -> bool {
        // Nothing is asked while nothing is followed.
        let since = self.followed_rows().map(|(_, row)| row.since).min();
        self.rest_spoke_at
            .max(self.rest_spoke_at.and(since))
            .is_some_and(|last| now.since(last) < self.waits.rest_silence)
    }
}

/// The price, unless it is none or impossible.
fn quote_of(top: &PolledTop) -> Option<(Quote, Option<Sizes>)> {
    let ((bid, bid_size), (ask, ask_size)) = top.sides?;
    let quote = Quote::sides(bid, ask).ok()?;
    let is_size = |size: &rust_decimal::Decimal| !size.is_sign_negative() && !size.is_zero();
    let sizes = bid_size.filter(is_size).zip(ask_size.filter(is_size));
    Some((quote, sizes.map(|(bid, ask)| Sizes { bid, ask })))
}
