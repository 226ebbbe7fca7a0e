//! Coinbase's rules for one WebSocket connection.

use super::protocol::{self, Command};
use crate::exchange::Client;
use crate::exchange::feed::Topic;
use crate::ws::connection::{Session, Turn};
use crate::ws::window::RateWindow;
use std::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub(crate) struct CoinbaseSession<'a> {
    client: Client<'a>,
    /// Until the first subscription: when the server hangs up.
    hang_up_at: Option<Instant>,
    rate: RateWindow,
}

impl<'a> CoinbaseSession<'a> {
    pub(crate) fn new(client: Client<'a>) -> Self {
        let habits = &client.shared.config.coinbase;
        let within = Duration::from_millis(habits.subscribe_within_ms);
        Self {
            rate: RateWindow::new(habits.messages_per_second, 1_000),
            hang_up_at: Some(Instant::now() + within),
            client,
        }
    }

    /// Gives true when the connection has subscribed something.
    fn obey(&self, text: &str) -> bool {
        let mut desk = self.client.desk();
        let refuse = |frame: String| {
            self.client
                .count(|state| state.violations.refused_subscriptions += 1);
            frame
        };
        let Command { subscribe, wanted } = match protocol::parse(text) {
            Ok(command) => command,
            Err(frame) => {
                desk.say(refuse(frame));
                return false;
            }
        };
        let bad = wanted
            .iter()
            .filter_map(|(_, product)| product.as_deref())
            .find(|product| subscribe && !desk.knows(product));
        if let Some(product) = bad {
            desk.say(refuse(protocol::invalid_product(product)));
            return false;
        }
        let mut fresh: Vec<Topic> = Vec::new();
        for (channel, product) in &wanted {
            match product {
                Some(product) => {
                    let Some(topic) = protocol::topic(channel, product) else {
                        continue;
                    };
                    if !subscribe {
                        desk.close(&topic.stream);
                    } else if !desk.has(&topic.stream) {
                        desk.open(&topic);
                        fresh.push(topic);
                    }
                }
                None => {
                    for topic in desk.topics() {
                        if *topic.channel == **channel {
                            desk.close(&topic.stream);
                        }
                    }
                }
            }
        }
        desk.say(protocol::subscriptions(&desk.topics()));
        for topic in &fresh {
            desk.show(topic);
        }
        subscribe
    }
}

impl Session for CoinbaseSession<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        self.hang_up_at
    }

    fn on_deadline(&mut self, _now: Instant) -> Turn {
        self.client
            .count(|state| state.violations.never_subscribed += 1);
        Turn::Goodbye(CloseCode::Normal, "")
    }

    fn on_message(&mut self, message: &Message, _now: Instant) -> Turn {
        self.client.count_message();
        if !self.rate.allows(self.client.shared.up_ms()) {
            self.client
                .count(|state| state.violations.too_many_messages += 1);
            return Turn::Goodbye(CloseCode::Policy, "Rate limit exceeded");
        }
        if let Message::Text(text) = message
            && self.obey(text)
        {
            self.hang_up_at = None;
        }
        Turn::GoOn
    }
}
