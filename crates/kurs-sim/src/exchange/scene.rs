//! What a venue needs to write a frame.

use super::book::{Poison, Window};
use super::feed::Feed;
use crate::market::reference::mix;
use crate::market::symbol::SymbolMarket;
use crate::shared::Shared;
use kurs_core::Wall;
use rust_decimal::Decimal;

/// A frame that is being written.
pub(crate) struct Scene<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) feed: &'a Feed,
    pub(crate) symbol: &'a SymbolMarket,
    /// What its clients have after this frame.
    pub(crate) shown: &'a Window,
    pub(crate) poison: &'a Poison,
    pub(crate) wall: Wall,
}

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    /// Without trailing zeros.
    Short,
    /// With exactly so many decimals.
    Padded(u32),
}

impl Digits {
    pub(crate) fn write(self, number: Decimal) -> String {
        match self {
            Self::Short => number.normalize().to_string(),
            Self::Padded(decimals) => {
                let mut number = number;
                number.rescale(decimals);
                number.to_string()
            }
        }
    }
}

impl Poison {
    /// The text of a price of a window, which is scaled already.
    pub(crate) fn ticks(&self, price: Decimal, decimals: u32, digits: Digits) -> String {
        match self {
            Self::Text(_) => self.price(price, decimals, digits),
            _ => digits.write(price),
        }
    }

    /// The text of a price that is not scaled yet.
    pub(crate) fn price(&self, price: Decimal, decimals: u32, digits: Digits) -> String {
        match self {
            Self::None => digits.write(price),
            Self::Scaled(factor) => {
                let scaled = price.checked_mul(*factor).unwrap_or(Decimal::MAX);
                digits.write(scaled.round_dp(decimals))
            }
            Self::Text(wrong) => match digits {
                Digits::Padded(decimals) => {
                    let mut price = price;
                    price.rescale(decimals);
                    wrong.spoil(price)
                }
                Digits::Short => wrong.spoil(price.normalize()),
            },
        }
    }
}

impl Scene<'_> {
    /// Decimals of the symbol's prices.
    pub(crate) fn price_decimals(&self) -> u32 {
        self.symbol.spec.price_decimals()
    }

    /// A price of the window.
    pub(crate) fn ticks(&self, ticks: u64, digits: Digits) -> String {
        let price = self.symbol.price(ticks);
        self.poison.ticks(price, self.price_decimals(), digits)
    }

    /// A size of the window.
    pub(crate) fn lots(&self, lots: u64, digits: Digits) -> String {
        digits.write(self.symbol.quantity(lots))
    }

    /// A price that is in no window: of a trade, of the summary.
    pub(crate) fn price(&self, price: Decimal, digits: Digits) -> String {
        self.poison.price(price, self.price_decimals(), digits)
    }

    /// A number that looks like chance and is the same for the same frame.
    pub(crate) fn twist(&self) -> u64 {
        mix(self.symbol.id(), self.feed.count)
    }

    /// Milliseconds since 1970.
    pub(crate) const fn ms(&self) -> i64 {
        self.wall.unix_ms()
    }

    /// RFC 3339 with microseconds.
    pub(crate) fn time(&self) -> String {
        time_us(self.wall)
    }
}

/// RFC 3339 with microseconds: `2026-08-24T22:21:57.343688Z`.
pub(crate) fn time_us(wall: Wall) -> String {
    let mut text = wall.to_string();
    text.pop();
    format!("{text}{:03}Z", wall.0.rem_euclid(1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::WrongPrice;

    #[test]
    fn times_have_microseconds() {
        let wall = Wall(1_787_610_117_343_688);
        assert_eq!(time_us(wall), "2026-08-24T22:21:57.343688Z");
    }

    #[test]
    fn prices_are_written_as_asked_and_as_poisoned() {
        let price: Decimal = "78871.50000000".parse().unwrap();
        let text = |poison: &Poison, digits| poison.price(price, 1, digits);
        assert_eq!(text(&Poison::None, Digits::Short), "78871.5");
        assert_eq!(text(&Poison::None, Digits::Padded(2)), "78871.50");
        let scaled = Poison::Scaled("0.1".parse().unwrap());
        assert_eq!(text(&scaled, Digits::Padded(1)), "7887.2");
        let raw = Poison::of(Some(WrongPrice::Raw("NaN".to_owned())));
        assert_eq!(text(&raw, Digits::Padded(1)), "NaN");
        let negative = Poison::of(Some(WrongPrice::Factor("-1".parse().unwrap())));
        assert_eq!(text(&negative, Digits::Padded(1)), "-78871.5");
    }
}
