//! How Writers share the shards: who stands by for which one, who comes first when one is free,
//! and who is given one. All of them read the same table of leases, so that all come to the same
//! answer without a word to each other.

use super::{Keeper, Turn};
use crate::shards::mixed;
use kurs_core::Mono;
use kurs_store::{Fence, Lease, LivingWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a standby follows before a shard is given to it of free will.
const SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long a Writer goes on following what another one has taken on: the other one needs a
/// moment to have everything.
const LINGERS: Duration = Duration::from_secs(5);
/// With so many Writers or fewer each one is needed for everything: one that leads a shard and
/// one that stands by for it.
const FEW: usize = 2;

/// Who stands by for which shard, as this Writer sees it, and what it follows for that.
#[derive(Debug, Default)]
pub(super) struct Spread {
    /// Since when.
    standbys: BTreeMap<u16, (Arc<str>, Mono)>,
    /// What is followed, and for how long although it needs not be any more.
    followed: BTreeMap<u16, Option<Mono>>,
}

impl Keeper {
    /// Looks again who stands by for what, after the table of leases was read.
    pub(super) fn look_who_stands_by(&mut self, now: Mono) {
        for shard in 0..self.shards {
            let Some(standby) = self.standby_of(shard) else {
                self.spread.standbys.remove(&shard);
                continue;
            };
            let known = self.spread.standbys.get(&shard);
            if known.is_none_or(|(name, _)| *name != standby) {
                self.spread.standbys.insert(shard, (standby, now));
            }
        }
        for shard in 0..self.shards {
            if self.is_wanted(shard) {
                self.spread.followed.insert(shard, None);
            } else if let Some(until) = self.spread.followed.get_mut(&shard)
                && *until.get_or_insert(now.plus(LINGERS)) <= now
            {
                self.spread.followed.remove(&shard);
            }
        }
    }

    /// The shards whose pairs this Writer has to follow: those that it leads, those that it stands
    /// by for, and for a moment those of before. `None`: all of them.
    #[must_use]
    pub fn scope(&self) -> Option<BTreeSet<u16>> {
        let followed = &self.spread.followed;
        let is_part = self.has_answered && followed.len() < usize::from(self.shards);
        is_part.then(|| followed.keys().copied().collect())
    }

    fn is_wanted(&self, shard: u16) -> bool {
        let standby = self.spread.standbys.get(&shard);
        self.names().len() <= FEW
            || self.held.contains_key(&shard)
            || standby.is_none_or(|(name, _)| *name == self.me)
    }

    /// All Writers that live, this one among them.
    fn names(&self) -> BTreeSet<&Arc<str>> {
        let living = self.seen.writers.iter().map(|writer| &writer.name);
        living.chain([&self.me]).collect()
    }

    /// Who stands by for a shard; `None` when nobody holds it.
    fn standby_of(&self, shard: u16) -> Option<Arc<str>> {
        let lease = self.seen.shards.iter().find(|lease| lease.shard == shard);
        let holder = if self.held.contains_key(&shard) {
            Arc::clone(&self.me)
        } else {
            let lease = lease?;
            match &lease.heir {
                Some(heir) if lease.is_released => Arc::clone(heir),
                None if lease.is_released => return None,
                _ => Arc::clone(&lease.writer),
            }
        };
        let load = self.holds(&holder);
        let others = self.names().into_iter().filter(|name| **name != holder);
        let others: Vec<(usize, &Arc<str>)> = others.map(|name| (self.holds(name), name)).collect();
        // Whoever has too little to do is given some of it soon.
        let idle = others.iter().filter(|(holds, _)| holds + 2 <= load).min();
        let drawn = || others.iter().min_by_key(|(_, name)| draw(name, shard));
        idle.or_else(drawn).map(|(_, name)| Arc::clone(name))
    }

    /// This Writer's place in the order of those who may take a free shard: ready ones first, then
    /// whoever stands by for it, then those with fewer shards. The store decides when two come
    /// at once.
    pub(super) fn place(&self, shard: u16) -> u32 {
        let standby = self.spread.standbys.get(&shard).map(|(name, _)| name);
        let rank = |writer: &LivingWriter| {
            let holds = self.holds(&writer.name);
            let is_other = standby != Some(&writer.name);
            (!writer.is_ready, is_other, holds, Arc::clone(&writer.name))
        };
        let me = LivingWriter {
            name: Arc::clone(&self.me),
            is_ready: self.is_ready,
        };
        let mine = rank(&me);
        let before = self
            .seen
            .writers
            .iter()
            .filter(|writer| writer.name != self.me && rank(writer) < mine);
        u32::try_from(before.count()).unwrap_or(u32::MAX).min(5)
    }

    fn holds(&self, writer: &str) -> usize {
        if *writer == *self.me {
            return self.held.len();
        }
        let theirs = |lease: &&Lease| {
            let is_shard = lease.shard < self.shards;
            is_shard && *lease.writer == *writer && !lease.is_released && !lease.left.is_zero()
        };
        self.seen.shards.iter().filter(theirs).count()
    }

    /// Hands one shard over when another Writer that is ready, and has stood by for it for a
    /// while, has two fewer.
    pub(super) fn balance(&mut self, now: Mono) -> Option<Turn> {
        if self.is_alone || self.is_leaving || self.held.values().any(|held| held.is_ending) {
            return None;
        }
        let mine = self.held.len();
        let is_ready = |name: &Arc<str>| {
            let writers = &self.seen.writers;
            writers.iter().any(|one| one.is_ready && one.name == *name)
        };
        let (shard, heir) = self.held.keys().rev().find_map(|shard| {
            let (heir, since) = self.spread.standbys.get(shard)?;
            let is_settled = now.since(*since) >= SETTLED_AFTER;
            (is_settled && mine >= self.holds(heir) + 2 && is_ready(heir))
                .then(|| (*shard, Arc::clone(heir)))
        })?;
        let held = self.held.get_mut(&shard)?;
        held.is_ending = true;
        let epoch = held.epoch;
        Some(Turn::HandOver(Fence { shard, epoch }, Some(heir)))
    }

    /// The program ends: everything is handed over, nothing more is taken. The heirs are those who
    /// are ready: whoever stands by for a shard, else those with fewest shards first.
    pub fn leave(&mut self) -> Vec<Turn> {
        self.is_leaving = true;
        let mut heirs: Vec<(usize, Arc<str>)> = self
            .seen
            .writers
            .iter()
            .filter(|writer| writer.is_ready && writer.name != self.me)
            .map(|writer| (self.holds(&writer.name), Arc::clone(&writer.name)))
            .collect();
        let mut turns = Vec::new();
        for (shard, held) in &mut self.held {
            let fence = Fence {
                shard: *shard,
                epoch: held.epoch,
            };
            if std::mem::replace(&mut held.is_ending, true) {
                continue;
            }
            heirs.sort_unstable();
            let standby = self.spread.standbys.get(shard);
            let is_standby =
                |(_, name): &(usize, Arc<str>)| standby.is_some_and(|(standby, _)| standby == name);
            let place = heirs.iter().position(is_standby).unwrap_or(0);
            let heir = heirs.get_mut(place).map(|(holds, name)| {
                *holds += 1;
                Arc::clone(name)
            });
            turns.push(Turn::HandOver(fence, heir));
        }
        turns
    }
}

/// A number drawn for a Writer and a shard: the smallest stands by. When a Writer comes or goes,
/// only the shards that it draws change hands.
fn draw(name: &str, shard: u16) -> u64 {
    mixed(name.bytes().chain(shard.to_le_bytes()))
}
