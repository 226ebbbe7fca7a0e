//! Who is subscribed to what, and the way of a frame to them. `T` is what a venue knows of a
//! connection's wire format.

use super::outlet::{Delivery, Outgoing, Outlet};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

#[derive(Debug)]
struct Member<T> {
    outlet: Outlet,
    wire: T,
    streams: BTreeSet<Arc<str>>,
}

#[derive(Debug)]
struct Inner<T> {
    next: u64,
    members: BTreeMap<u64, Member<T>>,
    streams: HashMap<Arc<str>, BTreeSet<u64>>,
}

/// All connections of a venue with their streams.
#[derive(Debug)]
pub(crate) struct Hub<T> {
    inner: Mutex<Inner<T>>,
    changed: watch::Sender<u64>,
}

impl<T> Default for Hub<T> {
    fn default() -> Self {
        let inner = Inner {
            next: 0,
            members: BTreeMap::new(),
            streams: HashMap::new(),
        };
        Self {
            inner: Mutex::new(inner),
            changed: watch::Sender::new(0),
        }
    }
}

impl<T: Copy> Hub<T> {
    /// Enters a connection; gives its number.
    pub(crate) fn join(&self, outlet: Outlet, wire: T) -> u64 {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = inner.next;
        let streams = BTreeSet::new();
        inner.members.insert(
            id,
            Member {
                outlet,
                wire,
                streams,
            },
        );
        drop(inner);
        self.tell();
        id
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut inner = self.inner.lock();
        if let Some(member) = inner.members.remove(&id) {
            for stream in member.streams {
                inner.forget(&stream, id);
            }
        }
        drop(inner);
        self.tell();
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    /// Adds streams to a connection; false, and none is added, when they would be too many.
    pub(crate) fn subscribe<S: AsRef<str>>(&self, id: u64, names: &[S], limit: usize) -> bool {
        let mut inner = self.inner.lock();
        let Inner {
            members, streams, ..
        } = &mut *inner;
        let Some(member) = members.get_mut(&id) else {
            return false;
        };
        let new: BTreeSet<Arc<str>> = names
            .iter()
            .filter(|name| !member.streams.contains(name.as_ref()))
            .map(|name| Arc::from(name.as_ref()))
            .collect();
        if member.streams.len() + new.len() > limit {
            return false;
        }
        for stream in new {
            streams.entry(stream.clone()).or_default().insert(id);
            member.streams.insert(stream);
        }
        drop(inner);
        self.tell();
        true
    }

    pub(crate) fn unsubscribe<S: AsRef<str>>(&self, id: u64, names: &[S]) {
        let mut inner = self.inner.lock();
        for name in names {
            let name = name.as_ref();
            let had = inner
                .members
                .get_mut(&id)
                .is_some_and(|member| member.streams.remove(name));
            if had {
                inner.forget(name, id);
            }
        }
        drop(inner);
        self.tell();
    }

    /// The streams of one connection, by name.
    pub(crate) fn list(&self, id: u64) -> Vec<Arc<str>> {
        let inner = self.inner.lock();
        inner
            .members
            .get(&id)
            .map(|member| member.streams.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Whether a connection has a stream.
    pub(crate) fn has(&self, id: u64, stream: &str) -> bool {
        let inner = self.inner.lock();
        inner
            .members
            .get(&id)
            .is_some_and(|member| member.streams.contains(stream))
    }

    /// Whether any connection has a stream.
    pub(crate) fn is_wanted(&self, stream: &str) -> bool {
        self.inner.lock().streams.contains_key(stream)
    }

    /// What is known of a connection's wire format, to read or to change.
    pub(crate) fn with_wire<R>(&self, id: u64, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut inner = self.inner.lock();
        inner
            .members
            .get_mut(&id)
            .map(|member| act(&mut member.wire))
    }

    /// Number of open connections.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().members.len()
    }

    pub(crate) fn has_no_subscriptions(&self) -> bool {
        self.inner.lock().streams.is_empty()
    }

    /// Streams with the number of their subscribers.
    pub(crate) fn streams(&self) -> BTreeMap<String, usize> {
        let inner = self.inner.lock();
        inner
            .streams
            .iter()
            .map(|(name, ids)| (name.to_string(), ids.len()))
            .collect()
    }

    /// Wakes whoever waits for a change of connections or subscriptions.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Who gets a frame of one of these streams; with `all` everybody.
    pub(crate) fn recipients(&self, streams: &[Arc<str>], all: bool) -> Vec<(Outlet, T)> {
        let inner = self.inner.lock();
        let has = |member: &&Member<T>| {
            all || streams.iter().any(|stream| member.streams.contains(stream))
        };
        inner
            .members
            .values()
            .filter(has)
            .map(|member| (member.outlet.clone(), member.wire))
            .collect()
    }

    /// Hands a frame to the subscribers of a stream, each as the faults allow. `render` makes the
    /// text for a wire format; it is asked for every subscriber.
    pub(crate) fn publish(
        &self,
        delivery: &Delivery<'_>,
        stream: &str,
        mut render: impl FnMut(T) -> Utf8Bytes,
    ) {
        let inner = self.inner.lock();
        let Some(ids) = inner.streams.get(stream) else {
            return;
        };
        let mut sent = 0;
        for member in ids.iter().filter_map(|id| inner.members.get(id)) {
            sent += member.outlet.hand_over(delivery, &render(member.wire));
        }
        drop(inner);
        if sent > 0 {
            let shared = delivery.shared;
            shared
                .ledger
                .with(delivery.venue, |state| state.ws_frames_sent += sent);
        }
    }

    /// Tells every connection the same; returns how many were told.
    pub(crate) fn tell_all(&self, mut render: impl FnMut(T) -> Utf8Bytes) -> usize {
        let inner = self.inner.lock();
        let mut told = 0;
        for member in inner.members.values() {
            let frame = Outgoing {
                at: None,
                text: render(member.wire),
            };
            told += usize::from(member.outlet.sender.try_send(frame).is_ok());
        }
        told
    }
}

impl<T> Inner<T> {
    fn forget(&mut self, stream: &str, id: u64) {
        if let Some(ids) = self.streams.get_mut(stream) {
            ids.remove(&id);
            if ids.is_empty() {
                self.streams.remove(stream);
            }
        }
    }
}
