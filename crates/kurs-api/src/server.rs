//! The accept loop: caps, deadlines, drain.

mod drive;

use crate::config::Limits;
use crate::connection::{CoarseClock, ConnectionState, Order, Overdue, tick_of};
use crate::io::{WatchedIo, problem_answer};
use crate::open::{Entry, Open, Refused};
use crate::problem::{Kind, Problem};
use crate::service::{ApiService, Surface};
use crate::state::ApiState;
use crate::stream::wire::Wire;
use crate::tls::{H2, Tls};
use crate::{handshake, multiplex};
use drive::drive;
use futures_util::FutureExt;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kurs_auth::TrustedProxies;
use kurs_stream::places::address_of;
use kurs_telemetry::metrics::Counter;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// Bytes that wait to be written to one connection, about.
const WRITE_BUFFER: usize = 32 * 1024;

/// Pause after an error of the listening socket, such as too many open files: time for
/// connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may be quiet during the drain before it is closed. Its next request may
/// be on its way already; the answer to that says `Connection: close`, so none is lost.
const LINGER_MS: u64 = 1_000;

/// How often the drain looks at the connections.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// Serves everything. See [`serve_surface`].
pub async fn serve(
    listener: TcpListener,
    api: Arc<ApiState>,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_surface(listener, api, Surface::All, limits, shutdown).await
}

/// Serves HTTP/1.1 until `shutdown` is done; then marks the instance as draining, gives every
/// client the time for one more request, whose answer says `Connection: close`, and accepts
/// nothing more after that. Requests in flight may end for up to `limits.drain_ms`; what is left
/// then is cut. Returns how many connections had to be cut.
pub async fn serve_surface(
    listener: TcpListener,
    api: Arc<ApiState>,
    surface: Surface,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_tls(listener, api, surface, limits, None, shutdown).await
}

/// The same over TLS, where HTTP/2 is spoken with clients that want it; without, when there is
/// none.
pub async fn serve_tls(
    listener: TcpListener,
    api: Arc<ApiState>,
    surface: Surface,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let server = Server::new(api, surface, limits, tls);
    let mut shutdown = pin!(shutdown);
    let mut tick = tokio::time::interval(tick_of(&server.limits));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => server.take(socket, peer),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    server.watch_deadlines();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = tick.tick() => server.watch_deadlines(),
            () = &mut shutdown => break,
        }
    }
    server.drain(listener).await
}

struct Server {
    api: Arc<ApiState>,
    surface: Surface,
    limits: Limits,
    http: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    tls: Option<Arc<Tls>>,
    proxies: Option<Arc<TrustedProxies>>,
    clock: Arc<CoarseClock>,
    open: Arc<Open>,
    cut: Cuts,
}

/// Counters of connections that the server ended.
struct Cuts {
    capacity: Counter,
    address: Counter,
    handshake: Counter,
    head: Counter,
    idle: Counter,
    write: Counter,
    drain: Counter,
}

impl Server {
    fn new(api: Arc<ApiState>, surface: Surface, limits: Limits, tls: Option<Arc<Tls>>) -> Self {
        let mut http = http1::Builder::new();
        // No timer: the deadlines of `connection.rs` take the place of hyper's only one, which
        // would also end idle connections. No `pipeline_flush`: with it hyper 1.12 writes nothing
        // while unread bytes are left, so that an answer waits for the rest of the next head, and
        // the answer to a broken head never leaves.
        http.max_header_size(limits.head_bytes)
            .header_read_timeout(None)
            // What waits for a client that reads slowly is bounded by this; a head is no longer.
            .max_buf_size(limits.head_bytes.max(WRITE_BUFFER));
        let metrics = &api.http_metrics;
        let cut = Cuts {
            capacity: metrics.cut("capacity"),
            address: metrics.cut("address_capacity"),
            handshake: metrics.cut("handshake_timeout"),
            head: metrics.cut("head_timeout"),
            idle: metrics.cut("idle_timeout"),
            write: metrics.cut("write_timeout"),
            drain: metrics.cut("drain"),
        };
        let config = &api.config;
        let proxies = TrustedProxies::new(&config.trusted_proxies, config.proxy_header);
        Self {
            http2: multiplex::protocol(&limits),
            proxies: proxies.map(Arc::new),
            tls,
            api,
            surface,
            limits,
            http,
            clock: Arc::new(CoarseClock::new()),
            open: Arc::default(),
            cut,
        }
    }

    /// Takes a connection, or turns it away with a problem.
    fn take(&self, socket: TcpStream, peer: SocketAddr) {
        let state = Arc::new(ConnectionState::new(Arc::clone(&self.clock), &self.limits));
        let proxies = self.proxies.as_ref();
        let proxies = proxies.filter(|proxies| proxies.trusts(peer.ip())).cloned();
        let (address, is_proxy) = (address_of(peer.ip()), proxies.is_some());
        let entered = self
            .open
            .enter(address, is_proxy, &self.limits, Arc::clone(&state));
        match entered {
            Ok(entry) => self.start(socket, peer, proxies, state, entry),
            Err(refused) => {
                let (counter, detail) = match refused {
                    Refused::Capacity => (&self.cut.capacity, "too many connections"),
                    Refused::Address => {
                        (&self.cut.address, "too many connections from this address")
                    }
                };
                counter.inc();
                if self.tls.is_some() {
                    // Who speaks TLS would not understand it.
                    return;
                }
                let problem = Problem::new(Kind::TooBusy, detail);
                let answer = problem_answer(&problem, self.api.ids.next().as_str(), None);
                // Without waiting, past the runtime: a client that does not take this at once gets
                // nothing.
                if let Ok(mut socket) = socket.into_std() {
                    let _ = socket.write(&answer);
                }
            }
        }
    }

