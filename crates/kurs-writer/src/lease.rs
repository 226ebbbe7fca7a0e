//! When a Writer writes: which leases it asks for, keeps, and gives away. Pure: the time and the
//! store's answers go in; questions to the store and turns of events come out.
//!
//! - A lease is renewed every second and is good for three on the store's clock. It is taken only
//!   when the store says that it has run out or was given back; the store decides between two.
//! - A holder that has slept through the end of its lease asks before it publishes.
//! - A holder that cannot reach the store keeps publishing under its epoch until it hears of a
//!   higher one, but stops storing half a second before the lease ends on its own clock.
//! - After the store was away a Writer watches for a whole lease time before it takes one that
//!   has run out: the holder, who could not renew either, comes first.
//! - A lease that was given back is taken when the last word of its former holder was heard, or
//!   half a second later: who leads before that would say once more what is on its way.
//! - A Writer that holds two shards more than another one that is ready and stands by hands one
//!   over. Of three Writers and more each follows only what it leads and stands by for.

mod sharing;
mod turns;

use kurs_core::{Epoch, Mono, UpdateId};
use kurs_store::{Beat, Claim, Fence, Leases};
use sharing::Spread;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
pub use turns::{Ask, Times, Turn};

/// How long others that come first are waited for, per place in the order of those who wait.
const TURN: Duration = Duration::from_millis(400);
/// How soon is asked again when a handed-over lease is expected.
const EXPECTED: Duration = Duration::from_millis(20);
/// How long it is expected.
const EXPECTED_FOR: Duration = Duration::from_secs(2);

/// So long a Writer that follows the bus waits for the last words of a holder that gave a lease
/// back: what it has not heard of them it would say once more.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A lease that this Writer holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    epoch: Epoch,
    /// Until when it is good, counted from before the store was asked.
    good_until: Mono,
    /// Until when may be published without asking the store again.
    publish_until: Mono,
    is_ending: bool,
}

/// A lease that nobody holds.
#[derive(Debug, Clone, Copy)]
struct Free {
    since: Mono,
    /// It was left to this Writer: it is nobody else's turn.
    is_ours: bool,
    /// It was given back under this epoch.
    released: Option<Epoch>,
}

/// Keeps the leases of one Writer.
#[derive(Debug)]
pub struct Keeper {
    me: Arc<str>,
    shards: u16,
    times: Times,
    /// No other Writer can exist.
    is_alone: bool,
    is_ready: bool,
    is_leaving: bool,
    held: BTreeMap<u16, Held>,
    seen: Leases,
    /// Shards that are free to be taken, as far as is known.
    free: BTreeMap<u16, Free>,
    /// The last update heard of each shard.
    heard: BTreeMap<u16, UpdateId>,
    /// The last epoch of each shard whose end was heard.
    ended: BTreeMap<u16, Epoch>,
    /// Before this, a lease that has run out is not taken: the store was away.
    patient_until: Option<Mono>,
    has_answered: bool,
    renew_at: Mono,
    /// A lease is about to be given to this Writer.
    expected_until: Mono,
    /// A claim that was refused is not repeated before.
    claim_again_at: BTreeMap<u16, Mono>,
    is_asking: bool,
    spread: Spread,
}

impl Keeper {
    /// Holds nothing yet. `is_alone`: no other Writer can exist, nobody is waited for.
    #[must_use]
    pub fn new(me: Arc<str>, shards: u16, times: Times, is_alone: bool) -> Self {
        Self {
            me,
            shards: shards.max(1),
            times,
            is_alone,
            is_ready: false,
            is_leaving: false,
            held: BTreeMap::new(),
            seen: Leases::default(),
            free: BTreeMap::new(),
            heard: BTreeMap::new(),
            ended: BTreeMap::new(),
            patient_until: None,
            has_answered: false,
            renew_at: Mono(0),
            expected_until: Mono(0),
            claim_again_at: BTreeMap::new(),
            is_asking: false,
            spread: Spread::default(),
        }
    }

    /// It could take a shard at once: its sources are live and it follows the bus.
    pub fn set_ready(&mut self, is_ready: bool) {
        self.is_ready = is_ready;
    }

    /// The epoch that is held of a shard, also while it is being handed over.
    #[must_use]
    pub fn epoch(&self, shard: u16) -> Option<Epoch> {
        self.held.get(&shard).map(|held| held.epoch)
    }

