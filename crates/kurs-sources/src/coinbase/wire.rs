//! Frames of the venue. Every kind is read by the same pass: keys may come in any order, levels
//! go to the heap as they come, and texts are not copied.

use super::frame::{Frame, Product, Type};
use super::time::Time;
use crate::levels::{Number, SideOf, Sink, next_number, shortened, skip_rest};
use crate::venue::codec::{Channel, Heap, Said, Symbols};
use kurs_book::{Change, Side};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

/// Reads a frame.
pub(super) fn read(text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
    let start = heap.changes.len();
    let mut reading = Reading::new(symbols, &mut heap.changes);
    let mut json = serde_json::Deserializer::from_str(text);
    let read = (&mut reading)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    let frame = reading.frame;
    let end = heap.changes.len();
    let before = heap.said.len();
    frame.say(read.is_ok(), start..end, symbols, &mut heap.said);
    let holds_book = heap
        .said
        .get(before..)
        .is_some_and(|said| said.iter().any(|said| matches!(said, Said::Book { .. })));
    if !holds_book {
        heap.changes.truncate(start);
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Type,
    ProductId,
    Changes,
    Bids,
    Asks,
    Time,
    Sequence,
    BestBid,
    BestBidSize,
    BestAsk,
    BestAskSize,
    TradeId,
    Price,
    Message,
    Reason,
    #[serde(other)]
    Other,
}

struct Reading<'r> {
    symbols: &'r dyn Symbols,
    changes: &'r mut Vec<Change>,
    frame: Frame,
}

impl<'r> Reading<'r> {
    fn new(symbols: &'r dyn Symbols, changes: &'r mut Vec<Change>) -> Self {
        Self {
            symbols,
            changes,
            frame: Frame::default(),
        }
    }

    fn sink(&mut self) -> Sink<'_> {
        Sink {
            changes: self.changes,
            is_broken: &mut self.frame.is_broken,
        }
    }

    fn side<'de, A: MapAccess<'de>>(&mut self, map: &mut A, side: Side) -> Result<(), A::Error> {
        let seen = match side {
            Side::Bid => &mut self.frame.has_bids,
            Side::Ask => &mut self.frame.has_asks,
        };
        once::<A>(seen)?;
        if self.skips() {
            return skip(map);
        }
        let sink = self.sink();
        map.next_value_seed(SideOf { side, sink })
    }

    fn changes<'de, A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        once::<A>(&mut self.frame.has_changes)?;
        if self.skips() {
            return skip(map);
        }
        map.next_value_seed(Changes(self.sink()))
    }

    /// True when the frame's levels are known to be of no use.
    fn skips(&self) -> bool {
        self.frame.product == Product::NotFollowed
            || self
                .frame
                .kind
                .is_some_and(|kind| kind.channel() != Some(Channel::Book))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Reading<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Key>()? {
            // What is of no interest may have its own idea of the other keys.
            let is_known = !matches!(self.frame.kind, Some(Type::Other | Type::Subscriptions));
            match key {
                Key::Type => {
                    once::<A>(&mut self.frame.has_type)?;
                    let kind = map.next_value_seed(Text(Type::named))?;
                    self.frame.kind = Some(kind);
                }
                _ if !is_known => skip(&mut map)?,
                Key::ProductId => {
                    once::<A>(&mut self.frame.has_product)?;
                    let symbols = self.symbols;
                    let product = |name: &str| {
                        symbols
                            .find(name)
                            .map_or(Product::NotFollowed, Product::Followed)
                    };
                    self.frame.product = map.next_value_seed(Text(product))?;
                }
                Key::Changes => self.changes(&mut map)?,
                Key::Bids => self.side(&mut map, Side::Bid)?,
                Key::Asks => self.side(&mut map, Side::Ask)?,
                Key::Time => self.frame.at = map.next_value::<Time>()?.0,
                Key::Sequence => self.frame.sequence = map.next_value()?,
                Key::BestBid => self.frame.bid = Some(map.next_value()?),
                Key::BestBidSize => self.frame.bid_size = Some(map.next_value()?),
                Key::BestAsk => self.frame.ask = Some(map.next_value()?),
                Key::BestAskSize => self.frame.ask_size = Some(map.next_value()?),
                Key::TradeId => self.frame.trade_id = map.next_value()?,
                Key::Price => self.frame.price = Some(map.next_value()?),
                Key::Message => self.frame.message = map.next_value_seed(Text(shortened))?,
                Key::Reason => self.frame.reason = map.next_value_seed(Text(shortened))?,
                Key::Other => skip(&mut map)?,
            }
        }
        Ok(())
    }
}

fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// What decides about the rest of a frame must not change within it.
fn once<'de, A: MapAccess<'de>>(seen: &mut bool) -> Result<(), A::Error> {
    if std::mem::replace(seen, true) {
        return Err(de::Error::custom("a key that comes twice"));
    }
    Ok(())
}

/// A text, turned into a value without a copy.
struct Text<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Text<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        Ok((self.0)(text))
    }
}

/// `[["buy","price","size"],...]`.
struct Changes<'a>(Sink<'a>);

impl<'de> DeserializeSeed<'de> for Changes<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Changes<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("changes of a book")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut changes: A) -> Result<(), A::Error> {
        while let Some((side, price, size)) = changes.next_element_seed(OneChange)? {
            match side {
                Some(side) => self.0.put(side, price, size),
                None => *self.0.is_broken = true,
            }
        }
        Ok(())
    }
}

struct OneChange;

impl<'de> DeserializeSeed<'de> for OneChange {
    type Value = (Option<Side>, Number, Number);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for OneChange {
    type Value = (Option<Side>, Number, Number);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a side, a price and a size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Self::Value, A::Error> {
        let side = words
            .next_element_seed(Text(side_named))?
            .ok_or_else(|| de::Error::custom("a level without a side"))?;
        let price = next_number(&mut words)?;
        let size = next_number(&mut words)?;
        skip_rest(&mut words)?;
        Ok((side, price, size))
    }
}

fn side_named(name: &str) -> Option<Side> {
    match name {
        "buy" => Some(Side::Bid),
        "sell" => Some(Side::Ask),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
