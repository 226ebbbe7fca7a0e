//! The last values, as what was published leaves them; and their text, a snapshot.

use crate::flow::Mark;
use kurs_bus::update::Key;
use kurs_bus::{Body, Update, wire};
use kurs_core::UpdateId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

/// Longest snapshot that is read, in bytes, unpacked.
const BYTES_MAX: u64 = 512 << 20;
/// Strength of the compression: about as fast as writing the text.
const LEVEL: i32 = 1;

/// The last update of every key, of everything that was given to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fold {
    /// How far each shard was heard.
    heard: BTreeMap<u16, UpdateId>,
    values: HashMap<Key, Arc<Update>>,
}

/// First line of a snapshot.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    v: u32,
    /// What follows this place of the flow belongs to it; absent when all of the flow does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<Mark>,
    heard: Vec<UpdateId>,
}

impl Fold {
    /// Takes an update in, unless it is not newer than what was heard of its shard: a Writer
    /// that does not know yet that its epoch has ended, or one sent a second time.
    pub(crate) fn apply(&mut self, update: Arc<Update>) {
        let id = update.id;
        if self.heard.get(&id.shard).is_some_and(|heard| id <= *heard) {
            return;
        }
        self.heard.insert(id.shard, id);
        if let Body::Withdrawn(pair) = &update.body {
            let pair = *pair;
            self.values.retain(|key, _| !key.is_of(pair));
        } else {
            self.values.insert(update.key(), update);
        }
    }

    /// The values, in no order.
    pub(crate) fn into_values(self) -> Vec<Arc<Update>> {
        self.values.into_values().collect()
    }

    /// Packed lines: a header, then a line of [`wire`] for each value.
    pub(crate) fn write(&self, after: Option<Mark>) -> std::io::Result<Vec<u8>> {
        let mut packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
        let header = Header {
            v: wire::VERSION,
            after,
            heard: self.heard.values().copied().collect(),
        };
        serde_json::to_writer(&mut packed, &header)?;
        for update in self.values.values() {
            packed.write_all(b"\n")?;
            packed.write_all(&wire::encode(update))?;
        }
        packed.finish()
    }

    /// What was written, and the place in the flow after which it goes on. `None` when it is no
    /// snapshot, or one of a later version. A value that cannot be read is left out.
    pub(crate) fn read(packed: &[u8]) -> Option<(Self, Option<Mark>)> {
        let text = zstd::Decoder::new(packed).ok()?.take(BYTES_MAX);
        let mut lines = BufReader::new(text).split(b'\n');
        let header: Header = serde_json::from_slice(&lines.next()?.ok()?).ok()?;
        if header.v != wire::VERSION {
            return None;
        }
        let mut fold = Self::default();
        for line in lines {
            if let Ok(update) = wire::decode(&line.ok()?) {
                fold.values.insert(update.key(), Arc::new(update));
            }
        }
        fold.heard = header.heard.iter().map(|id| (id.shard, *id)).collect();
        Some((fold, header.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_bus::conformance::{rate, update, update_of};
    use kurs_core::Pair;

    fn seqs(fold: Fold) -> Vec<u64> {
        let values = fold.into_values();
        let mut seqs: Vec<u64> = values.iter().map(|update| update.id.seq.0).collect();
        seqs.sort_unstable();
        seqs
    }

    #[test]
    fn a_snapshot_is_read_back_and_goes_on() {
        let mut fold = Fold::default();
        for seq in 1..=3 {
            fold.apply(rate("BTC-USDT", seq));
        }
        fold.apply(rate("ETH-USDT", 4));
        let after = Mark {
            offset: 7,
            print: 99,
        };
        let text = fold.write(Some(after)).unwrap();
        let (mut fold, told) = Fold::read(&text).unwrap();
        assert_eq!(told, Some(after));
        // Sent a second time, by an old Writer, and new.
        fold.apply(rate("BTC-USDT", 2));
        fold.apply(update_of(0, 9, rate("BTC-USDT", 9).body.clone()));
        fold.apply(rate("BTC-USDT", 5));
        assert_eq!(seqs(fold), [4, 5]);
    }

    #[test]
    fn a_withdrawn_pair_is_taken_out() {
        let mut fold = Fold::default();
        fold.apply(rate("BTC-USDT", 1));
        fold.apply(rate("ETH-USDT", 2));
        let pair = Pair::parse("BTC-USDT").unwrap();
        fold.apply(update(3, Body::Withdrawn(pair)));
        assert_eq!(seqs(fold), [2]);
    }

    #[test]
    fn what_is_no_snapshot_is_passed_over() {
        assert!(Fold::read(b"").is_none());
        assert!(Fold::read(b"{\"v\":1,\"heard\":[]}").is_none());
        let mut text = Fold::default().write(None).unwrap();
        assert!(Fold::read(&text).is_some());
        text.truncate(text.len() / 2);
        assert!(Fold::read(&text).is_none());
    }
}
