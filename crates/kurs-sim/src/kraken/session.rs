//! Kraken's rules for one WebSocket connection.

use super::frames;
use super::protocol::{self, Channel, Request, Subscription};
use crate::exchange::Client;
use crate::exchange::scene::time_us;
use crate::ws::connection::{Session, Turn};
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;

pub(crate) struct KrakenSession<'a> {
    client: Client<'a>,
    /// From the first subscription on.
    next_heartbeat: Option<Instant>,
}

impl<'a> KrakenSession<'a> {
    pub(crate) fn new(client: Client<'a>) -> Self {
        // Above 2^53, which readers that make floats of numbers get wrong.
        let id = client.number() | 1 << 62;
        client.desk().say(frames::status(id));
        Self {
            client,
            next_heartbeat: None,
        }
    }

    fn heartbeat_after(&self, now: Instant) -> Instant {
        now + Duration::from_millis(self.client.shared.config.kraken.heartbeat_every_ms.max(1))
    }

    /// Gives true when something was subscribed.
    fn obey(&self, text: &str) -> bool {
        let mut desk = self.client.desk();
        let refused = || {
            self.client
                .count(|state| state.violations.refused_subscriptions += 1);
        };
        let time = time_us(self.client.shared.wall());
        let (request, reference) = match protocol::parse(text, time) {
            Ok(parsed) => parsed,
            Err(frame) => {
                refused();
                desk.say(frame);
                return false;
            }
        };
        let Subscription {
            subscribe,
            channel,
            symbols,
            snapshot,
        } = match request {
            Request::Ping => {
                desk.say(reference.pong());
                return false;
            }
            Request::Subscription(subscription) => subscription,
        };
        if channel == Channel::Instrument {
            desk.say(reference.done(channel, snapshot, None));
            if subscribe && snapshot {
                desk.say(frames::instruments(desk.state.market.symbols()));
            }
            return subscribe;
        }
        let mut any = false;
        for symbol in &symbols {
            let Some(topic) = protocol::topic(channel, symbol).filter(|_| desk.knows(symbol))
            else {
                refused();
                let why = format!("Currency pair not supported {symbol}");
                desk.say(reference.refused(&why, Some(symbol)));
                continue;
            };
            match (subscribe, desk.has(&topic.stream)) {
                (true, true) => {
                    refused();
                    desk.say(reference.refused("Already subscribed", Some(symbol)));
                }
                (true, false) => {
                    desk.open(&topic);
                    desk.say(reference.done(channel, snapshot, Some(symbol)));
                    if snapshot {
                        desk.show(&topic);
                    }
                    any = true;
                }
                (false, true) => {
                    desk.close(&topic.stream);
                    desk.say(reference.done(channel, snapshot, Some(symbol)));
                }
                (false, false) => {
                    refused();
                    desk.say(reference.refused("Subscription Not Found", Some(symbol)));
                }
            }
        }
        any
    }
}

impl Session for KrakenSession<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        self.next_heartbeat
    }

    fn on_deadline(&mut self, now: Instant) -> Turn {
        self.next_heartbeat = Some(self.heartbeat_after(now));
        if self.client.is_stalled() {
            return Turn::GoOn;
        }
        Turn::Say(Message::text(frames::HEARTBEAT))
    }

    fn on_message(&mut self, message: &Message, now: Instant) -> Turn {
        self.client.count_message();
        if let Message::Text(text) = message
            && self.obey(text)
            && self.next_heartbeat.is_none()
        {
            self.next_heartbeat = Some(self.heartbeat_after(now));
        }
        Turn::GoOn
    }
}
