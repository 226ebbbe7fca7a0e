//! Prices that were set by hand, per venue and per the venue's own word for the price.

use crate::venue::Venue;
use parking_lot::Mutex;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// A price set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pin {
    /// The price: on an exchange the exact middle of the book, elsewhere the number in the table.
    Price(Decimal),
    /// Exchanges only: both sides of the top of the book.
    Sides {
        /// Best bid.
        bid: Decimal,
        /// Best ask.
        ask: Decimal,
    },
}

/// The pins of the table venues. Pins of exchanges live in their order books.
#[derive(Debug, Default)]
pub(crate) struct Pins(Mutex<HashMap<(Venue, String), Decimal>>);

/// A sim takes no more pins than this.
const PINS_MAX: usize = 10_000;

impl Pins {
    /// The pinned number, if there is one. `symbol`: `bitcoin/usd` for CoinGecko, `RUB` elsewhere.
    pub(crate) fn get(&self, venue: Venue, symbol: &str) -> Option<Decimal> {
        let pins = self.0.lock();
        if pins.is_empty() {
            return None;
        }
        pins.get(&(venue, symbol.to_owned())).copied()
    }

    pub(crate) fn set(&self, venue: Venue, symbol: &str, price: Option<Decimal>) -> bool {
        let mut pins = self.0.lock();
        let key = (venue, symbol.to_owned());
        let Some(price) = price else {
            return pins.remove(&key).is_some();
        };
        if pins.len() >= PINS_MAX {
            return false;
        }
        pins.insert(key, price);
        true
    }
}
