//! One WebSocket connection: handshake, commands, pings, and the frames the hub hands over.

use super::frames::TimeUnit;
use super::hub::{Member, Outgoing};
use super::limits::MessageRate;
use super::protocol::{self, Command, Refused};
use crate::faults::{Channel, Occasion, Stage};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::server::{Aborted, Origin, hold, refusal};
use crate::http::socket::Socket;
use crate::shared::Shared;
use crate::state::VenueState;
use crate::venue::Venue;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Message};

/// Frames taken from the queue at once.
const BATCH: usize = 256;
/// A client that takes no bytes for so long is disconnected.
const WRITE_WITHIN: Duration = Duration::from_secs(120);
/// A client sends nothing longer than its commands.
const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

/// Answers a handshake; the connection then lives in a task of its own.
pub(crate) async fn upgrade(
    mut request: Request<Incoming>,
    route: String,
    shared: Arc<Shared>,
    origin: Origin,
) -> Result<Response<Full<Bytes>>, Aborted> {
    shared.registry.name(origin.id, Venue::Binance, Channel::Ws);
    shared
        .ledger
        .with(Venue::Binance, |state| state.ws_attempts_total += 1);
    let occasion = Occasion {
        venue: Venue::Binance,
        stage: Stage::Handshake,
        symbol: None,
        route: &route,
    };
    let verdict = shared.board.judge(&occasion, Instant::now());
    if let Some((status, retry_after)) = hold(&verdict, &shared, &origin).await? {
        return Ok(refusal(Venue::Binance, status, retry_after, &shared).into_response());
    }
    if !shared.binance.limits.lock().attempt(shared.up_ms()) {
        shared.ledger.with(Venue::Binance, |state| {
            state.violations.too_many_attempts += 1
        });
        return Ok(refusal(Venue::Binance, 429, Some(300), &shared).into_response());
    }
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let asks = header("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && header("sec-websocket-version") == Some("13");
    let Some(key) = header("sec-websocket-key").filter(|_| asks) else {
        return Ok(Reply::html(400, "WebSocket handshake expected").into_response());
    };
    let accept = derive_accept_key(key.as_bytes());
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else {
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = parts.io.into_inner();
        let read = parts.read_buf.to_vec();
        let stream =
            WebSocketStream::from_partially_read(socket, read, Role::Server, Some(config)).await;
        live(stream, &route, &query, shared, origin).await;
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert("sec-websocket-accept", accept);
    }
    Ok(response)
}

/// Streams named by the URL.
fn streams_of_url(route: &str, query: &Query) -> Vec<String> {
    let named = match route.strip_prefix("/ws/") {
        Some(names) => names,
        None => query.get("streams").unwrap_or(""),
    };
    named
        .split('/')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

async fn live(
    stream: WebSocketStream<Socket>,
    route: &str,
    query: &Query,
    shared: Arc<Shared>,
    origin: Origin,
) {
    let limits = &shared.config.binance;
    let (sender, receiver) = mpsc::channel(limits.queued_frames_max.max(1));
    let unit = match query.get("timeUnit") {
        Some(unit) if unit.eq_ignore_ascii_case("MICROSECOND") => TimeUnit::Microseconds,
        _ => TimeUnit::Milliseconds,
    };
    let combined = !route.starts_with("/ws");
    let id = shared
        .binance
        .hub
        .join(Member::new(sender, origin.switch.clone(), combined, unit));
    let present = shared.binance.hub.len();
    shared.ledger.with(Venue::Binance, |state| {
        state.ws_connections_total += 1;
        state.ws_connections_max = state.ws_connections_max.max(present);
    });
    let names = streams_of_url(route, query);
    if shared
        .binance
        .hub
        .subscribe(id, &names, limits.streams_per_connection)
    {
        let mut connection = Connection::new(stream, receiver, id, &shared);
        tokio::select! {
            () = connection.run() => {}
            () = origin.switch.closed() => {}
        }
    } else {
        shared.ledger.with(Venue::Binance, |state| {
            state.violations.too_many_streams += 1
        });
    }
    shared.binance.hub.leave(id);
}

/// Why a connection goes on or ends.
enum Next {
    GoOn,
    End,
}

struct Connection<'a> {
    stream: WebSocketStream<Socket>,
    receiver: mpsc::Receiver<Outgoing>,
    pending: VecDeque<Outgoing>,
    id: u64,
    shared: &'a Shared,
    rate: MessageRate,
    opened: Instant,
    next_ping: Instant,
    unanswered: VecDeque<(Bytes, Instant)>,
}

impl<'a> Connection<'a> {
    fn new(
        stream: WebSocketStream<Socket>,
        receiver: mpsc::Receiver<Outgoing>,
        id: u64,
        shared: &'a Shared,
    ) -> Self {
        let now = Instant::now();
        Self {
            stream,
            receiver,
            pending: VecDeque::new(),
            id,
            shared,
            rate: MessageRate::default(),
            opened: now,
            next_ping: now + Duration::from_millis(shared.config.binance.ping_every_ms),
            unanswered: VecDeque::new(),
        }
    }

    async fn run(&mut self) {
        let mut faults = self.shared.board.watch();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            faults.mark_unchanged();
            if self.shared.board.is_frozen(Venue::Binance) {
                // Neither read nor written: to the client the venue is a living, mute socket.
                if faults.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let due = self.next_deadline();
            let next = tokio::select! {
                biased;
                message = self.stream.next() => self.received(message).await,
                () = tokio::time::sleep_until(due.into()) => self.deadlines().await,
                _ = faults.changed() => Next::GoOn,
                count = self.receiver.recv_many(&mut batch, BATCH), if self.pending.is_empty() => {
                    self.pending.extend(batch.drain(..));
                    if count == 0 { Next::End } else { Next::GoOn }
                }
            };
            if matches!(next, Next::End) || self.send_due().await.is_err() {
                return;
            }
        }
    }

    fn oldest_ping_deadline(&self) -> Option<Instant> {
        let within = Duration::from_millis(self.shared.config.binance.pong_within_ms);
        self.unanswered.front().map(|(_, sent)| *sent + within)
    }

    fn age_deadline(&self) -> Instant {
        self.opened + Duration::from_millis(self.shared.config.binance.max_connection_age_ms)
    }

    fn next_deadline(&self) -> Instant {
        let mut due = self.next_ping.min(self.age_deadline());
        if let Some(missed) = self.oldest_ping_deadline() {
            due = due.min(missed);
        }
        if let Some(at) = self.pending.front().and_then(|frame| frame.at) {
            due = due.min(at);
        }
        due
    }

    async fn deadlines(&mut self) -> Next {
        let now = Instant::now();
        if now >= self.age_deadline() {
            self.say_goodbye(CloseCode::Normal, "").await;
            return Next::End;
        }
        if self
            .oldest_ping_deadline()
            .is_some_and(|missed| now >= missed)
        {
            self.count(|state| state.violations.missed_pongs += 1);
            self.say_goodbye(CloseCode::Policy, "Pong timeout").await;
            return Next::End;
        }
        if now >= self.next_ping {
            self.next_ping = now + Duration::from_millis(self.shared.config.binance.ping_every_ms);
            let payload = Bytes::from(self.shared.wall().unix_ms().to_string());
            self.unanswered.push_back((payload.clone(), now));
            return self.write(Message::Ping(payload)).await;
        }
        Next::GoOn
    }

    async fn received(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Next {
        let Some(Ok(message)) = message else {
            return Next::End;
        };
        let allowed = self.shared.config.binance.messages_per_second;
        let lately = self
            .rate
            .count(self.shared.up_ms(), allowed.saturating_add(1));
        self.count(|state| {
            state.ws_messages_received += 1;
            state.ws_messages_per_second_max = state.ws_messages_per_second_max.max(lately);
        });
        if lately > allowed {
            self.count(|state| state.violations.too_many_messages += 1);
            self.say_goodbye(CloseCode::Policy, "Too many requests")
                .await;
            return Next::End;
        }
        match message {
            Message::Text(text) => {
                let answer = self.obey(&text);
                let occasion = Occasion {
                    venue: Venue::Binance,
                    stage: Stage::Frame,
                    symbol: None,
                    route: "",
                };
                if self.shared.board.judge(&occasion, Instant::now()).stall {
                    return Next::GoOn;
                }
                self.write(Message::text(answer)).await
            }
            Message::Pong(payload) => {
                let answered = self
                    .unanswered
                    .iter()
                    .position(|(sent, _)| *sent == payload);
                if let Some(index) = answered {
                    self.unanswered.drain(..=index);
                    self.count(|state| state.ws_pongs_matched += 1);
                }
                Next::GoOn
            }
            Message::Close(_) => Next::End,
            // The pong to a ping is already queued; writing anything sends it.
            Message::Ping(_) => self.flush().await,
            Message::Binary(_) | Message::Frame(_) => Next::GoOn,
        }
    }

    fn obey(&self, text: &str) -> String {
        let hub = &self.shared.binance.hub;
        let (command, id) = match protocol::parse(text) {
            Ok(parsed) => parsed,
            Err(Refused(answer)) => {
                self.count(|state| state.violations.invalid_messages += 1);
                return answer;
            }
        };
        let value = match command {
            Command::Subscribe(names) => {
                let limit = self.shared.config.binance.streams_per_connection;
                if !hub.subscribe(self.id, &names, limit) {
                    self.count(|state| state.violations.too_many_streams += 1);
                    return protocol::too_many_streams(limit, &id);
                }
                Value::Null
            }
            Command::Unsubscribe(names) => {
                hub.unsubscribe(self.id, &names);
                Value::Null
            }
            Command::List => json!(hub.list(self.id)),
            Command::SetCombined(combined) => {
                hub.set_combined(self.id, combined);
                Value::Null
            }
            Command::GetCombined => json!(hub.is_combined(self.id)),
        };
        protocol::result(&value, &id)
    }

    /// Sends the frames whose time has come, all in one go.
    async fn send_due(&mut self) -> Result<(), ()> {
        let now = Instant::now();
        let mut fed = false;
        let sending = async {
            while self
                .pending
                .front()
                .is_some_and(|frame| frame.at.is_none_or(|at| at <= now))
            {
                if let Some(frame) = self.pending.pop_front() {
                    self.stream.feed(Message::Text(frame.text)).await?;
                    fed = true;
                }
            }
            if fed {
                self.stream.flush().await
            } else {
                Ok(())
            }
        };
        match tokio::time::timeout(WRITE_WITHIN, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(()),
            Err(_) => {
                self.count(|state| state.violations.slow_readers += 1);
                Err(())
            }
        }
    }

    async fn write(&mut self, message: Message) -> Next {
        match tokio::time::timeout(WRITE_WITHIN, self.stream.send(message)).await {
            Ok(Ok(())) => Next::GoOn,
            _ => Next::End,
        }
    }

    async fn flush(&mut self) -> Next {
        match tokio::time::timeout(WRITE_WITHIN, self.stream.flush()).await {
            Ok(Ok(())) => Next::GoOn,
            _ => Next::End,
        }
    }

    async fn say_goodbye(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // The client may be gone already.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.close(Some(frame))).await;
    }

    fn count(&self, act: impl FnOnce(&mut VenueState)) {
        self.shared.ledger.with(Venue::Binance, act);
    }
}
