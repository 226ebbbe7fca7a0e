//! CoinGecko: crypto in many fiat currencies by one batched REST call.

pub mod config;
pub mod map;
#[cfg(test)]
mod tests;
pub mod wire;

use crate::poller::PollFailure;
use crate::protocol::{Picture, Protocol, Received, Refusal, lasting_refusal};
pub use config::{Config, Plan};
use kurs_core::Now;
use kurs_net::http::{Fetch, FetchError, Fetched, Header};
use kurs_telemetry::Secret;
use std::time::Duration;
pub use wire::decode;

/// A batched answer of the default coins has a few kilobytes.
const MAX_BODY_BYTES: usize = 1 << 20;

/// A key that is wrong now is wrong in an hour, unless somebody acts.
const WRONG_KEY_WAIT: Duration = Duration::from_secs(3_600);

/// How CoinGecko is asked and read.
#[derive(Debug, Clone)]
pub struct CoinGecko {
    config: Config,
    latest: Option<(wire::Reply, Now)>,
}

impl CoinGecko {
    /// Nothing received yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            latest: None,
        }
    }

    /// What a refusal means. Its own code decides, and where that says nothing, the status.
    fn refusal(&self, said: &wire::Refused, status: Option<u16>) -> Refusal {
        let code_as_status = said.code.and_then(|code| u16::try_from(code).ok());
        let lasting = match said.code {
            Some(10_002 | 10_005 | 10_010 | 10_011) => Some(PollFailure::Lasting(WRONG_KEY_WAIT)),
            _ => code_as_status
                .and_then(lasting_refusal)
                .or_else(|| status.and_then(lasting_refusal)),
        };
        let needs_action = lasting.is_some();
        let failure = lasting.unwrap_or(match said.code {
            Some(429) => PollFailure::Limited(None),
            _ => PollFailure::Passing,
        });
        let mut why = format!("refused: {}", said.message);
        if let Some(key) = self.config.given_key() {
            why = why.replace(Secret::reveal(key), "***");
        }
        Refusal {
            failure,
            why,
            needs_action,
            undecodable: false,
        }
    }
}

impl Protocol for CoinGecko {
    fn request(&mut self, _: Now) -> Fetch {
        let headers = match (self.config.plan(), self.config.given_key()) {
            (Plan::Demo, Some(key)) => vec![secret("x-cg-demo-api-key", key)],
            (Plan::Pro, Some(key)) => vec![secret("x-cg-pro-api-key", key)],
            _ => Vec::new(),
        };
        Fetch {
            shown: None,
            url: self.config.request_url(),
            headers,
            validators: None,
            timeout: self.config.timeout.0,
            max_body_bytes: MAX_BODY_BYTES,
        }
    }

    fn receive(&mut self, answer: Fetched, now: Now) -> Result<Received, Refusal> {
        if let Fetched::Body { bytes, .. } = answer {
            if let Some(said) = wire::refused(&bytes) {
                return Err(self.refusal(&said, None));
            }
            self.latest = Some((decode(&bytes)?, now));
        }
        Ok(Received::Done)
    }

    fn judge(&self, error: &FetchError) -> Option<Refusal> {
        match error {
            FetchError::Refused { status, body } => {
                Some(self.refusal(&wire::refused(body)?, Some(*status)))
            }
            _ => None,
        }
    }

    fn picture(&self, _: Now) -> Picture {
        let Some((reply, received)) = &self.latest else {
            return Picture::default();
        };
        map::picture(reply, &self.config, *received)
    }
}

fn secret(name: &'static str, key: &Secret) -> Header {
    Header {
        name: name.into(),
        value: key.reveal().trim().into(),
        secret: true,
    }
}
