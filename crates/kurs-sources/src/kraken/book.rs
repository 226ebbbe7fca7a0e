//! Book messages, read in one pass from the JSON text into changes.

use super::number::{number, time};
use crate::levels::Sink;
use crate::venue::codec::{Channel, Heap, Said, Symbols};
use kurs_book::{Ids, Kind, Side};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The list `data` of a book message.
pub(super) struct Books<'a> {
    pub(super) kind: Kind,
    pub(super) symbols: &'a dyn Symbols,
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
                kind: self.kind,
                symbols: self.symbols,
                heap: &mut *self.heap,
            };
            if books.next_element_seed(book)?.is_none() {
                return Ok(());
            }
        }
    }
}

/// `{"symbol":..,"bids":[..],"asks":[..],"checksum":..,"timestamp":..}`, keys in any order.
struct OneBook<'a> {
    kind: Kind,
    symbols: &'a dyn Symbols,
    heap: &'a mut Heap,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Symbol,
    Bids,
    Asks,
    Checksum,
    Timestamp,
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
        let start = self.heap.changes.len();
        let mut symbol: Option<Option<u32>> = None;
        let (mut has_bids, mut has_asks, mut is_broken) = (false, false, false);
        let (mut checksum, mut at) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Symbol if symbol.is_some() => return Err(A::Error::duplicate_field("symbol")),
                Key::Symbol => symbol = Some(map.next_value_seed(Find(self.symbols))?),
                Key::Bids | Key::Asks if symbol == Some(None) => {
                    map.next_value::<IgnoredAny>()?;
                }
                Key::Bids | Key::Asks => {
                    let (side, seen) = match key {
                        Key::Bids => (Side::Bid, &mut has_bids),
                        _ => (Side::Ask, &mut has_asks),
                    };
                    if std::mem::replace(seen, true) {
                        return Err(A::Error::duplicate_field("bids or asks"));
                    }
                    let sink = Sink {
                        changes: &mut self.heap.changes,
                        is_broken: &mut is_broken,
                    };
                    map.next_value_seed(SideOf { side, sink })?;
                }
                Key::Checksum => {
                    let raw: &RawValue = map.next_value()?;
                    // A checksum that cannot be read must not pass for one that was not sent.
                    checksum = raw.get().parse::<u32>().ok();
                    is_broken |= checksum.is_none();
                }
                Key::Timestamp => at = time(map.next_value()?),
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let symbol = symbol.ok_or_else(|| A::Error::missing_field("symbol"))?;
        let Some(symbol) = symbol else {
            self.heap.changes.truncate(start);
            return Ok(());
        };
        if is_broken || !(has_bids && has_asks) {
            self.heap.changes.truncate(start);
            let channel = Channel::Book;
            self.heap.said.push(Said::Impossible { symbol, channel });
            return Ok(());
        }
        self.heap.said.push(Said::Book {
            symbol,
            kind: self.kind,
            ids: Ids::None,
            checksum,
            changes: start..self.heap.changes.len(),
            at,
        });
        Ok(())
    }
}

/// A symbol by its name, which is not copied.
pub(super) struct Find<'a>(pub(super) &'a dyn Symbols);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<u32>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Find<'_> {
    type Value = Option<u32>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a symbol")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(name))
    }
}

/// `[{"price":..,"qty":..},..]`.
struct SideOf<'a> {
    side: Side,
    sink: Sink<'a>,
}

#[derive(serde::Deserialize)]
struct Level<'a> {
    #[serde(borrow)]
    price: &'a RawValue,
    #[serde(borrow)]
    qty: &'a RawValue,
}

impl<'de> DeserializeSeed<'de> for SideOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SideOf<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("levels of a book")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut levels: A) -> Result<(), A::Error> {
        while let Some(level) = levels.next_element::<Level<'de>>()? {
            self.sink
                .put(self.side, number(level.price), number(level.qty));
        }
        Ok(())
    }
}
