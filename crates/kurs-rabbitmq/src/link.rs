//! A connection that is made again whenever it is lost.
//!
//! The client library can recover by itself, which its users report to fail at times; a
//! connection that is lost is therefore given up here, and a new one made.

use crate::RabbitOptions;
use async_compat::Compat;
use futures_util::StreamExt;
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters};
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, Event};
use parking_lot::Mutex;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Longest wait for a TCP connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Longest wait for a connection with everything: TLS, password, vhost.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Longest wait for an ordinary answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(5);
/// How long a call waits for a server that is away.
pub(crate) const AWAY: Duration = Duration::from_secs(3);
/// First bound of the pause before a next attempt; it doubles with each.
const RETRY_MIN: Duration = Duration::from_millis(250);
/// Last bound. Low, so that a server that is back is found within two seconds.
const RETRY_MAX: Duration = Duration::from_millis(750);
/// Time between two looks at a connection that says nothing of its end.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Why something on the server did not go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The bus has ended.
    #[error("the bus has ended")]
    Ended,
    /// There is no connection, or it was lost meanwhile.
    #[error("the server is away")]
    Away,
    /// The server said no.
    #[error("the server refused a message")]
    Refused,
    /// The client library's complaint.
    #[error("{0}")]
    Client(#[from] lapin::Error),
}

/// The connection of one direction. Clones see the same.
#[derive(Debug, Clone)]
pub(crate) struct Link(watch::Receiver<State>);

/// The connection, or why there is none; empty before the first attempt has ended.
type State = Result<Arc<Connection>, Arc<str>>;

impl Link {
    /// Connects, and does so again, until the future that is given back ends.
    pub(crate) fn open(
        what: &'static str,
        options: &RabbitOptions,
        counters: Arc<BusCounters>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (state, seen) = watch::channel(Err("".into()));
        let salt = what.bytes().map(u64::from).sum::<u64>();
        let keeper = Keeper {
            what,
            server: options.address.to_string(),
            name: options.name.clone(),
            uri: uri(options),
            counters,
            backoff: backoff(options.seed ^ salt),
            state,
        };
        (Self(seen), keeper.run())
    }

    /// The connection, if there is one within this time.
    pub(crate) async fn within(&self, patience: Duration) -> Result<Arc<Connection>, Failure> {
        tokio::time::timeout(patience, self.wait())
            .await
            .unwrap_or(Err(Failure::Away))
    }

    /// The connection, as soon as there is one.
    pub(crate) async fn wait(&self) -> Result<Arc<Connection>, Failure> {
        let mut state = self.0.clone();
        let there = state.wait_for(State::is_ok).await;
        match there.as_deref() {
            Ok(Ok(connection)) => Ok(Arc::clone(connection)),
            Ok(Err(_)) => Err(Failure::Away),
            Err(_) => Err(Failure::Ended),
        }
    }

    /// Returns when this connection is not the present one any more.
    pub(crate) async fn lost(&self, connection: &Arc<Connection>) {
        let mut state = self.0.clone();
        let is_another = |now: &State| {
            let now = now.as_ref();
            !now.is_ok_and(|now| Arc::ptr_eq(now, connection))
        };
        let _ = state.wait_for(is_another).await;
    }

    /// Returns when it comes or goes, or for another reason is not there; `None` when the bus has
    /// ended.
    pub(crate) async fn changed(&mut self) -> Option<()> {
        self.0.changed().await.ok()
    }

    /// Why there is no connection at present; `None` when there is one.
    pub(crate) fn why_away(&self) -> Option<Arc<str>> {
        self.0.borrow().as_ref().err().cloned()
    }

    /// Whether there is a connection at present.
    pub(crate) fn is_there(&self) -> bool {
        self.0.borrow().is_ok()
    }
}

