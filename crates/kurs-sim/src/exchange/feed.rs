//! One stream of one symbol: what was sent last, and what is due.

use super::book::{Diff, Poison, Window};
use crate::market::Trade;
use crate::market::symbol::SymbolMarket;
use std::sync::Arc;

/// What a stream tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A book: whole at first, then what changes.
    Book {
        /// Levels a side.
        depth: usize,
        /// Clients drop by themselves what falls out of the depth.
        cut_by_client: bool,
    },
    /// The best levels, whole each time they change.
    Best {
        /// Levels a side.
        depth: usize,
    },
    /// Prices of the moment.
    Ticker(Trigger),
    /// Trades.
    Trades,
    /// A sign of life.
    Heartbeat,
}

/// What makes a ticker speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// A trade.
    Trade,
    /// A change of the best bid or ask.
    Best,
    /// Either.
    Any,
}

/// A stream as a client asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Its name in the hub.
    pub(crate) stream: Arc<str>,
    /// The venue's word for the channel.
    pub(crate) channel: Arc<str>,
    /// The symbol, in the venue's word.
    pub(crate) symbol: Arc<str>,
    pub(crate) subject: Subject,
    /// Frames come at multiples of this, virtual milliseconds.
    pub(crate) every_ms: u64,
    /// A book that stays the same for so long says so.
    pub(crate) repeat_ms: Option<u64>,
}

impl Topic {
    /// Levels a side that a client of this stream has.
    pub(crate) const fn depth(&self) -> usize {
        match self.subject {
            Subject::Book { depth, .. } | Subject::Best { depth } => depth,
            _ => 1,
        }
    }

    fn races(&self) -> bool {
        self.subject == Subject::Ticker(Trigger::Trade) && self.every_ms == RACING_EVERY_MS
    }
}

/// Something to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happening {
    /// The whole window.
    Whole,
    /// What changed in the window.
    Update(Diff),
    /// Nothing has changed for a while.
    Same,
    /// The ticker speaks.
    Ticker {
        /// For a client that has just subscribed.
        first: bool,
    },
    /// Trades since the last frame, oldest first.
    Trades(Vec<Trade>),
    /// The newest trade, for a client that has just subscribed.
    LastTrade,
    /// A sign of life.
    Heartbeat,
}

/// Tickers of this pace go out together with a book of the same pace.
const RACING_EVERY_MS: u64 = 50;
/// Trades held for one frame.
const TRADES_MAX: usize = 1_024;

/// One stream of one symbol.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) topic: Topic,
    /// What its clients have.
    pub(crate) window: Window,
    /// Number of the last frame that changed the window, one by one.
    pub(crate) count: u64,
    /// Number of the symbol's change with which the window became so.
    pub(crate) sequence: u64,
    /// The one before.
    pub(crate) previous: u64,
    book_id: u64,
    poison: Poison,
    told_at: u64,
    trades: Vec<Trade>,
    restarted: bool,
}

impl Feed {
    /// A stream nobody has heard yet.
    pub(crate) fn new(topic: Topic, first_count: u64) -> Self {
        Self {
            topic,
            window: Window::default(),
            count: first_count,
            sequence: 0,
            previous: 0,
            book_id: 0,
            poison: Poison::None,
            told_at: 0,
            trades: Vec::new(),
            restarted: false,
        }
    }

    /// Brings the window to the present, for the first client.
    pub(crate) fn refresh(
        &mut self,
        symbol: &SymbolMarket,
        step: u64,
        sequence: u64,
        poison: &Poison,
    ) {
        let now = Window::of(symbol, self.topic.depth(), poison);
        if now != self.window {
            self.window = now;
            self.count += 1;
        }
        self.sequence = sequence;
        self.book_id = symbol.id();
        self.poison = poison.clone();
        self.told_at = step;
        self.trades.clear();
    }

    /// Keeps a trade for the next frame.
    pub(crate) fn hold(&mut self, trade: Trade) {
        let wants = matches!(
            self.topic.subject,
            Subject::Trades | Subject::Ticker(Trigger::Trade | Trigger::Any)
        );
        if wants && self.trades.len() < TRADES_MAX {
            self.trades.push(trade);
        }
    }

    pub(crate) fn forget_trades(&mut self) {
        self.trades.clear();
    }

    /// Begins the numbering anew: the next frame is whole and has the number one.
    pub(crate) fn restart(&mut self) {
        if matches!(
            self.topic.subject,
            Subject::Book { .. } | Subject::Best { .. }
        ) {
            self.count = 0;
            self.restarted = true;
        }
    }

    /// Whether this is a moment at which it may speak.
    pub(crate) fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.topic.every_ms)
            // Some venues' channels race each other: one ticker in ten overtakes the book.
            || (self.topic.races() && self.trades.last().is_some_and(|trade| trade.id.is_multiple_of(10)))
    }

    /// What is to be told at this moment; remembers that it was.
    pub(crate) fn flush(
        &mut self,
        symbol: &SymbolMarket,
        step: u64,
        sequence: u64,
        poison: &Poison,
    ) -> Option<Happening> {
        let trades = std::mem::take(&mut self.trades);
        match self.topic.subject {
            Subject::Heartbeat => return Some(Happening::Heartbeat),
            Subject::Trades => {
                self.sequence = sequence;
                return (!trades.is_empty()).then_some(Happening::Trades(trades));
            }
            _ => {}
        }
        let mut next = None;
        if self.book_id != symbol.id() || self.poison != *poison {
            let window = Window::of(symbol, self.topic.depth(), poison);
            next = (window != self.window).then_some(window);
            self.book_id = symbol.id();
            self.poison = poison.clone();
        }
        let restarted = std::mem::take(&mut self.restarted);
        let changed = next.is_some();
        let before = next.map(|window| std::mem::replace(&mut self.window, window));
        let happening = match (self.topic.subject, before) {
            (Subject::Book { .. } | Subject::Best { .. }, _) if restarted => Happening::Whole,
            (Subject::Best { .. }, Some(_)) => Happening::Whole,
            (
                Subject::Book {
                    depth,
                    cut_by_client,
                },
                Some(before),
            ) => {
                let cut = cut_by_client.then_some(depth);
                Happening::Update(before.diff_to(&self.window, cut))
            }
            (Subject::Ticker(trigger), _) => {
                let speaks = match trigger {
                    Trigger::Trade => !trades.is_empty(),
                    Trigger::Best => changed,
                    Trigger::Any => changed || !trades.is_empty(),
                };
                return speaks.then_some(Happening::Ticker { first: false });
            }
            _ => {
                let repeat_ms = self.topic.repeat_ms?;
                if step < self.told_at.saturating_add(repeat_ms) {
                    return None;
                }
                self.told_at = step;
                return Some(Happening::Same);
            }
        };
        self.told_at = step;
        self.count += 1;
        self.previous = self.sequence;
        self.sequence = sequence;
        Some(happening)
    }
}
