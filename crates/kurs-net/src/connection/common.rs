//! What the connections of one chain share.

use crate::settings::Settings;
use crate::stream::StreamId;
use std::collections::BTreeMap;

/// What all connections of one chain share.
#[derive(Debug)]
pub struct Common {
    /// Limits and waits.
    pub settings: Settings,
    /// Jitter.
    pub random: fastrand::Rng,
    /// Wanted streams; true for those that are watched.
    pub desired: BTreeMap<StreamId, bool>,
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

    /// The number the next connection gets.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.last_number.saturating_add(1)
    }
}