/// Makes the connection again and again.
struct Keeper {
    what: &'static str,
    server: String,
    /// What the server shows as the name of the connection.
    name: String,
    uri: AMQPUri,
    counters: Arc<BusCounters>,
    backoff: Backoff,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn run(mut self) {
        let (mut is_first, mut is_told) = (true, false);
        loop {
            match dial(&self.uri, &self.name).await {
                Ok((connection, socket)) => {
                    tracing::info!(server = %self.server, "connected to RabbitMQ, {}", self.what);
                    is_told = false;
                    let is_again = !std::mem::take(&mut is_first);
                    count(&self.counters.reconnects, usize::from(is_again));
                    self.backoff.reset();
                    self.follow(connection, &socket).await;
                    tracing::warn!(server = %self.server, "RabbitMQ is lost, {}", self.what);
                }
                Err(why) => {
                    // Told once: it may be away for long.
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(server = %self.server, "cannot connect to RabbitMQ: {why}");
                    }
                    self.show(Err(why.to_string().into()));
                }
            }
            tokio::time::sleep(self.backoff.pause()).await;
        }
    }

    fn show(&self, state: State) {
        let _before = self.state.send_replace(state);
    }

    /// Shows the connection until it is lost.
    async fn follow(&self, connection: Connection, socket: &std::net::TcpStream) {
        let mut events = connection.events_listener();
        let connection = Arc::new(connection);
        self.show(Ok(Arc::clone(&connection)));
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while connection.status().connected() {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(why)) => {
                        tracing::warn!(server = %self.server, "RabbitMQ takes nothing: {why}");
                    }
                    // Also one of a single channel: the status says whether it is more.
                    Some(_) => {}
                    None => break,
                },
                _ = looks.tick() => {}
            }
        }
        self.show(Err("the connection was lost".into()));
        // Nothing of it lingers: neither its thread, nor half a connection at the server.
        let _ = socket.shutdown(Shutdown::Both);
    }
}

/// Where the server is, with what is agreed on with it.
pub(crate) fn uri(options: &RabbitOptions) -> AMQPUri {
    let mut uri = options.address.uri.clone();
    uri.query.heartbeat = Some(options.config.tuning.heartbeat_seconds);
    uri
}

/// Connects within the time limits. The second handle of the socket ends it from outside: the
/// library has a thread for each connection, which would wait for a silent server for ever.
pub(crate) async fn dial(
    uri: &AMQPUri,
    name: &str,
) -> Result<(Connection, std::net::TcpStream), Failure> {
    let handle: Arc<Mutex<Option<std::net::TcpStream>>> = Arc::default();
    let keep = Arc::clone(&handle);
    let connect = async move |uri: AMQPUri, _| {
        let plain = tokio::time::timeout(CONNECT, plain(&uri))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let plain = plain.into_std()?;
        *keep.lock() = Some(plain.try_clone()?);
        let stream = AsyncTcpStream::Plain(Compat::new(TcpStream::from_std(plain)?));
        let host = &uri.authority.host;
        match uri.scheme {
            AMQPScheme::AMQP => Ok(stream),
            AMQPScheme::AMQPS => {
                let roots = OwnedTLSConfig::default();
                let stream = stream.into_tls(host, roots.as_ref()).await?;
                // A library built without TLS would hand the bare socket back.
                if matches!(stream, AsyncTcpStream::Plain(_)) {
                    return Err(io::Error::other("built without TLS").into());
                }
                Ok(stream)
            }
        }
    };
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime()?;
    let connected = Connection::connector(uri.clone(), runtime, connect, properties);
    let connected = tokio::time::timeout(HANDSHAKE, connected).await;
    let socket = handle.lock().take();
    match (connected, socket) {
        (Ok(Ok(connection)), Some(socket)) => Ok((connection, socket)),
        (connected, socket) => {
            if let Some(socket) = socket {
                let _ = socket.shutdown(Shutdown::Both);
            }
            match connected {
                Ok(Err(why)) => Err(why.into()),
                Ok(Ok(_)) | Err(_) => Err(Failure::Away),
            }
        }
    }
}

pub(crate) async fn plain(uri: &AMQPUri) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((uri.authority.host.as_str(), uri.authority.port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Pauses between attempts.
pub(crate) fn backoff(seed: u64) -> Backoff {
    Backoff::new(seed, RETRY_MIN, RETRY_MAX)
}
