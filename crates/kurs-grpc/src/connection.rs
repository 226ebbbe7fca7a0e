//! One connection: what it waits for, and for how long it may.

use crate::config::GrpcConfig;
use crate::frames::Frames;
use crate::subscribe::{Fate, Stream};
use parking_lot::Mutex;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Who is at the other end.
    pub(crate) peer: IpAddr,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    frames: Frames,
    /// Since when something that the client has begun is missing its end.
    partial_since: Option<Instant>,
    /// Since when the client takes nothing of what is to be sent.
    blocked_since: Option<Instant>,
    /// Calls that are open.
    open: usize,
    /// Since when none is.
    quiet_since: Instant,
    streams: Vec<Weak<Stream>>,
}

/// How long a connection may keep the server waiting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) head: Duration,
    pub(crate) idle: Duration,
    pub(crate) write: Duration,
}

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nothing.
    Serve,
    /// It is told to go when its calls have ended.
    Leave,
    /// It is cut; why.
    Cut(&'static str),
}

impl Patience {
    pub(crate) const fn of(config: &GrpcConfig, write: Duration) -> Self {
        Self {
            head: config.head(),
            idle: config.idle(),
            write,
        }
    }

    /// How often it is looked whether a connection has lost it.
    pub(crate) fn tick(self) -> Duration {
        let shortest = self.head.min(self.idle).min(self.write);
        (shortest / 8).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }
}

impl Connection {
    pub(crate) fn new(peer: IpAddr, now: Instant) -> Arc<Self> {
        Arc::new(Self {
            peer,
            inner: Mutex::new(Inner {
                frames: Frames::new(),
                partial_since: Some(now),
                blocked_since: None,
                open: 0,
                quiet_since: now,
                streams: Vec::new(),
            }),
        })
    }

    /// These bytes came.
    pub(crate) fn came(&self, now: Instant, bytes: &[u8]) {
        let mut inner = self.inner.lock();
        let before = inner.frames.wholes();
        inner.frames.came(bytes);
        if inner.frames.is_whole() {
            inner.partial_since = None;
        } else if inner.frames.wholes() != before {
            inner.partial_since = Some(now);
        } else {
            inner.partial_since.get_or_insert(now);
        }
    }

    /// Something was to be written, and the socket took some of it or not.
    pub(crate) fn wrote(&self, now: Instant, taken: bool) {
        let blocked = &mut self.inner.lock().blocked_since;
        if taken {
            *blocked = None;
        } else {
            blocked.get_or_insert(now);
        }
    }

    /// A call begins; it ends when this is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> OpenCall {
        self.inner.lock().open += 1;
        OpenCall(Arc::clone(self))
    }

    /// A stream of this connection is looked after from now on.
    pub(crate) fn watch(&self, stream: &Arc<Stream>) {
        let mut inner = self.inner.lock();
        inner.streams.retain(|stream| stream.strong_count() > 0);
        inner.streams.push(Arc::downgrade(stream));
    }

    /// Looks after everything that may have lasted too long.
    pub(crate) fn look(&self, now: Instant, patience: Patience) -> Order {
        let streams: Vec<Arc<Stream>> = {
            let inner = self.inner.lock();
            inner.streams.iter().filter_map(Weak::upgrade).collect()
        };
        let fates = streams
            .iter()
            .map(|stream| stream.look(now, patience.write));
        let stuck = fates.filter(|fate| *fate == Fate::Stuck).count();
        let inner = self.inner.lock();
        let longer = |since: Option<Instant>, most| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= most)
        };
        if longer(inner.partial_since, patience.head) {
            Order::Cut("a frame or head was not sent to its end")
        } else if longer(inner.blocked_since, patience.write) {
            Order::Cut("nothing was taken")
        } else if stuck > 0 && stuck >= inner.open {
            Order::Cut("no stream was taken")
        } else if inner.open > 0 || !longer(Some(inner.quiet_since), patience.idle) {
            Order::Serve
        } else if longer(Some(inner.quiet_since), patience.idle + patience.head) {
            Order::Cut("it did not go when it was told to")
        } else {
            Order::Leave
        }
    }
}

/// A call that is open.
#[derive(Debug)]
pub(crate) struct OpenCall(Arc<Connection>);

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.open = inner.open.saturating_sub(1);
        if inner.open == 0 {
            inner.quiet_since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(8),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(10),
    };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    fn begin() -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
        bytes
    }

    fn look(connection: &Connection, now: Instant) -> Order {
        connection.look(now, PATIENCE)
    }

    #[test]
    fn who_says_nothing_or_a_byte_now_and_then_is_cut() {
        let start = Instant::now();
        let connection = Connection::new(IpAddr::from([127, 0, 0, 1]), start);
        assert_eq!(look(&connection, after(start, 7)), Order::Serve);
        connection.came(after(start, 7), &begin()[..9]);
        assert!(matches!(look(&connection, after(start, 8)), Order::Cut(_)));
        connection.came(after(start, 8), &begin()[9..]);
        assert_eq!(look(&connection, after(start, 20)), Order::Serve);
        // Half a head, in frames that are whole.
        connection.came(after(start, 20), &[0, 0, 0, 1, 0, 0, 0, 0, 1]);
        connection.came(after(start, 27), &[0, 0, 0, 9, 0, 0, 0, 0, 1]);
        assert!(matches!(look(&connection, after(start, 28)), Order::Cut(_)));
    }

    #[test]
    fn who_takes_nothing_is_cut_and_who_asks_nothing_is_told_to_go() {
        let start = Instant::now();
        let connection = Connection::new(IpAddr::from([127, 0, 0, 1]), start);
        connection.came(start, &begin());
        connection.wrote(start, false);
        connection.wrote(after(start, 9), false);
        assert!(matches!(look(&connection, after(start, 10)), Order::Cut(_)));
        connection.wrote(after(start, 10), true);
        assert_eq!(look(&connection, after(start, 59)), Order::Serve);
        let call = connection.begin();
        assert_eq!(look(&connection, after(start, 600)), Order::Serve);
        drop(call);
        assert_eq!(look(&connection, Instant::now()), Order::Serve);
        let quiet = Instant::now();
        assert_eq!(look(&connection, after(quiet, 60)), Order::Leave);
        assert!(matches!(look(&connection, after(quiet, 68)), Order::Cut(_)));
    }
}
