//! Rows and queries of the store.
//!
//! | module | what it holds |
//! |---|---|
//! | [`alert`] | alerts, what is to be told, chats of the bot |
//! | [`audit`] | who changed what, and when |
//! | [`batch`] | everything that is written together |
//! | [`published`] | what kurs published, event by event |
//! | [`state`] | changes of a source's state for a pair, and the gaps that follow from them |
//! | [`candle`] | candles |
//! | [`key`] | API keys |
//! | `current` | what every store does alike with current rates |
//! | [`lease`] | who may write |
//! | [`official`] | a bank's rate of a day, with its corrections |
//! | `salvage` | what of a batch of an ended epoch belongs to the history |
//! | [`setting`] | what is set while kurs runs |
//! | [`snapshot`] | order books kept from time to time |
//! | [`retention`] | how long what is kept |

pub mod alert;
pub mod audit;
pub mod batch;
pub mod candle;
pub(crate) mod current;
pub mod key;
pub mod lease;
pub mod official;
pub mod published;
pub mod retention;
pub(crate) mod salvage;
pub mod setting;
pub mod snapshot;
pub mod state;

use kurs_core::{Pair, Price, Rate, SourceId, UpdateId, Wall};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One rate as received from a source. Unique by pair, source, epoch and seq.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The market.
    pub pair: Pair,
    /// Who gave it.
    pub source: SourceId,
    /// Identity within the shard.
    pub id: UpdateId,
    /// Fair price.
    pub value: Price,
    /// Best bid, if the source gives sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask, if the source gives sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// When the source says it was true, if it says.
    #[serde(
        default,
        with = "optional_microseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub observed_at: Option<Wall>,
    /// When it arrived here.
    #[serde(with = "microseconds")]
    pub received_at: Wall,
}

/// A place in the history of a pair: everything up to and including this row was seen. Ordered
/// as pages are: by receive time, name of the source, id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cursor {
    /// Receive time of the last row seen. Written to the microsecond: printed as a time it would
    /// be cut to milliseconds, and the next page would repeat rows.
    #[serde(with = "microseconds")]
    pub received_at: Wall,
    /// Source of the last row seen.
    pub source: SourceId,
    /// Id of the last row seen.
    pub id: UpdateId,
}

/// Which rows of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The market.
    pub pair: Pair,
    /// Only this source.
    pub source: Option<SourceId>,
    /// Received at or after.
    pub start: Wall,
    /// Received before.
    pub end: Wall,
    /// At most this many rows; from 1 to 10,000, anything else is taken as the nearer of these.
    pub limit: u32,
    /// Go on after this row.
    pub after: Option<Cursor>,
}

/// One page of history, as of one moment. Following `next` gives every row that was stored when
/// the first page was read exactly once, however many rows arrive meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The rows, oldest first, ordered by receive time, source, id.
    pub rows: Vec<HistoryRow>,
    /// Where the next page starts; `None` when this is the last.
    pub next: Option<Cursor>,
}

/// A published rate as kept for cold starts. Times inside the rate are kept to the millisecond.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredRate {
    /// Identity of the update.
    pub id: UpdateId,
    /// The rate.
    pub rate: Rate,
}

/// A current rate with what is left of its validity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentRate {
    /// The rate.
    pub stored: StoredRate,
    /// What is left of its validity: by the Writer's clock when it is handed to the store, which
    /// counts it down on its own clock; zero when it has run out. So no two machines' clocks are
    /// ever compared.
    #[serde(rename = "left_ms", with = "kurs_core::time::milliseconds")]
    pub left: Duration,
}

impl CurrentRate {
    /// As the Writer hands it over at `now`, on the clock it was published by.
    #[must_use]
    pub fn at(stored: StoredRate, now: Wall) -> Self {
        let left = stored.rate.expires_at().since(now);
        let left = left.min(stored.rate.valid_for);
        Self { stored, left }
    }
}

/// Current rates that changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurrentRates {
    /// The rates.
    pub rates: Vec<CurrentRate>,
    /// For the next question: the store's own time, of no meaning elsewhere.
    pub until: Option<Wall>,
}

/// Version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaState {
    /// Version found (before a migration).
    pub found: u32,
    /// Version this program needs (and has after a migration).
    pub needed: u32,
}

/// A time as a number, exact.
pub(crate) mod microseconds {
    use kurs_core::Wall;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Wall, serializer: S) -> Result<S::Ok, S::Error> {
        time.0.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Wall, D::Error> {
        i64::deserialize(deserializer).map(Wall)
    }
}

/// The same where there may be none.
pub(crate) mod optional_microseconds {
    use kurs_core::Wall;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Wall>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.0).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Wall>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(Wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{Epoch, Seq};

    #[test]
    fn a_cursor_survives_its_text_to_the_microsecond() {
        let cursor = Cursor {
            received_at: Wall(1_723_161_255_208_123),
            source: SourceId::parse("binance").unwrap(),
            id: UpdateId {
                shard: 0,
                epoch: Epoch(3),
                seq: Seq(9),
            },
        };
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
    }
}
