//! What was told lately, for those who come back.

use crate::position::Position;
use kurs_bus::Update;
use kurs_core::{Mono, UpdateId};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// What was told lately.
#[derive(Debug)]
pub struct Ring {
    /// With when it was taken in.
    told: VecDeque<(Mono, Arc<Update>)>,
    keeps: Duration,
    most: usize,
    /// Everything later than this is in it.
    floor: Position,
    /// The last update of each shard, told to anybody or not.
    head: Position,
    /// The same as text, once somebody has asked.
    head_text: Option<Arc<str>>,
}

impl Ring {
    /// An empty one that keeps everything for so long, and at most so many.
    #[must_use]
    pub fn new(keeps: Duration, most: usize) -> Self {
        Self {
            told: VecDeque::new(),
            keeps,
            most,
            floor: Position::default(),
            head: Position::default(),
            head_text: None,
        }
    }

    /// The Reader has taken this update in.
    pub fn moved(&mut self, id: UpdateId) {
        if self.head.of(id.shard).is_none() {
            // Whoever has heard the one before it has missed nothing.
            let before = UpdateId {
                seq: kurs_core::Seq(id.seq.0.saturating_sub(1)),
                ..id
            };
            self.floor.advance(before);
        }
        if !self.head.covers(id) {
            self.head.advance(id);
            self.head_text = None;
        }
    }

    /// It is to be kept. Comes after [`Self::moved`].
    pub fn keep(&mut self, now: Mono, update: &Arc<Update>) {
        self.told.push_back((now, Arc::clone(update)));
        while let Some((at, first)) = self.told.front()
            && (self.told.len() > self.most || now.since(*at) > self.keeps)
        {
            self.floor.advance(first.id);
            self.told.pop_front();
        }
    }

    /// Updates went past this Reader: nobody can go on from before.
    pub fn break_off(&mut self) {
        self.told.clear();
        self.floor = self.head.clone();
    }

    /// How far the Reader is.
    #[must_use]
    pub const fn head(&self) -> &Position {
        &self.head
    }

    /// The same as text.
    #[must_use]
    pub fn head_text(&mut self) -> Arc<str> {
        let head = &self.head;
        let text = self
            .head_text
            .get_or_insert_with(|| head.to_string().into());
        Arc::clone(text)
    }

    /// What came after a position; `None` when some of it is gone, or the position is of somewhere
    /// else. One that is ahead of this Reader is good: nothing came after it yet.
    #[must_use]
    pub fn after(&self, position: &Position) -> Option<Vec<Arc<Update>>> {
        let is_known = |head: UpdateId| {
            let heard = position.of(head.shard);
            heard.is_some_and(|heard| self.floor.of(head.shard).is_none_or(|floor| heard >= floor))
        };
        if self.head.is_empty() || !self.head.ids().all(is_known) {
            return None;
        }
        // From the newest back, until each shard has come to what was heard: in order they are.
        let mut heard = BTreeSet::new();
        let shards = self.head.ids().count();
        let mut later = Vec::new();
        for (_, update) in self.told.iter().rev() {
            if !position.covers(update.id) {
                later.push(Arc::clone(update));
            } else if heard.insert(update.id.shard) && heard.len() == shards {
                break;
            }
        }
        later.reverse();
        Some(later)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_bus::Body;
    use kurs_core::Pair;

    fn update(id: &str) -> Arc<Update> {
        Arc::new(Update {
            id: id.parse().unwrap(),
            body: Body::Withdrawn(Pair::parse("BTC-USD").unwrap()),
            cause: None,
            at: None,
        })
    }

    fn ring_of(ids: &[&str]) -> Ring {
        let mut ring = Ring::new(Duration::from_secs(60), 5);
        for id in ids {
            let update = update(id);
            ring.moved(update.id);
            ring.keep(Mono(0), &update);
        }
        ring
    }

    fn after(ring: &Ring, position: &str) -> Option<Vec<String>> {
        let told = ring.after(&position.parse().unwrap())?;
        Some(told.iter().map(|update| update.id.to_string()).collect())
    }

    #[test]
    fn whoever_comes_back_hears_what_came_since_from_any_shard_and_epoch() {
        let ring = ring_of(&["0.1-8", "1.4-1", "0.1-9", "0.2-1"]);
        assert_eq!(ring.head().to_string(), "0.2-1,1.4-1");
        assert_eq!(after(&ring, "0.1-8,1.4-1").unwrap(), ["0.1-9", "0.2-1"]);
        assert_eq!(after(&ring, "0.2-1,1.4-1").unwrap(), [] as [&str; 0]);
        assert_eq!(after(&ring, "0.1-7,1.4-0").unwrap().len(), 4);
        // Ahead of this Reader.
        assert_eq!(after(&ring, "0.2-9,1.4-1").unwrap(), [] as [&str; 0]);
    }

    #[test]
    fn a_position_before_the_ring_or_of_somewhere_else_is_no_place_to_go_on_from() {
        let ring = ring_of(&["0.1-8", "0.1-9"]);
        assert_eq!(after(&ring, "0.1-6"), None, "before it began");
        assert_eq!(after(&ring, "1.1-8"), None, "of another shard only");
        let ring = ring_of(&["0.1-1", "0.1-2", "0.1-3", "0.1-4", "0.1-5", "0.1-6"]);
        assert_eq!(after(&ring, "0.1-0"), None, "pushed out");
        assert_eq!(after(&ring, "0.1-1").unwrap().len(), 5);
        assert_eq!(
            Ring::new(Duration::from_secs(60), 5)
                .after(&"0.1-1".parse().unwrap())
                .map(|told| told.len()),
            None
        );
    }

    #[test]
    fn what_is_too_old_is_gone_and_after_a_gap_nobody_goes_on() {
        let mut ring = ring_of(&["0.1-1", "0.1-2"]);
        let late = update("0.1-3");
        ring.moved(late.id);
        ring.keep(Mono(61_000_000_000), &late);
        assert_eq!(after(&ring, "0.1-1"), None);
        assert_eq!(after(&ring, "0.1-2").unwrap(), ["0.1-3"]);
        ring.break_off();
        assert_eq!(after(&ring, "0.1-2"), None);
        assert_eq!(after(&ring, "0.1-3").unwrap(), [] as [&str; 0]);
    }
}
