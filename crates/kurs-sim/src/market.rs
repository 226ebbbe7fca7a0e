//! The market behind every simulated venue. Pure: a seed and a virtual step (one millisecond)
//! decide everything, so that the same seed always tells the same story; all numbers are exact.
//!
//! | part | what it holds |
//! |---|---|
//! | [`mod@reference`] | what an asset is worth in USD, as a function of seed and step |
//! | [`catalog`] | the Binance symbols with their ticks and their liveliness |
//! | `listings` | those of the other exchanges |
//! | `history` | candles of the past |
//! | [`past`] | what assets were worth before a demo began |
//! | [`symbol`] | one order book and the stream of its changes |

pub mod catalog;
pub(crate) mod history;
pub(crate) mod listings;
pub mod past;
pub mod reference;
pub mod symbol;

use catalog::SymbolSpec;
use reference::Reference;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;
use symbol::{SymbolMarket, Top};

/// Something that happened in one symbol's market.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarketEvent {
    /// The symbol, in the venue's word.
    pub symbol: Arc<str>,
    /// When, in virtual milliseconds.
    pub step: u64,
    /// What.
    pub kind: MarketEventKind,
}

/// Kinds of [`MarketEvent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarketEventKind {
    /// The best bid or ask changed in price or size.
    Top(Top),
    /// A trade.
    Trade(Trade),
    /// The levels that changed since the last such event, final sizes.
    Depth(DepthDiff),
    /// The running summary of the symbol, once a second while it changes.
    Summary(Summary),
}

/// A trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// Rises by one per symbol.
    pub id: u64,
    /// Price.
    pub price: Decimal,
    /// Size.
    pub quantity: Decimal,
    /// Whether the buyer was in the book (the price was the bid).
    pub buyer_is_maker: bool,
}

/// How often a diff is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DepthPace {
    /// Every 100 ms.
    Fast,
    /// Every 1000 ms.
    Slow,
}

/// One level of a book: price and size.
pub type Level = (Decimal, Decimal);

/// Changed levels of a book with the ids of the first and last change in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DepthDiff {
    /// Which collection.
    pub pace: DepthPace,
    /// Id of the first change in it.
    pub first_id: u64,
    /// Id of the last change in it.
    pub last_id: u64,
    /// Changed bids; size zero deletes.
    pub bids: Vec<Level>,
    /// Changed asks; size zero deletes.
    pub asks: Vec<Level>,
}

/// A book as a REST snapshot shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Id of the last change that is in it.
    pub last_id: u64,
    /// Best first.
    pub bids: Vec<Level>,
    /// Best first.
    pub asks: Vec<Level>,
}

/// First, highest, lowest and last price since the sim started, and what was traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Traded base asset.
    pub volume: Decimal,
    /// Traded quote asset.
    pub quote_volume: Decimal,
}

/// Whether a symbol is traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trading {
    /// As usual.
    Trading,
    /// Listed, but nothing moves.
    Halt,
}

/// What makes the market of one venue its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Habit {
    /// Another salt is another story around the same reference prices.
    pub salt: u64,
    /// Prices stray from the reference by up to so many billionths.
    pub noise_e9: i64,
    /// Whether [`MarketEventKind::Depth`] and [`MarketEventKind::Summary`] are told.
    pub diffs: bool,
    /// What stands between base and quote of a symbol, if anything does.
    pub separator: Option<char>,
}

impl Habit {
    /// Binance: the reference itself.
    pub const BINANCE: Self = Self {
        salt: 0,
        noise_e9: 0,
        diffs: true,
        separator: None,
    };
}

/// All symbols of the simulated exchange and the reference prices behind every venue.
#[derive(Debug, Clone)]
pub struct Market {
    reference: Reference,
    habit: Habit,
    activity_percent: u32,
    step: u64,
    symbols: BTreeMap<Arc<str>, SymbolMarket>,
}

/// More symbols than this are not listed.
const SYMBOLS_MAX: usize = 20_000;

impl Market {
    /// A market at step 0 with full books. `extra_symbols` invented ones are added for load.
    #[must_use]
    pub fn new(reference: Reference, activity_percent: u32, extra_symbols: usize) -> Self {
        let specs = catalog::symbols(extra_symbols.min(SYMBOLS_MAX));
        Self::of(reference, activity_percent, Habit::BINANCE, specs)
    }

    /// The market of another venue, with these symbols.
    #[must_use]
    pub fn of(
        reference: Reference,
        activity_percent: u32,
        habit: Habit,
        specs: Vec<SymbolSpec>,
    ) -> Self {
        let fresh = |spec: SymbolSpec| {
            let name = spec.name.clone();
            let market = SymbolMarket::new(spec, &reference, 0, activity_percent, habit);
            (name, market)
        };
        let symbols = specs.into_iter().map(fresh).collect();
        Self {
            reference,
            habit,
            activity_percent,
            step: 0,
            symbols,
        }
    }

    /// What assets are worth.
    #[must_use]
    pub const fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The present virtual millisecond.
    #[must_use]
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// Moves on to a step and appends what happened on the way, in order. Whether the way is
    /// gone in one call or in many makes no difference.
    pub fn advance_to(&mut self, step: u64, events: &mut Vec<MarketEvent>) {
        if step <= self.step {
            return;
        }
        let first_new = events.len();
        for market in self.symbols.values_mut() {
            market.advance_to(step, &self.reference, events);
        }
        self.step = step;
        // Stable: within one millisecond the order of the symbols, then that of happening.
        if let Some(new) = events.get_mut(first_new..) {
            new.sort_by_key(|event| event.step);
        }
    }

    /// One symbol's market.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<&SymbolMarket> {
        self.symbols.get(name)
    }

    /// All symbols, by name.
    pub fn symbols(&self) -> impl Iterator<Item = &SymbolMarket> {
        self.symbols.values()
    }

    /// Holds the top of a symbol's book at these sides until released; false when there is no
    /// such symbol or the sides do not fit its ticks. Takes effect with the next step.
    pub fn pin(&mut self, name: &str, sides: Option<(Decimal, Decimal)>) -> bool {
        self.symbols
            .get_mut(name)
            .is_some_and(|market| market.pin(sides))
    }

    /// Lists a symbol that was not there; a known one is left as it is. False when the name
    /// cannot be a symbol or there are too many.
    pub fn list(&mut self, name: &str) -> bool {
        if self.symbols.contains_key(name) {
            return true;
        }
        if self.symbols.len() >= SYMBOLS_MAX {
            return false;
        }
        let invented = match self.habit.separator {
            None => SymbolSpec::invented(name),
            Some(separator) => SymbolSpec::invented_with(name, separator),
        };
        let Some(spec) = invented else {
            return false;
        };
        let market = SymbolMarket::new(
            spec,
            &self.reference,
            self.step,
            self.activity_percent,
            self.habit,
        );
        self.symbols.insert(name.into(), market);
        true
    }

    /// Removes a symbol; false when it was not there.
    pub fn unlist(&mut self, name: &str) -> bool {
        self.symbols.remove(name).is_some()
    }

    /// Halts a symbol or lets it trade again; false when there is no such symbol.
    pub fn set_trading(&mut self, name: &str, trading: Trading) -> bool {
        let Some(market) = self.symbols.get_mut(name) else {
            return false;
        };
        market.trading = trading;
        true
    }
}

#[cfg(test)]
mod tests;
