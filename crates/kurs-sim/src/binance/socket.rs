//! Binance's rules for one WebSocket connection: commands, pings, message rate, age.

use super::frames::TimeUnit;
use super::limits::MessageRate;
use super::protocol::{self, Command, Refused};
use super::{Binance, Wire};
use crate::http::query::Query;
use crate::http::server::Origin;
use crate::shared::Shared;
use crate::state::VenueState;
use crate::venue::Venue;
use crate::ws::connection::{Connection, Session, Stream, Turn};
use crate::ws::outlet::{Delivery, Outlet};
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

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

/// Serves one connection to its end.
pub(crate) async fn live(
    stream: Stream,
    route: &str,
    query: &Query,
    shared: &Arc<Shared>,
    origin: Origin,
) {
    let Binance { hub, .. } = &shared.binance;
    let limits = &shared.config.binance;
    let (sender, receiver) = mpsc::channel(limits.queued_frames_max.max(1));
    let unit = match query.get("timeUnit") {
        Some(unit) if unit.eq_ignore_ascii_case("MICROSECOND") => TimeUnit::Microseconds,
        _ => TimeUnit::Milliseconds,
    };
    let combined = !route.starts_with("/ws");
    let switch = origin.switch.clone();
    let id = hub.join(Outlet { sender, switch }, Wire { combined, unit });
    let present = hub.len();
    shared.ledger.with(Venue::Binance, |state| {
        state.ws_connections_total += 1;
        state.ws_connections_max = state.ws_connections_max.max(present);
    });
    let names = streams_of_url(route, query);
    if hub.subscribe(id, &names, limits.streams_per_connection) {
        let session = Box::new(BinanceSession::new(id, shared));
        let mut connection = Connection::new(stream, receiver, session, Venue::Binance, shared);
        tokio::select! {
            () = connection.run() => {}
            () = origin.switch.closed() => {}
        }
    } else {
        shared.ledger.with(Venue::Binance, |state| {
            state.violations.too_many_streams += 1
        });
    }
    hub.leave(id);
}

struct BinanceSession<'a> {
    id: u64,
    shared: &'a Shared,
    rate: MessageRate,
    opened: Instant,
    next_ping: Instant,
    unanswered: VecDeque<(Bytes, Instant)>,
}

impl<'a> BinanceSession<'a> {
    fn new(id: u64, shared: &'a Shared) -> Self {
        let now = Instant::now();
        Self {
            id,
            shared,
            rate: MessageRate::default(),
            opened: now,
            next_ping: now + Duration::from_millis(shared.config.binance.ping_every_ms),
            unanswered: VecDeque::new(),
        }
    }

    fn oldest_ping_deadline(&self) -> Option<Instant> {
        let within = Duration::from_millis(self.shared.config.binance.pong_within_ms);
        self.unanswered.front().map(|(_, sent)| *sent + within)
    }

    fn age_deadline(&self) -> Instant {
        self.opened + Duration::from_millis(self.shared.config.binance.max_connection_age_ms)
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
                hub.with_wire(self.id, |wire| wire.combined = combined);
                Value::Null
            }
            Command::GetCombined => {
                json!(hub.with_wire(self.id, |wire| wire.combined) == Some(true))
            }
        };
        protocol::result(&value, &id)
    }

    fn count(&self, act: impl FnOnce(&mut VenueState)) {
        self.shared.ledger.with(Venue::Binance, act);
    }
}

impl Session for BinanceSession<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        let due = self.next_ping.min(self.age_deadline());
        Some(
            self.oldest_ping_deadline()
                .map_or(due, |missed| due.min(missed)),
        )
    }

    fn on_deadline(&mut self, now: Instant) -> Turn {
        if now >= self.age_deadline() {
            return Turn::Goodbye(CloseCode::Normal, "");
        }
        if self
            .oldest_ping_deadline()
            .is_some_and(|missed| now >= missed)
        {
            self.count(|state| state.violations.missed_pongs += 1);
            return Turn::Goodbye(CloseCode::Policy, "Pong timeout");
        }
        if now >= self.next_ping {
            self.next_ping = now + Duration::from_millis(self.shared.config.binance.ping_every_ms);
            let payload = Bytes::from(self.shared.wall().unix_ms().to_string());
            self.unanswered.push_back((payload.clone(), now));
            return Turn::Say(Message::Ping(payload));
        }
        Turn::GoOn
    }

    fn on_message(&mut self, message: &Message, _now: Instant) -> Turn {
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
            return Turn::Goodbye(CloseCode::Policy, "Too many requests");
        }
        match message {
            Message::Text(text) => {
                let answer = self.obey(text);
                if Delivery::of_venue(self.shared, Venue::Binance).is_stalled() {
                    return Turn::GoOn;
                }
                Turn::Say(Message::text(answer))
            }
            Message::Pong(payload) => {
                let answered = self.unanswered.iter().position(|(sent, _)| sent == payload);
                if let Some(index) = answered {
                    self.unanswered.drain(..=index);
                    self.count(|state| state.ws_pongs_matched += 1);
                }
                Turn::GoOn
            }
            _ => Turn::GoOn,
        }
    }
}
