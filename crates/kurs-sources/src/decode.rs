//! What the decoders of all polled sources share.

use kurs_core::{Pair, Price};
use thiserror::Error;

/// Why a reply cannot be read. One bad row is no reason: it is left out and listed in
/// [`Rates::rejected`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Something else altogether: a web page, another format, an error body.
    #[error("not the expected format: {0}")]
    Format(String),
    /// The right format without a usable rate in it.
    #[error("no usable rate in the answer: {0}")]
    Empty(String),
}

/// No source has this many currencies; what comes after them is left out.
const MOST_RATES: usize = 1_000;

/// No more rows than this are listed as left out.
const MOST_REJECTED: usize = 50;

/// Rates as one reply gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// One price per pair, in the order of the reply.
    pub rates: Vec<(Pair, Price)>,
    /// Rows left out, each with its reason, for people.
    pub rejected: Vec<String>,
}

impl Rates {
    /// Takes a row; the first of two for one pair stands.
    pub fn add(&mut self, pair: Pair, price: Price) {
        if self.rates.len() >= MOST_RATES {
            self.reject(&pair.to_string(), "too many rows");
        } else if self.rates.iter().any(|(known, _)| *known == pair) {
            self.reject(&pair.to_string(), "given twice");
        } else {
            self.rates.push((pair, price));
        }
    }

    /// Leaves a row out. `what` comes from outside, so that it is cut to a sane length.
    pub fn reject(&mut self, what: &str, why: &str) {
        if self.rejected.len() < MOST_REJECTED {
            self.rejected.push(format!("{}: {why}", excerpt(what, 32)));
        }
    }

    /// The price of a pair.
    #[must_use]
    pub fn get(&self, pair: Pair) -> Option<Price> {
        self.rates
            .iter()
            .find(|(known, _)| *known == pair)
            .map(|(_, price)| *price)
    }
}

/// The first characters of a text from outside, without control characters, for messages.
#[must_use]
pub fn excerpt(text: &str, length: usize) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .take(length)
        .collect()
}
