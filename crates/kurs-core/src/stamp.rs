//! Identity of updates: who wrote it, under which lease, and as which in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Grows with every change of the active Writer; a lower epoch is always refused.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// Grows by one with every update of a shard within an epoch.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Identity of one update: shard, epoch and sequence. Ordered within a shard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpdateId {
    /// Which part of the pairs; one engine per shard.
    pub shard: u16,
    /// Lease epoch of the Writer that published it.
    pub epoch: Epoch,
    /// Order within shard and epoch.
    pub seq: Seq,
}

impl fmt::Display for UpdateId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}-{}", self.shard, self.epoch.0, self.seq.0)
    }
}

impl FromStr for UpdateId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (shard, rest) = text.split_once('.').ok_or(())?;
        let (epoch, seq) = rest.split_once('-').ok_or(())?;
        Ok(Self {
            shard: shard.parse().map_err(|_| ())?,
            epoch: Epoch(epoch.parse().map_err(|_| ())?),
            seq: Seq(seq.parse().map_err(|_| ())?),
        })
    }
}

impl Serialize for UpdateId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UpdateId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|()| serde::de::Error::custom("an update id is SHARD.EPOCH-SEQ"))
    }
}

impl JsonSchema for UpdateId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "UpdateId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+\\.[0-9]+-[0-9]+$",
            "description": "SHARD.EPOCH-SEQ",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_orders_by_epoch_then_seq() {
        let early = UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(900),
        };
        let late = UpdateId {
            shard: 0,
            epoch: Epoch(2),
            seq: Seq(1),
        };
        assert!(early < late);
        assert_eq!(late.to_string(), "0.2-1");
        assert_eq!("0.2-1".parse(), Ok(late));
        assert!("2-1".parse::<UpdateId>().is_err());
    }
}
