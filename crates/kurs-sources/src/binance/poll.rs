//! The REST side of a running source: prices while no socket speaks, confirmation of quiet
//! pairs while one does, and the listing of pairs that are newly wanted.

use super::desk::Desk;
use super::listing::{ANSWER_HOLDS, Listing};
use super::rest::{Rest, RestError};
use kurs_core::{Clock, Mono, Pair};
use kurs_net::StreamSpec;
use kurs_net::backoff::{Backoff, BackoffSettings};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often pairs are looked at for silence.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause before the next poll while a pair has no price yet, or after the socket was lost.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
/// Symbols in one request: the URL stays below 8 KiB.
const SYMBOLS_MAX: usize = 250;
/// How often doubtful pairs are looked up again.
const DOUBT_EVERY: Duration = Duration::from_secs(30);
/// How old an answer may be once something contradicts it.
const CONTRADICTED_MAX_AGE: Duration = Duration::from_millis(500);
/// How old an answer may be for a pair in doubt.
const DOUBT_MAX_AGE: Duration = Duration::from_secs(60);

/// Polls prices.
pub(super) struct Poller {
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) rest: Arc<Rest>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pause: Duration,
    pub(super) poll_now: Arc<Notify>,
    pub(super) check_now: Arc<Notify>,
    pub(super) seed: u64,
}

impl Poller {
    /// Polls for ever.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(BackoffSettings::default());
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut last_sent = Mono(0);
        let mut not_before = Mono(0);
        loop {
            let mut woken = false;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.poll_now.notified() => woken = true,
            }
            let now = self.clock.now().mono;
            let failing = backoff.ceiling() > BackoffSettings::default().base;
            let (due, unpriced) = {
                let desk = self.desk.lock();
                (desk.poll_due(now), desk.has_unpriced())
            };
            if (woken || unpriced) && !failing {
                not_before = not_before.min(last_sent.plus(SHORT_PAUSE.min(self.pause)));
            }
            if due.is_empty() || now < not_before {
                continue;
            }
            last_sent = now;
            not_before = now.plus(self.pause);
            match self.poll(&due).await {
                Ok(()) => backoff = Backoff::new(BackoffSettings::default()),
                Err(error) => {
                    let now = self.clock.now();
                    let delay = backoff.next_delay(&mut random).max(self.pause);
                    not_before = now.mono.plus(delay);
                    let why = error.to_string();
                    let shut = matches!(error, RestError::Shut { .. });
                    if let RestError::Shut { until, .. } = error {
                        not_before = until;
                    }
                    self.desk.lock().poll_failed(now, &why, shut);
                }
            }
        }
    }

    async fn poll(&self, symbols: &[String]) -> Result<(), RestError> {
        for symbols in symbols.chunks(SYMBOLS_MAX) {
            let sent_at = self.clock.now().mono;
            match self.rest.best_prices(symbols).await {
                Ok(prices) => self.desk.lock().polled(self.clock.now(), sent_at, &prices),
                Err(error) => {
                    if error == RestError::BadSymbol {
                        self.check_now.notify_one();
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Looks for silence for ever.
pub(super) async fn watch_silence(desk: Arc<Mutex<Desk>>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        desk.lock().advance(clock.now());
    }
}

/// Keeps the followed pairs equal to the wanted ones that the venue trades.
pub(super) struct Follower {
    pub(super) desk: Arc<Mutex<Desk>>,
    pub(super) listing: Arc<Listing>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pairs: watch::Receiver<Arc<[Pair]>>,
    pub(super) streams: watch::Sender<Arc<[StreamSpec]>>,
    pub(super) check_now: Arc<Notify>,
}

impl Follower {
    /// Follows for ever.
    pub(super) async fn run(mut self) {
        self.pairs.mark_changed();
        loop {
            tokio::select! {
                Ok(()) = self.pairs.changed() => self.wanted_changed().await,
                () = self.check_now.notified() => {
                    // Something contradicts the listing as it is remembered.
                    let pairs = self.desk.lock().followed();
                    self.check(&pairs, CONTRADICTED_MAX_AGE).await;
                }
                () = tokio::time::sleep(DOUBT_EVERY) => {
                    let pairs = self.desk.lock().doubtful(self.clock.now().mono);
                    self.check(&pairs, DOUBT_MAX_AGE).await;
                }
            }
        }
    }

    async fn wanted_changed(&mut self) {
        let pairs = self.pairs.borrow_and_update().clone();
        let asked = self.desk.lock().want(self.clock.now(), &pairs);
        self.publish();
        let (answers, error) = self.listing.look_up(&asked, ANSWER_HOLDS).await;
        let now = self.clock.now();
        let mut desk = self.desk.lock();
        for pair in asked {
            let answer = answers.iter().find(|(answered, _)| *answered == pair);
            desk.listed(now, pair, answer.map(|(_, listed)| *listed));
        }
        drop(desk);
        if let Some(error) = error {
            tracing::debug!(%error, "the listing cannot be asked, streams are tried unchecked");
        }
        self.publish();
    }

    async fn check(&self, pairs: &[Pair], max_age: Duration) {
        if pairs.is_empty() {
            return;
        }
        let (answers, _) = self.listing.look_up(pairs, max_age).await;
        let now = self.clock.now();
        for (pair, listed) in answers {
            self.desk.lock().listed(now, pair, Some(listed));
        }
        self.publish();
    }

    fn publish(&self) {
        let streams = self.desk.lock().streams();
        self.streams.send_if_modified(|before| {
            let changed = *before != streams;
            *before = streams;
            changed
        });
    }
}
