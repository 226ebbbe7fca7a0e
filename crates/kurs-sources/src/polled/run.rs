//! One run of a polled source, from start to shutdown: when to ask, and the asking.

use super::ledger::Ledger;
use super::{LONGEST_SLEEP, Polled};
use crate::input::{Input, Machine, Wishes};
use crate::poller::{Poller, Step};
use crate::protocol::{Protocol, Received, Refusal};
use crate::source::Context;
use kurs_core::{Now, Wall};
use kurs_net::http::{Fetch, FetchError, Fetched};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// From this length of its body on, an answer is read apart from the tasks of the runtime.
const HEAVY_BYTES: usize = 64 << 10;
/// Long answers that are read at the same time.
const READERS_MAX: usize = 2;

static READERS: Semaphore = Semaphore::const_new(READERS_MAX);

type Answer = Result<Fetched, FetchError>;

fn bytes_of(answer: &Answer) -> usize {
    match answer {
        Ok(Fetched::Body { bytes, .. }) => bytes.len(),
        Ok(Fetched::NotModified) | Err(_) => 0,
    }
}

pub(super) struct Run<'a, P> {
    source: &'a Polled<P>,
    poller: Poller,
    /// Nobody else holds it, unless an answer is being read elsewhere.
    ledger: Arc<Mutex<Ledger<P>>>,
    context: Context,
}

impl<'a, P: Protocol> Run<'a, P> {
    pub(super) fn new(source: &'a Polled<P>, context: Context) -> Self {
        let ledger = source.ledger(context.events.clone(), source.stats.clone());
        Self {
            source,
            poller: Poller::new(source.schedule.clone(), source.backoff_cap, context.seed),
            ledger: Arc::new(Mutex::new(ledger)),
            context,
        }
    }

    pub(super) async fn until_shutdown(&mut self, context: &mut Context) {
        loop {
            tokio::select! {
                polls = context.polls.wait_for(|polls| *polls) => {
                    if polls.is_err() {
                        return;
                    }
                }
                () = shutdown(&mut context.shutdown) => return,
            }
            let now = context.clock.now();
            self.show_times(now);
            let wait = match self.poller.step(now) {
                Step::Poll => {
                    if !self.poll(context).await {
                        return;
                    }
                    continue;
                }
                Step::Wait(wait) => wait,
                Step::Busy => LONGEST_SLEEP,
            };
            if !self.sleep_through(wait, context).await {
                return;
            }
        }
    }

    /// Everything that changes what the source knows goes this way.
    fn tell(&mut self, now: Now, input: Input<'_>) -> Wishes {
        let mut wishes = Wishes::new();
        if let Some(tap) = &self.context.tap {
            tap.record(self.source.id, now, &input);
        }
        self.ledger.lock().take(now, input, &mut wishes);
        wishes
    }

    /// Takes an answer in. A long one is read where it holds up nobody.
    async fn reply(&mut self, now: Now, url: String, answer: Answer) -> Wishes {
        if bytes_of(&answer) < HEAVY_BYTES {
            let (url, answer) = (&*url, &answer);
            return self.tell(now, Input::Reply { url, answer });
        }
        // It fails only when it is closed, which it never is.
        let _turn = READERS.acquire().await;
        let (id, tap, ledger) = (
            self.source.id,
            self.context.tap.clone(),
            self.ledger.clone(),
        );
        let reading = tokio::task::spawn_blocking(move || {
            let mut wishes = Wishes::new();
            let (url, answer) = (&*url, &answer);
            let input = Input::Reply { url, answer };
            if let Some(tap) = tap {
                tap.record(id, now, &input);
            }
            ledger.lock().take(now, input, &mut wishes);
            wishes
        });
        match reading.await {
            Ok(wishes) => wishes,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is ending.
                Err(_) => Wishes::new(),
            },
        }
    }

    /// Sleeps no longer than `wait` and serves a change of the picture on the way. False at
    /// shutdown.
    async fn sleep_through(&mut self, wait: Duration, context: &mut Context) -> bool {
        let now = context.clock.now();
        tokio::select! {
            () = sleep(wait.min(self.until_change(now.wall))) => {}
            // Another Writer asks from now on.
            () = rests(&mut context.polls) => {}
            () = shutdown(&mut context.shutdown) => return false,
        }
        self.tell(context.clock.now(), Input::Time);
        true
    }

    /// How long the picture stays as it is, at most so long that a jump of the clock is noticed.
    fn until_change(&self, now: Wall) -> Duration {
        let change = self.ledger.lock().change_at();
        change.map_or(LONGEST_SLEEP, |at| at.since(now).min(LONGEST_SLEEP))
    }

    /// One poll, all its requests. False at shutdown.
    async fn poll(&mut self, context: &mut Context) -> bool {
        loop {
            self.tell(context.clock.now(), Input::Asked);
            let Some(fetch) = self.take_request() else {
                return true;
            };
            let url = fetch.shown_url().to_owned();
            let transport = self.source.transport.clone();
            let get = async move { transport.get(fetch).await };
            tokio::pin!(get);
            let answer = loop {
                let until_change = self.until_change(context.clock.now().wall);
                tokio::select! {
                    answer = &mut get => break answer,
                    () = sleep(until_change) => {
                        self.tell(context.clock.now(), Input::Time);
                    }
                    () = shutdown(&mut context.shutdown) => return false,
                }
            };
            let now = context.clock.now();
            match self.reply(now, url, answer).await.answered {
                Some(Ok(Received::More)) => {}
                Some(Ok(Received::Done)) | None => {
                    self.poller.succeeded(now);
                    self.show_times(now);
                    return true;
                }
                Some(Err(Refusal { failure, .. })) => {
                    self.poller.failed(now, &failure);
                    self.show_times(now);
                    return true;
                }
            }
        }
    }

    fn take_request(&self) -> Option<Fetch> {
        self.ledger.lock().take_request()
    }

    fn show_times(&self, now: Now) {
        self.source
            .stats
            .set_next_poll_at(self.poller.next_poll_at(now));
        self.source
            .stats
            .set_limited_until(self.poller.limited_until(now));
    }
}

/// Returns when another Writer asks from now on.
async fn rests(polls: &mut tokio::sync::watch::Receiver<bool>) {
    if polls.wait_for(|polls| !*polls).await.is_err() {
        // Nobody can say so any more.
        std::future::pending::<()>().await;
    }
}

/// Returns when shutdown is asked for, or when nobody can ask any more.
async fn shutdown(receiver: &mut tokio::sync::watch::Receiver<bool>) {
    let _ = receiver.wait_for(|stop| *stop).await;
}
