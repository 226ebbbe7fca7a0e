//! Sends what the [`Limiter`] lets go, and tells whoever waits what became of it.

use crate::api::{ApiError, BotApi, Call};
use crate::limiter::{Limiter, Limits, Next};
use kurs_core::Clock;
use kurs_telemetry::metrics::TelegramMetrics;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

/// A call that sends something is given up after so long.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// So often is a message sent again that was answered with 429.
const FLOODS_MAX: u32 = 5;
/// How a message stands: in the queue, on its way, or given up before it left.
const WAITS: u8 = 0;
const FLIES: u8 = 1;
const GIVEN_UP: u8 = 2;
/// Clocks of the runtime go by milliseconds: a little later is never too early.
const MARGIN: Duration = Duration::from_millis(1);

/// Why a message did not go out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// Telegram said no, or did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It waited for so long as it was allowed to, and did not leave.
    #[error("it did not get its turn in time")]
    TooLate,
    /// Too much waits already.
    #[error("too many messages wait")]
    Full,
    /// A newer message took its place.
    #[error("a newer message took its place")]
    Replaced,
    /// The bot ends.
    #[error("the bot ends")]
    Ended,
}

#[derive(Debug)]
struct Job {
    call: Call,
    floods: u32,
    standing: Arc<AtomicU8>,
    told: oneshot::Sender<Result<Value, SendError>>,
}

/// The way out. Clones of the `Arc` share one queue.
#[derive(Debug)]
pub struct Sender {
    api: Arc<dyn BotApi>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    queue: Mutex<Queue>,
    changed: Notify,
    /// What happened so far.
    pub metrics: TelegramMetrics,
}

#[derive(Debug)]
struct Queue {
    limiter: Limiter<Job>,
    has_ended: bool,
}

impl Sender {
    /// An empty way out; nothing leaves before [`Sender::run`].
    #[must_use]
    pub fn new(
        api: Arc<dyn BotApi>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        metrics: TelegramMetrics,
    ) -> Arc<Self> {
        let limiter = Limiter::new(limits.clone(), clock.mono());
        Arc::new(Self {
            api,
            clock,
            queue: Mutex::new(Queue {
                limiter,
                has_ended: true,
            }),
            limits,
            changed: Notify::new(),
            metrics,
        })
    }

    /// Sends a message and waits for what becomes of it. With a key, it takes the place of a
    /// waiting one of the same chat and key. One that has not left within `patience` is given up;
    /// one that has left is waited for. Whoever drops the future before it leaves takes it back.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        chat: i64,
        key: Option<&str>,
        call: Call,
        patience: Duration,
    ) -> Result<Value, SendError> {
        let (told, mut answer) = oneshot::channel();
        let standing = Arc::new(AtomicU8::new(WAITS));
        let job = Job {
            call: call.to(chat),
            floods: 0,
            standing: Arc::clone(&standing),
            told,
        };
        {
            let mut queue = self.queue.lock();
            if queue.has_ended {
                return Err(SendError::Ended);
            }
            match queue.limiter.push(chat, key, job, self.clock.mono()) {
                Ok(None) => {}
                // Nobody waits for it any more if telling fails.
                Ok(Some(old)) => drop(old.told.send(Err(SendError::Replaced))),
                Err(_) => return Err(SendError::Full),
            }
        }
        self.changed.notify_one();
        if let Ok(answer) = tokio::time::timeout(patience, &mut answer).await {
            return answer.unwrap_or(Err(SendError::Ended));
        }
        if turn(&standing, WAITS, GIVEN_UP) {
            return Err(SendError::TooLate);
        }
        answer.await.unwrap_or(Err(SendError::Ended))
    }

    /// Messages that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.lock().limiter.waiting()
    }

    /// A call that is no message, past the queue.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn ask(&self, call: &Call, timeout: Duration) -> Result<Value, ApiError> {
        self.api.call(call, timeout).await
    }

    /// Sends until it is stopped; what is on its way then is waited for, what waits is given back.
    /// When it is dropped instead, nobody knows the fate of what is on its way.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        {
            let now = self.clock.mono();
            let mut queue = self.queue.lock();
            queue.limiter = Limiter::new(self.limits.clone(), now);
            queue.has_ended = false;
        }
        let end = EndOnDrop(self);
        let mut flights = JoinSet::new();
        loop {
            let now = self.clock.mono();
            let next = {
                let mut queue = self.queue.lock();
                let next = queue.limiter.next(now);
                let waiting = i64::try_from(queue.limiter.waiting()).unwrap_or(i64::MAX);
                self.metrics.waiting.set(waiting);
                next
            };
            let until = match next {
                Next::Send(chat, job) => {
                    if job.told.is_closed() || !turn(&job.standing, WAITS, FLIES) {
                        self.queue.lock().limiter.skipped(chat);
                        continue;
                    }
                    let api = Arc::clone(&self.api);
                    flights.spawn(async move {
                        let answer = api.call(&job.call, SEND_TIMEOUT).await;
                        (chat, job, answer)
                    });
                    continue;
                }
                Next::Wait(until) => Some(until.since(now) + MARGIN),
                Next::Idle => None,
            };
            let wait = async {
                match until {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(landed) = flights.join_next() => {
                    if let Ok((chat, job, answer)) = landed {
                        self.land(chat, job, answer);
                    }
                }
                () = self.changed.notified() => {}
                () = wait => {}
                // Nobody is left who could stop it: that is a stop, too.
                _ = stopped.wait_for(|stopped| *stopped) => break,
            }
        }
        drop(end);
        while let Some(landed) = flights.join_next().await {
            if let Ok((chat, job, answer)) = landed {
                self.land(chat, job, answer);
            }
        }
    }

    fn land(&self, chat: i64, mut job: Job, answer: Result<Value, ApiError>) {
        let now = self.clock.mono();
        let mut queue = self.queue.lock();
        if let Err(ApiError::Flood(wait)) = &answer {
            self.metrics.flood.inc();
            job.floods += 1;
            if job.floods <= FLOODS_MAX && !queue.has_ended {
                job.standing.store(WAITS, Ordering::Release);
                queue.limiter.flooded(chat, job, *wait, now);
                return;
            }
        }
        queue.limiter.finished(chat, now);
        let hopeless = match &answer {
            // What else waits for this chat would only be refused as well.
            Err(ApiError::Blocked(_)) => queue.limiter.take_all(chat),
            _ => Vec::new(),
        };
        drop(queue);
        if let Err(why) = &answer {
            for job in hopeless {
                let _ = job.told.send(Err(SendError::Api(why.clone())));
            }
        }
        let counter = match &answer {
            Ok(_) => &self.metrics.sent,
            Err(ApiError::Blocked(_)) => &self.metrics.blocked,
            Err(_) => &self.metrics.failed,
        };
        counter.inc();
        // Whoever asked may have gone; the message is out all the same.
        let _ = job.told.send(answer.map_err(SendError::Api));
    }
}

/// True when it stood as said, and stands otherwise now.
fn turn(standing: &AtomicU8, from: u8, to: u8) -> bool {
    let exchanged = standing.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    exchanged.is_ok()
}

/// From the end of the queue on nobody waits for it.
struct EndOnDrop<'a>(&'a Sender);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.has_ended = true;
        // The jobs go with the limiter, and with them the words that somebody waits for.
        let now = self.0.clock.mono();
        queue.limiter = Limiter::new(Limits::default(), now);
        self.0.metrics.waiting.set(0);
    }
}
