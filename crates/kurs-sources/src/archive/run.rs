//! The async shell: runs the errands of several sources at the same time, those of one source one
//! after another, one request at a time, within its limits.

use super::errand::{Ask, Errand, Haul, Series};
use super::error::ArchiveError;
use super::pace::{Limits, Pace};
use super::patience::{Next, Patience, Trouble};
use super::progress::Progress;
use crate::polled::Transport;
use async_trait::async_trait;
use kurs_core::{Clock, SourceId};
use kurs_net::http::{FetchError, Fetched};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Wait after 403 and 451 before it is asked once more: the address may be refused for a while.
const BLOCKED_ATTEMPTS: u32 = 1;

/// Where what was fetched goes.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Keeps what an answer brought; called in the order of each series. When it returns, all is
    /// durable.
    ///
    /// # Errors
    /// [`SinkError`] ends everything.
    async fn keep(&self, series: Series, haul: Haul) -> Result<(), SinkError>;

    /// So many requests of a source are done, and so many are left, about.
    fn progress(&self, source: SourceId, done: u64, left: u64);

    /// A source is not asked for so long.
    fn waits(&self, source: SourceId, wait: Duration, why: &str);
}

/// What was fetched cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct SinkError(pub String);

/// The errands of one source.
pub struct VenueErrands {
    /// The source.
    pub source: SourceId,
    /// How fast it may be asked.
    pub limits: Limits,
    /// One after another.
    pub errands: Vec<Box<dyn Errand>>,
}

/// How an errand ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All of it was fetched.
    Done,
    /// The source does not have it.
    NotListed,
    /// It was given up, for this reason; what was fetched before is kept.
    Failed(String),
    /// It was ended from outside; what was fetched before is kept.
    Stopped,
}

/// What became of one errand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What it fetched.
    pub series: Series,
    /// How it ended.
    pub ended: Ended,
    /// Candles kept.
    pub candles: u64,
    /// Official rates kept.
    pub official: u64,
    /// Requests sent.
    pub requests: u64,
    /// Rows left out, as the source's own mistakes, the first few.
    pub rejected: Vec<String>,
}

/// Runs errands.
pub struct Runner {
    /// Gets things.
    pub transport: Arc<dyn Transport>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Seed of all jitter.
    pub seed: u64,
    /// Turns true when everything is to end.
    pub stop: watch::Receiver<bool>,
}

/// Rows left out that an outcome lists.
const REJECTED_MAX: usize = 20;

impl Runner {
    /// Runs everything; gives what became of each errand, by source and in order, and up to where
    /// each series is done.
    ///
    /// # Errors
    /// [`SinkError`] when the sink cannot keep things: nothing more is fetched then.
    pub async fn run(
        self,
        venues: Vec<VenueErrands>,
        sink: Arc<dyn Sink>,
    ) -> Result<(Vec<Outcome>, Progress), SinkError> {
        let runner = Arc::new(self);
        let mut running = JoinSet::new();
        for (number, venue) in venues.into_iter().enumerate() {
            let (runner, sink) = (runner.clone(), sink.clone());
            running.spawn(async move {
                let mut visit = Visit::new(runner, sink, &venue, number);
                (number, visit.all(venue.errands).await)
            });
        }
        let mut ended = Vec::new();
        while let Some(one) = running.join_next().await {
            let (number, outcomes) =
                one.map_err(|error| SinkError(format!("a task failed: {error}")))?;
            // Dropping the set ends the others.
            ended.push((number, outcomes?));
        }
        ended.sort_by_key(|(number, _)| *number);
        let mut progress = Progress::default();
        let mut all = Vec::new();
        for (_, (outcomes, done)) in ended {
            all.extend(outcomes);
            for (series, through) in done.iter() {
                progress.advance(*series, through);
            }
        }
        Ok((all, progress))
    }
}

/// What one answer means for its errand.
enum Answer {
    Brought(Haul),
    Again(Trouble, String),
    Over(Ended),
    /// The source is left alone.
    Away(String),
}

/// The work at one source.
struct Visit {
    runner: Arc<Runner>,
    sink: Arc<dyn Sink>,
    source: SourceId,
    pace: Pace,
    patience: Patience,
    progress: Progress,
    stop: watch::Receiver<bool>,
    requests: u64,
    refusals: u32,
}

impl Visit {
    fn new(runner: Arc<Runner>, sink: Arc<dyn Sink>, venue: &VenueErrands, number: usize) -> Self {
        let seed = runner
            .seed
            .wrapping_add(u64::try_from(number).unwrap_or(u64::MAX));
        Self {
            stop: runner.stop.clone(),
            runner,
            sink,
            source: venue.source,
            pace: Pace::new(venue.limits),
            patience: Patience::new(seed),
            progress: Progress::default(),
            requests: 0,
            refusals: 0,
        }
    }

    async fn all(
        &mut self,
        errands: Vec<Box<dyn Errand>>,
    ) -> Result<(Vec<Outcome>, Progress), SinkError> {
        let mut outcomes = Vec::new();
        let mut waiting: u64 = errands.iter().map(|errand| errand.requests_left()).sum();
        let mut over: Option<Ended> = None;
        let mut unlisted = Vec::new();
        for mut errand in errands {
            waiting = waiting.saturating_sub(errand.requests_left());
            let mut outcome = Outcome {
                series: errand.series(),
                ended: Ended::Done,
                candles: 0,
                official: 0,
                requests: 0,
                rejected: Vec::new(),
            };
            outcome.ended = match &over {
                Some(ended) => ended.clone(),
                // What has no minutes has no hours either.
                None if outcome.series.pair.is_some()
                    && unlisted.contains(&outcome.series.pair) =>
                {
                    Ended::NotListed
                }
                None => {
                    let (ended, is_last) = self.one(&mut *errand, &mut outcome, waiting).await?;
                    over = is_last.then(|| ended.clone());
                    ended
                }
            };
            if outcome.ended == Ended::NotListed {
                unlisted.push(outcome.series.pair);
            }
            outcomes.push(outcome);
        }
        Ok((outcomes, std::mem::take(&mut self.progress)))
    }

