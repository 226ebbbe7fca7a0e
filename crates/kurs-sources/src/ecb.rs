//! European Central Bank: euro reference rates, once per TARGET working day.

pub mod calendar;
pub mod config;
pub mod map;
pub mod schedule;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::decode::DecodeError;
use crate::protocol::{Picture, Protocol, Received, Refusal};
use crate::zone;
pub use config::Config;
use kurs_core::Now;
use kurs_net::http::{Fetch, Fetched, Validators};
pub use schedule::PublicationSchedule;
pub use wire::decode;

/// The file since 1999 has several megabytes; it is read too if somebody points here to it.
const MAX_BODY_BYTES: usize = 16 << 20;

/// How the ECB is asked and read.
#[derive(Debug, Clone)]
pub struct Ecb {
    config: Config,
    latest: Option<wire::Day>,
    validators: Option<Validators>,
}

impl Ecb {
    /// Nothing received yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            latest: None,
            validators: None,
        }
    }
}

impl Protocol for Ecb {
    fn request(&mut self, _: Now) -> Fetch {
        Fetch {
            shown: None,
            url: self.config.request_url(),
            headers: Vec::new(),
            validators: self.validators.clone(),
            timeout: self.config.timeout.0,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }

    fn receive(&mut self, answer: Fetched, now: Now) -> Result<Received, Refusal> {
        let Fetched::Body {
            bytes, validators, ..
        } = answer
        else {
            return Ok(Received::Done);
        };
        let days = decode(&bytes)?;
        let Some(newest) = days.into_iter().max_by_key(|day| day.date) else {
            return Err(DecodeError::Empty("no day".into()).into());
        };
        let today = zone::civil(now.wall, &zone::frankfurt()).date();
        if newest.date > zone::days_after(today, 1) {
            return Err(
                DecodeError::Format(format!("dated {}, which is to come", newest.date)).into(),
            );
        }
        self.validators = Some(validators);
        // A cache on the way may answer with an older copy than was seen already.
        if self
            .latest
            .as_ref()
            .is_none_or(|held| newest.date >= held.date)
        {
            self.latest = Some(newest);
        }
        Ok(Received::Done)
    }

    fn picture(&self, _: Now) -> Picture {
        self.latest
            .as_ref()
            .map(|day| map::picture(day, &self.config))
            .unwrap_or_default()
    }
}
