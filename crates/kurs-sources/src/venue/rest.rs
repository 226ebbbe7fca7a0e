//! A venue's REST interface: one gate before all requests, which stays shut for as long as the
//! venue said, and a budget that is never overdrawn.

mod budget;

use super::codec::{AnswerError, Codec, Request};
use crate::stats::SourceStats;
use budget::Budget;
use bytes::Bytes;
use kurs_core::{Clock, Mono};
use kurs_net::http::{Fetch, FetchError, Fetched, HttpClient};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// From first byte sent to last byte received.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A longer answer is refused, bytes.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Wait after 429 when the venue names none.
const LIMITED_DELAY: Duration = Duration::from_secs(60);
/// Wait after 418 when the venue names none: the shortest ban.
const BANNED_DELAY: Duration = Duration::from_secs(120);
/// Wait after 403 and 451: the address is refused, which changes slowly.
const BLOCKED_DELAY: Duration = Duration::from_secs(300);
/// A request may wait this long for its place in the budget.
const PATIENCE: Duration = Duration::from_secs(3);
/// Share of the budget that snapshots of books may use, percent: prices come first.
const BOOKS_PERCENT: u32 = 75;

/// Why there is no answer, named by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum RestError {
    /// No request may be sent before this.
    #[error("{why}")]
    Shut {
        /// Until when.
        until: Mono,
        /// One phrase for people.
        why: String,
    },
    /// One of the symbols is not traded.
    #[error("a symbol is not traded there")]
    BadSymbol,
    /// Try again later.
    #[error("{0}")]
    Failed(String),
}

/// An answer that the codec has to read, whatever its status.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
}

/// Why and until when nothing may be sent.
#[derive(Debug, Clone)]
struct Shut {
    until: Mono,
    why: String,
}

/// REST client of the venue.
pub(super) struct Rest {
    http: HttpClient,
    base: String,
    codec: Arc<dyn Codec>,
    clock: Arc<dyn Clock>,
    stats: Arc<SourceStats>,
    shut: Mutex<Option<Shut>>,
    budget: Mutex<Budget>,
}

impl Rest {
    pub(super) fn new(
        http: HttpClient,
        base: String,
        codec: Arc<dyn Codec>,
        clock: Arc<dyn Clock>,
        stats: Arc<SourceStats>,
    ) -> Self {
        let budget = Budget::new(codec.facts().weight_per_minute);
        Self {
            http,
            base,
            codec,
            clock,
            stats,
            shut: Mutex::new(None),
            budget: Mutex::new(budget),
        }
    }

    /// True when a snapshot of this weight could be asked for now without taking from the
    /// share of prices.
    pub(super) fn has_room_for_book(&self, weight: u32) -> bool {
        let now = self.clock.now().mono;
        let is_shut = self
            .shut
            .lock()
            .as_ref()
            .is_some_and(|shut| now < shut.until);
        !is_shut && self.budget.lock().has_room(now, weight, BOOKS_PERCENT)
    }

    /// Sends a request.
    pub(super) async fn get(&self, request: &Request) -> Result<Answer, RestError> {
        self.check_gate()?;
        self.wait_for_place(request.weight).await?;
        let fetch = Fetch {
            shown: None,
            url: format!("{}{}", self.base, request.path),
            headers: Vec::new(),
            validators: None,
            timeout: TIMEOUT,
            max_body_bytes: BODY_BYTES_MAX,
        };
        match self.http.get(fetch).await {
            Ok(Fetched::Body { bytes: body, .. }) => {
                if self.shut.lock().take().is_some() {
                    self.stats.set_limited_until(None);
                }
                Ok(Answer { status: 200, body })
            }
            Ok(Fetched::NotModified) => Err(RestError::Failed("an answer without a body".into())),
            Err(error) => self.failed(error),
        }
    }

    /// What can be done about an answer that the codec found to hold no data.
    pub(super) fn refused(&self, error: AnswerError) -> RestError {
        match error {
            AnswerError::BadSymbol => RestError::BadSymbol,
            AnswerError::Limited { retry_after_s } => {
                let delay = retry_after_s.map_or(LIMITED_DELAY, Duration::from_secs);
                self.shut_for(delay, "limited by the venue".to_owned())
            }
            other => RestError::Failed(other.to_string()),
        }
    }

    fn check_gate(&self) -> Result<(), RestError> {
        match self.shut.lock().clone() {
            Some(Shut { until, why }) if self.clock.now().mono < until => {
                Err(RestError::Shut { until, why })
            }
            _ => Ok(()),
        }
    }

    async fn wait_for_place(&self, weight: u32) -> Result<(), RestError> {
        let give_up_at = self.clock.now().mono.plus(PATIENCE);
        loop {
            let now = self.clock.now().mono;
            let Err(until) = self.budget.lock().take(now, weight) else {
                return Ok(());
            };
            if until > give_up_at {
                let why = "no more requests are allowed at present";
                return Err(RestError::Failed(why.to_owned()));
            }
            tokio::time::sleep(until.since(now) + Duration::from_millis(1)).await;
        }
    }

    fn failed(&self, error: FetchError) -> Result<Answer, RestError> {
        let (status, retry_after, body) = match error {
            FetchError::Limited {
                status,
                retry_after,
                body,
            } => (status, retry_after, body),
            FetchError::Refused { status, body } => (status, None, body),
            other => return Err(RestError::Failed(other.to_string())),
        };
        let usual = match status {
            418 => BANNED_DELAY,
            429 | 503 => LIMITED_DELAY,
            403 | 451 => BLOCKED_DELAY,
            // The venue's own words say more.
            _ => return Ok(Answer { status, body }),
        };
        let told = match self.codec.read_listing(status, &body) {
            Err(AnswerError::Limited { retry_after_s }) => Some(retry_after_s),
            _ => None,
        };
        let is_limit = !matches!(status, 403 | 451) || told.is_some();
        let delay = retry_after
            .or_else(|| told.flatten().map(Duration::from_secs))
            .unwrap_or(usual);
        let why = if is_limit {
            format!("limited by the venue (HTTP {status})")
        } else {
            format!("blocked here (HTTP {status})")
        };
        Err(self.shut_for(delay, why))
    }

    /// Shuts the gate. A later end is never brought forward: several requests may be under way.
    fn shut_for(&self, delay: Duration, why: String) -> RestError {
        let now = self.clock.now();
        let mut shut = self.shut.lock();
        let until = now.mono.plus(delay);
        let until = shut
            .as_ref()
            .map_or(until, |earlier| earlier.until.max(until));
        *shut = Some(Shut {
            until,
            why: why.clone(),
        });
        self.stats
            .set_limited_until(Some(now.wall.plus(until.since(now.mono))));
        RestError::Shut { until, why }
    }
}
