//! How far somebody has heard. It consists of ids that the Writers gave, so that it is good on
//! every Reader.

use kurs_core::UpdateId;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Most shards in a position.
const SHARDS_MAX: usize = 64;
/// Longest text of one.
const TEXT_MAX: usize = 4_096;

/// The last update heard of each shard. As text `SHARD.EPOCH-SEQ`, with commas between several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<u16, UpdateId>);

/// The text is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a position is SHARD.EPOCH-SEQ, such as 0.3-120, or several with commas between them")]
pub struct PositionError;

impl Position {
    /// True when the update, or a later one of its shard, was heard.
    #[must_use]
    pub fn covers(&self, id: UpdateId) -> bool {
        self.0.get(&id.shard).is_some_and(|heard| id <= *heard)
    }

    /// Moves on to this update, never back.
    pub fn advance(&mut self, id: UpdateId) {
        let heard = self.0.entry(id.shard).or_insert(id);
        *heard = (*heard).max(id);
    }

    /// Moves on to wherever this one is further.
    pub fn join(&mut self, other: &Self) {
        for id in other.ids() {
            self.advance(id);
        }
    }

    /// The last update heard of a shard.
    #[must_use]
    pub fn of(&self, shard: u16) -> Option<UpdateId> {
        self.0.get(&shard).copied()
    }

    /// All of them, by shard.
    pub fn ids(&self) -> impl Iterator<Item = UpdateId> {
        self.0.values().copied()
    }

    /// True when nothing was heard.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, id) in self.0.values().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(formatter, "{comma}{id}")?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.len() > TEXT_MAX {
            return Err(PositionError);
        }
        let mut position = Self::default();
        for id in text.split(',') {
            let id: UpdateId = id.trim().parse().map_err(|()| PositionError)?;
            let is_new = position.0.insert(id.shard, id).is_none();
            if !is_new || position.0.len() > SHARDS_MAX {
                return Err(PositionError);
            }
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_and_only_moves_on() {
        let mut position: Position = "0.3-120,2.1-7".parse().unwrap();
        assert_eq!(position.to_string(), "0.3-120,2.1-7");
        position.advance("0.3-119".parse().unwrap());
        assert_eq!(position.to_string(), "0.3-120,2.1-7");
        position.advance("0.4-1".parse().unwrap());
        assert_eq!(position.to_string(), "0.4-1,2.1-7");
        assert!(position.covers("0.3-500".parse().unwrap()));
        assert!(!position.covers("0.4-2".parse().unwrap()));
        assert!(!position.covers("1.1-1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_position_is_refused() {
        let many: Vec<String> = (0..65).map(|shard| format!("{shard}.1-1")).collect();
        for text in [
            "",
            "7",
            "3-120",
            "0.1-1,",
            "0.1-1,0.1-2",
            "0.1-x",
            &many.join(","),
        ] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
