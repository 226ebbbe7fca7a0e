//! The order of what is heard: every id once, rising within its shard, and no gap unnoticed.

use crate::{Body, Update};
use kurs_core::UpdateId;
use std::collections::BTreeMap;

/// Where an update stands in the order of its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It is the next one, or the first that is heard at all.
    Next,
    /// It was heard before.
    Again,
    /// It is of an epoch that has ended: a Writer that does not know it yet.
    Outdated,
    /// It is newer, but something before it is missing.
    After {
        /// At least so many were lost.
        lost: u64,
    },
}

/// Remembers how far each shard was heard.
#[derive(Debug, Clone, Default)]
pub struct Order {
    last: BTreeMap<u16, UpdateId>,
}

impl Order {
    /// The place of an update, which counts as heard from now on unless it is outdated.
    pub fn place(&mut self, update: &Update) -> Place {
        let id = update.id;
        let Some(last) = self.last.get(&id.shard).copied() else {
            self.last.insert(id.shard, id);
            return Place::Next;
        };
        if id.epoch < last.epoch {
            return Place::Outdated;
        }
        if id <= last {
            return Place::Again;
        }
        self.last.insert(id.shard, id);
        let lost = if id.epoch == last.epoch {
            id.seq.0 - last.seq.0 - 1
        } else {
            lost_between(last, update)
        };
        match lost {
            0 => Place::Next,
            lost => Place::After { lost },
        }
    }

    /// Takes note that everything up to this id is known, by the last values for example.
    pub fn known(&mut self, id: UpdateId) {
        let last = self.last.entry(id.shard).or_insert(id);
        *last = (*last).max(id);
    }

    /// How far this shard was heard.
    #[must_use]
    pub fn last(&self, shard: u16) -> Option<UpdateId> {
        self.last.get(&shard).copied()
    }
}

/// What is missing between the last one heard and the first one heard of a later epoch. The first
/// update of an epoch is a heartbeat that says what it follows.
fn lost_between(last: UpdateId, first: &Update) -> u64 {
    let missing = first.id.seq.0.saturating_sub(1);
    match &first.body {
        Body::Heartbeat(beat) if missing == 0 => match beat.follows {
            Some(follows) if follows.epoch == last.epoch => {
                follows.seq.0.saturating_sub(last.seq.0)
            }
            Some(follows) if follows.epoch > last.epoch => follows.seq.0.max(1),
            // Whoever took over had heard less: nothing is known to be missing.
            Some(_) | None => 0,
        },
        _ => missing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Heartbeat;
    use kurs_core::{Epoch, Pair, Seq};

    fn id(epoch: u64, seq: u64) -> UpdateId {
        UpdateId {
            shard: 0,
            epoch: Epoch(epoch),
            seq: Seq(seq),
        }
    }

    fn plain(epoch: u64, seq: u64) -> Update {
        Update {
            id: id(epoch, seq),
            body: Body::Withdrawn(Pair::parse("BTC-USDT").unwrap()),
            cause: None,
            at: None,
        }
    }

    fn begin(epoch: u64, follows: Option<UpdateId>) -> Update {
        let beat = Heartbeat {
            writer: "a".into(),
            follows,
            ends: false,
        };
        Update {
            id: id(epoch, 1),
            body: Body::Heartbeat(beat),
            cause: None,
            at: None,
        }
    }

    #[test]
    fn every_id_is_new_once_and_a_missing_one_is_noticed() {
        let mut order = Order::default();
        assert_eq!(order.place(&plain(3, 7)), Place::Next);
        assert_eq!(order.place(&plain(3, 8)), Place::Next);
        assert_eq!(order.place(&plain(3, 8)), Place::Again);
        assert_eq!(order.place(&plain(3, 6)), Place::Again);
        assert_eq!(order.place(&plain(3, 12)), Place::After { lost: 3 });
        assert_eq!(order.place(&plain(2, 99)), Place::Outdated);
        order.known(id(3, 20));
        assert_eq!(order.place(&plain(3, 20)), Place::Again);
        assert_eq!(order.place(&plain(3, 21)), Place::Next);
    }

    #[test]
    fn a_new_epoch_says_what_it_follows() {
        let heard = |update: &Update| {
            let mut order = Order::default();
            order.place(&plain(3, 7));
            order.place(update)
        };
        assert_eq!(heard(&begin(4, Some(id(3, 7)))), Place::Next);
        assert_eq!(heard(&begin(4, Some(id(3, 5)))), Place::Next);
        assert_eq!(heard(&begin(4, None)), Place::Next);
        assert_eq!(heard(&begin(4, Some(id(3, 9)))), Place::After { lost: 2 });
        assert_eq!(heard(&begin(5, Some(id(4, 6)))), Place::After { lost: 6 });
        assert_eq!(heard(&plain(4, 3)), Place::After { lost: 2 });
    }

    #[test]
    fn shards_are_counted_apart() {
        let mut order = Order::default();
        order.place(&plain(3, 7));
        let mut other = plain(1, 1);
        other.id.shard = 4;
        assert_eq!(order.place(&other), Place::Next);
        assert_eq!(order.last(0), Some(id(3, 7)));
        assert_eq!(order.last(4), Some(other.id));
    }
}
