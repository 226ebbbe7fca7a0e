//! What the connections of one chain share.

use crate::settings::Settings;
use crate::stream::{StreamId, StreamSpec};
use kurs_core::Mono;
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
    /// When the last attempt of any connection began.
    pub(super) attempted_at: Option<Mono>,
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
            attempted_at: None,
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

    /// The first moment from `wanted` on at which an attempt may begin.
    #[must_use]
    pub fn attempt_at(&self, wanted: Mono) -> Mono {
        self.attempted_at.map_or(wanted, |last| {
            last.plus(self.settings.connect_every).max(wanted)
        })
    }

    /// The number the next connection gets.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.last_number.saturating_add(1)
    }
}
