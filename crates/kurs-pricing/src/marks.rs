//! Marks of prices that are not of the present world. What is made of a simulated or replayed
//! price is simulated or replayed itself, and never appears without the mark.

use kurs_core::SourceId;
use kurs_core::source::{REPLAYED_PREFIX, SIMULATED_PREFIX};

/// The marks of the prices in a rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// A simulated venue made one up.
    pub is_simulated: bool,
    /// One is of the past.
    pub is_replayed: bool,
}

impl Marks {
    /// The marks of one source.
    #[must_use]
    pub fn of(source: SourceId) -> Self {
        let name = source.as_str();
        let behind = name.strip_prefix(REPLAYED_PREFIX);
        Self {
            is_simulated: behind.unwrap_or(name).starts_with(SIMULATED_PREFIX),
            is_replayed: behind.is_some(),
        }
    }

    /// The marks of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            is_simulated: self.is_simulated || other.is_simulated,
            is_replayed: self.is_replayed || other.is_replayed,
        }
    }

    /// A name with these marks in front: `sim:median`, `replay:sim:median`.
    #[must_use]
    pub fn put_on(self, name: SourceId) -> SourceId {
        let name = if self.is_simulated {
            name.simulated()
        } else {
            name
        };
        if self.is_replayed {
            name.replayed()
        } else {
            name
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_combined_name_has_every_mark_of_what_it_is_made_of() {
        let source = |name: &str| SourceId::parse(name).unwrap();
        let check = |sources: &[&str], expect: &str| {
            let marks = sources.iter().fold(Marks::default(), |marks, name| {
                marks.and(Marks::of(source(name)))
            });
            assert_eq!(marks.put_on(source("median")).as_str(), expect);
        };
        check(&["binance", "kraken"], "median");
        check(&["binance", "sim:kraken"], "sim:median");
        check(&["replay:binance"], "replay:median");
        check(
            &["replay:sim:binance", "replay:kraken"],
            "replay:sim:median",
        );
    }
}
