//! A TCP proxy with faults, for servers that cannot be asked to misbehave.
//!
//! ```no_run
//! # use kurs_testkit::proxy::{Faults, Proxy, Weather};
//! # async fn test(server: std::net::SocketAddr) {
//! let proxy = Proxy::start_seeded(server, 7).await;
//! // ... a client connects to proxy.address() ...
//! proxy.set(Weather {
//!     to_client: Faults { corrupt_per_million: 100, ..Faults::default() },
//!     ..Weather::default()
//! });
//! proxy.reset();
//! proxy.heal();
//! # }
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `weather` | [`Weather`] and [`Faults`]: what a test sets |
//! | `line` | one way of a connection as a state machine: delays, bandwidth, dice |
//! | `connection` | the sockets around two lines |
//!
//! Dice fall by the seed of the proxy and the number of the connection. Bytes on their way are
//! bounded: a sender waits when a mebibyte of its bytes is held.

mod connection;
mod line;
#[cfg(test)]
mod tests;
mod weather;

pub use weather::{Faults, Weather};

use connection::{End, Ends, Orders, carry};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Connections carried at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4_096;
/// Between two tries when the system gives no connection, such as without free descriptors.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    seed: u64,
    weather: watch::Sender<Weather>,
    ends: watch::Sender<Ends>,
    accepted: AtomicU64,
    open: AtomicU64,
}

/// A running proxy; dropping it ends all its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before a server, on a free port of the loopback address.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start(target: SocketAddr) -> Self {
        Self::start_seeded(target, 1).await
    }

    /// The same with a seed for whatever happens by chance.
    ///
    /// # Panics
    /// When no port can be bound.
    pub async fn start_seeded(target: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port can be bound");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            target,
            seed,
            weather: watch::Sender::new(Weather::default()),
            ends: watch::Sender::new(None),
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            address,
            shared,
            task,
        }
    }

    /// Where clients connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes from now on.
    pub fn set(&self, weather: Weather) {
        self.shared.weather.send_replace(weather);
    }

    /// Changes a part of what happens to the bytes, from now on.
    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.shared.weather.send_modify(change);
    }

    /// Fair weather again.
    pub fn heal(&self) {
        self.set(Weather::default());
    }

    /// Closes all living connections, whatever the weather.
    pub fn cut(&self) {
        self.end(End::Cut);
    }

    /// Resets all living connections, whatever the weather.
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    fn end(&self, how: End) {
        self.shared.ends.send_modify(|ends| {
            let number = ends.map_or(0, |(number, _)| number) + 1;
            *ends = Some((number, how));
        });
    }

    /// Connections accepted so far, refused ones included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections that live.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts a connection as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.open.fetch_add(1, Ordering::SeqCst);
        Self(shared.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set with this task ends the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_AGAIN_AFTER).await;
            continue;
        };
        // Subscribed before it is counted: a test that sees it counted can end it.
        let orders = Orders {
            target: shared.target,
            seed: shared
                .seed
                .wrapping_add(shared.accepted.load(Ordering::SeqCst)),
            weather: shared.weather.subscribe(),
            ends: shared.ends.subscribe(),
        };
        if !shared.weather.borrow().refuse {
            let open = Open::new(&shared);
            connections.spawn(async move {
                carry(client, orders).await;
                drop(open);
            });
        }
        shared.accepted.fetch_add(1, Ordering::SeqCst);
    }
}
