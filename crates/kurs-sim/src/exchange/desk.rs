//! One client's message, worked off while nothing else is sent: answers, first frames and
//! subscriptions keep their order with the data that follows.

use super::book::Poison;
use super::feed::{Feed, Happening, Subject, Topic};
use super::{Client, State};
use crate::faults::{Channel, Stage};
use crate::ws::outlet::{Delivery, Outgoing};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The desk of one client.
pub(crate) struct Desk<'a> {
    client: &'a Client<'a>,
    pub(crate) state: MutexGuard<'a, State>,
}

impl<'a> Desk<'a> {
    pub(super) fn new(client: &'a Client<'a>) -> Self {
        Self {
            client,
            state: client.exchange.state.lock(),
        }
    }

    /// Answers, unless the venue is stalled.
    pub(crate) fn say(&self, text: impl Into<Utf8Bytes>) {
        let delivery = Delivery::of_venue(self.client.shared, self.client.exchange.venue);
        if !delivery.is_stalled() {
            let frame = Outgoing {
                at: None,
                text: text.into(),
            };
            self.client.outlet.queue(&delivery, frame);
        }
    }

    /// Whether the venue lists a symbol.
    pub(crate) fn knows(&self, symbol: &str) -> bool {
        self.state.market.symbol(symbol).is_some()
    }

    /// Whether this client has a stream.
    pub(crate) fn has(&self, stream: &str) -> bool {
        self.client.exchange.hub.has(self.client.id, stream)
    }

    /// The streams of this client.
    pub(crate) fn streams(&self) -> Vec<Arc<str>> {
        self.client.exchange.hub.list(self.client.id)
    }

    /// The topics of this client.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        let topic = |stream: &Arc<str>| Some(self.state.feeds.get(stream)?.topic.clone());
        self.streams().iter().filter_map(topic).collect()
    }

    /// Subscribes this client to a stream; what was already sent to others it is not sent.
    pub(crate) fn open(&mut self, topic: &Topic) {
        let exchange = self.client.exchange;
        let first_count = 1_000_000 + self.state.number(&topic.stream) % 200_000_000;
        let sequence = self.state.sequence(&topic.symbol);
        let poison = self.poison(&topic.symbol);
        let State { market, feeds, .. } = &mut *self.state;
        let feed = feeds
            .entry(topic.stream.clone())
            .or_insert_with(|| Feed::new(topic.clone(), first_count));
        if !exchange.hub.is_wanted(&topic.stream)
            && let Some(symbol) = market.symbol(&topic.symbol)
        {
            feed.refresh(symbol, market.step(), sequence, &poison);
        }
        exchange
            .hub
            .subscribe(self.client.id, &[&topic.stream], usize::MAX);
    }

    /// Ends a stream for this client.
    pub(crate) fn close(&mut self, stream: &str) {
        let Client { exchange, id, .. } = self.client;
        exchange.hub.unsubscribe(*id, &[stream]);
    }

    /// Sends the first frame of a stream, if it has one, to this client alone.
    pub(crate) fn show(&self, topic: &Topic) {
        let Client {
            shared, exchange, ..
        } = self.client;
        let (Some(feed), Some(symbol)) = (
            self.state.feeds.get(&topic.stream),
            self.state.market.symbol(&topic.symbol),
        ) else {
            return;
        };
        let happening = match topic.subject {
            Subject::Book { .. } | Subject::Best { .. } => Happening::Whole,
            Subject::Ticker(_) => Happening::Ticker { first: true },
            Subject::Trades => Happening::LastTrade,
            Subject::Heartbeat => return,
        };
        let poison = self.poison(&topic.symbol);
        let frame = exchange.frame(shared, feed, symbol, &feed.window, &poison, &happening);
        let Some(text) = frame else { return };
        let delivery = Delivery {
            shared,
            venue: exchange.venue,
            stage: Stage::Frame,
            symbol: Some(&topic.symbol),
            now: Instant::now(),
        };
        let sent = self.client.outlet.hand_over(&delivery, &text);
        self.client.count(|state| state.ws_frames_sent += sent);
    }

    fn poison(&self, symbol: &str) -> Poison {
        let Client {
            shared, exchange, ..
        } = self.client;
        Poison::of(
            shared
                .board
                .wrong_price(exchange.venue, Channel::Ws, symbol),
        )
    }
}
