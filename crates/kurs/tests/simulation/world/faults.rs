//! What breaks, and how it is mended.

use super::{What, World};
use crate::writer::Writer;
use std::hash::Hash;

impl World {
    /// Something breaks, and is mended after a while.
    pub(super) fn fault(&mut self) {
        if self.now > self.plan.length_ms {
            return;
        }
        self.after(3_000, 9_000, What::Fault);
        let leader = self.writers.iter().position(Writer::leads);
        let kinds = if self.plan.breaks_all { 9 } else { 3 };
        let kind = self.rng.u8(0..kinds);
        let target = match leader {
            Some(leader) if self.rng.u8(0..4) > 0 || !self.plan.breaks_all => leader,
            _ => self.rng.usize(0..2),
        };
        let other = 1 - target;
        let (now, writers) = (self.now, &mut self.writers);
        let knows = |writer: &Writer| {
            writer.runs(now) && now.saturating_sub(writer.up_since) > 3_000 && !writer.is_leaving
        };
        // The last one that knows everything stays.
        if kind < 3 && !(knows(&writers[target]) && knows(&writers[other])) {
            return;
        }
        let lasts = self.rng.u64(500..8_000);
        self.tell(|| format!("fault {kind} at {target} for {lasts} ms"));
        format!("{now} {kind} {target} {lasts}").hash(&mut self.hash);
        match kind {
            0 => {
                self.writers[target].crash(now);
                self.after(lasts, lasts, What::Start(target));
            }
            1 => self.writers[target].stopped_until = now + lasts,
            2 => {
                self.writers[target].is_leaving = true;
                let turns = self.writers[target].keeper.leave();
                self.turns(target, turns);
                self.after(1_000, 1_000, What::Mend(2, target));
            }
            3 => self.writers[target].is_linked = false,
            4 => self.writers[target].reaches_store = false,
            5 => self.writers[target].hears_venue = false,
            6 => self.store_is_up = false,
            7 => self.broker.is_down = true,
            _ => self.readers[target].is_linked = false,
        }
        if kind == 4 {
            // Cut off from the store alone it publishes on, until it hears of the next epoch.
            self.consumer.forgives_doubles = true;
        }
        if matches!(kind, 3 | 7) {
            self.deaf_until = now + lasts + 35_000;
        }
        if kind > 2 {
            self.after(lasts, lasts, What::Mend(kind, target));
        }
    }

    pub(super) fn mend(&mut self, kind: u8, target: usize) {
        self.tell(|| format!("mends {kind} at {target}"));
        match kind {
            2 => {
                self.writers[target].crash(self.now);
                self.after(500, 4_000, What::Start(target));
            }
            3 => {
                self.writers[target].is_linked = true;
                self.writers[target].wants_last_values = true;
            }
            4 => self.writers[target].reaches_store = true,
            5 => self.writers[target].hears_venue = true,
            6 => self.store_is_up = true,
            7 => {
                self.broker.is_down = false;
            }
            _ => {
                self.readers[target].is_linked = true;
                self.readers[target].wants_last_values = true;
            }
        }
    }
}
