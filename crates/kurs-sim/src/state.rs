//! What the clients did, counted: tests judge kurs by it, and `GET /control/state` shows it.

use crate::capture::CaptureState;
use crate::faults::FaultWord;
use crate::venue::Venue;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// Everything a sim knows about its clients.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SimState {
    /// Monotonic time since the start, milliseconds.
    pub up_ms: u64,
    /// TCP connections open now, of any kind.
    pub tcp_connections_now: usize,
    /// Per venue.
    pub venues: BTreeMap<Venue, VenueState>,
    /// Faults in force.
    pub faults: Vec<FaultWord>,
    /// The capture that is played, if one is.
    pub capture: Option<CaptureState>,
}

/// What one venue saw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VenueState {
    /// WebSocket connections open now.
    pub ws_connections_now: usize,
    /// WebSocket handshakes that succeeded.
    pub ws_connections_total: u64,
    /// WebSocket handshakes that were asked for.
    pub ws_attempts_total: u64,
    /// Messages received over WebSocket, pings and pongs included.
    pub ws_messages_received: u64,
    /// The most messages one connection sent within one second.
    pub ws_messages_per_second_max: usize,
    /// The most connections that were open at once.
    pub ws_connections_max: usize,
    /// Frames with data handed to connections.
    pub ws_frames_sent: u64,
    /// Pongs that answered a ping of the server.
    pub ws_pongs_matched: u64,
    /// Streams subscribed now over all connections, with the number of connections each.
    pub ws_streams: BTreeMap<String, usize>,
    /// REST requests by path as the real venue knows it.
    pub routes: BTreeMap<String, RouteState>,
    /// REST weight used in the present minute (Binance).
    pub weight_used: u32,
    /// Limits the clients broke.
    pub violations: Violations,
}

impl VenueState {
    /// All REST requests.
    #[must_use]
    pub fn rest_requests_total(&self) -> u64 {
        self.routes.values().map(|route| route.count).sum()
    }
}

/// Requests of one route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteState {
    /// How many there were.
    pub count: u64,
    /// The last 64, oldest first.
    pub last: VecDeque<RequestSeen>,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSeen {
    /// When, milliseconds since the sim started, monotonic.
    pub at_ms: u64,
    /// The status it was answered with; 0 while or when it was not answered.
    pub status: u16,
    /// Its query, keys and application ids blanked.
    pub query: String,
}

/// Limits the clients broke, and how they were punished.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Violations {
    /// Connections closed for sending too many messages in a second.
    pub too_many_messages: u64,
    /// Subscriptions refused for too many streams.
    pub too_many_streams: u64,
    /// Handshakes refused for too many attempts.
    pub too_many_attempts: u64,
    /// Requests answered 429 for too much weight.
    pub too_much_weight: u64,
    /// Requests answered 418.
    pub while_banned: u64,
    /// Connections closed for a pong that did not come.
    pub missed_pongs: u64,
    /// Connections closed for reading too slowly.
    pub slow_readers: u64,
    /// Messages that were no valid command.
    pub invalid_messages: u64,
    /// Subscriptions that were refused, by symbol where the venue refuses so (not Binance).
    pub refused_subscriptions: u64,
    /// Connections closed because they did not subscribe anything (Coinbase).
    pub never_subscribed: u64,
    /// Connections closed because nothing was sent over them (OKX).
    pub idle_connections: u64,
    /// Connections closed for pings the client did not send (Bybit).
    pub missed_pings: u64,
    /// REST requests beyond what is allowed (not Binance).
    pub too_many_requests: u64,
}

impl Violations {
    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.too_many_messages
            + self.too_many_streams
            + self.too_many_attempts
            + self.too_much_weight
            + self.while_banned
            + self.missed_pongs
            + self.slow_readers
            + self.invalid_messages
            + self.refused_subscriptions
            + self.never_subscribed
            + self.idle_connections
            + self.missed_pings
            + self.too_many_requests
    }
}

/// Requests remembered per route.
const REMEMBERED: usize = 64;
/// Routes remembered per venue; further ones are counted under `other`.
const ROUTES_MAX: usize = 64;

/// The counters while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<Venue, VenueState>>);

/// Where a request stands in its route, so that its status can be noted afterwards.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    venue: Venue,
    route: String,
    number: u64,
}

impl Ledger {
    pub(crate) fn with<R>(&self, venue: Venue, act: impl FnOnce(&mut VenueState) -> R) -> R {
        act(self.0.lock().entry(venue).or_default())
    }

    pub(crate) fn note_request(&self, venue: Venue, path: &str, query: &str, at_ms: u64) -> Noted {
        self.with(venue, |state| {
            let known = state.routes.contains_key(path) || state.routes.len() < ROUTES_MAX;
            let route = if known { path } else { "other" };
            let seen = state.routes.entry(route.to_owned()).or_default();
            seen.count += 1;
            if seen.last.len() == REMEMBERED {
                seen.last.pop_front();
            }
            seen.last.push_back(RequestSeen {
                at_ms,
                status: 0,
                query: blank_keys(query),
            });
            Noted {
                venue,
                route: route.to_owned(),
                number: seen.count,
            }
        })
    }

    pub(crate) fn note_status(&self, noted: &Noted, status: u16) {
        self.with(noted.venue, |state| {
            let Some(route) = state.routes.get_mut(&noted.route) else {
                return;
            };
            let newer = usize::try_from(route.count - noted.number).unwrap_or(usize::MAX);
            let index = route.last.len().checked_sub(newer.saturating_add(1));
            if let Some(seen) = index.and_then(|index| route.last.get_mut(index)) {
                seen.status = status;
            }
        });
    }

    pub(crate) fn report(&self) -> BTreeMap<Venue, VenueState> {
        self.0.lock().clone()
    }
}

fn blank_keys(query: &str) -> String {
    let cut = query.get(..query.len().min(512)).unwrap_or_default();
    let shown = cut.split('&').map(|part| match part.split_once('=') {
        Some((key @ ("app_id" | "x_cg_demo_api_key" | "x_cg_pro_api_key"), _)) => {
            format!("{key}=***")
        }
        _ => part.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_lands_on_its_own_request_and_keys_are_not_shown() {
        let ledger = Ledger::default();
        let first = ledger.note_request(Venue::Ecb, "/x", "app_id=secret&base=USD", 1);
        let second = ledger.note_request(Venue::Ecb, "/x", "", 2);
        ledger.note_status(&first, 304);
        ledger.note_status(&second, 200);
        let seen = &ledger.report()[&Venue::Ecb].routes["/x"];
        assert_eq!(seen.last[0].status, 304);
        assert_eq!(seen.last[0].query, "app_id=***&base=USD");
        assert_eq!(seen.last[1].status, 200);
    }
}
