//! The way from the sources' tasks to the engine's thread: bounded, never blocking a source.

use crate::desk::Order;
use kurs_bus::Body;
use kurs_core::{EventKind, Pair, SourceEvent, SourceId};
use kurs_sources::EventSink;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// From this many waiting messages on, prices of the same market are merged.
const MERGE_FROM: usize = 512;
/// Beyond this, only the newest price of a market and changes of state are taken.
const FULL: usize = 65_536;

/// A message to the engine's thread.
pub enum Message {
    /// A source said something.
    Event(SourceEvent),
    /// Publish this in order with everything else.
    Publish(Body),
    /// Do this in order with everything else.
    Order(Order),
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// Messages taken so far: position of the front of the queue.
    taken: u64,
    /// Position of the waiting price of a market, while merging.
    waiting: HashMap<(SourceId, Pair), u64>,
    consumer_waits: bool,
    closed: bool,
}

/// The queue in front of the engine.
#[derive(Default)]
pub struct Inbox {
    queue: Mutex<Queue>,
    filled: Condvar,
    superseded: AtomicU64,
    shed: AtomicU64,
}

impl Inbox {
    /// An empty inbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Prices replaced by a newer one before the engine saw them.
    #[must_use]
    pub fn superseded(&self) -> u64 {
        self.superseded.load(Ordering::Relaxed)
    }

    /// Messages given up because the inbox was full.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Publishes something in order with the rates.
    pub fn publish(&self, body: Body) {
        self.put(Message::Publish(body), None);
    }

    /// Has something done in order with the events.
    pub fn order(&self, order: Order) {
        self.put(Message::Order(order), None);
    }

    fn put(&self, message: Message, market: Option<(SourceId, Pair)>) {
        let mut queue = self.queue.lock();
        if queue.closed {
            return;
        }
        let length = queue.messages.len();
        let is_heard = matches!(&message, Message::Order(Order::Heard(_)));
        if length >= MERGE_FROM {
            if let Some(market) = market {
                if let Some(position) = queue.waiting.get(&market).copied()
                    && let Some(index) = position.checked_sub(queue.taken)
                    && let Some(place) = usize::try_from(index)
                        .ok()
                        .and_then(|at| queue.messages.get_mut(at))
                {
                    *place = message;
                    self.superseded.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                let position = queue.taken + u64::try_from(length).unwrap_or(u64::MAX);
                queue.waiting.insert(market, position);
            } else if !is_heard {
                // A price that comes after this message must not be moved in front of it. What
                // another Writer published knows its place by the words that led to it.
                queue.waiting.clear();
            }
            let may_be_shed = is_heard || !matches!(&message, Message::Order(_));
            let is_trade = matches!(&message, Message::Event(event) if matches!(event.kind, EventKind::Trade { .. }));
            if length >= FULL || is_trade {
                self.shed.fetch_add(1, Ordering::Relaxed);
                if is_trade || (length >= 2 * FULL && may_be_shed) {
                    return;
                }
            }
        }
        queue.messages.push_back(message);
        let wake = std::mem::take(&mut queue.consumer_waits);
        drop(queue);
        if wake {
            self.filled.notify_one();
        }
    }

    /// Takes what waits, at most `most` messages, waiting up to `patience` for the first.
    /// False when the inbox is closed and empty.
    pub fn take(&self, into: &mut Vec<Message>, most: usize, patience: Duration) -> bool {
        let mut queue = self.queue.lock();
        if queue.messages.is_empty() && !queue.closed {
            queue.consumer_waits = true;
            let _ = self.filled.wait_for(&mut queue, patience);
            queue.consumer_waits = false;
        }
        let count = queue.messages.len().min(most);
        into.extend(queue.messages.drain(..count));
        queue.taken += u64::try_from(count).unwrap_or(u64::MAX);
        if queue.messages.len() < MERGE_FROM && !queue.waiting.is_empty() {
            queue.waiting.clear();
        }
        !(queue.closed && queue.messages.is_empty() && into.is_empty())
    }

    /// Takes nothing more; what waits is still handed out.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.filled.notify_all();
    }
}

