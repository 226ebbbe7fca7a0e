//! A block of published events: up to [`EVENTS_MAX`] events of one pair, in the order of their
//! places (time, id).
//!
//! ```text
//! 1 byte     1: this form
//! varint     number of events
//! deltas     time of publication, milliseconds
//! ids
//! sized      the events as lines of JSON
//! ```
//! Places stand apart, so that one event is found and read without the others.

use super::bytes::{put_count, take_byte, take_count};
use super::columns::{Sink, Spring};
use crate::{Published, PublishedEvent};
use kurs_core::{Pair, UpdateId, Wall};

/// Most events of one block.
pub const EVENTS_MAX: usize = 256;

const FORM: u8 = 1;
const LEVEL: i32 = 6;
/// Most bytes of all lines together.
const TEXT_MAX: usize = 16 * 1024 * 1024;

/// The block of these events, all of one pair. `None` when there are none or too many, when they
/// are not in ascending order of their places, or together longer than 16 MiB.
#[must_use]
pub fn encode(events: &[Published]) -> Option<Vec<u8>> {
    let place = |event: &Published| (event.published_at.unix_ms(), event.id);
    let is_ascending = events
        .windows(2)
        .all(|pair| place(&pair[0]) < place(&pair[1]));
    if events.is_empty() || events.len() > EVENTS_MAX || !is_ascending {
        return None;
    }
    let mut text = Vec::new();
    for published in events {
        serde_json::to_writer(&mut text, &published.event).ok()?;
        text.push(b'\n');
    }
    if text.len() > TEXT_MAX {
        return None;
    }
    let mut sink = Sink::new(LEVEL);
    sink.out.push(FORM);
    put_count(&mut sink.out, events.len());
    let times: Vec<i64> = events.iter().map(|event| place(event).0).collect();
    sink.deltas(&times);
    let ids: Vec<UpdateId> = events.iter().map(|event| event.id).collect();
    sink.ids(&ids);
    sink.sized(&text);
    Some(sink.out)
}

/// Time and id of each event of a block, ascending and never empty. `None` when the bytes are no
/// block; whether the rest of them is sound is not looked at.
#[must_use]
pub fn places(bytes: &[u8]) -> Option<Vec<(Wall, UpdateId)>> {
    take_places(&mut Spring::new(bytes)?)
}

fn take_places(spring: &mut Spring<'_>) -> Option<Vec<(Wall, UpdateId)>> {
    if take_byte(&mut spring.input)? != FORM {
        return None;
    }
    let count = take_count(&mut spring.input, EVENTS_MAX)?;
    let times = spring.deltas(count)?;
    let ids = spring.ids(count)?;
    let mut places = Vec::with_capacity(count);
    for (time, id) in times.into_iter().zip(ids) {
        places.push((Wall(time.checked_mul(1_000)?), id));
    }
    // Out of order, pages would go round in circles.
    let is_ascending = places.windows(2).all(|pair| pair[0] < pair[1]);
    (is_ascending && !places.is_empty()).then_some(places)
}

/// A block that was opened; each event is read when it is asked for.
#[derive(Debug, Clone)]
pub struct Events {
    pair: Pair,
    places: Vec<(Wall, UpdateId)>,
    text: Vec<u8>,
    /// Where each line ends in `text`.
    ends: Vec<usize>,
}

impl Events {
    /// Opens a block. `None` when the bytes are no block.
    #[must_use]
    pub fn open(bytes: &[u8], pair: Pair) -> Option<Self> {
        let mut spring = Spring::new(bytes)?;
        let places = take_places(&mut spring)?;
        let count = places.len();
        let text = spring.sized(TEXT_MAX)?;
        let mut ends = Vec::with_capacity(count);
        for (index, byte) in text.iter().enumerate() {
            if *byte == b'\n' && ends.len() <= count {
                ends.push(index);
            }
        }
        let is_whole = ends.len() == count && ends.last().is_some_and(|end| end + 1 == text.len());
        (is_whole && spring.input.is_empty()).then_some(Self {
            pair,
            places,
            text,
            ends,
        })
    }

    /// Time and id of each event, ascending; never empty.
    #[must_use]
    pub fn places(&self) -> &[(Wall, UpdateId)] {
        &self.places
    }

    /// The event at `index` of [`Events::places`]. `None` when there is none, or it is unreadable.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Published> {
        let (published_at, id) = *self.places.get(index)?;
        let begin = match index.checked_sub(1) {
            Some(before) => self.ends.get(before)? + 1,
            None => 0,
        };
        let line = self.text.get(begin..*self.ends.get(index)?)?;
        let event: PublishedEvent = serde_json::from_slice(line).ok()?;
        Some(Published {
            id,
            pair: self.pair,
            published_at,
            event,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{id, pair, rate};
    use proptest::prelude::*;

    fn event(seq: u64, at_ms: i64) -> Published {
        let event = match seq % 3 {
            0 => PublishedEvent::Withdrawn,
            1 => PublishedEvent::NoRate {
                why: "binance is\nstale".into(),
                withdraws: false,
                standing: Some(Box::new(rate("BTC-USDT", id(seq), "54000.10"))),
            },
            _ => PublishedEvent::Rate(rate("BTC-USDT", id(seq), "54000.1000").rate),
        };
        Published {
            id: id(seq),
            pair: pair("BTC-USDT"),
            published_at: Wall::from_unix_ms(at_ms),
            event,
        }
    }

    fn read(bytes: &[u8]) -> Option<Vec<Published>> {
        let events = Events::open(bytes, pair("BTC-USDT"))?;
        (0..events.places().len())
            .map(|index| events.get(index))
            .collect()
    }

    #[test]
    fn a_block_is_small_and_gives_back_what_it_holds() {
        let events: Vec<Published> = (0..200)
            .map(|seq| event(seq, 5 + (seq / 2) as i64))
            .collect();
        let bytes = encode(&events).unwrap();
        assert_eq!(read(&bytes).unwrap(), events);
        assert!(bytes.len() < 4_000, "{} bytes", bytes.len());
        for length in (0..bytes.len()).step_by(7) {
            assert_eq!(read(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn no_block_is_empty_too_long_or_out_of_order() {
        assert_eq!(encode(&[]), None);
        assert_eq!(encode(&[event(2, 5), event(1, 5)]), None);
        assert_eq!(encode(&[event(1, 5), event(1, 5)]), None);
        let many: Vec<Published> = (0..257).map(|seq| event(seq, 5)).collect();
        assert_eq!(encode(&many), None);
        assert!(encode(&many[1..]).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let _ = read(&bytes);
            let mut bytes = encode(&[event(1, 5), event(2, 6), event(3, 6)]).unwrap();
            for (index, byte) in changes {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
            let _ = read(&bytes);
        }
    }
}
