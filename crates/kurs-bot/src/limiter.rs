//! When which message may be sent: one queue for the whole bot, without clock or network.
//!
//! - The whole bot: one message each 40 ms (25 a second). Even spacing instead of bursts, so that
//!   messages that travel at different speeds do not arrive too close together.
//! - A chat: one at a time, the next a second after the last was answered.
//! - A group: besides, at most five at once and then one each four seconds, which makes 20 in any
//!   minute.
//! - After a start the bot waits a second, and a group's five come back one by one, as if all
//!   had just been used: somebody else may have sent until a moment ago.
//! - 429: a group's pause is its own; in a private chat, where the bot keeps far below the limit,
//!   it means the whole bot. Any further 429 during a pause pauses the whole bot.

use kurs_core::Mono;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Bounds and paces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Between two messages of the whole bot.
    pub spacing: Duration,
    /// Between two messages to a chat.
    pub chat_spacing: Duration,
    /// Messages to a group that may go at once.
    pub group_burst: u32,
    /// After this long a group takes one more.
    pub group_refill: Duration,
    /// Messages that are on their way at one time.
    pub in_flight_max: usize,
    /// Messages that wait.
    pub waiting_max: usize,
    /// Messages that wait for one chat.
    pub chat_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spacing: Duration::from_millis(40),
            chat_spacing: Duration::from_secs(1),
            group_burst: 5,
            group_refill: Duration::from_secs(4),
            in_flight_max: 8,
            waiting_max: 20_000,
            chat_waiting_max: 50,
        }
    }
}

/// A chat's messages and when the next may go.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<Waiting<T>>,
    is_sending: bool,
    not_before: Mono,
    /// Groups: the moment at which all of the burst is there again.
    full_at: Mono,
    /// Where the lane stands among those that may send.
    place: Option<(Mono, u64)>,
}

#[derive(Debug)]
struct Waiting<T> {
    order: u64,
    since: Mono,
    key: Option<String>,
    item: T,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Send this to this chat, then call [`Limiter::finished`].
    Send(i64, T),
    /// Nothing before this moment.
    Wait(Mono),
    /// Nothing before something is pushed or finished.
    Idle,
}

/// There is no place for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// The queue.
#[derive(Debug)]
pub struct Limiter<T> {
    limits: Limits,
    started: Mono,
    lanes: HashMap<i64, Lane<T>>,
    /// Lanes that have something and send nothing, by when they may.
    ready: BTreeSet<(Mono, u64, i64)>,
    next_at: Mono,
    paused_until: Mono,
    /// Until when some chat is paused by the server.
    flooded_until: Mono,
    waiting: usize,
    in_flight: usize,
    order: u64,
}

