//! Tickets for browsers, which cannot send a header when they open a stream: a page asks for a
//! ticket with its key, and names the ticket in the URL. It is good once, for a short while, on
//! the instance that gave it; so that a log with the URL in it holds nothing of use.

use crate::base62;
use crate::caller::Caller;
use crate::key::{KeyHash, RANDOM_LENGTH};
use kurs_core::Mono;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

/// How long a ticket is good.
pub const TICKET_LIFE: Duration = Duration::from_secs(30);
const BEGIN: &str = "kt_";

/// A ticket on its way to its holder.
pub struct TicketText(String);

impl TicketText {
    /// The ticket itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TicketText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TicketText(***)")
    }
}

/// The tickets that were given out and not used.
#[derive(Debug)]
pub struct Tickets {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By hash, so that how long a look-up takes tells nothing of a ticket.
    waiting: HashMap<[u8; 32], (Caller, Mono)>,
    /// In the order in which they end.
    ends: VecDeque<(Mono, [u8; 32])>,
}

impl Tickets {
    /// At most so many wait at a time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            most,
            inner: Mutex::default(),
        }
    }

    /// A ticket for this caller; `None` when too many wait. `fill` gives random bytes.
    pub fn give(
        &self,
        caller: Caller,
        now: Mono,
        mut fill: impl FnMut(&mut [u8]),
    ) -> Option<TicketText> {
        let text = format!("{BEGIN}{}", base62::random(RANDOM_LENGTH, &mut fill));
        let hash = *KeyHash::of(&text).bytes();
        let mut inner = self.inner.lock();
        inner.forget(now);
        if inner.waiting.len() >= self.most {
            return None;
        }
        let until = now.plus(TICKET_LIFE);
        inner.waiting.insert(hash, (caller, until));
        inner.ends.push_back((until, hash));
        Some(TicketText(text))
    }

    /// Uses a ticket: whose it was, if it is good. It is not good again.
    #[must_use]
    pub fn take(&self, text: &str, now: Mono) -> Option<Caller> {
        if text.len() != BEGIN.len() + RANDOM_LENGTH {
            return None;
        }
        let mut inner = self.inner.lock();
        inner.forget(now);
        let taken = inner.waiting.remove(KeyHash::of(text).bytes());
        taken.map(|(caller, _)| caller)
    }
}

impl Inner {
    fn forget(&mut self, now: Mono) {
        while let Some((until, hash)) = self.ends.front().copied() {
            // Used ones leave their end behind; there are never many of them.
            if until > now && self.waiting.contains_key(&hash) {
                return;
            }
            self.waiting.remove(&hash);
            self.ends.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::{Scope, Scopes};

    fn caller() -> Caller {
        Caller::anonymous(Scopes::NONE.with(Scope::Stream))
    }

    fn give(tickets: &Tickets, now: Mono) -> Option<TicketText> {
        let mut random = fastrand::Rng::new();
        tickets.give(caller(), now, move |bytes| random.fill(bytes))
    }

    #[test]
    fn a_ticket_is_good_once() {
        let tickets = Tickets::new(10);
        let ticket = give(&tickets, Mono(0)).unwrap();
        assert_eq!(tickets.take(ticket.reveal(), Mono(1)), Some(caller()));
        assert_eq!(tickets.take(ticket.reveal(), Mono(1)), None);
        assert_eq!(tickets.take("kt_", Mono(1)), None);
        assert!(!format!("{ticket:?} {tickets:?}").contains(ticket.reveal()));
    }

    #[test]
    fn a_ticket_is_good_for_thirty_seconds() {
        let tickets = Tickets::new(10);
        let ticket = give(&tickets, Mono(0)).unwrap();
        let other = give(&tickets, Mono(0)).unwrap();
        let last = Mono(0).plus(TICKET_LIFE - Duration::from_nanos(1));
        assert!(tickets.take(ticket.reveal(), last).is_some());
        assert!(
            tickets
                .take(other.reveal(), Mono(0).plus(TICKET_LIFE))
                .is_none()
        );
    }

    #[test]
    fn so_many_wait_and_no_more() {
        let tickets = Tickets::new(2);
        let first = give(&tickets, Mono(0)).unwrap();
        assert!(give(&tickets, Mono(0)).is_some());
        assert!(give(&tickets, Mono(0)).is_none());
        assert!(tickets.take(first.reveal(), Mono(0)).is_some());
        assert!(give(&tickets, Mono(0)).is_some());
        let later = Mono(0).plus(TICKET_LIFE);
        assert!(give(&tickets, later).is_some());
        assert_eq!(tickets.inner.lock().waiting.len(), 1);
    }
}