    /// What is held.
    #[must_use]
    pub fn fences(&self) -> Vec<Fence> {
        let fence = |(shard, held): (&u16, &Held)| Fence {
            shard: *shard,
            epoch: held.epoch,
        };
        self.held.iter().map(fence).collect()
    }

    /// Whether what was made under the lease of a shard may still be stored, as far as this
    /// Writer can know. The store checks for itself.
    #[must_use]
    pub fn may_store(&self, shard: u16, now: Mono) -> bool {
        self.is_alone
            || self
                .held
                .get(&shard)
                .is_some_and(|held| now.plus(self.times.margin) < held.good_until)
    }

    /// Until when may be published under the lease of a shard. A Writer that was stopped for longer
    /// asks first whether it still holds the lease; one that cannot reach the store goes on.
    #[must_use]
    pub fn publish_until(&self, shard: u16) -> Mono {
        if self.is_alone {
            return Mono(u64::MAX);
        }
        let held = self.held.get(&shard);
        held.map_or(Mono(0), |held| held.publish_until)
    }

    /// How all leases stood last.
    #[must_use]
    pub const fn leases(&self) -> &Leases {
        &self.seen
    }

    /// The next question to the store, if one is due. Its answer is awaited before the next.
    pub fn ask(&mut self, now: Mono) -> Option<Ask> {
        if self.is_asking {
            return None;
        }
        // A free lease comes first: whoever looks often would look only. Not when leases of its
        // own are waiting to be renewed.
        let is_urgent = !self.held.is_empty() && now >= self.renew_at;
        let claim = if is_urgent {
            None
        } else {
            self.next_claim(now)
        };
        let ask = if let Some(claim) = claim {
            Ask::Claim(claim)
        } else if now >= self.renew_at {
            self.renew_at = now.plus(self.period(now));
            Ask::Renew(Beat {
                writer: Arc::clone(&self.me),
                ttl: self.times.ttl,
                is_ready: self.is_ready && !self.is_leaving,
                held: self.fences(),
            })
        } else {
            return None;
        };
        self.is_asking = true;
        Some(ask)
    }

    fn period(&self, now: Mono) -> Duration {
        let holds_all = self.held.len() == usize::from(self.shards);
        if holds_all {
            self.times.renew
        } else if !self.held.is_empty() {
            self.times.watch
        } else if now < self.expected_until {
            EXPECTED
        } else {
            self.times.watch
        }
    }

