//! Bank of Russia: official rates to the rouble, set on working days for the next day.

pub mod calendar;
pub mod config;
pub mod map;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::decode::DecodeError;
use crate::protocol::{Picture, Protocol, Received, Refusal};
use crate::zone;
pub use config::Config;
use jiff::civil::{Date, Time};
use kurs_core::{Now, Wall};
use kurs_net::http::{Fetch, Fetched};
use std::hash::{DefaultHasher, Hash, Hasher};
pub use wire::{decode, decode_dynamic};

/// The daily table has about 12 kB.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Before long holidays rates are set this many days ahead at most.
const FARTHEST_AHEAD_DAYS: i32 = 15;

/// How the Bank of Russia is asked and read. The latest table may be tomorrow's: it waits,
/// while the former one stays in force, until midnight in Moscow.
#[derive(Debug, Clone)]
pub struct Cbr {
    config: Config,
    /// In force, or in force last.
    current: Option<wire::Table>,
    /// Takes effect at the midnight its date begins.
    pending: Option<wire::Table>,
    /// The next request is for the table in force, since the latest is not yet.
    asking_for_today: bool,
    /// Of the latest table's bytes: the bank sends no validators.
    body_hash: Option<u64>,
}

impl Cbr {
    /// Nothing received yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            current: None,
            pending: None,
            asking_for_today: false,
            body_hash: None,
        }
    }

    fn in_force(&self, today: Date) -> Option<&wire::Table> {
        self.pending
            .as_ref()
            .filter(|table| table.date <= today)
            .or_else(|| self.current.as_ref().filter(|table| table.date <= today))
    }

    /// Takes a table in by its date.
    fn take(&mut self, table: wire::Table, today: Date) -> Result<(), DecodeError> {
        if table.date > zone::days_after(today, FARTHEST_AHEAD_DAYS) {
            return Err(DecodeError::Format(format!(
                "dated {}, far ahead",
                table.date
            )));
        }
        let slot = if table.date > today {
            &mut self.pending
        } else {
            &mut self.current
        };
        // An older copy from a cache on the way does not replace a newer table.
        if slot.as_ref().is_none_or(|held| table.date >= held.date) {
            *slot = Some(table);
        }
        Ok(())
    }
}

fn today(now: Now) -> Date {
    zone::civil(now.wall, &zone::moscow()).date()
}

fn hash_of(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Protocol for Cbr {
    fn request(&mut self, now: Now) -> Fetch {
        let date = self.asking_for_today.then(|| today(now));
        Fetch {
            shown: None,
            url: self.config.request_url(date),
            headers: Vec::new(),
            validators: None,
            timeout: self.config.timeout.0,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }

    fn receive(&mut self, answer: Fetched, now: Now) -> Result<Received, Refusal> {
        let asked_for_today = std::mem::take(&mut self.asking_for_today);
        let Fetched::Body { bytes, .. } = answer else {
            return Ok(Received::Done);
        };
        let today = today(now);
        if self
            .pending
            .as_ref()
            .is_some_and(|table| table.date <= today)
        {
            self.current = self.pending.take();
        }
        let hash = hash_of(&bytes);
        if asked_for_today {
            self.take(decode(&bytes)?, today)?;
        } else if self.body_hash != Some(hash) {
            self.take(decode(&bytes)?, today)?;
            self.body_hash = Some(hash);
        }
        if self.in_force(today).is_some() {
            return Ok(Received::Done);
        }
        if asked_for_today {
            let why = format!("no table in force on {today} was given");
            return Err(DecodeError::Empty(why).into());
        }
        self.asking_for_today = true;
        Ok(Received::More)
    }

    fn picture(&self, now: Now) -> Picture {
        let today = today(now);
        let coming = self.pending.as_ref().filter(|table| table.date > today);
        self.in_force(today)
            .map(|table| map::picture(table, coming.map(|table| table.date), &self.config))
            .unwrap_or_default()
    }

    fn changes_at(&self, now: Now) -> Option<Wall> {
        let pending = self.pending.as_ref()?;
        let midnight = zone::at(pending.date, Time::midnight(), &zone::moscow());
        (midnight > now.wall).then_some(midnight)
    }
}