impl<T> Limiter<T> {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: Limits, now: Mono) -> Self {
        let next_at = now.plus(Duration::from_secs(1));
        Self {
            limits,
            started: now,
            lanes: HashMap::new(),
            ready: BTreeSet::new(),
            next_at,
            paused_until: now,
            flooded_until: now,
            waiting: 0,
            in_flight: 0,
            order: 0,
        }
    }

    /// Messages that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Adds a message. One with a key takes the place of a waiting one of the same chat and key,
    /// which is given back.
    ///
    /// # Errors
    /// [`Full`] gives the message back.
    pub fn push(
        &mut self,
        chat: i64,
        key: Option<&str>,
        item: T,
        now: Mono,
    ) -> Result<Option<T>, Full<T>> {
        let full_after = self.limits.group_refill * self.limits.group_burst;
        let full_at = self.started.plus(full_after);
        let lane = self.lanes.entry(chat).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            is_sending: false,
            not_before: Mono(0),
            full_at,
            place: None,
        });
        if let Some(key) = key {
            let mut waiting = lane.waiting.iter_mut();
            if let Some(same) = waiting.find(|waiting| waiting.key.as_deref() == Some(key)) {
                return Ok(Some(std::mem::replace(&mut same.item, item)));
            }
        }
        if self.waiting >= self.limits.waiting_max
            || lane.waiting.len() >= self.limits.chat_waiting_max
        {
            return Err(Full(item));
        }
        self.order += 1;
        lane.waiting.push_back(Waiting {
            order: self.order,
            since: now,
            key: key.map(str::to_owned),
            item,
        });
        self.waiting += 1;
        self.place(chat);
        Ok(None)
    }

    /// What to do now.
    pub fn next(&mut self, now: Mono) -> Next<T> {
        let Some((due, _, chat)) = self.ready.first().copied() else {
            return Next::Idle;
        };
        if self.in_flight >= self.limits.in_flight_max {
            return Next::Idle;
        }
        let at = due.max(self.next_at).max(self.paused_until);
        if at > now {
            return Next::Wait(at);
        }
        self.ready.pop_first();
        let Some(lane) = self.lanes.get_mut(&chat) else {
            return Next::Wait(now);
        };
        lane.place = None;
        let Some(waiting) = lane.waiting.pop_front() else {
            return Next::Wait(now);
        };
        lane.is_sending = true;
        self.waiting -= 1;
        self.in_flight += 1;
        self.next_at = now.plus(self.limits.spacing);
        Next::Send(chat, waiting.item)
    }

    /// A message was answered, or given up.
    pub fn finished(&mut self, chat: i64, now: Mono) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&chat) {
            lane.is_sending = false;
            lane.not_before = lane.not_before.max(now.plus(self.limits.chat_spacing));
            if chat < 0 {
                lane.full_at = lane.full_at.max(now).plus(self.limits.group_refill);
            }
        }
        self.place(chat);
        self.forget(now);
    }

    /// A message that was let go was not sent after all.
    pub fn skipped(&mut self, chat: i64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&chat) {
            lane.is_sending = false;
        }
        self.place(chat);
    }

    /// Takes everything back that waits for a chat.
    pub fn take_all(&mut self, chat: i64) -> Vec<T> {
        let Some(lane) = self.lanes.get_mut(&chat) else {
            return Vec::new();
        };
        let all: Vec<T> = lane.waiting.drain(..).map(|waiting| waiting.item).collect();
        self.waiting = self.waiting.saturating_sub(all.len());
        self.place(chat);
        all
    }

    /// A message was answered with 429 and is sent again first, once the time is over.
    pub fn flooded(&mut self, chat: i64, item: T, retry_after: Duration, now: Mono) {
        let until = now.plus(retry_after);
        let is_general = chat > 0 || now < self.flooded_until;
        if is_general {
            self.paused_until = self.paused_until.max(until);
        }
        self.flooded_until = self.flooded_until.max(until);
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(&chat) {
            lane.is_sending = false;
            lane.not_before = lane.not_before.max(until);
            lane.waiting.push_front(Waiting {
                order: 0,
                since: now,
                key: None,
                item,
            });
            self.waiting += 1;
        }
        self.place(chat);
    }

    /// Enters a lane among those that may send.
    fn place(&mut self, chat: i64) {
        let Some(lane) = self.lanes.get_mut(&chat) else {
            return;
        };
        if let Some((due, order)) = lane.place.take() {
            self.ready.remove(&(due, order, chat));
        }
        let Some(first) = lane.waiting.front() else {
            return;
        };
        if lane.is_sending {
            return;
        }
        let mut due = lane.not_before.max(first.since);
        if chat < 0 {
            // One of the burst must be there.
            let burst = self.limits.group_burst.saturating_sub(1);
            let ahead = self.limits.group_refill * burst;
            let ahead = u64::try_from(ahead.as_nanos()).unwrap_or(u64::MAX);
            due = due.max(Mono(lane.full_at.0.saturating_sub(ahead)));
        }
        lane.place = Some((due, first.order));
        self.ready.insert((due, first.order, chat));
    }

    /// Lanes that remember nothing of use go, now and then.
    fn forget(&mut self, now: Mono) {
        if self.lanes.len() < 1_024 || !self.order.is_multiple_of(512) {
            return;
        }
        self.lanes.retain(|_, lane| {
            lane.is_sending
                || !lane.waiting.is_empty()
                || lane.not_before > now
                || lane.full_at > now
        });
    }
}

#[cfg(test)]
mod tests;
