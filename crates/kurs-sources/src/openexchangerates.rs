//! Open Exchange Rates: fiat rates of one base, by key.

pub mod config;
pub mod map;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::poller::PollFailure;
use crate::protocol::{Picture, Protocol, Received, Refusal};
pub use config::Config;
use kurs_core::Now;
use kurs_net::http::{Fetch, FetchError, Fetched, Validators};
use std::time::Duration;
pub use wire::decode;

/// The whole table has about 6 kB.
const MAX_BODY_BYTES: usize = 1 << 20;

/// A wrong key or a used-up quota is not asked about again for hours.
const REFUSED_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// How Open Exchange Rates is asked and read.
#[derive(Debug, Clone)]
pub struct OpenExchangeRates {
    config: Config,
    latest: Option<(wire::Table, Validators)>,
}

impl OpenExchangeRates {
    /// Nothing received yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            latest: None,
        }
    }
}

impl Protocol for OpenExchangeRates {
    fn request(&mut self, _: Now) -> Fetch {
        Fetch {
            shown: None,
            url: self.config.request_url(),
            headers: Vec::new(),
            validators: self
                .latest
                .as_ref()
                .map(|(_, validators)| validators.clone()),
            timeout: self.config.timeout.0,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }

    fn receive(&mut self, answer: Fetched, _: Now) -> Result<Received, Refusal> {
        if let Fetched::Body {
            bytes, validators, ..
        } = answer
        {
            match decode(&bytes) {
                Ok(table) => self.latest = Some((table, validators)),
                Err(error) => {
                    return Err(wire::refused(&bytes)
                        .map_or_else(|| error.into(), |message| judge_message(&message, None)));
                }
            }
        }
        Ok(Received::Done)
    }

    /// 429 may mean "not in your plan" as well as "slower": the message tells.
    fn judge(&self, error: &FetchError) -> Option<Refusal> {
        match error {
            FetchError::Limited {
                body, retry_after, ..
            } => Some(judge_message(&wire::refused(body)?, *retry_after)),
            FetchError::Refused { status, body } => match wire::refused(body) {
                Some(message) => Some(judge_message(&message, None)),
                None if matches!(status, 401..=403) => {
                    Some(lasting(&format!("HTTP {status}"), None))
                }
                None => None,
            },
            _ => None,
        }
    }

    fn picture(&self, now: Now) -> Picture {
        let Some((table, _)) = &self.latest else {
            return Picture::default();
        };
        map::picture(table, &self.config, now)
    }
}

fn judge_message(message: &str, retry_after: Option<Duration>) -> Refusal {
    match message {
        "missing_app_id" | "invalid_app_id" | "not_allowed" | "access_restricted"
        | "invalid_base" => lasting(message, retry_after),
        _ => Refusal {
            failure: retry_after.map_or(PollFailure::Passing, |wait| {
                PollFailure::Limited(Some(wait))
            }),
            why: format!("refused: {message}"),
            needs_action: false,
            undecodable: false,
        },
    }
}

fn lasting(message: &str, retry_after: Option<Duration>) -> Refusal {
    let wait = retry_after.unwrap_or_default().max(REFUSED_WAIT);
    Refusal {
        failure: PollFailure::Lasting(wait),
        why: format!("refused: {message}"),
        needs_action: true,
        undecodable: false,
    }
}
