//! The followed symbols by number and by name, and the numbers of their streams.

use super::codec::{Channel, Symbols};
use kurs_core::Pair;
use kurs_net::StreamId;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Streams of one symbol.
const CHANNELS: u32 = 4;
/// Symbols that are ever known to one source. A symbol keeps its number for life.
const SYMBOLS_MAX: u32 = StreamId::LIMIT / CHANNELS;

/// FNV-1a: symbols are a few bytes, and only followed ones are ever keys, so nobody outside can
/// make them collide.
#[derive(Debug, Clone, Copy)]
struct SymbolHasher(u64);

impl Default for SymbolHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for SymbolHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    pair: Pair,
    followed: bool,
}

/// Symbols by number and by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, u32, BuildHasherDefault<SymbolHasher>>,
}

impl Table {
    /// Follows a pair; gives the number of its symbol. `None` when another followed pair is
    /// written the same way, or too many symbols were followed.
    pub(super) fn follow(&mut self, name: &str, pair: Pair) -> Option<u32> {
        if let Some(index) = self.by_name.get(name).copied() {
            let entry = self.entries.get_mut(usize::try_from(index).ok()?)?;
            if entry.followed && entry.pair != pair {
                return None;
            }
            entry.pair = pair;
            entry.followed = true;
            return Some(index);
        }
        let index = u32::try_from(self.entries.len())
            .ok()
            .filter(|index| *index < SYMBOLS_MAX)?;
        let name: Arc<str> = name.into();
        self.by_name.insert(name.clone(), index);
        let followed = true;
        self.entries.push(Entry {
            name,
            pair,
            followed,
        });
        Some(index)
    }

    /// Follows a symbol no longer.
    pub(super) fn unfollow(&mut self, index: u32) {
        let entry = usize::try_from(index)
            .ok()
            .and_then(|index| self.entries.get_mut(index));
        if let Some(entry) = entry {
            entry.followed = false;
        }
    }

    /// The venue's word for the symbol with this number.
    pub(super) fn name(&self, index: u32) -> Option<&Arc<str>> {
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        Some(&entry.name)
    }
}

impl Symbols for Table {
    fn find(&self, name: &str) -> Option<u32> {
        let index = *self.by_name.get(name)?;
        let entry = self.entries.get(usize::try_from(index).ok()?)?;
        entry.followed.then_some(index)
    }
}

/// Stream number of a channel of the symbol with this number.
pub(super) const fn stream_id(index: u32, channel: Channel) -> StreamId {
    let channel = match channel {
        Channel::Top => 0,
        Channel::Book => 1,
        Channel::Trades => 2,
        Channel::Heartbeat => 3,
    };
    StreamId(index.saturating_mul(CHANNELS).saturating_add(channel))
}

/// Number of the symbol, and channel, of a stream number.
pub(super) const fn channel_of(stream: StreamId) -> (u32, Channel) {
    let channel = match stream.0 % CHANNELS {
        0 => Channel::Top,
        1 => Channel::Book,
        2 => Channel::Trades,
        _ => Channel::Heartbeat,
    };
    (stream.0 / CHANNELS, channel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_numbers_tell_symbol_and_channel() {
        for index in [0, 1, 500, SYMBOLS_MAX - 1] {
            for channel in Channel::ALL {
                let stream = stream_id(index, channel);
                assert_eq!(channel_of(stream), (index, channel));
                assert!(stream.index().is_some());
            }
        }
    }

    #[test]
    fn a_symbol_that_means_another_followed_pair_is_refused() {
        let pair = |text| Pair::parse(text).unwrap();
        let mut table = Table::default();
        let first = table.follow("ABCDE", pair("AB-CDE"));
        assert!(first.is_some());
        assert_eq!(table.follow("ABCDE", pair("ABC-DE")), None);
        table.unfollow(first.unwrap());
        assert_eq!(table.find("ABCDE"), None);
        assert_eq!(
            table.follow("ABCDE", pair("ABC-DE")),
            first,
            "a symbol keeps its number"
        );
    }
}
