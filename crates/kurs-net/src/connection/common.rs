//! What the connections of one chain share.

use crate::settings::Settings;
use crate::stream::{StreamId, StreamSpec};
use std::collections::BTreeMap;

/// What all connections of one chain share.
#[derive(Debug)]
pub struct Common {
    /// Limits and waits.
    pub settings: Settings,
    /// Jitter.
    pub random: fastrand::Rng,
    /// Wanted streams.
    pub desired: BTreeMap<StreamId, StreamSpec>,
    pub(super) last_number: u64,
}

impl Common {
    /// Nothing wanted yet.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            random: fastrand::Rng::with_seed(seed),
            desired: BTreeMap::new(),
            last_number: 0,
        }
    }

    /// True for a wanted stream whose silence says something.
    #[must_use]
    pub fn watches(&self, stream: StreamId) -> bool {
        self.desired.get(&stream).is_some_and(|spec| spec.watched)
    }

    /// True when the silence of any wanted stream says something: no other can make a connection
    /// look dead.
    #[must_use]
    pub fn watches_any(&self) -> bool {
        self.desired.values().any(|spec| spec.watched)
    }

    /// The number the next connection gets.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.last_number.saturating_add(1)
    }
}
