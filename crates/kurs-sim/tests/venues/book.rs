//! A client's order book: what it was told, and nothing else.

use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) type Side = BTreeMap<Decimal, Decimal>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Book {
    pub(crate) bids: Side,
    pub(crate) asks: Side,
    /// Deletions of levels that were not there.
    pub(crate) orphans: usize,
}

pub(crate) fn decimal(text: &Value) -> Decimal {
    text.as_str().unwrap().parse().unwrap()
}

impl Book {
    /// From lists of `[price, size, ...]`.
    pub(crate) fn new(bids: &Value, asks: &Value) -> Self {
        let mut book = Self::default();
        book.apply(bids, asks);
        assert_eq!(book.orphans, 0, "a snapshot deletes nothing");
        book
    }

    /// Sets the levels of lists of `[price, size, ...]`.
    pub(crate) fn apply(&mut self, bids: &Value, asks: &Value) {
        for level in bids.as_array().unwrap() {
            self.set(true, decimal(&level[0]), decimal(&level[1]));
        }
        for level in asks.as_array().unwrap() {
            self.set(false, decimal(&level[0]), decimal(&level[1]));
        }
    }

    pub(crate) fn set(&mut self, is_bid: bool, price: Decimal, size: Decimal) {
        let side = if is_bid {
            &mut self.bids
        } else {
            &mut self.asks
        };
        if !size.is_zero() {
            side.insert(price, size);
        } else if side.remove(&price).is_none() {
            self.orphans += 1;
        }
    }

    /// Bid, its size, ask, its size.
    pub(crate) fn top(&self) -> [Decimal; 4] {
        let (bid, ask) = (
            self.bids.last_key_value().unwrap(),
            self.asks.first_key_value().unwrap(),
        );
        [*bid.0, *bid.1, *ask.0, *ask.1]
    }

    pub(crate) fn is_crossed(&self) -> bool {
        let [bid, _, ask, _] = self.top();
        bid >= ask
    }
}
