//! What is known of one followed pair.

use crate::venue::books::Books;
use crate::venue::merge::Merge;
use kurs_core::{Mono, Pair, SourceState, Tick};

/// A symbol that is or was followed.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) pair: Pair,
    pub(super) followed: bool,
    /// Followed since then.
    pub(super) since: Mono,
    pub(super) streamed_at: Option<Mono>,
    pub(super) polled_at: Option<Mono>,
    pub(super) reported: SourceState,
    /// The price that the stream holds to be true: to be confirmed when it says so again.
    pub(super) shown: Option<Tick>,
    /// When a price was last delivered.
    pub(super) delivered_at: Mono,
    pub(super) top: Merge,
    pub(super) trade_id: Option<u64>,
    pub(super) trade_connection: u64,
    pub(super) books: Books,
    /// When something last said that the book holds: a message about it, or REST with the same
    /// best prices.
    pub(super) book_held_at: Option<Mono>,
    /// Since when the best price has had ids that the book has not reached.
    pub(super) behind_since: Option<Mono>,
    /// Its best levels are delivered.
    pub(super) wants_depth: bool,
    /// They changed since.
    pub(super) depth_changed: bool,
    /// When they were last delivered; `None` after their end was told.
    pub(super) depth_at: Option<Mono>,
}

impl Row {
    pub(super) fn new(pair: Pair, now: Mono, wants_depth: bool) -> Self {
        Self {
            pair,
            followed: true,
            since: now,
            streamed_at: None,
            polled_at: None,
            reported: SourceState::Syncing,
            shown: None,
            delivered_at: now,
            top: Merge::default(),
            trade_id: None,
            trade_connection: 0,
            books: Books::default(),
            book_held_at: None,
            behind_since: None,
            wants_depth,
            depth_changed: false,
            depth_at: None,
        }
    }

    /// The best price has this id, counted with those of the book: a book that stays behind
    /// has lost its stream.
    pub(super) fn note_top_id(&mut self, now: Mono, id: u64) {
        if self.books.last_id().is_some_and(|last| last < id) {
            self.behind_since.get_or_insert(now);
        } else {
            self.behind_since = None;
        }
    }

    /// When the pair last gave a sign of life, whichever way.
    pub(super) fn last_data(&self) -> Option<Mono> {
        self.streamed_at.max(self.polled_at)
    }

    /// When the book last gave a sign of life. That REST brings another price is none.
    pub(super) fn book_life(&self) -> Mono {
        let life = self.streamed_at.max(self.book_held_at);
        life.unwrap_or(self.since)
    }
}
