//! A subscriber: follows the flow, over whatever happens to the server.

use crate::flow::{Entry, Flow, Mark, Stream};
use crate::link::{AWAY, Failure, backoff};
use crate::names::is_missing;
use crate::values::Known;
use async_trait::async_trait;
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, BusError, BusEvent, Order, Place, Subscription, Update};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Silence after which the stream is opened again: Writers say something every second, so it may
/// be the server that has forgotten the reader. Doubles while it goes on.
const SILENCE_MIN: Duration = Duration::from_secs(5);
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a connection that has failed may take to be seen as lost.
const LOST: Duration = Duration::from_millis(500);
/// Time between two looks for a flow that a Writer should make again.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Joins the flow. One that is not there is made, unless it was there before: then a Writer is
/// given time to make it, who knows what has to be in it.
pub(crate) async fn join(flow: &Flow, was_there: bool) -> Result<(Stream, Mark), Failure> {
    let end = Instant::now() + AWAY;
    loop {
        let (mut failure, connection) = match flow.join().await {
            Ok(joined) => return Ok(joined),
            Err(failure) => (failure, flow.outward.within(AWAY).await?),
        };
        let is_late = Instant::now() > end;
        if is_unmade(&failure) && (!was_there || is_late) {
            let nothing = || Known::default().fold.write(None).unwrap_or_default();
            match flow.names.make(&connection, nothing).await {
                Ok(_) => continue,
                Err(why) => failure = why,
            }
        } else if is_unmade(&failure) {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        // Two who make the same at once make the server fail, which ends connections; over the
        // next ones it is there.
        if is_late || !matches!(failure, Failure::Client(_)) {
            return Err(failure);
        }
        let lost = flow.outward.lost(&connection);
        let _ = tokio::time::timeout(LOST, lost).await;
    }
}

/// There is no flow.
fn is_unmade(failure: &Failure) -> bool {
    matches!(failure, Failure::Client(error) if is_missing(error))
}

/// How far the flow was heard.
pub(crate) struct FlowSubscription {
    flow: Arc<Flow>,
    counters: Arc<BusCounters>,
    backoff: Backoff,
    stream: Option<Stream>,
    /// The last message that was read.
    last: Mark,
    last_at: Instant,
    silence: Duration,
    order: Order,
    /// Messages that went by unread since the last gap.
    dropped: u64,
    /// What was heard after a gap that is told first.
    after: Option<Arc<Update>>,
}

impl FlowSubscription {
    pub(crate) fn new(
        flow: Arc<Flow>,
        counters: Arc<BusCounters>,
        (stream, last): (Stream, Mark),
    ) -> Self {
        let seed = flow.random.lock().u64(..);
        Self {
            flow,
            counters,
            backoff: backoff(seed),
            stream: Some(stream),
            last,
            last_at: Instant::now(),
            silence: SILENCE_MIN,
            order: Order::default(),
            dropped: 0,
            after: None,
        }
    }

    /// The next message, over whatever happens to the server. May be dropped while it waits.
    async fn read(&mut self) -> Result<Entry, BusError> {
        loop {
            let failure = match &mut self.stream {
                Some(stream) => {
                    let silent = self.last_at + self.silence;
                    match tokio::time::timeout_at(silent, stream.next()).await {
                        Ok(Ok(entry)) => {
                            self.last_at = Instant::now();
                            self.silence = SILENCE_MIN;
                            return Ok(entry);
                        }
                        Ok(Err(failure)) => failure,
                        Err(_) => {
                            self.last_at = Instant::now();
                            self.silence = (self.silence * 2).min(SILENCE_MAX);
                            Failure::Away
                        }
                    }
                }
                None => match self.resume().await {
                    Ok(stream) => {
                        count(&self.counters.resumed, 1);
                        self.backoff.reset();
                        self.last_at = Instant::now();
                        self.stream = Some(stream);
                        continue;
                    }
                    Err(failure) => {
                        tokio::time::sleep(self.backoff.pause()).await;
                        failure
                    }
                },
            };
            self.stream = None;
            if matches!(failure, Failure::Ended) {
                return Err(BusError::Unavailable);
            }
        }
    }

    async fn resume(&self) -> Result<Stream, Failure> {
        self.flow.inward.wait().await?;
        match self.flow.resume(Some(self.last)).await {
            Ok(resumed) => Ok(resumed.stream),
            Err(failure) if is_unmade(&failure) => {
                join(&self.flow, true).await?;
                // Made meanwhile: all of it is news.
                Ok(self.flow.resume(Some(self.last)).await?.stream)
            }
            Err(failure) => Err(failure),
        }
    }
}

#[async_trait]
impl Subscription for FlowSubscription {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        if let Some(update) = self.after.take() {
            count(&self.counters.received, 1);
            return Ok(BusEvent::Update(update));
        }
        loop {
            let entry = self.read().await?;
            let skipped = entry.mark.offset.saturating_sub(self.last.offset + 1);
            // At the beginning of each of its files the server keeps a note of its own.
            self.dropped += if skipped > 1 { skipped } else { 0 };
            self.last = entry.mark;
            if entry.is_marker() {
                continue;
            }
            let Some(update) = self.counters.decode(&entry.text) else {
                continue;
            };
            let is_first = self.order.last(update.id.shard).is_none();
            let lost = match self.order.place(&update) {
                // The numbers of a shard that was not heard yet cannot say it.
                Place::Next if is_first => std::mem::take(&mut self.dropped),
                Place::Next => 0,
                Place::Again | Place::Outdated => continue,
                Place::After { lost } => lost.max(std::mem::take(&mut self.dropped)),
            };
            let update = Arc::new(update);
            if lost == 0 {
                count(&self.counters.received, 1);
                return Ok(BusEvent::Update(update));
            }
            self.after = Some(update);
            count(&self.counters.gaps, 1);
            return Ok(BusEvent::Gap { lost });
        }
    }
}
