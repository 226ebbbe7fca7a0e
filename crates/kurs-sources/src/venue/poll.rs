//! The REST side of a running source: prices while no socket speaks, confirmation of quiet
//! pairs while one does.

use super::codec::{Codec, Request};
use super::door::Door;
use super::rest::{Rest, RestError};
use crate::input::Input;
use kurs_core::{Clock, Mono};
use kurs_net::backoff::{Backoff, BackoffSettings};
use std::sync::Arc;
use std::time::Duration;

/// How often pairs are looked at for silence.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Pause before the next poll while a pair has no price yet, or after the socket was lost.
const SHORT_PAUSE: Duration = Duration::from_millis(500);
/// Symbols in one poll: those longest without data come first.
const SYMBOLS_MAX: usize = 2_000;

/// Polls prices.
pub(super) struct Poller {
    pub(super) door: Arc<Door>,
    pub(super) rest: Arc<Rest>,
    pub(super) codec: Arc<dyn Codec>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) pause: Duration,
    pub(super) seed: u64,
}

impl Poller {
    /// Polls for ever.
    pub(super) async fn run(self) {
        let mut backoff = Backoff::new(BackoffSettings::default());
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut last_sent = Mono(0);
        let mut not_before = Mono(0);
        // What the venue shut is not knocked at, however badly a price is wanted.
        let mut shut_until = Mono(0);
        loop {
            let mut woken = false;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.door.poll_now.notified() => woken = true,
            }
            let now = self.clock.now().mono;
            let failing = backoff.ceiling() > BackoffSettings::default().base;
            let (due, unpriced) = self
                .door
                .look(|desk| (desk.poll_due(now), desk.has_unpriced()));
            if (woken || unpriced) && !failing {
                not_before = not_before.min(last_sent.plus(SHORT_PAUSE.min(self.pause)));
            }
            if due.is_empty() || now < not_before.max(shut_until) {
                continue;
            }
            last_sent = now;
            not_before = now.plus(self.pause);
            let Err(error) = self.poll(due).await else {
                backoff = Backoff::new(BackoffSettings::default());
                continue;
            };
            let now = self.clock.now().mono;
            match error {
                RestError::Shut { until, .. } => shut_until = until,
                _ => not_before = now.plus(backoff.next_delay(&mut random).max(self.pause)),
            }
        }
    }

    async fn poll(&self, mut symbols: Vec<String>) -> Result<(), RestError> {
        symbols.truncate(SYMBOLS_MAX);
        let mut answered = Ok(());
        for request in self.codec.ask_tops(&symbols) {
            match self.ask(&request).await {
                // The others are asked for none the less: it comes first again the next time.
                Err(RestError::BadSymbol) => answered = Err(RestError::BadSymbol),
                other => other?,
            }
        }
        answered
    }

    async fn ask(&self, request: &Request) -> Result<(), RestError> {
        let sent_at = self.clock.now().mono;
        match self.rest.get(request).await {
            Ok(answer) => {
                let input = Input::Tops {
                    request,
                    sent_at,
                    status: answer.status,
                    body: &answer.body,
                };
                let Some(refused) = self.door.tell(self.clock.now(), input) else {
                    return Ok(());
                };
                let error = self.rest.refused(refused);
                match &error {
                    RestError::BadSymbol => self.door.check_now.notify_one(),
                    RestError::Shut { why, .. } => self.fail(why, true),
                    RestError::Failed(_) => {}
                }
                Err(error)
            }
            Err(error) => {
                let shut = matches!(error, RestError::Shut { .. });
                self.fail(&error.to_string(), shut);
                Err(error)
            }
        }
    }

    fn fail(&self, why: &str, shut: bool) {
        self.door
            .tell(self.clock.now(), Input::TopsFailed { why, shut });
    }
}

/// Lets the desk see that time passes, for ever.
pub(super) async fn tell_time(door: Arc<Door>, clock: Arc<dyn Clock>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        door.tell(clock.now(), Input::Time);
    }
}
