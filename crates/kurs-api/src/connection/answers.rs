//! The open answers of a connection that has many at a time.

use super::{ConnectionState, MANY, Overdue};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Answers {
    next: u64,
    open: Vec<OpenAnswer>,
}

/// An answer that is being made, or on its way to a client.
#[derive(Debug)]
struct OpenAnswer {
    number: u64,
    /// When the client must have taken it; 0: it is not the client that is waited for.
    deadline_ms: u64,
    is_stream: bool,
}

impl ConnectionState {
    /// A request came to a connection that answers many at a time. It is at work until what is
    /// returned is dropped.
    pub(crate) fn answer_begins(state: &Arc<Self>) -> Slot {
        let mut answers = state.answers.lock();
        let number = answers.next;
        answers.next += 1;
        answers.open.push(OpenAnswer {
            number,
            deadline_ms: 0,
            is_stream: false,
        });
        state.phase.store(MANY, Ordering::Relaxed);
        state.read_deadline_ms.store(0, Ordering::Relaxed);
        drop(answers);
        Slot {
            state: Arc::clone(state),
            number,
        }
    }

    /// What an answer is that its client has not taken in time.
    pub(super) fn late_answer(&self, now_ms: u64) -> Option<Overdue> {
        let answers = self.answers.lock();
        let is_late = |one: &&OpenAnswer| one.deadline_ms != 0 && one.deadline_ms <= now_ms;
        let late = answers.open.iter().find(is_late)?;
        Some(if late.is_stream {
            Overdue::Stream
        } else {
            Overdue::Write
        })
    }
}

/// The place of one answer among the open ones of a connection; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    state: Arc<ConnectionState>,
    number: u64,
}

impl Slot {
    /// The client must take what there is within this time.
    pub(crate) fn due_within(&self, limit: Duration, is_stream: bool) {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = self.state.clock.now_ms().saturating_add(limit_ms);
        self.set(deadline_ms, is_stream);
    }

    /// The client has taken all there was of a stream.
    pub(crate) fn is_taken(&self) {
        self.set(0, true);
    }

    fn set(&self, deadline_ms: u64, is_stream: bool) {
        let mut answers = self.state.answers.lock();
        let mut open = answers.open.iter_mut();
        if let Some(answer) = open.find(|answer| answer.number == self.number) {
            (answer.deadline_ms, answer.is_stream) = (deadline_ms, is_stream);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut answers = self.state.answers.lock();
        let mut open = answers.open.iter();
        if let Some(at) = open.position(|answer| answer.number == self.number) {
            answers.open.swap_remove(at);
        }
        if answers.open.is_empty() {
            self.state.wait(MANY, self.state.idle_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;
    use crate::connection::CoarseClock;

    #[test]
    fn one_of_many_answers_that_is_not_read_is_enough() {
        let clock = Arc::new(CoarseClock::new());
        let state = Arc::new(ConnectionState::new(clock, &Limits::default()));
        let [first, second, events] = [(); 3].map(|()| ConnectionState::answer_begins(&state));
        assert_eq!(state.overdue(u64::MAX), None, "the server is at work");
        first.due_within(Duration::from_secs(30), false);
        events.due_within(Duration::from_secs(10), true);
        assert_eq!(state.overdue(10_001), Some(Overdue::Stream));
        events.is_taken();
        assert_eq!(state.overdue(10_001), None);
        assert_eq!(state.overdue(30_001), Some(Overdue::Write));
        drop(first);
        assert_eq!(state.overdue(u64::MAX), None, "others are at work");
        // Pings come and go while it waits: they begin no head.
        drop((second, events));
        assert!(!state.bytes_came());
        assert_eq!(state.overdue(75_000), None);
        assert_eq!(state.overdue(75_001), Some(Overdue::Idle));
    }
}
