//! Everything that is written together.

use super::candle::Candle;
use super::lease::Fence;
use super::official::OfficialRate;
use super::published::Published;
use super::snapshot::BookSnapshot;
use super::state::{Gap, PriceState};
use super::{CurrentRate, HistoryRow, microseconds};
use kurs_core::Wall;
use serde::{Deserialize, Serialize};

/// What the Writer hands over at once: all of it is stored, or nothing. A batch that is handed
/// over again, whole or in other pieces, does no harm: everything in it has an identity, and what
/// is there already is passed over or replaced by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Batch {
    /// Rates as received.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<HistoryRow>,
    /// What was published.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<Published>,
    /// Changes of state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<PriceState>,
    /// Candles; each replaces what is stored of the same series, interval, start and origin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candles: Vec<Candle>,
    /// Gaps; each replaces what is stored of the same source, pair and begin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Order books.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub books: Vec<BookSnapshot>,
    /// Official rates: one that differs from the last version of its day becomes a new version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub official: Vec<OfficialRate>,
    /// With this batch everything that this shard published up to this moment is stored. `write`
    /// keeps the greatest of each shard; see [`Store::recorded_until`](crate::Store::recorded_until).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded_until: Option<Recorded>,
    /// Current rates: each replaces that of its pair unless the stored one is of the same shard
    /// and has a greater id.
    #[serde(skip)]
    pub current: Vec<CurrentRate>,
    /// Under which epoch all of it was made; `None` for what no Writer made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
}

/// How far a shard is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The shard.
    pub shard: u16,
    /// Everything published before this is stored.
    #[serde(with = "microseconds")]
    pub until: Wall,
}

impl Batch {
    /// How many things are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
            + self.published.len()
            + self.states.len()
            + self.candles.len()
            + self.gaps.len()
            + self.books.len()
            + self.official.len()
            + self.current.len()
    }

    /// True when nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.recorded_until.is_none()
    }

    /// Only received rates.
    #[must_use]
    pub fn of_rows(rows: Vec<HistoryRow>) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }
}
