//! [`Monitor`]: what the owner of a bus over a broker can see of it.

use crate::{BusCounters, Outbox};
use std::sync::Arc;
use tokio::sync::watch;

/// How the connection to a broker is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusState {
    /// Updates and commands can travel.
    pub is_connected: bool,
    /// The broker's version, once one was reached; empty where it is not known.
    pub server: Arc<str>,
    /// Why there is no connection, in one sentence; empty when there is one.
    pub why: Arc<str>,
}

/// What can be seen of a bus over a broker. Clones see the same.
#[derive(Debug, Clone)]
pub struct Monitor {
    broker: &'static str,
    state: watch::Receiver<BusState>,
    counters: Arc<BusCounters>,
    outbox: Arc<Outbox>,
}

impl Monitor {
    /// Of a bus over the broker of this name, not connected yet; and who tells how the
    /// connection is.
    #[must_use]
    pub fn new(broker: &'static str, outbox: Arc<Outbox>) -> (Self, StateTeller) {
        let (tell, state) = watch::channel(BusState::default());
        let monitor = Self {
            broker,
            state,
            counters: Arc::default(),
            outbox,
        };
        (monitor, StateTeller(tell))
    }

    /// Name of the kind of broker, such as `nats`.
    #[must_use]
    pub const fn broker(&self) -> &'static str {
        self.broker
    }

    /// How the connection is at present.
    #[must_use]
    pub fn state(&self) -> BusState {
        self.state.borrow().clone()
    }

    /// Follows how the connection is, until the bus has ended.
    #[must_use]
    pub fn follow_state(&self) -> watch::Receiver<BusState> {
        self.state.clone()
    }

    /// True while updates and commands can travel.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state.borrow().is_connected
    }

    /// Counters since the start.
    #[must_use]
    pub const fn counters(&self) -> &Arc<BusCounters> {
        &self.counters
    }

    /// Updates on their way to the broker.
    #[must_use]
    pub const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }
}

/// Tells how the connection is.
#[derive(Debug)]
pub struct StateTeller(watch::Sender<BusState>);

impl StateTeller {
    /// A broker of this version is reached.
    pub fn connected(&self, server: &str) {
        self.tell(|state| BusState {
            is_connected: true,
            server: match server {
                "" => Arc::clone(&state.server),
                server => server.into(),
            },
            why: "".into(),
        });
    }

    /// It is away, and why.
    pub fn away(&self, why: &str) {
        self.tell(|state| BusState {
            is_connected: false,
            server: Arc::clone(&state.server),
            why: why.into(),
        });
    }

    /// What was told last.
    #[must_use]
    pub fn state(&self) -> BusState {
        self.0.borrow().clone()
    }

    /// Whoever follows is woken only by news.
    fn tell(&self, next: impl FnOnce(&BusState) -> BusState) {
        self.0.send_if_modified(|state| {
            let next = next(state);
            let is_news = next != *state;
            *state = next;
            is_news
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_told_when_it_changes_and_the_version_is_kept_while_the_broker_is_away() {
        let (monitor, teller) = Monitor::new("nats", Arc::default());
        let mut followed = monitor.follow_state();
        assert!(!monitor.is_connected());
        teller.connected("2.9");
        assert!(monitor.is_connected() && followed.has_changed().unwrap());
        followed.mark_unchanged();
        teller.connected("2.9");
        assert!(!followed.has_changed().unwrap(), "that is no news");
        teller.away("it was killed");
        let state = followed.borrow_and_update().clone();
        assert_eq!((&*state.server, &*state.why), ("2.9", "it was killed"));
        drop(teller);
        assert!(followed.has_changed().is_err(), "the bus has ended");
    }
}