    /// When [`Self::ask`] has something to ask next, at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Mono {
        let turns = self.free.iter().filter_map(|(shard, free)| {
            let turn = self.turn_at(*shard, *free);
            let again = self.claim_again_at.get(shard).copied().unwrap_or(turn);
            (!self.is_leaving).then_some(turn.max(again))
        });
        turns.fold(self.renew_at, Mono::min)
    }

    fn next_claim(&mut self, now: Mono) -> Option<Claim> {
        if self.is_leaving {
            return None;
        }
        let (shard, _) = self.free.iter().find(|(shard, free)| {
            let is_our_turn = now >= self.turn_at(**shard, **free);
            let again_at = self.claim_again_at.get(shard);
            is_our_turn && again_at.is_none_or(|at| now >= *at)
        })?;
        Some(Claim {
            shard: *shard,
            writer: Arc::clone(&self.me),
            ttl: self.times.ttl,
            heard: self.heard.get(shard).copied(),
            is_alone: self.is_alone,
        })
    }

    /// From when on this Writer may take a free shard.
    fn turn_at(&self, shard: u16, free: Free) -> Mono {
        if self.is_alone {
            return free.since;
        }
        let has_heard_all = free
            .released
            .is_none_or(|epoch| self.ended.get(&shard).is_some_and(|ended| *ended >= epoch));
        let since = if has_heard_all || !self.is_ready {
            free.since
        } else {
            free.since.plus(LAST_WORDS)
        };
        if free.is_ours {
            return since;
        }
        since.plus(TURN * self.place(shard))
    }

    /// The store's answer to [`Ask::Renew`], which was sent at `sent`; `None`: it gave none.
    pub fn renewed(&mut self, sent: Mono, now: Mono, answer: Option<Leases>) -> Vec<Turn> {
        self.is_asking = false;
        let Some(leases) = answer else {
            if self.has_answered {
                self.patient_until = Some(Mono(u64::MAX));
            }
            // It was asked and is away: publishing goes on.
            for held in self.held.values_mut() {
                held.publish_until = now.plus(self.times.ttl);
            }
            return Vec::new();
        };
        self.has_answered = true;
        if self.patient_until == Some(Mono(u64::MAX)) {
            self.patient_until = Some(now.plus(self.times.ttl));
        }
        self.seen = leases;
        let mut turns = Vec::new();
        for lease in &self.seen.shards {
            let Some(held) = self.held.get_mut(&lease.shard) else {
                continue;
            };
            let fence = Fence {
                shard: lease.shard,
                epoch: held.epoch,
            };
            if lease.epoch > held.epoch {
                turns.push(Turn::Deposed(fence));
            } else if !lease.is_released {
                held.good_until = sent.plus(self.times.ttl);
                held.publish_until = held.good_until;
            }
        }
        for turn in &turns {
            if let Turn::Deposed(fence) = turn {
                self.held.remove(&fence.shard);
            }
        }
        self.look_for_free(now);
        self.look_who_stands_by(now);
        turns.extend(self.balance(now));
        turns
    }

    fn look_for_free(&mut self, now: Mono) {
        let is_patient = self.patient_until.is_some_and(|until| now < until);
        if !is_patient {
            self.patient_until = None;
        }
        let mut free = BTreeMap::new();
        for shard in 0..self.shards {
            if self.held.contains_key(&shard) {
                continue;
            }
            let lease = self.seen.shards.iter().find(|lease| lease.shard == shard);
            let is_free = match lease {
                None => true,
                Some(lease) if lease.is_released => match &lease.heir {
                    Some(heir) if *heir != self.me => lease.left.is_zero(),
                    _ => true,
                },
                Some(lease) => (lease.left.is_zero() && !is_patient) || self.is_alone,
            };
            if is_free {
                let since = self.free.get(&shard).map_or(now, |free| free.since);
                let is_ours = lease.is_some_and(|lease| lease.heir.as_ref() == Some(&self.me));
                let released = lease.filter(|lease| lease.is_released);
                free.insert(
                    shard,
                    Free {
                        since,
                        is_ours,
                        released: released.map(|lease| lease.epoch),
                    },
                );
            }
        }
        self.free = free;
    }

    /// The store's answer to [`Ask::Claim`]; `None`: somebody else has it, or no answer came.
    pub fn claimed(
        &mut self,
        claim: &Claim,
        sent: Mono,
        now: Mono,
        epoch: Option<Epoch>,
    ) -> Option<Turn> {
        self.is_asking = false;
        let Some(epoch) = epoch else {
            let again = now.plus(self.times.watch);
            self.claim_again_at.insert(claim.shard, again);
            // Who has it now is worth knowing at once.
            self.renew_at = self.renew_at.min(now.plus(EXPECTED));
            return None;
        };
        let good_until = sent.plus(self.times.ttl);
        let held = Held {
            epoch,
            good_until,
            publish_until: good_until,
            is_ending: false,
        };
        self.held.insert(claim.shard, held);
        self.free.remove(&claim.shard);
        self.claim_again_at.remove(&claim.shard);
        Some(Turn::Lead(Fence {
            shard: claim.shard,
            epoch,
        }))
    }

    /// Something was heard on the bus. `ends`: the holder gives the shard away.
    pub fn heard(&mut self, now: Mono, id: UpdateId, ends: bool) -> Option<Turn> {
        let last = self.heard.entry(id.shard).or_insert(id);
        *last = (*last).max(id);
        if ends {
            let ended = self.ended.entry(id.shard).or_insert(id.epoch);
            *ended = (*ended).max(id.epoch);
        }
        if ends && !self.held.contains_key(&id.shard) {
            self.expected_until = now.plus(EXPECTED_FOR);
            self.renew_at = self.renew_at.min(now);
        }
        let held = self.held.get(&id.shard).copied()?;
        if id.epoch <= held.epoch {
            return None;
        }
        self.held.remove(&id.shard);
        Some(Turn::Deposed(Fence {
            shard: id.shard,
            epoch: held.epoch,
        }))
    }

    /// The store refused a write of this epoch.
    pub fn refused(&mut self, fence: Fence) -> Option<Turn> {
        let is_held = self.epoch(fence.shard) == Some(fence.epoch);
        is_held.then(|| {
            self.held.remove(&fence.shard);
            Turn::Deposed(fence)
        })
    }

    /// What was to be handed over is given back, or was lost meanwhile.
    pub fn gave_back(&mut self, fence: Fence) {
        if self.epoch(fence.shard) == Some(fence.epoch) {
            self.held.remove(&fence.shard);
        }
    }
}

#[cfg(test)]
mod tests;
