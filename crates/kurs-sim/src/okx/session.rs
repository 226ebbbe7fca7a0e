//! OKX's rules for one WebSocket connection.

use super::protocol::{self, Reference};
use crate::exchange::Client;
use crate::exchange::feed::Topic;
use crate::ws::connection::{Session, Turn};
use crate::ws::window::RateWindow;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// An hour.
const HOUR_MS: u64 = 3_600_000;
/// How the venue closes a connection it has had nothing to send over.
const NO_DATA: CloseCode = CloseCode::Library(4_004);

pub(crate) struct OkxSession<'a> {
    client: Client<'a>,
    connection: String,
    idle: Duration,
    /// When something was sent last.
    last_sent: Instant,
    /// Since when there is no subscription.
    empty_since: Option<Instant>,
    commands: RateWindow,
}

impl<'a> OkxSession<'a> {
    pub(crate) fn new(client: Client<'a>) -> Self {
        let habits = &client.shared.config.okx;
        let now = Instant::now();
        Self {
            connection: format!("{:08x}", client.number() & 0xffff_ffff),
            idle: Duration::from_millis(habits.idle_ms.max(1)),
            last_sent: now,
            empty_since: Some(now),
            commands: RateWindow::new(habits.commands_per_hour, HOUR_MS),
            client,
        }
    }

    fn obey(&mut self, text: &str, now: Instant) {
        let mut desk = self.client.desk();
        if text == "ping" {
            desk.say("pong");
            return;
        }
        let refused = || {
            self.client
                .count(|state| state.violations.refused_subscriptions += 1);
        };
        let (request, reference) = match protocol::parse(text, &self.connection) {
            Ok(parsed) => parsed,
            Err(frame) => {
                refused();
                desk.say(frame);
                return;
            }
        };
        if !self.commands.allows(self.client.shared.up_ms()) {
            self.client
                .count(|state| state.violations.too_many_messages += 1);
            desk.say(reference.error(60_014, "Requests too frequent"));
            return;
        }
        let repeat_ms = self.client.shared.config.okx.repeat_after_ms;
        // One bad argument spares none of the others.
        let mut topics: Vec<Topic> = Vec::new();
        for arg in &request.args {
            if protocol::needs_login(&arg.channel) {
                refused();
                desk.say(reference.error(60_011, "Please log in"));
                return;
            }
            match protocol::topic(arg, repeat_ms).filter(|topic| desk.knows(&topic.symbol)) {
                Some(topic) => topics.push(topic),
                None => {
                    refused();
                    desk.say(Reference::unknown(&reference, arg));
                    return;
                }
            }
        }
        for (arg, topic) in request.args.iter().zip(&topics) {
            if request.subscribe {
                // A second subscription of the same channel is answered by a second snapshot.
                desk.open(topic);
                desk.say(reference.done(true, arg));
                desk.show(topic);
            } else {
                desk.close(&topic.stream);
                desk.say(reference.done(false, arg));
            }
        }
        let empty = desk.streams().is_empty();
        self.empty_since = empty.then(|| self.empty_since.unwrap_or(now));
    }
}

impl Session for OkxSession<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        let oldest = self
            .empty_since
            .map_or(self.last_sent, |since| since.min(self.last_sent));
        Some(oldest + self.idle)
    }

    fn on_deadline(&mut self, _now: Instant) -> Turn {
        self.client
            .count(|state| state.violations.idle_connections += 1);
        Turn::Goodbye(NO_DATA, "No data received in 30s.")
    }

    fn on_message(&mut self, message: &Message, now: Instant) -> Turn {
        self.client.count_message();
        if let Message::Text(text) = message {
            self.obey(text, now);
        }
        Turn::GoOn
    }

    fn on_sent(&mut self, now: Instant) {
        self.last_sent = now;
    }
}
