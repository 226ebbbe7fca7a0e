//! The store, played: leases on its own clock, fenced writes, salvage, current rates.

use kurs_bus::{Body, Update};
use kurs_core::{Epoch, Pair, UpdateId};
use kurs_store::{
    Beat, Claim, CurrentRate, CurrentRates, Fence, Lease, Leases, LivingWriter, StoredRate,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What is kept of an epoch that has ended: everything, or up to this number.
#[derive(Debug, Clone, Copy)]
enum Seal {
    All,
    UpTo(u64),
}

#[derive(Debug)]
struct Held {
    epoch: Epoch,
    writer: Arc<str>,
    until: u64,
    is_released: bool,
    heir: Option<Arc<str>>,
}

/// A batch as a Writer's recorder hands it over.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) fence: Fence,
    pub(crate) updates: Vec<Arc<Update>>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Stored,
    Fenced,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    leases: BTreeMap<u16, Held>,
    seals: BTreeMap<(u16, Epoch), Seal>,
    living: BTreeMap<Arc<str>, (u64, bool)>,
    /// Everything that belongs to the history.
    pub(crate) history: BTreeSet<UpdateId>,
    current: BTreeMap<Pair, (StoredRate, u64)>,
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

impl Store {
    pub(crate) fn renew(&mut self, now: u64, beat: &Beat) -> Leases {
        let until = now + ms(beat.ttl);
        self.living
            .insert(Arc::clone(&beat.writer), (until, beat.is_ready));
        for fence in &beat.held {
            if let Some(held) = self.leases.get_mut(&fence.shard)
                && held.epoch == fence.epoch
                && !held.is_released
            {
                held.until = until;
            }
        }
        let lease = |(shard, held): (&u16, &Held)| Lease {
            shard: *shard,
            epoch: held.epoch,
            writer: Arc::clone(&held.writer),
            is_released: held.is_released,
            heir: held.heir.clone(),
            left: Duration::from_millis(held.until.saturating_sub(now)),
        };
        let living = self.living.iter().filter(|(_, (until, _))| *until > now);
        Leases {
            shards: self.leases.iter().map(lease).collect(),
            writers: living
                .map(|(name, (_, is_ready))| LivingWriter {
                    name: Arc::clone(name),
                    is_ready: *is_ready,
                })
                .collect(),
        }
    }

    pub(crate) fn claim(&mut self, now: u64, claim: &Claim) -> Option<Epoch> {
        let epoch = match self.leases.get(&claim.shard) {
            None => Epoch(1),
            Some(held) => {
                let is_left_to_another =
                    held.heir.as_ref().is_some_and(|heir| *heir != claim.writer);
                let is_free = if held.is_released {
                    !is_left_to_another || held.until <= now
                } else {
                    held.until <= now
                };
                if !is_free {
                    return None;
                }
                let heard = claim.heard.filter(|heard| heard.epoch == held.epoch);
                let seal = match heard {
                    _ if held.is_released => Seal::All,
                    Some(heard) => Seal::UpTo(heard.seq.0),
                    None => Seal::UpTo(0),
                };
                self.seals.insert((claim.shard, held.epoch), seal);
                Epoch(held.epoch.0 + 1)
            }
        };
        self.leases.insert(
            claim.shard,
            Held {
                epoch,
                writer: Arc::clone(&claim.writer),
                until: now + ms(claim.ttl),
                is_released: false,
                heir: None,
            },
        );
        Some(epoch)
    }

    pub(crate) fn release(&mut self, fence: Fence, heir: Option<Arc<str>>) {
        if let Some(held) = self.leases.get_mut(&fence.shard)
            && held.epoch == fence.epoch
        {
            held.is_released = true;
            held.heir = heir;
        }
    }

    /// The present epoch of a shard.
    pub(crate) fn epoch(&self, shard: u16) -> Option<Epoch> {
        self.leases.get(&shard).map(|held| held.epoch)
    }

    pub(crate) fn write(
        &mut self,
        now: u64,
        batch: &Batch,
        valid: impl Fn(&StoredRate) -> u64,
    ) -> Written {
        let shard = batch.fence.shard;
        let is_present = self.epoch(shard) == Some(batch.fence.epoch);
        for update in &batch.updates {
            // Those of an ended epoch: what its successor had heard.
            let belongs = is_present
                || match self.seals.get(&(shard, update.id.epoch)) {
                    Some(Seal::All) => true,
                    Some(Seal::UpTo(seq)) => update.id.seq.0 <= *seq,
                    None => false,
                };
            if belongs {
                self.history.insert(update.id);
            }
            if is_present
                && update.id.epoch == batch.fence.epoch
                && let Body::Rate(rate) = &update.body
            {
                let stored = StoredRate {
                    id: update.id,
                    rate: rate.clone(),
                };
                let until = now + valid(&stored);
                self.current.insert(rate.pair, (stored, until));
            }
        }
        if is_present {
            Written::Stored
        } else {
            Written::Fenced
        }
    }

    pub(crate) fn current(&self, now: u64) -> CurrentRates {
        let rates = self.current.values().map(|(stored, until)| CurrentRate {
            stored: stored.clone(),
            left: Duration::from_millis(until.saturating_sub(now)),
        });
        CurrentRates {
            rates: rates.collect(),
            until: None,
        }
    }
}
