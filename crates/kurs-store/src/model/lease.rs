//! Who may write: one Writer at a time for each shard, by a lease that the store's own clock
//! ends, under an epoch that grows with every change of hands.

use kurs_core::{Epoch, UpdateId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Longest name of a Writer, in bytes.
pub const WRITER_NAME_MAX: usize = 64;

/// Under which epoch something is written. The store refuses what does not carry the present one,
/// in the same moment in which it makes the write durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fence {
    /// The shard.
    pub shard: u16,
    /// The epoch of the Writer.
    pub epoch: Epoch,
}

/// What a Writer says about once a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Its name, at most [`WRITER_NAME_MAX`] bytes.
    pub writer: Arc<str>,
    /// For how long its leases are good from now on the store's clock, and it counts as living.
    pub ttl: Duration,
    /// It could take another shard at once.
    pub is_ready: bool,
    /// The leases that it holds and wants to keep.
    pub held: Vec<Fence>,
}

/// How all leases stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leases {
    /// By shard; a shard that nobody has ever written is absent.
    pub shards: Vec<Lease>,
    /// Writers that live, by name.
    pub writers: Vec<LivingWriter>,
}

/// The lease of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: u16,
    /// The present epoch, which may have ended.
    pub epoch: Epoch,
    /// Who holds it or held it last.
    pub writer: Arc<str>,
    /// It was given back: nothing of this epoch is written any more.
    pub is_released: bool,
    /// Who may take it first when it was given back, as long as [`Lease::left`] lasts.
    pub heir: Option<Arc<str>>,
    /// What is left of it on the store's clock; zero when it has run out.
    pub left: Duration,
}

/// A Writer that said something lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivingWriter {
    /// Its name.
    pub name: Arc<str>,
    /// It could take another shard at once.
    pub is_ready: bool,
}

/// A Writer wants the lease of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The shard.
    pub shard: u16,
    /// Name of the Writer.
    pub writer: Arc<str>,
    /// For how long.
    pub ttl: Duration,
    /// The last update of this shard that it has heard on the bus. What the former Writer made
    /// after it was accepted by nobody: it does not belong to the history either. `None` when
    /// the bus is not known: then the moment of the claim decides.
    pub heard: Option<UpdateId>,
    /// The former Writer cannot be alive: everything that it made belongs to the history.
    pub is_alone: bool,
}

/// What of a batch of an ended epoch was stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Rows and events that belong to the history.
    pub stored: u64,
    /// What was made after another Writer had taken over, and everything that only the present
    /// Writer may write.
    pub refused: u64,
}