    /// Runs one errand to its end; true when the others of this source need not be tried.
    async fn one(
        &mut self,
        errand: &mut dyn Errand,
        outcome: &mut Outcome,
        waiting: u64,
    ) -> Result<(Ended, bool), SinkError> {
        self.patience.succeeded();
        while let Some(ask) = errand.ask() {
            let wait = self.pace.wait(self.runner.clock.now().mono);
            if self.stopped_within(wait).await {
                return Ok((Ended::Stopped, true));
            }
            outcome.requests += 1;
            self.requests += 1;
            match self.send(ask, errand).await {
                Answer::Brought(haul) => {
                    self.patience.succeeded();
                    self.keep(errand.series(), haul, outcome).await?;
                }
                Answer::Over(ended) => return Ok((ended, false)),
                Answer::Away(why) => return Ok((Ended::Failed(why), true)),
                Answer::Again(trouble, why) => match self.patience.failed(trouble) {
                    Next::GiveUp => return Ok((Ended::Failed(why), false)),
                    Next::Leave => return Ok((Ended::Failed(why), true)),
                    Next::After(wait) => {
                        self.sink.waits(self.source, wait, &why);
                        if self.stopped_within(wait).await {
                            return Ok((Ended::Stopped, true));
                        }
                    }
                },
            }
            let left = errand.requests_left().saturating_add(waiting);
            self.sink.progress(self.source, self.requests, left);
        }
        Ok((Ended::Done, false))
    }

    async fn keep(
        &mut self,
        series: Series,
        mut haul: Haul,
        outcome: &mut Outcome,
    ) -> Result<(), SinkError> {
        let room = REJECTED_MAX.saturating_sub(outcome.rejected.len());
        outcome.rejected.extend(haul.rejected.drain(..).take(room));
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let (candles, official) = (count(haul.candles.len()), count(haul.official.len()));
        let through = haul.through;
        self.sink.keep(series, haul).await?;
        outcome.candles += candles;
        outcome.official += official;
        if let Some(through) = through {
            self.progress.advance(series, through);
        }
        Ok(())
    }

    async fn send(&mut self, ask: Ask, errand: &mut dyn Errand) -> Answer {
        self.pace.sent(self.runner.clock.now().mono, ask.weight);
        let transport = self.runner.transport.clone();
        let answer = tokio::select! {
            answer = transport.get(ask.fetch) => answer,
            () = stopped(&mut self.stop) => return Answer::Over(Ended::Stopped),
        };
        let now = self.runner.clock.now();
        let (status, body) = match answer {
            Ok(Fetched::Body { bytes, headers, .. }) => {
                self.pace.answered(now.mono, &headers);
                (200, bytes)
            }
            Ok(Fetched::NotModified) => {
                return Answer::Again(Trouble::Passing, "an answer without a body".to_owned());
            }
            Err(FetchError::Limited {
                status,
                retry_after,
                body,
            }) => {
                // Some services answer 429 also for what a plan does not have.
                if let Err(ArchiveError::Refused(words)) = errand.receive(status, &body, now.wall)
                    && status == 429
                    && retry_after.is_none()
                    && !words.starts_with("HTTP ")
                {
                    return Answer::Away(ArchiveError::Refused(words).to_string());
                }
                let why = format!("limited by the source (HTTP {status})");
                return Answer::Again(Trouble::Limited(retry_after), why);
            }
            Err(FetchError::Refused { status, body }) => (status, body),
            Err(error) => return Answer::Again(Trouble::Passing, error.to_string()),
        };
        match errand.receive(status, &body, now.wall) {
            Ok(haul) => {
                self.refusals = 0;
                Answer::Brought(haul)
            }
            Err(error) => self.judge(status, &error),
        }
    }

    fn judge(&mut self, status: u16, error: &ArchiveError) -> Answer {
        let why = error.to_string();
        match error {
            ArchiveError::NotListed => Answer::Over(Ended::NotListed),
            ArchiveError::Limited { retry_after } => {
                Answer::Again(Trouble::Limited(*retry_after), why)
            }
            ArchiveError::Refused(_) if matches!(status, 401..=403 | 451) => {
                self.refusals += 1;
                if self.refusals > BLOCKED_ATTEMPTS {
                    return Answer::Away(why);
                }
                Answer::Again(Trouble::Passing, why)
            }
            ArchiveError::Refused(_) if status < 500 => Answer::Over(Ended::Failed(why)),
            ArchiveError::Refused(_) | ArchiveError::Unreadable(_) => {
                Answer::Again(Trouble::Passing, why)
            }
            ArchiveError::Unbelievable(_) => Answer::Again(Trouble::Passing, why),
        }
    }

    /// Sleeps; true when everything is to end.
    async fn stopped_within(&mut self, wait: Duration) -> bool {
        if *self.stop.borrow() {
            return true;
        }
        if wait.is_zero() {
            return false;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => false,
            () = stopped(&mut self.stop) => true,
        }
    }
}

/// Waits until everything is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could ever say stop.
        std::future::pending::<()>().await;
    }
}
