//! Bybit's rules for one WebSocket connection.

use super::protocol::{self, ARGS_CHARS_MAX, Request};
use crate::exchange::Client;
use crate::exchange::feed::Topic;
use crate::ws::connection::{Session, Turn};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub(crate) struct BybitSession<'a> {
    client: Client<'a>,
    connection: String,
    last_ping: Instant,
    subscriptions: u64,
}

impl<'a> BybitSession<'a> {
    pub(crate) fn new(client: Client<'a>) -> Self {
        Self {
            connection: format!("{:020x}-{:x}", client.number(), client.id),
            last_ping: Instant::now(),
            subscriptions: 0,
            client,
        }
    }

    fn obey(&mut self, text: &str, now: Instant) {
        let habits = &self.client.shared.config.bybit;
        let mut desk = self.client.desk();
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
        match &request {
            Request::Ping => {
                self.last_ping = now;
                desk.say(reference.done(&request));
            }
            Request::Unsubscribe(args) => {
                for arg in args {
                    desk.close(arg);
                }
                desk.say(reference.done(&request));
            }
            Request::Subscribe(args) => {
                // One bad argument refuses the whole request.
                let mut topics: Vec<Topic> = Vec::new();
                for arg in args {
                    let known = protocol::topic(arg, habits.repeat_after_ms)
                        .filter(|topic| desk.knows(&topic.symbol));
                    let why = match known {
                        Some(topic) if !desk.has(&topic.stream) && !topics.contains(&topic) => {
                            topics.push(topic);
                            continue;
                        }
                        Some(_) => "error:already subscribed,topic:",
                        None => "error:handler not found,topic:",
                    };
                    refused();
                    desk.say(reference.refused(&request, &format!("{why}{arg}")));
                    return;
                }
                let held = desk.streams();
                let chars: usize = held.iter().map(|stream| stream.len()).sum();
                let more: usize = args.iter().map(String::len).sum();
                if chars + more > ARGS_CHARS_MAX {
                    refused();
                    desk.say(reference.refused(&request, "args length >21000"));
                    return;
                }
                self.subscriptions += 1;
                let ack_first =
                    !habits.snapshot_before_ack || !self.subscriptions.is_multiple_of(2);
                if ack_first {
                    desk.say(reference.done(&request));
                }
                for topic in &topics {
                    desk.open(topic);
                    desk.show(topic);
                }
                if !ack_first {
                    desk.say(reference.done(&request));
                }
            }
        }
    }
}

impl Session for BybitSession<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        let within = self.client.shared.config.bybit.ping_within_ms?;
        Some(self.last_ping + Duration::from_millis(within))
    }

    fn on_deadline(&mut self, _now: Instant) -> Turn {
        self.client
            .count(|state| state.violations.missed_pings += 1);
        Turn::Goodbye(CloseCode::Normal, "")
    }

    fn on_message(&mut self, message: &Message, now: Instant) -> Turn {
        self.client.count_message();
        if let Message::Text(text) = message {
            self.obey(text, now);
        }
        Turn::GoOn
    }
}
