//! What waits to be sent, and when: a bounded queue, batches, and delays after failures. Time and
//! answers go in, requests come out; no I/O.

use super::config::InfluxConfig;
use kurs_core::Mono;
use kurs_net::backoff::{Backoff, BackoffSettings};
use std::collections::VecDeque;
use std::time::Duration;

/// Upper end of the first delay after a failure.
const RETRY_BASE: Duration = Duration::from_millis(500);
/// A server that says when to come back is believed up to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// Failures after which a line that the server fails on alone is given up.
const TRIES_ALONE: u32 = 3;

/// How a request ended, named by what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took it.
    Written,
    /// The server will never take it, or not all of it.
    Refused {
        /// The lines it did not take, where it says so; else none was.
        lines: Option<usize>,
        /// Why, for people.
        why: String,
    },
    /// Later it may be taken.
    Failed {
        /// Whether the reason may lie in what was sent: fewer lines are sent the next time.
        smaller: bool,
        /// When to come back, if the server says so.
        retry_after: Option<Duration>,
        /// Why, for people.
        why: String,
    },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send these lines, and tell how it ended.
    Send(String),
    /// Nothing for so long, unless something happens before; `None`: until something happens.
    Wait(Option<Duration>),
}

/// What became of a line that was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Lines that were dropped since there is no more room: the oldest.
    pub dropped: usize,
    /// Whether [`Sending::next`] may say something else than before.
    pub wake: bool,
}

/// What became of the lines of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settled {
    /// Lines that the server took.
    pub written: usize,
    /// Lines that the server refused, or that were given up.
    pub refused: usize,
    /// Lines that were dropped since there is no room for them to wait again.
    pub dropped: usize,
}

#[derive(Debug)]
struct Waiting {
    line: Box<str>,
    since: Mono,
}

/// The queue and the request on its way.
#[derive(Debug)]
pub struct Sending {
    queue: VecDeque<Waiting>,
    sent: Vec<Waiting>,
    /// Of both.
    bytes: usize,
    queue_rows: usize,
    queue_bytes: usize,
    batch_rows: usize,
    batch_bytes: usize,
    linger: Duration,
    not_before: Mono,
    backoff: Backoff,
    /// A batch has `batch_rows` halved this many times.
    halvings: u32,
    failures_alone: u32,
    is_finishing: bool,
}

impl Sending {
    /// Nothing waits.
    #[must_use]
    pub fn new(config: &InfluxConfig) -> Self {
        let settings = BackoffSettings {
            base: RETRY_BASE.min(Duration::from_millis(config.retry_max_ms)),
            cap: Duration::from_millis(config.retry_max_ms),
            reset_after: Duration::ZERO,
        };
        Self {
            queue: VecDeque::new(),
            sent: Vec::new(),
            bytes: 0,
            queue_rows: config.queue_rows,
            queue_bytes: config.queue_bytes,
            batch_rows: config.batch_rows,
            batch_bytes: config.batch_bytes,
            linger: Duration::from_millis(config.linger_ms),
            not_before: Mono(0),
            backoff: Backoff::new(settings),
            halvings: 0,
            failures_alone: 0,
            is_finishing: false,
        }
    }

    /// Takes a line, its end included.
    pub fn push(&mut self, line: Box<str>, now: Mono) -> Pushed {
        let was_full = self.is_batch_full();
        self.bytes += line.len();
        self.queue.push_back(Waiting { line, since: now });
        Pushed {
            dropped: self.shed(),
            wake: self.queue.len() == 1 || self.is_batch_full() != was_full,
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Mono) -> Step {
        let Some(oldest) = self.queue.front() else {
            return Step::Wait(None);
        };
        if !self.sent.is_empty() {
            return Step::Wait(None);
        }
        let delay = self.not_before.since(now);
        if !delay.is_zero() {
            return Step::Wait(Some(delay));
        }
        let waited = now.since(oldest.since);
        if !self.is_finishing && !self.is_batch_full() && waited < self.linger {
            return Step::Wait(Some(self.linger - waited));
        }
        let most = (self.batch_rows >> self.halvings.min(31)).max(1);
        let mut body = String::new();
        while let Some(first) = self.queue.front() {
            let fits = body.len() + first.line.len() <= self.batch_bytes || body.is_empty();
            if self.sent.len() >= most || !fits {
                break;
            }
            body.push_str(&first.line);
            self.sent.extend(self.queue.pop_front());
        }
        Step::Send(body)
    }

    /// Tells how the request ended.
    pub fn answered(
        &mut self,
        outcome: &Outcome,
        now: Mono,
        random: &mut fastrand::Rng,
    ) -> Settled {
        match outcome {
            Outcome::Written => {
                self.backoff.data(now);
                self.halvings = self.halvings.saturating_sub(1);
                Settled {
                    written: self.forget(),
                    ..Settled::default()
                }
            }
            Outcome::Refused { lines, .. } => {
                self.backoff.data(now);
                let all = self.forget();
                let refused = lines.unwrap_or(all).min(all);
                Settled {
                    written: all - refused,
                    refused,
                    dropped: 0,
                }
            }
            Outcome::Failed {
                smaller,
                retry_after,
                ..
            } => {
                let least = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
                let delay = self.backoff.next_delay(random).max(least);
                self.not_before = now.plus(delay);
                let refused = if *smaller && self.is_given_up() {
                    self.forget()
                } else {
                    0
                };
                for waiting in self.sent.drain(..).rev() {
                    self.queue.push_front(waiting);
                }
                Settled {
                    written: 0,
                    refused,
                    dropped: self.shed(),
                }
            }
        }
    }

    /// Looks for the line that the server fails on: half as many the next time, and in the end
    /// one alone, which is given up when it fails again and again.
    fn is_given_up(&mut self) -> bool {
        if self.sent.len() > 1 {
            // What was sent may have been less than was allowed.
            while self.batch_rows >> self.halvings.min(31) >= self.sent.len() {
                self.halvings += 1;
            }
            self.failures_alone = 0;
            return false;
        }
        self.failures_alone += 1;
        let is_given_up = self.failures_alone >= TRIES_ALONE;
        if is_given_up {
            self.failures_alone = 0;
        }
        is_given_up
    }

    /// From now on nothing waits for more lines, and what failed before is tried once at once.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.is_finishing, true) {
            self.not_before = Mono(0);
        }
    }

    /// Lines that wait, those on their way included.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.queue.len() + self.sent.len()
    }

    /// Their length.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_batch_full(&self) -> bool {
        self.queue.len() >= self.batch_rows || self.bytes >= self.batch_bytes
    }

    fn forget(&mut self) -> usize {
        for sent in &self.sent {
            self.bytes -= sent.line.len();
        }
        let count = self.sent.len();
        self.sent.clear();
        count
    }

    /// Drops the oldest that are not on their way, until there is room.
    fn shed(&mut self) -> usize {
        let mut dropped = 0;
        while self.rows() > self.queue_rows || self.bytes > self.queue_bytes {
            let Some(oldest) = self.queue.pop_front() else {
                break;
            };
            self.bytes -= oldest.line.len();
            dropped += 1;
        }
        dropped
    }
}

#[cfg(test)]
mod tests;
