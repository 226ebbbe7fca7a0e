//! Updates on their way to the server, and what it must have before it takes them.

use crate::keys::Keys;
use kurs_bus::{Body, Update, wire};
use kurs_core::{Pair, UpdateId};
use redis::Cmd;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The newest update of each shard.
pub(crate) type Newest = BTreeMap<u16, UpdateId>;

/// Knows what the server must have. Each batch names the one before it, so that none is taken
/// when an earlier one was not: several may be on their way at once.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    acknowledged: Newest,
    /// The same with what is on its way.
    handed: Newest,
}

impl Ledger {
    /// Nothing is on its way any more.
    pub(crate) fn begin(&mut self) {
        self.handed.clone_from(&self.acknowledged);
    }

    /// Hands these to the server: what it must have for that, and what it has after it.
    pub(crate) fn hand(&mut self, updates: &[Arc<Update>]) -> (BTreeMap<u16, String>, Newest) {
        let newest = newest(updates);
        let required = newest
            .keys()
            .map(|shard| {
                let before = self.handed.get(shard).copied();
                (*shard, before.map_or_else(String::new, mark))
            })
            .collect();
        merge(&mut self.handed, &newest);
        (required, newest)
    }

    /// The server has a batch.
    pub(crate) fn acknowledge(&mut self, newest: &Newest) {
        merge(&mut self.acknowledged, newest);
    }

    /// The server has this and nothing else.
    pub(crate) fn restored(&mut self, newest: &Newest) {
        self.acknowledged.clone_from(newest);
        self.begin();
    }
}

/// The newest of each shard among these.
pub(crate) fn newest(updates: &[Arc<Update>]) -> Newest {
    let mut newest = Newest::new();
    for update in updates {
        let id = newest.entry(update.id.shard).or_insert(update.id);
        *id = (*id).max(update.id);
    }
    newest
}

fn merge(into: &mut Newest, newest: &Newest) {
    for (shard, id) in newest {
        let known = into.entry(*shard).or_insert(*id);
        *known = (*known).max(*id);
    }
}

/// Epoch and sequence so that texts compare as numbers do.
pub(crate) fn mark(id: UpdateId) -> String {
    format!("{:020}-{:020}", id.epoch.0, id.seq.0)
}

/// What becomes of the flow with each batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) length_max: u64,
    pub(crate) age_ms_max: u64,
}

/// The call of the script `publish` for these updates. `marks`: what the server must have, or,
/// to begin anew, what it will have.
pub(crate) fn command(
    script: &str,
    keys: &Keys,
    bounds: Bounds,
    anew: bool,
    marks: &BTreeMap<u16, String>,
    updates: &[Arc<Update>],
) -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(script).arg(4);
    for key in [&keys.flow, &keys.last, &keys.order, &keys.sources] {
        command.arg(key);
    }
    command
        .arg(bounds.length_max)
        .arg(bounds.age_ms_max)
        .arg(u8::from(anew))
        .arg(marks.len());
    for (shard, mark) in marks {
        command.arg(*shard).arg(mark);
    }
    for update in updates {
        let (pair, what) = match &update.body {
            Body::SourcePrice(price) => (name(price.pair), "s"),
            Body::Withdrawn(pair) => (name(*pair), "w"),
            _ => (String::new(), ""),
        };
        command
            .arg(update.id.shard)
            .arg(mark(update.id))
            .arg(wire::subject(update))
            .arg(wire::encode(update))
            .arg(pair)
            .arg(what);
    }
    command
}

fn name(pair: Pair) -> String {
    format!("{}.{}", pair.base, pair.quote)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_bus::conformance::{rate, update_of};

    fn of(epoch: u64, seq: u64) -> Arc<Update> {
        update_of(epoch, seq, rate("BTC-USDT", seq).body.clone())
    }

    #[test]
    fn a_batch_names_the_one_before_it_and_after_a_failure_what_was_acknowledged() {
        let mut ledger = Ledger::default();
        let before = |ledger: &mut Ledger, updates: &[Arc<Update>]| {
            let (required, newest) = ledger.hand(updates);
            (required[&0].clone(), newest)
        };
        let (required, first) = before(&mut ledger, &[of(1, 1), of(1, 2)]);
        assert_eq!(required, "");
        let (required, _) = before(&mut ledger, &[of(2, 1), of(1, 9)]);
        assert_eq!(required, mark(of(1, 2).id));
        let (required, _) = before(&mut ledger, &[of(2, 2)]);
        assert_eq!(required, mark(of(2, 1).id), "the higher epoch");
        ledger.acknowledge(&first);
        ledger.begin();
        let (required, _) = before(&mut ledger, &[of(2, 1)]);
        assert_eq!(required, mark(of(1, 2).id));
        // What the server was told to have at last may be less than it had before.
        ledger.restored(&newest(&[of(1, 1)]));
        let (required, _) = before(&mut ledger, &[of(2, 1)]);
        assert_eq!(required, mark(of(1, 1).id));
    }

    #[test]
    fn marks_compare_as_ids_do() {
        let ids = [
            of(1, 9).id,
            of(1, 10).id,
            of(2, 0).id,
            of(10, 1).id,
            of(u64::MAX, 7).id,
        ];
        assert!(ids.map(mark).is_sorted());
        assert!(String::new() < mark(of(0, 0).id));
    }
}
