//! Book messages, read in one pass from the JSON text into changes.

use super::wire::time;
use crate::levels::{SideOf, Sink};
use crate::venue::codec::{Channel, Heap, Said};
use kurs_book::{Ids, Kind, Side};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The list `data` of a book message.
pub(super) struct Books<'a> {
    pub(super) symbol: u32,
    pub(super) kind: Kind,
    pub(super) heap: &'a mut Heap,
}

impl<'de> DeserializeSeed<'de> for Books<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Books<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of books")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut books: A) -> Result<(), A::Error> {
        loop {
            let book = OneBook {
                symbol: self.symbol,
                kind: self.kind,
                heap: &mut *self.heap,
            };
            if books.next_element_seed(book)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// `{"asks":[..],"bids":[..],"ts":..,"checksum":..,"seqId":..,"prevSeqId":..}`, keys in any
/// order; recordings of 2021 and 2022 have no ids.
struct OneBook<'a> {
    symbol: u32,
    kind: Kind,
    heap: &'a mut Heap,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier)]
enum Key {
    #[serde(rename = "asks")]
    Asks,
    #[serde(rename = "bids")]
    Bids,
    #[serde(rename = "ts")]
    Time,
    #[serde(rename = "checksum")]
    Checksum,
    #[serde(rename = "seqId")]
    Id,
    #[serde(rename = "prevSeqId")]
    Previous,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for OneBook<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneBook<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a book")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (symbol, start) = (self.symbol, self.heap.changes.len());
        let (mut has_asks, mut has_bids, mut is_broken) = (false, false, false);
        let (mut checksum, mut id, mut previous, mut at) = (None, None, None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Asks | Key::Bids => {
                    let (side, seen) = match key {
                        Key::Asks => (Side::Ask, &mut has_asks),
                        _ => (Side::Bid, &mut has_bids),
                    };
                    if std::mem::replace(seen, true) {
                        return Err(A::Error::duplicate_field("asks or bids"));
                    }
                    let sink = Sink {
                        changes: &mut self.heap.changes,
                        is_broken: &mut is_broken,
                    };
                    map.next_value_seed(SideOf { side, sink })?;
                }
                Key::Time => at = time(map.next_value()?),
                // What cannot be read must not pass for what was not sent: the book would go
                // on unverified.
                Key::Checksum => checksum = Some(integer(map.next_value()?, &mut is_broken)),
                Key::Id => id = Some(integer(map.next_value()?, &mut is_broken)),
                Key::Previous => previous = Some(integer(map.next_value()?, &mut is_broken)),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let ids = ids(self.kind, id, previous);
        let checksum = sum(checksum.unwrap_or_default());
        let (Some(ids), Ok(checksum), true) = (ids, checksum, has_asks && has_bids && !is_broken)
        else {
            self.heap.changes.truncate(start);
            let channel = Channel::Book;
            self.heap.said.push(Said::Impossible { symbol, channel });
            return Ok(());
        };
        self.heap.said.push(Said::Book {
            symbol,
            kind: self.kind,
            ids,
            checksum,
            changes: start..self.heap.changes.len(),
            at,
        });
        Ok(())
    }
}

fn integer(raw: &RawValue, is_broken: &mut bool) -> i64 {
    raw.get().parse().unwrap_or_else(|_| {
        *is_broken = true;
        0
    })
}

/// Signed on the wire; 0 is how the venue says that there is none.
fn sum(number: i64) -> Result<Option<u32>, std::num::TryFromIntError> {
    let signed = i32::try_from(number)?;
    Ok((signed != 0).then(|| signed.cast_unsigned()))
}

/// Ids of a message; `None` when they make no sense. -1 stands for none before, as in a
/// snapshot, which follows nothing whatever it says.
fn ids(kind: Kind, id: Option<i64>, previous: Option<i64>) -> Option<Ids> {
    let Some(id) = id else {
        return Some(Ids::None);
    };
    let id = u64::try_from(id).ok()?;
    let previous = match (kind, previous) {
        (Kind::Snapshot, _) | (Kind::Diff, Some(-1)) => None,
        (Kind::Diff, Some(previous)) => Some(u64::try_from(previous).ok()?),
        // It has an id and does not say what it follows.
        (Kind::Diff, None) => return None,
    };
    Some(Ids::Chain { previous, id })
}
