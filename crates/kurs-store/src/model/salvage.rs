//! What of a batch of an ended epoch belongs to the history.

use crate::{Batch, Fence, Salvaged, StoreError};
use kurs_core::{UpdateId, Wall};

/// How an epoch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    /// The last update that its successor had heard, if that is known.
    pub(crate) heard_seq: Option<u64>,
    /// When, on the store's clock; [`Wall::MAX`] when everything of it belongs to the history.
    pub(crate) at: Wall,
}

/// How an epoch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its Writer may write.
    Present,
    /// It ended; `None` when nobody wrote down how: then nothing of it is accepted.
    Past(Option<Ended>),
}

impl Batch {
    /// The part that belongs to the history, and how much that is: all of it, still under its
    /// fence, in the present epoch.
    pub(crate) fn salvageable(self, fence: Fence, standing: Standing) -> (Self, Salvaged) {
        let count = |things: usize| u64::try_from(things).unwrap_or(u64::MAX);
        let all = self.len();
        let kept = match standing {
            Standing::Present => self,
            Standing::Past(None) => Self::default(),
            Standing::Past(Some(ended)) => self.of_history(fence, ended),
        };
        let salvaged = Salvaged {
            stored: count(kept.len()),
            refused: count(all - kept.len()),
        };
        (kept, salvaged)
    }

    fn of_history(self, fence: Fence, ended: Ended) -> Self {
        let is_of_epoch = |id: UpdateId| id.shard == fence.shard && id.epoch == fence.epoch;
        let was_heard = |id: UpdateId, at: Wall| {
            is_of_epoch(id) && ended.heard_seq.map_or(at < ended.at, |seq| id.seq.0 <= seq)
        };
        let mut kept = Self {
            rows: self.rows,
            published: self.published,
            states: self.states,
            ..Self::default()
        };
        kept.rows
            .retain(|row| is_of_epoch(row.id) && row.received_at < ended.at);
        kept.published
            .retain(|event| was_heard(event.id, event.published_at));
        kept.states.retain(|state| was_heard(state.id, state.at));
        kept
    }
}

/// Nobody can say to which epoch a batch belongs.
pub(crate) fn no_fence() -> StoreError {
    StoreError::Corrupt("a batch without a fence cannot be salvaged".to_owned())
}
