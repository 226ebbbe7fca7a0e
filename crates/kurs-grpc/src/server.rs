//! Connections: caps, deadlines, drain.

use crate::config::GrpcConfig;
use crate::connection::{Connection, Order, Patience};
use crate::gate::Gate;
use crate::health;
use crate::io::WatchedIo;
use crate::proto;
use crate::service::{Calls, standard};
use bytes::Bytes;
use http_body::Frame;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kurs_auth::TrustedProxies;
use kurs_reader::RateView;
use kurs_stream::Hub;
use kurs_stream::places::{Place, Places, address_of};
use kurs_telemetry::Health;
use kurs_telemetry::metrics::StreamMetrics;
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tonic_health::server::health_reporter;

/// Pause after an error of the listening socket, such as too many open files: time for
/// connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long those who watch the health have to hear that this instance ends: some looks at it.
const LINGER: Duration = Duration::from_millis(500);
/// Bytes of one stream that wait to be written, about.
const SEND_BUFFER: usize = 64 * 1_024;

/// What gRPC is served from.
#[derive(Clone)]
pub struct GrpcParts {
    /// The rates.
    pub view: Arc<RateView>,
    /// What changes in them.
    pub streams: Arc<Hub>,
    /// What is counted of streams.
    pub metrics: StreamMetrics,
    /// How this instance is.
    pub health: Arc<Health>,
    /// Who may ask what.
    pub gate: Arc<dyn Gate>,
    /// The proxies in front of it that are believed.
    pub proxies: Option<TrustedProxies>,
    /// The certificate it is served with; `None`: HTTP/2 without TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// Serves gRPC until `shutdown` is done; then marks the instance as draining, says `bye` to every
/// stream and takes no connection more. Calls that are open may end for up to `drain_ms`; what is
/// left then is cut. Returns how many connections had to be cut.
pub async fn serve(
    listener: TcpListener,
    config: GrpcConfig,
    parts: GrpcParts,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let drain = config.drain();
    let (reporter, health_service) = health_reporter();
    let following = health::follow(Arc::clone(&parts.health), reporter);
    let mut following = JoinSet::from_iter([following]);
    let (close, closing) = watch::channel(false);
    let server = Server::new(config, &parts, closing, health_service);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    if connections.len() < server.calls.config.connections
                        && let Ok(place) = server.enter(peer.ip())
                    {
                        let _ = socket.set_nodelay(true);
                        connections.spawn(Arc::clone(&server).accepted(socket, peer, place));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    parts.health.start_draining();
    parts.streams.drain();
    close.send_replace(true);
    let all_end = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(drain, all_end).await;
    let cut = connections.len();
    connections.shutdown().await;
    following.shutdown().await;
    cut
}

struct Server {
    calls: Arc<Calls>,
    http: http2::Builder<TokioExecutor>,
    patience: Patience,
    places: Arc<Places>,
    tls: Option<TlsAcceptor>,
    closing: watch::Receiver<bool>,
}

impl Server {
    fn new<H>(
        config: GrpcConfig,
        parts: &GrpcParts,
        closing: watch::Receiver<bool>,
        health: tonic_health::pb::health_server::HealthServer<H>,
    ) -> Arc<Self>
    where
        H: tonic_health::pb::health_server::Health,
    {
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .max_concurrent_streams(config.calls_per_connection)
            .max_header_list_size(config.head_bytes)
            .max_send_buf_size(SEND_BUFFER)
            // Requests are small: no client has to be able to send more at a time.
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(1_048_576)
            .keep_alive_interval(Duration::from_millis(config.ping_ms))
            .keep_alive_timeout(Duration::from_millis(config.pong_ms));
        let mut services = vec![("grpc.health.v1.Health", standard(health))];
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        match (builder().build_v1(), builder().build_v1alpha()) {
            (Ok(new), Ok(old)) => {
                services.push(("grpc.reflection.v1.ServerReflection", standard(new)));
                services.push(("grpc.reflection.v1alpha.ServerReflection", standard(old)));
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "there is no reflection");
            }
        }
        Arc::new(Self {
            patience: Patience::of(&config, parts.streams.write_patience()),
            places: Places::new(config.connections_per_address),
            tls: parts.tls.clone().map(TlsAcceptor::from),
            http,
            closing: closing.clone(),
            calls: Arc::new(Calls {
                config,
                view: Arc::clone(&parts.view),
                streams: Arc::clone(&parts.streams),
                metrics: parts.metrics.clone(),
                gate: Arc::clone(&parts.gate),
                proxies: parts.proxies.clone(),
                standard: services,
                closing: Closing(closing),
            }),
        })
    }

    /// A place for a connection from there. Through a trusted proxy come many clients, each of
    /// which is counted where it asks.
    fn enter(&self, peer: IpAddr) -> Result<Option<Place>, Full> {
        let proxies = self.calls.proxies.as_ref();
        if proxies.is_some_and(|proxies| proxies.trusts(peer)) {
            return Ok(None);
        }
        self.places.enter(address_of(peer)).map(Some).ok_or(Full)
    }

    /// Shakes hands where TLS is spoken, and serves. What the handshake takes is taken from the
    /// time for the first settings.
    async fn accepted(self: Arc<Self>, socket: TcpStream, peer: SocketAddr, place: Option<Place>) {
        let connection = Connection::new(peer.ip(), Instant::now());
        let Some(tls) = &self.tls else {
            return self.connection(socket, peer, connection, place).await;
        };
        let mut closing = self.closing.clone();
        let shaken = tokio::select! {
            shaken = timeout(self.patience.head, tls.accept(socket)) => shaken,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match shaken {
            Ok(Ok(socket)) => {
                Arc::clone(&self)
                    .connection(socket, peer, connection, place)
                    .await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %peer, "a client did not shake hands"),
            Err(_) => tracing::debug!(%peer, "cut a connection: its handshake did not end"),
        }
    }

    /// Serves one connection to its end.
    async fn connection<T>(
        self: Arc<Self>,
        socket: T,
        peer: SocketAddr,
        connection: Arc<Connection>,
        _place: Option<Place>,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(WatchedIo::new(socket, Arc::clone(&connection)));
        let service = service_fn(|request| {
            let answer = Arc::clone(&self.calls).answer(Arc::clone(&connection), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let mut served = pin!(self.http.serve_connection(io, service));
        let mut closing = self.closing.clone();
        let mut is_closing = false;
        let mut ticks = interval(self.patience.tick());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = &mut served => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, %peer, "a connection ended early");
                    }
                    return;
                }
                _ = ticks.tick() => {
                    match connection.look(Instant::now(), self.patience) {
                        Order::Serve => {}
                        Order::Leave => served.as_mut().graceful_shutdown(),
                        Order::Cut(why) => {
                            tracing::debug!(%peer, why, "cut a connection");
                            return;
                        }
                    }
                }
                _ = closing.wait_for(|closing| *closing), if !is_closing => {
                    is_closing = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// There are as many connections from there as there may be.
struct Full;

/// Tells answers that never end when to.
#[derive(Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// The same body, which ends a moment after this instance begins to. `guard` is kept as long.
    pub(crate) fn with(mut self, body: Body, guard: impl Send + Unpin + 'static) -> Body {
        let until = Box::pin(async move {
            let _ = self.0.wait_for(|closing| *closing).await;
            sleep(LINGER).await;
        });
        Body::new(Ending {
            body,
            until,
            has_ended: false,
            _guard: guard,
        })
    }
}

struct Ending<G> {
    body: Body,
    until: Pin<Box<dyn Future<Output = ()> + Send>>,
    has_ended: bool,
    _guard: G,
}

impl<G: Unpin> http_body::Body for Ending<G> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if self.until.as_mut().poll(context).is_ready() {
            self.has_ended = true;
            let ended = Status::unavailable("this instance is ending");
            let trailers = crate::service::trailers(&ended);
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }
}
