//! What a polled source makes of requests and answers, without I/O and clocks.

use crate::decode::DecodeError;
use crate::poller::PollFailure;
use kurs_core::{Now, Pair, Quote, Wall};
use kurs_net::http::{Fetch, FetchError, Fetched};
use std::collections::BTreeMap;
use std::time::Duration;

/// One rate of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The pair.
    pub pair: Pair,
    /// The price, or both sides of it.
    pub quote: Quote,
    /// When the source says it was true.
    pub observed_at: Option<Wall>,
}

/// What a source holds to be true at present.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Its rates.
    pub entries: Vec<Entry>,
    /// Until when they hold; `None`: until the next moment of the schedule and [`GRACE`](crate::polled::GRACE).
    pub valid_until: Option<Wall>,
    /// Pairs that should have a rate and have none that can be used, with the reason.
    pub missing: BTreeMap<Pair, String>,
    /// Rows that could not be read, for the log and the counter.
    pub rejected: Vec<String>,
}

/// What came of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// The picture is complete.
    Done,
    /// One more request is needed: [`Protocol::request`] gives it.
    More,
}

/// An answer that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When to ask again.
    pub failure: PollFailure,
    /// One phrase for people.
    pub why: String,
    /// True when a person must act, as for a wrong key.
    pub needs_action: bool,
    /// True when the answer could not be read.
    pub undecodable: bool,
}

/// Wait after 401: a key that is wrong now is wrong in an hour, unless somebody acts.
const UNAUTHORIZED_WAIT: Duration = Duration::from_secs(3_600);

/// Wait after 403 and 451: who may ask from where changes slowly.
const FORBIDDEN_WAIT: Duration = Duration::from_secs(300);

/// When to ask again after a refusal, where the status alone says that a person must act.
#[must_use]
pub const fn lasting_refusal(status: u16) -> Option<PollFailure> {
    match status {
        401 => Some(PollFailure::Lasting(UNAUTHORIZED_WAIT)),
        403 | 451 => Some(PollFailure::Lasting(FORBIDDEN_WAIT)),
        _ => None,
    }
}

impl From<&FetchError> for Refusal {
    fn from(error: &FetchError) -> Self {
        let lasting = match error {
            FetchError::Refused { status, .. } => lasting_refusal(*status),
            _ => None,
        };
        let needs_action = lasting.is_some();
        let failure = lasting.unwrap_or(match error {
            FetchError::Limited { retry_after, .. } => PollFailure::Limited(*retry_after),
            _ => PollFailure::Passing,
        });
        Self {
            failure,
            why: error.to_string(),
            needs_action,
            undecodable: false,
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self {
            failure: PollFailure::Passing,
            why: error.to_string(),
            needs_action: false,
            undecodable: true,
        }
    }
}

/// What one polled source makes of requests and answers. Does no I/O and reads no clock.
pub trait Protocol: Clone + Send + Sync + 'static {
    /// The next request.
    fn request(&mut self, now: Now) -> Fetch;

    /// An answer to the latest request.
    ///
    /// # Errors
    /// [`Refusal`] when it brings nothing.
    fn receive(&mut self, answer: Fetched, now: Now) -> Result<Received, Refusal>;

    /// What a failed request means where the body says more than the status.
    fn judge(&self, error: &FetchError) -> Option<Refusal> {
        let _ = error;
        None
    }

    /// What is true at a time, from all answers so far.
    fn picture(&self, now: Now) -> Picture;

    /// When the picture changes without a new answer, as at the midnight a rate takes effect.
    fn changes_at(&self, now: Now) -> Option<Wall> {
        let _ = now;
        None
    }
}
