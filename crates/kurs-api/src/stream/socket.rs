//! Streams over WebSocket (RFC 6455): conventions 20. Only text goes either way.

mod handshake;

use super::enter;
use super::wire::{Direct, Wire};
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::io::WatchedIo;
use crate::problem::{Kind, Problem};
use crate::state::ApiState;
use futures_util::{SinkExt, StreamExt};
use handshake::{check_head, check_origin, chosen, not_a_socket};
use http::header::{CONNECTION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use kurs_auth::Grant;
use kurs_stream::command::{self, Asked, Pace, ReplyDocument, bye};
use kurs_stream::places::Place;
use kurs_stream::{Ended, Event, Item, Listener, Refused, Topic};
use std::future::{pending, poll_fn};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// The one subprotocol.
pub(crate) const PROTOCOL: &str = "kurs.v1.json";
/// Bytes of a message that a client may send.
const INBOUND_MAX: usize = 64 * 1_024;
/// Bytes that are handed to the socket at a time.
const PIECE: usize = 16 * 1_024;
/// Events that are handed over before the client is listened to again.
const BATCH: u64 = 64;
/// How long a client may take to name its topics.
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is asked whether the client is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// How long the last word may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How long the switch of protocols may take.
const UPGRADE_WITHIN: Duration = Duration::from_secs(10);

/// `GET /api/v1/ws`.
pub(crate) fn open(call: &Call) -> Outcome {
    check_origin(call)?;
    let accept = check_head(&call.headers)?;
    let protocol = chosen(&call.headers)?;
    let Some(upgrade) = call.upgrade.lock().take() else {
        return Err(not_a_socket("the connection cannot switch protocols"));
    };
    if call.api.health.is_draining() {
        return Err(Problem::new(Kind::NotReady, "this instance is ending").retry_after(2));
    }
    let place = enter(call)?;
    let session = Session {
        api: Arc::clone(&call.api),
        peer: call.peer,
        listener: None,
        socket: None,
        direct: None,
        pace: Pace::default(),
        grant: call.api.doors.open(&call.caller),
        _place: place,
    };
    tokio::spawn(session.run(upgrade));
    let mut answer = Answer::switching()
        .with_header(UPGRADE, "websocket")
        .with_header(CONNECTION, "Upgrade")
        .with_header(http::header::SEC_WEBSOCKET_ACCEPT, &accept);
    if protocol {
        answer = answer.with_header(SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    }
    Ok(answer)
}

/// Why a session ends, and what the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client has closed, or is gone.
    Gone,
    Drained,
    /// Whoever listens may not any more.
    Revoked,
    Policy(&'static str),
    TooLarge,
    NotText,
    Idle,
    Limited,
    Slow,
    Full,
}

impl End {
    /// Close code and reason: conventions 20.
    const fn code(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Gone => None,
            Self::Drained => Some((1_001, "drain")),
            Self::Revoked => Some((1_008, "revoked")),
            Self::NotText => Some((1_003, "text only")),
            Self::Policy(why) => Some((1_008, why)),
            Self::TooLarge => Some((1_009, "a message has at most 64 KiB")),
            Self::Full => Some((1_013, "as many streams are open as may be")),
            Self::Idle => Some((4_408, "no pong within 10 s")),
            Self::Limited => Some((4_429, "more than 10 commands a second")),
            Self::Slow => Some((4_499, "slow reader")),
        }
    }
}

struct Session {
    api: Arc<ApiState>,
    peer: IpAddr,
    listener: Option<Listener>,
    /// The socket, if others may write to it as well.
    socket: Option<Arc<TcpStream>>,
    /// Where the pump writes while this rests.
    direct: Option<Arc<Direct>>,
    pace: Pace,
    /// The key or token that it was opened with.
    grant: Option<Grant>,
    _place: Place,
}

/// What comes next.
enum Next {
    Item(Item),
    /// The pump has left something over.
    Rest,
}

impl Session {
    async fn run(mut self, upgrade: OnUpgrade) {
        let Ok(Ok(upgraded)) = timeout(UPGRADE_WITHIN, upgrade).await else {
            return;
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(4_096)
            .write_buffer_size(PIECE)
            .max_message_size(Some(INBOUND_MAX))
            .max_frame_size(Some(INBOUND_MAX));
        match upgraded.downcast::<TokioIo<WatchedIo<Wire>>>() {
            Ok(parts) => {
                let mut io = parts.io.into_inner();
                self.socket = io.lend();
                let begun = parts.read_buf.to_vec();
                let socket =
                    WebSocketStream::from_partially_read(io, begun, Role::Server, Some(config));
                self.go(socket.await).await;
            }
            Err(upgraded) => {
                let io = TokioIo::<Upgraded>::new(upgraded);
                let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config));
                self.go(socket.await).await;
            }
        }
    }

    async fn go<S: AsyncRead + AsyncWrite + Unpin>(mut self, mut socket: WebSocketStream<S>) {
        let end = self.serve(&mut socket).await;
        if end == End::Slow {
            self.api.stream_metrics.slow.inc();
        }
        tracing::debug!(peer = %self.peer, ?end, "a WebSocket stream ended");
        // Nobody is told any more while the last word goes out.
        self.claim().await;
        self.listener = None;
        if let Some((code, reason)) = end.code() {
            let last = async {
                self.write_rest().await?;
                if !matches!(end, End::Drained | End::Slow | End::Revoked) {
                    let event = bye(reason);
                    socket.feed(message(&event)).await?;
                }
                let frame = CloseFrame {
                    code: CloseCode::from(code),
                    reason: Utf8Bytes::from_static(reason),
                };
                socket.close(Some(frame)).await?;
                while socket.next().await.is_some() {}
                Ok::<(), Error>(())
            };
            let _ = timeout(CLOSE_WITHIN, last).await;
        }
    }

    /// From now on nobody else writes.
    async fn claim(&self) {
        if let Some(listener) = &self.listener {
            poll_fn(|context| listener.mailbox().poll_claim(context)).await;
        }
    }

    /// Writes what the pump has left over.
    async fn write_rest(&self) -> io::Result<()> {
        match &self.direct {
            Some(direct) => poll_fn(|context| direct.poll_rest(context)).await,
            None => Ok(()),
        }
    }

    /// Sends a message. Nobody else writes meanwhile.
    async fn send<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<S>,
        message: Message,
    ) -> Result<(), Error> {
        self.claim().await;
        self.write_rest().await?;
        socket.send(message).await
    }

    /// Sends what the protocol itself has to say.
    async fn flush<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<S>,
    ) -> Result<(), Error> {
        self.claim().await;
        self.write_rest().await?;
        socket.flush().await
    }

    /// Waits for what comes next.
    async fn wait(&self, listener: &Listener) -> Next {
        let has_rest = || self.direct.as_ref().is_some_and(|direct| direct.has_rest());
        poll_fn(|context| {
            if has_rest() {
                return Poll::Ready(Next::Rest);
            }
            match listener.poll_next(context) {
                Poll::Ready(item) => Poll::Ready(Next::Item(item)),
                // Something may have been left over between the look and the registration.
                Poll::Pending if has_rest() => Poll::Ready(Next::Rest),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        socket: &mut WebSocketStream<S>,
    ) -> End {
        let patience = self.api.streams.write_patience();
        let subscribe_by = Instant::now() + SUBSCRIBE_WITHIN;
        let mut ping_at = Instant::now() + PING_EVERY;
        let mut pong_by: Option<Instant> = None;
        loop {
            if let Some(listener) = &self.listener {
                // All that was to be said is written.
                listener.mailbox().rest();
            }
            let next = async {
                match &self.listener {
                    Some(listener) => self.wait(listener).await,
                    None => {
                        sleep_until(subscribe_by).await;
                        // Nothing was asked for in time.
                        Next::Item(Item::End(Ended::Slow))
                    }
                }
            };
            let timer = pong_by.unwrap_or(ping_at);
            let written = tokio::select! {
                came = socket.next() => match came {
                    None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return End::Gone,
                    Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. }))) => return End::TooLarge,
                    Some(Err(Error::Utf8(_))) => return End::NotText,
                    Some(Err(Error::Protocol(_))) => return End::Policy("the WebSocket protocol was broken"),
                    Some(Err(_)) => return End::Gone,
                    Some(Ok(Message::Text(text))) => match self.command(&text) {
                        Ok(reply) => {
                            let reply = Message::text(reply.text());
                            timeout(patience, self.send(socket, reply)).await
                        }
                        Err(end) => return end,
                    },
                    Some(Ok(Message::Binary(_))) => return End::NotText,
                    Some(Ok(Message::Pong(_))) => {
                        pong_by = None;
                        continue;
                    }
                    Some(Ok(Message::Ping(_))) => {
                        if !self.pace.count(self.api.view.mono()) {
                            return End::Limited;
                        }
                        timeout(patience, self.flush(socket)).await
                    }
                    Some(Ok(Message::Close(_))) => {
                        let _ = timeout(CLOSE_WITHIN, self.flush(socket)).await;
                        return End::Gone;
                    }
                    Some(Ok(Message::Frame(_))) => continue,
                },
                next = next => match next {
                    Next::Item(Item::End(_)) if self.listener.is_none() => {
                        return End::Policy("no subscribe within 5 s");
                    }
                    Next::Rest => {
                        let rest = async { Ok(self.write_rest().await?) };
                        timeout(patience, rest).await
                    }
                    Next::Item(Item::Event(event)) => {
                        timeout(patience, self.tell(socket, event)).await
                    }
                    Next::Item(Item::End(Ended::Drained)) => return End::Drained,
                    Next::Item(Item::End(Ended::Slow)) => return End::Slow,
                    Next::Item(Item::End(Ended::Revoked)) => return End::Revoked,
                },
                () = sleep_until(timer) => {
                    if pong_by.is_some() {
                        return End::Idle;
                    }
                    let now = Instant::now();
                    (pong_by, ping_at) = (Some(now + PONG_WITHIN), now + PING_EVERY);
                    let ping = Message::Ping(bytes::Bytes::new());
                    timeout(patience, self.send(socket, ping)).await
                }
                () = drained(&self.api, self.listener.is_none()) => return End::Drained,
            };
            match written {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return End::Gone,
                Err(_) => return End::Slow,
            }
        }
    }

    /// Hands over what waits, up to a batch.
    async fn tell<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut WebSocketStream<S>,
        first: Arc<Event>,
    ) -> Result<(), Error> {
        self.write_rest().await?;
        if self.direct.is_some() {
            // From here on the bytes of the events are written, which all clients share: what a
            // client does not take is nobody's copy.
            socket.flush().await?;
        }
        let mut told = 0;
        let mut next = Some(first);
        while let Some(event) = next {
            match &self.direct {
                Some(direct) => direct.keep(&event),
                None => socket.feed(message(&event)).await?,
            }
            told += 1;
            let listener = self.listener.as_ref().filter(|_| told < BATCH);
            next = match listener.and_then(Listener::next) {
                Some(Item::Event(event)) => Some(event),
                _ => None,
            };
        }
        self.api.stream_metrics.events.inc_by(told);
        match &self.direct {
            Some(_) => Ok(self.write_rest().await?),
            None => socket.flush().await,
        }
    }

    /// Carries a command out.
    fn command(&mut self, text: &str) -> Result<ReplyDocument, End> {
        if !self.pace.count(self.api.view.mono()) {
            return Err(End::Limited);
        }
        let parse = |text: &str| self.api.view.parse_pair(text);
        let (id, asked) = match command::read(text, parse) {
            Ok(understood) => understood,
            Err(reply) => return Ok(*reply),
        };
        let topics = |listener: &Option<Listener>| {
            let topics = listener.iter().flat_map(|one| one.topics().iter().copied());
            Some(topics.collect())
        };
        let meant = |topics: Vec<Topic>| -> Vec<Topic> {
            let all = topics.into_iter();
            all.map(|topic| super::meant(&self.api, topic)).collect()
        };
        let asked = match asked {
            Asked::Subscribe(topics, resume) => Asked::Subscribe(meant(topics), resume),
            Asked::Unsubscribe(topics) => Asked::Unsubscribe(meant(topics)),
            other => other,
        };
        match asked {
            Asked::Ping => Ok(ReplyDocument::done(id, None)),
            Asked::List => Ok(ReplyDocument::done(id, topics(&self.listener))),
            Asked::Unsubscribe(gone) => {
                if let Some(listener) = &mut self.listener {
                    listener.unsubscribe(&gone);
                }
                Ok(ReplyDocument::done(id, topics(&self.listener)))
            }
            Asked::Subscribe(wanted, resume) => {
                // Before it listens nobody else ends it.
                let may_stay = self.grant.as_ref().is_none_or(|grant| {
                    let now = self.api.view.now().wall;
                    self.api.doors.may_stay(grant.number(), now)
                });
                if !may_stay {
                    return Err(End::Revoked);
                }
                let refusal = match &mut self.listener {
                    Some(_) if resume.is_some() => {
                        let why = "only the first subscribe goes on from somewhere".to_owned();
                        return Ok(*ReplyDocument::refuse(id, "resume-from", why));
                    }
                    Some(listener) => listener.subscribe(&wanted).err(),
                    None => match self.api.streams.listen(&wanted, resume) {
                        Ok(listener) => {
                            if let Some(socket) = &self.socket {
                                let events = self.api.stream_metrics.events.clone();
                                let direct = Direct::new(Arc::clone(socket), Event::frame, events);
                                listener.mailbox().lead_to(Arc::clone(&direct) as Arc<_>);
                                self.direct = Some(direct);
                            }
                            if let Some(grant) = &self.grant {
                                listener.belongs_to(grant.number());
                            }
                            self.listener = Some(listener);
                            None
                        }
                        Err(why) => Some(why),
                    },
                };
                match refusal {
                    None => Ok(ReplyDocument::done(id, topics(&self.listener))),
                    Some(why @ Refused::TooManyTopics(_)) => Ok(*ReplyDocument::refuse(
                        id,
                        "too-many-topics",
                        why.to_string(),
                    )),
                    Some(Refused::Full) => Err(End::Full),
                    Some(Refused::Draining) => Err(End::Drained),
                }
            }
        }
    }
}

/// Returns when this instance ends and nobody else would say so.
async fn drained(api: &ApiState, is_alone: bool) {
    if !is_alone {
        return pending().await;
    }
    while !api.health.is_draining() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn message(event: &Event) -> Message {
    // It was made of JSON, which is UTF-8.
    match Utf8Bytes::try_from(event.text().clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Text(Utf8Bytes::from_static("{}")),
    }
}
