//! What runs every polled source: asks when the [`Poller`](crate::poller::Poller) says so, has
//! the answer read, hands the table over.

mod ledger;
mod run;
#[cfg(test)]
mod tests;

use crate::input::Machine;
use crate::poller::Schedule;
use crate::protocol::Protocol;
use crate::source::{Context, EventSink, ListingError, Source};
use crate::stats::SourceStats;
use async_trait::async_trait;
use kurs_core::{Pair, SourceId, SourceKind, Wall};
use kurs_net::http::{Fetch, FetchError, Fetched, HttpClient};
use ledger::{Ledger, LedgerParts};
use run::Run;
use std::sync::Arc;
use std::time::Duration;

/// A price of a timetable source is valid this much beyond the next moment, so that the next
/// answer has time to arrive.
pub const GRACE: Duration = Duration::from_secs(10);

/// Sleeps are cut to this, so that a wall clock that jumped is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Gets things. [`HttpClient`], or a stand-in where time is virtual.
#[async_trait]
pub trait Transport: Send + Sync {
    /// One GET.
    ///
    /// # Errors
    /// As [`HttpClient::get`].
    async fn get(&self, fetch: Fetch) -> Result<Fetched, FetchError>;
}

#[async_trait]
impl Transport for HttpClient {
    async fn get(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        Self::get(self, fetch).await
    }
}

/// What a polled source is made of.
pub struct Parts<P> {
    /// Its name in answers.
    pub id: SourceId,
    /// What it is.
    pub kind: SourceKind,
    /// Place in the order of preference.
    pub priority: u16,
    /// When to poll.
    pub schedule: Arc<dyn Schedule>,
    /// Longest delay after errors.
    pub backoff_cap: Duration,
    /// Longest time after receipt that a price is fresh, if the user set one.
    pub max_age: Option<Duration>,
    /// How to ask and to read.
    pub protocol: P,
}

/// A [`Source`] that is polled. Every run starts from a fresh copy of its protocol.
pub struct Polled<P> {
    id: SourceId,
    kind: SourceKind,
    priority: u16,
    stats: Arc<SourceStats>,
    schedule: Arc<dyn Schedule>,
    backoff_cap: Duration,
    max_age: Option<Duration>,
    protocol: P,
    transport: Arc<dyn Transport>,
}

impl<P: Protocol> Polled<P> {
    /// A source that has not run yet.
    #[must_use]
    pub fn new(parts: Parts<P>, transport: Arc<dyn Transport>, now: Wall) -> Self {
        let Parts {
            id,
            kind,
            priority,
            schedule,
            backoff_cap,
            max_age,
            protocol,
        } = parts;
        let stats = Arc::new(SourceStats::new("poll", now));
        Self {
            id,
            kind,
            priority,
            stats,
            schedule,
            backoff_cap,
            max_age,
            protocol,
            transport,
        }
    }
}

impl<P: Protocol> Polled<P> {
    fn ledger(&self, events: Arc<dyn EventSink>, stats: Arc<SourceStats>) -> Ledger<P> {
        Ledger::new(LedgerParts {
            source: self.id,
            stats,
            schedule: self.schedule.clone(),
            max_age: self.max_age,
            protocol: self.protocol.clone(),
            events,
        })
    }
}

#[async_trait]
impl<P: Protocol> Source for Polled<P> {
    fn id(&self) -> SourceId {
        self.id
    }

    fn kind(&self) -> SourceKind {
        self.kind
    }

    fn priority(&self) -> u16 {
        self.priority
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn follows_pairs(&self) -> bool {
        false
    }

    async fn lists(&self, _: Pair) -> Result<bool, ListingError> {
        Ok(false)
    }

    fn machine(&self, events: Arc<dyn EventSink>, _: Arc<[Pair]>) -> Option<Box<dyn Machine>> {
        let stats = Arc::new(SourceStats::new("poll", Wall::default()));
        Some(Box::new(self.ledger(events, stats)))
    }

    async fn run(self: Arc<Self>, mut context: Context) {
        Run::new(&self, context.clone())
            .until_shutdown(&mut context)
            .await;
    }
}
