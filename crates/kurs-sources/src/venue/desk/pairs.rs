//! Which pairs are followed.

use super::row::Row;
use super::{Desk, Wanted};
use crate::input::Wishes;
use kurs_core::{EventKind, Mono, Now, Pair, SourceState};
use std::time::Duration;

/// A listed pair that stays quiet for this long is looked up in the listing again.
const DOUBT_AFTER: Duration = Duration::from_secs(60);

/// Why a source is not connected whose venue trades nothing that is wanted.
const NONE_LISTED: &str = "none of the tracked pairs is listed";

impl Desk {
    /// Sets the wanted pairs.
    pub(super) fn want(&mut self, now: Now, pairs: &[Pair], wishes: &mut Wishes) {
        let gone: Vec<Pair> = self
            .wanted
            .keys()
            .filter(|pair| !pairs.contains(pair))
            .copied()
            .collect();
        for pair in gone {
            self.unfollow(pair);
            self.wanted.remove(&pair);
            self.deliver(now, EventKind::Untracked(pair));
        }
        for pair in pairs {
            self.wanted.entry(*pair).or_insert(Wanted::Asked);
        }
        self.count_pairs();
        self.count_books();
        self.report_if_none_is_listed(now);
        wishes.streams = true;
    }

    /// The listing was looked up: `None` when the venue could not be asked, in which case the
    /// stream itself will tell.
    pub(super) fn listed(
        &mut self,
        now: Now,
        pair: Pair,
        listed: Option<bool>,
        wishes: &mut Wishes,
    ) {
        let Some(wanted) = self.wanted.get(&pair).copied() else {
            return;
        };
        match (wanted, listed) {
            (Wanted::Asked, None) | (Wanted::Asked | Wanted::Unlisted, Some(true)) => {
                self.follow(now, pair);
                wishes.streams = true;
            }
            (Wanted::Asked | Wanted::Followed(_), Some(false)) => {
                self.unfollow(pair);
                self.wanted.insert(pair, Wanted::Unlisted);
                self.say_down(now, pair, "not listed");
                self.count_pairs();
                self.count_books();
                wishes.streams = true;
            }
            _ => {}
        }
        self.report_if_none_is_listed(now);
    }

    fn say_down(&self, now: Now, pair: Pair, why: &str) {
        let state = SourceState::Down;
        let why = why.into();
        self.deliver(now, EventKind::PairState { pair, state, why });
    }

    /// With nothing to follow there is no socket and no poll: the source would say for ever
    /// what it said last.
    fn report_if_none_is_listed(&mut self, now: Now) {
        let is_unlisted = |wanted: &Wanted| *wanted == Wanted::Unlisted;
        if !self.wanted.is_empty() && self.wanted.values().all(is_unlisted) {
            self.socket_live = false;
            self.report(now, SourceState::Syncing, NONE_LISTED);
        }
    }

    fn follow(&mut self, now: Now, pair: Pair) {
        let name = self.codec.symbol(pair);
        let Some(index) = self.table.follow(&name, pair) else {
            self.wanted.insert(pair, Wanted::Unlisted);
            self.say_down(now, pair, "its symbol means another pair");
            return;
        };
        self.wanted.insert(pair, Wanted::Followed(index));
        let wants_depth = self.depth.contains(&pair);
        let row = Row::new(pair, now.mono, wants_depth);
        match usize::try_from(index)
            .ok()
            .and_then(|at| self.rows.get_mut(at))
        {
            Some(place) => *place = row,
            // A new symbol gets the next number.
            None => self.rows.push(row),
        }
        if self.is_reported(SourceState::Syncing) {
            self.reported = None;
            self.stats
                .set_state(SourceState::Syncing, "starting", now.wall);
        }
    }

    fn unfollow(&mut self, pair: Pair) {
        if let Some(Wanted::Followed(index)) = self.wanted.get(&pair).copied() {
            self.table.unfollow(index);
            if let Some(row) = self.row_mut(index) {
                // Books are large: what is not followed holds none.
                let mut ended = Row::new(pair, Mono(0), false);
                ended.followed = false;
                *row = ended;
            }
        }
    }

    /// The pairs whose listing is being looked up.
    pub(in crate::venue) fn asked(&self) -> Vec<Pair> {
        let asked = self
            .wanted
            .iter()
            .filter(|(_, wanted)| **wanted == Wanted::Asked);
        asked.map(|(pair, _)| *pair).collect()
    }

    /// Pairs whose listing deserves another look: not traded so far, or quiet for long.
    pub(in crate::venue) fn doubtful(&self, now: Mono) -> Vec<Pair> {
        let quiet = |row: &Row| now.since(row.streamed_at.unwrap_or(row.since)) >= DOUBT_AFTER;
        let doubtful = self.wanted.iter().filter(|(_, wanted)| match wanted {
            Wanted::Followed(index) => self.row(*index).is_some_and(quiet),
            Wanted::Unlisted => true,
            Wanted::Asked => false,
        });
        doubtful.map(|(pair, _)| *pair).collect()
    }

    /// The pairs that are followed.
    pub(in crate::venue) fn followed(&self) -> Vec<Pair> {
        self.followed_rows().map(|(_, row)| row.pair).collect()
    }
}