impl EventSink for Inbox {
    fn deliver(&self, event: SourceEvent) {
        let market = match &event.kind {
            EventKind::Tick(tick) => Some((event.source, tick.pair)),
            _ => None,
        };
        self.put(Message::Event(event), market);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{Now, Price, Quote, SourceState, Tick};

    fn tick(pair: &str, value: u32) -> SourceEvent {
        let quote = Quote::Single(Price::parse(&value.to_string()).unwrap());
        let pair = Pair::parse(pair).unwrap();
        let tick = Tick {
            pair,
            quote,
            sizes: None,
            observed_at: None,
            valid_for: Duration::ZERO,
            event_id: None,
        };
        event(EventKind::Tick(tick))
    }

    fn event(kind: EventKind) -> SourceEvent {
        SourceEvent {
            source: SourceId::parse("binance").unwrap(),
            received: Now::default(),
            kind,
        }
    }

    fn drain(inbox: &Inbox) -> Vec<String> {
        let mut messages = Vec::new();
        inbox.take(&mut messages, usize::MAX, Duration::ZERO);
        let name = |message: &Message| match message {
            Message::Event(SourceEvent {
                kind: EventKind::Tick(tick),
                ..
            }) => {
                format!("{}={}", tick.pair, tick.quote.value().unwrap())
            }
            Message::Event(_) => "state".to_owned(),
            Message::Publish(_) | Message::Order(_) => "publish".to_owned(),
        };
        messages.iter().map(name).collect()
    }

    #[test]
    fn while_the_engine_keeps_up_nothing_is_merged() {
        let inbox = Inbox::new();
        for value in 1..=100 {
            inbox.deliver(tick("BTC-USDT", value));
        }
        assert_eq!(drain(&inbox).len(), 100);
        assert_eq!(inbox.superseded(), 0);
    }

    #[test]
    fn a_flood_of_one_market_keeps_the_newest_price_and_harms_no_other() {
        let inbox = Inbox::new();
        inbox.deliver(tick("ETH-USDT", 7));
        for value in 1..=1_000_000 {
            inbox.deliver(tick("BTC-USDT", value));
        }
        inbox.deliver(tick("SOL-USDT", 9));
        let seen = drain(&inbox);
        assert!(seen.len() < MERGE_FROM + 3, "{} messages wait", seen.len());
        assert_eq!(seen.first().map(String::as_str), Some("ETH-USDT=7"));
        assert_eq!(seen.last().map(String::as_str), Some("SOL-USDT=9"));
        assert!(seen.contains(&"BTC-USDT=1000000".to_owned()));
        assert!(inbox.superseded() > 999_000);
    }

    #[test]
    fn a_price_is_never_moved_in_front_of_a_change_of_state() {
        let inbox = Inbox::new();
        for value in 1..=2_000 {
            inbox.deliver(tick("BTC-USDT", value));
        }
        inbox.deliver(event(EventKind::State {
            state: SourceState::Down,
            why: "cut".into(),
        }));
        for value in 3_001..=4_000 {
            inbox.deliver(tick("BTC-USDT", value));
        }
        let seen = drain(&inbox);
        assert_eq!(
            seen[seen.len() - 3..],
            ["BTC-USDT=2000", "state", "BTC-USDT=4000"]
        );
    }

    #[test]
    fn what_another_writer_publishes_ends_no_merging_and_orders_are_never_shed() {
        let inbox = Inbox::new();
        let update = kurs_bus::Update {
            id: kurs_core::UpdateId::default(),
            body: Body::Unknown("x".into()),
            cause: None,
            at: None,
        };
        let update = std::sync::Arc::new(update);
        for value in 1..=3 * u32::try_from(FULL).unwrap() {
            inbox.deliver(tick("BTC-USDT", value));
            inbox.order(Order::Heard(std::sync::Arc::clone(&update)));
        }
        let (ended, _) = tokio::sync::oneshot::channel();
        inbox.order(Order::End(0, ended));
        let mut messages = Vec::new();
        inbox.take(&mut messages, usize::MAX, Duration::ZERO);
        assert!(messages.len() <= 2 * FULL + 1, "{}", messages.len());
        assert!(matches!(
            messages.last(),
            Some(Message::Order(Order::End(0, _)))
        ));
        let is_price = |message: &&Message| matches!(message, Message::Event(_));
        let prices = messages.iter().filter(is_price).count();
        assert!(prices < MERGE_FROM, "{prices} prices wait");
    }

    #[test]
    fn after_closing_what_waits_is_still_handed_out() {
        let inbox = Inbox::new();
        inbox.deliver(tick("BTC-USDT", 1));
        inbox.close();
        inbox.deliver(tick("BTC-USDT", 2));
        let mut messages = Vec::new();
        assert!(inbox.take(&mut messages, 10, Duration::ZERO));
        assert_eq!(messages.len(), 1);
        messages.clear();
        assert!(!inbox.take(&mut messages, 10, Duration::ZERO));
    }
}
