//! `data` of a frame: a book, or trades.

use crate::levels::{Number, SideOf, Sink};
use kurs_book::{Change, Side};
use kurs_core::Price;
use serde::Deserialize;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// `data`, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) is_there: bool,
    pub(super) has_bids: bool,
    pub(super) has_asks: bool,
    /// A level was no level.
    pub(super) is_broken: bool,
    pub(super) number: Option<u64>,
    pub(super) trade: Option<LastTrade>,
}

/// The newest trade of a frame.
#[derive(Debug)]
pub(super) struct LastTrade {
    pub(super) id: Option<u64>,
    pub(super) traded_at: i64,
    pub(super) price: Option<Price>,
}

/// `{"s":..,"b":[..],"a":[..],"u":..,"seq":..}`.
pub(super) struct Book<'a> {
    pub(super) data: &'a mut Data,
    pub(super) changes: &'a mut Vec<Change>,
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum BookKey {
    #[serde(rename = "b")]
    Bids,
    #[serde(rename = "a")]
    Asks,
    #[serde(rename = "u")]
    Number,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Book<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a book")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<BookKey>()? {
            let (side, seen) = match key {
                BookKey::Bids => (Side::Bid, &mut self.data.has_bids),
                BookKey::Asks => (Side::Ask, &mut self.data.has_asks),
                BookKey::Number => {
                    self.data.number = Some(map.next_value()?);
                    continue;
                }
                BookKey::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if std::mem::replace(seen, true) {
                return Err(A::Error::custom("a side that comes twice"));
            }
            let sink = Sink {
                changes: self.changes,
                is_broken: &mut self.data.is_broken,
            };
            map.next_value_seed(SideOf { side, sink })?;
        }
        Ok(())
    }
}

/// Up to 1024 trades of one symbol, oldest first. The newest dates the stream; those between
/// say nothing more.
pub(super) struct Trades<'a>(pub(super) &'a mut Data);

#[derive(Deserialize)]
struct Trade<'a> {
    #[serde(rename = "i", borrow)]
    id: Cow<'a, str>,
    #[serde(rename = "T")]
    traded_at: i64,
    #[serde(rename = "p")]
    price: Number,
    /// Agreed on outside the book, at a price of its own.
    #[serde(rename = "BT", default)]
    is_block: bool,
}

impl<'de> Visitor<'de> for Trades<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("trades")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut trades: A) -> Result<(), A::Error> {
        while let Some(trade) = trades.next_element::<Trade<'de>>()? {
            if !trade.is_block {
                self.0.trade = Some(LastTrade {
                    id: trade.id.parse().ok(),
                    traded_at: trade.traded_at,
                    price: trade.price.price(),
                });
            }
        }
        Ok(())
    }
}
