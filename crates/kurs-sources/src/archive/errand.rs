//! One thing to be fetched from an archive, in steps.

use super::error::ArchiveError;
use kurs_core::{Pair, SourceId, Wall};
use kurs_net::http::Fetch;
use kurs_store::{Candle, Interval, OfficialRate};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What an errand fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// Whose archive.
    pub source: SourceId,
    /// Which pair; `None`: all that one document holds.
    pub pair: Option<Pair>,
    /// Length of the candles; `None`: official rates.
    pub interval: Option<Interval>,
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.source)?;
        if let Some(pair) = self.pair {
            write!(formatter, " {pair}")?;
        }
        match self.interval {
            Some(interval) => write!(formatter, " {interval}"),
            None => write!(formatter, " official rates"),
        }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What to get.
    pub fetch: Fetch,
    /// What it costs, in the unit of [`super::Limits`].
    pub weight: u32,
}

/// What an answer brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Haul {
    /// Candles, those composed of shorter ones included.
    pub candles: Vec<Candle>,
    /// Official rates.
    pub official: Vec<OfficialRate>,
    /// Everything before this moment is done; `None` while the present page is not whole.
    pub through: Option<Wall>,
    /// Rows that were left out, as the source's own mistakes, with the reason.
    pub rejected: Vec<String>,
}

/// A state machine: says the next request and reads its answer. The number of its requests is
/// bounded whatever the answers are.
pub trait Errand: Send {
    /// What it fetches.
    fn series(&self) -> Series;

    /// The next request; `None` when all is done. Asked again without an answer between, it gives
    /// the same request.
    fn ask(&mut self) -> Option<Ask>;

    /// Reads the answer to the latest request, whatever its status. `now` dates what was seen.
    ///
    /// # Errors
    /// [`ArchiveError`] when it brings nothing; the errand then stands where it stood.
    fn receive(&mut self, status: u16, body: &[u8], now: Wall) -> Result<Haul, ArchiveError>;

    /// Requests that are left, about.
    fn requests_left(&self) -> u64;
}
