//! The open TCP connections, so that a venue's can be ended from outside.

use crate::faults::{Channel, Close};
use crate::http::socket::Switch;
use crate::venue::Venue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Open connections. A connection belongs to the venue it asked last.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    switch: Arc<Switch>,
    of: Option<(Venue, Channel)>,
}

impl Registry {
    pub(crate) fn add(&self, switch: Arc<Switch>) -> u64 {
        let mut inner = self.0.lock();
        inner.next += 1;
        let id = inner.next;
        inner.open.insert(id, Entry { switch, of: None });
        id
    }

    pub(crate) fn name(&self, id: u64, venue: Venue, channel: Channel) {
        if let Some(entry) = self.0.lock().open.get_mut(&id) {
            entry.of = Some((venue, channel));
        }
    }

    pub(crate) fn remove(&self, id: u64) {
        self.0.lock().open.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().open.len()
    }

    /// Ends the connections of a venue, or of all; returns how many.
    pub(crate) fn close(
        &self,
        venue: Option<Venue>,
        channel: Option<Channel>,
        how: Close,
    ) -> usize {
        let inner = self.0.lock();
        let meant = inner.open.values().filter(|entry| match (venue, entry.of) {
            (None, _) => true,
            (Some(venue), Some((of, by))) => venue == of && channel.is_none_or(|want| want == by),
            (Some(_), None) => false,
        });
        meant.map(|entry| entry.switch.close(how)).count()
    }
}
