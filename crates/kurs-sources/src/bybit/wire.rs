//! Frames of the venue. Their keys come in any order; where `data` comes before `topic`, which
//! says what it is, it is read last.

use super::control::Answer;
use super::data::{Book, Data, Trades};
use super::message::{Message, wall};
use crate::levels::shortened;
use crate::venue::codec::{Channel, Heap, Said, Symbols};
use kurs_book::{Change, Kind};
use kurs_core::Wall;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// What a topic is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    /// Not named.
    None,
    /// Not followed, or not one of ours.
    Foreign,
    /// Followed.
    Followed {
        /// Whose.
        symbol: u32,
        /// What of it.
        channel: Channel,
    },
}

const BOOK: &str = "orderbook.50.";
const TOP: &str = "orderbook.1.";
const TRADES: &str = "publicTrade.";

/// The topic of a stream; `None` for a channel that the venue does not have.
pub(super) fn topic_of(channel: Channel, symbol: &str) -> Option<String> {
    let kind = match channel {
        Channel::Top => TOP,
        Channel::Book => BOOK,
        Channel::Trades => TRADES,
        Channel::Heartbeat => return None,
    };
    Some(format!("{kind}{symbol}"))
}

/// What a topic is to us. Other depths of the same book are not ours: their numbers are others.
pub(super) fn topic_named(topic: &str, symbols: &dyn Symbols) -> Topic {
    let of = |kind, channel| topic.strip_prefix(kind).map(|symbol| (symbol, channel));
    let found = of(BOOK, Channel::Book)
        .or_else(|| of(TOP, Channel::Top))
        .or_else(|| of(TRADES, Channel::Trades))
        .and_then(|(symbol, channel)| Some((symbols.find(symbol)?, channel)));
    found.map_or(Topic::Foreign, |(symbol, channel)| Topic::Followed {
        symbol,
        channel,
    })
}

/// Reads a frame.
pub(super) fn read(text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
    let start = heap.changes.len();
    let mut reading = Reading {
        symbols,
        changes: &mut heap.changes,
        topic: Topic::None,
        kind: None,
        sent_at: None,
        engine_at: None,
        data: Data::default(),
        answer: Answer::default(),
    };
    let is_whole = reading.read(text).is_ok();
    let Reading {
        topic,
        kind,
        sent_at,
        engine_at,
        data,
        answer,
        ..
    } = reading;
    let (symbol, channel) = match topic {
        Topic::Followed { symbol, channel } => (symbol, channel),
        _ if !is_whole => return unreadable(start, heap),
        Topic::Foreign => return heap.said.push(Said::Other),
        Topic::None if answer.is_there() => return answer.say(symbols, &mut heap.said),
        Topic::None => return heap.said.push(Said::Unreadable),
    };
    let message = Message {
        symbol,
        kind,
        sent_at,
        engine_at,
        data: &data,
    };
    let changes = start..heap.changes.len();
    let said = match channel {
        _ if !is_whole => None,
        Channel::Book => message.book(changes),
        Channel::Top => message.top(heap.changes.get(changes).unwrap_or_default()),
        Channel::Trades => message.trade(),
        Channel::Heartbeat => None,
    };
    if !matches!(said, Some(Said::Book { .. })) {
        heap.changes.truncate(start);
    }
    heap.said
        .push(said.unwrap_or(Said::Impossible { symbol, channel }));
}

fn unreadable(start: usize, heap: &mut Heap) {
    heap.changes.truncate(start);
    heap.said.push(Said::Unreadable);
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Key {
    Topic,
    Type,
    Ts,
    Cts,
    Data,
    Op,
    Success,
    RetMsg,
    ReqId,
    #[serde(other)]
    Other,
}

struct Reading<'r> {
    symbols: &'r dyn Symbols,
    changes: &'r mut Vec<Change>,
    topic: Topic,
    kind: Option<Kind>,
    sent_at: Option<Wall>,
    engine_at: Option<Wall>,
    data: Data,
    answer: Answer,
}

impl Reading<'_> {
    fn read(&mut self, text: &str) -> Result<(), serde_json::Error> {
        let mut json = serde_json::Deserializer::from_str(text);
        let waiting = json.deserialize_map(&mut *self)?;
        json.end()?;
        if let Some(data) = waiting
            && self.topic != Topic::None
        {
            let mut json = serde_json::Deserializer::from_str(data.get());
            self.data(&mut json)?;
        }
        Ok(())
    }

    fn data<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        let Topic::Followed { channel, .. } = self.topic else {
            return IgnoredAny::deserialize(deserializer).map(|_| ());
        };
        match channel {
            Channel::Trades => deserializer.deserialize_seq(Trades(&mut self.data)),
            _ => deserializer.deserialize_map(Book {
                data: &mut self.data,
                changes: self.changes,
            }),
        }
    }
}

/// Hands `data` over to [`Reading::data`].
struct DataOf<'a, 'r>(&'a mut Reading<'r>);

impl<'de> DeserializeSeed<'de> for DataOf<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.data(deserializer)
    }
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    /// `data` that came before its topic.
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a frame")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut waiting = None;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Topic => {
                    if self.topic != Topic::None {
                        return Err(A::Error::custom("a second topic"));
                    }
                    let topic: Cow<'de, str> = map.next_value_seed(Text)?;
                    self.topic = topic_named(&topic, self.symbols);
                }
                Key::Type => {
                    let kind: Cow<'de, str> = map.next_value_seed(Text)?;
                    self.kind = kind_named(&kind);
                }
                Key::Ts => self.sent_at = wall(map.next_value()?),
                Key::Cts => self.engine_at = wall(map.next_value()?),
                Key::Data => {
                    if std::mem::replace(&mut self.data.is_there, true) {
                        return Err(A::Error::custom("data that come twice"));
                    }
                    if self.topic == Topic::None {
                        waiting = Some(map.next_value()?);
                    } else {
                        map.next_value_seed(DataOf(self))?;
                    }
                }
                Key::Op => self.answer.operation = shortened(&map.next_value_seed(Text)?),
                Key::Success => self.answer.is_success = map.next_value()?,
                Key::RetMsg => self.answer.message = shortened(&map.next_value_seed(Text)?),
                Key::ReqId => {
                    self.answer.command = map.next_value_seed(Text)?.parse().ok();
                }
                Key::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(waiting)
    }
}

fn kind_named(name: &str) -> Option<Kind> {
    match name {
        "snapshot" => Some(Kind::Snapshot),
        "delta" => Some(Kind::Diff),
        _ => None,
    }
}

/// A text, borrowed unless it holds an escape.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