    fn start(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        proxies: Option<Arc<TrustedProxies>>,
        state: Arc<ConnectionState>,
        entry: Entry,
    ) {
        let _ = socket.set_nodelay(true);
        let open = self.api.http_metrics.connections_open.clone();
        self.api.http_metrics.connections_accepted.inc();
        open.inc();
        let leaving = Leaving {
            open,
            _entry: entry,
        };
        let hsts = self.tls.as_ref().and_then(|tls| tls.hsts.clone());
        let service = ApiService {
            api: Arc::clone(&self.api),
            connection: Arc::clone(&state),
            peer: peer.ip(),
            surface: self.surface,
            proxies,
            hsts: hsts.clone(),
        };
        let ids = Arc::clone(&self.api.ids);
        let Some(tls) = self.tls.clone() else {
            let io = WatchedIo::new(Wire::Own(socket), Arc::clone(&state), ids);
            let connection = self.http.serve_connection(TokioIo::new(io), service);
            let connection = connection.with_upgrades();
            tokio::spawn(async move {
                let _leaving = leaving;
                drive(connection, &state, peer).await;
            });
            return;
        };
        state.shakes_hands();
        let (http, http2, limits) = (self.http.clone(), self.http2.clone(), self.limits.clone());
        tokio::spawn(async move {
            let _leaving = leaving;
            let Some(socket) = handshake::shake(&tls, socket, &state).await else {
                return;
            };
            let is_h2 = socket.get_ref().1.alpn_protocol() == Some(H2);
            state.has_shaken_hands(is_h2);
            let io = WatchedIo::new(socket, Arc::clone(&state), ids);
            if is_h2 {
                let service = multiplex::Multiplexed::new(service, &limits);
                let connection = http2.serve_connection(TokioIo::new(io.binary()), service);
                drive(connection, &state, peer).await;
            } else {
                let connection = http.serve_connection(TokioIo::new(io.secured(hsts)), service);
                drive(connection.with_upgrades(), &state, peer).await;
            }
        });
    }

    /// Closes every connection whose client let a deadline pass.
    fn watch_deadlines(&self) {
        let now_ms = self.clock.tick();
        for connection in self.open.all() {
            let Some(overdue) = connection.overdue(now_ms) else {
                continue;
            };
            if connection.give(Order::Close) {
                match overdue {
                    Overdue::Handshake => self.cut.handshake.inc(),
                    Overdue::Head => self.cut.head.inc(),
                    Overdue::Idle => self.cut.idle.inc(),
                    Overdue::Write | Overdue::Stream => self.cut.write.inc(),
                };
                if connection.is_stream() || overdue == Overdue::Stream {
                    self.api.stream_metrics.slow.inc();
                }
            }
        }
    }

    async fn drain(&self, listener: TcpListener) -> usize {
        self.api.health.start_draining();
        self.api.streams.drain();
        let began = Instant::now();
        let deadline = began + self.limits.drain();
        // Bounded by half of the drain, so that quiet connections are closed and not cut.
        let linger_ms = LINGER_MS.min(self.limits.drain_ms / 2);
        self.accept_last(listener, began + Duration::from_millis(linger_ms))
            .await;
        let mut tick = tokio::time::interval(DRAIN_TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !self.open.is_empty() {
            tokio::select! {
                () = self.open.emptied.notified() => {}
                _ = tick.tick() => {
                    self.watch_deadlines();
                    self.close_quiet(linger_ms);
                }
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        let left = self.open.all();
        for connection in &left {
            if connection.give(Order::Close) {
                self.cut.drain.inc();
            }
        }
        left.len()
    }

    /// Takes the connections that clients made before they could know of the drain: until
    /// `until`, or until no connection is open and none came for a moment.
    async fn accept_last(&self, listener: TcpListener, until: Instant) {
        let mut tick = tokio::time::interval(DRAIN_TICK);
        // The first tick is at once.
        tick.tick().await;
        let mut came = true;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => break,
                _ = tick.tick() => {
                    self.watch_deadlines();
                    if !came && self.open.is_empty() {
                        break;
                    }
                    came = false;
                }
                accepted = listener.accept() => match accepted {
                    Ok((socket, peer)) => {
                        came = true;
                        self.take(socket, peer);
                    }
                    Err(_) => tokio::time::sleep(DRAIN_TICK).await,
                },
            }
        }
        // The end came between two of them: what waits is taken still.
        while let Some(Ok((socket, peer))) = listener.accept().now_or_never() {
            self.take(socket, peer);
        }
    }

    /// Closes the connections that were quiet this long since the drain began. HTTP/2 has words
    /// for the end: those connections are told at once, and what was asked before they heard it is
    /// answered.
    fn close_quiet(&self, linger_ms: u64) {
        let now_ms = self.clock.tick();
        for connection in self.open.all() {
            let quiet_since_ms = connection.quiet_since_ms();
            if connection.has_many()
                || quiet_since_ms
                    .is_some_and(|since_ms| since_ms.saturating_add(linger_ms) <= now_ms)
            {
                connection.give(Order::Drain);
            }
        }
    }
}

/// Notes the end of a connection, however it came about.
struct Leaving {
    open: kurs_telemetry::metrics::Gauge,
    _entry: Entry,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.open.dec();
    }
}
