//! The ways a pair can be priced, and their order of preference.
//!
//! A source takes part in a pair with its own market (`BTC-USD` at an exchange), with the inverse
//! of its own market (`USD-EUR` from `EUR-USD`), or with a market against money (`BTC-USDT`) that
//! is carried on over other markets (`USDT-USD`). A number that
//! an aggregator gives in anything but USD is that aggregator's own cross rate: it is
//! *indicative* and serves only when no other way is live.

use crate::config::{EngineConfig, SourceInfo};
use kurs_core::{Asset, Pair, SourceKind};

/// One way to price a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Index of the source's price it starts from.
    pub price: usize,
    /// True when the price is of the inverse pair: 1 / price is used.
    pub inverted: bool,
    /// `None`: the price is the pair's own or its inverse. Else the way from the price's quote
    /// asset on.
    pub conversion: Option<Conversion>,
    /// Place in the order of preference.
    pub rank: Rank,
    /// It can be held against others: banks set their rates and are no market, and what an
    /// aggregator derives itself is no opinion.
    pub is_comparable: bool,
}

impl Candidate {
    /// True when both prices reach the pair over the same legs: then these prices themselves
    /// can be compared.
    #[must_use]
    pub fn has_the_way_of(&self, other: &Self) -> bool {
        self.inverted == other.inverted
            && match (&self.conversion, &other.conversion) {
                (Some(left), Some(right)) => left.from == right.from && left.steps == right.steps,
                (None, None) => true,
                _ => false,
            }
    }
}

/// The remaining legs of a derived candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The asset it starts from: the quote asset of the price.
    pub from: Asset,
    /// Pair indices to multiply by, true = inverted; `None` when there is no way at present.
    pub steps: Option<Vec<(usize, bool)>>,
    /// Version of the set of conversion markets the steps were searched in.
    pub version: u64,
}

/// Order of preference; smaller is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Indicative prices come last.
    pub indicative: bool,
    /// Place in the policy's list, or after it by the source's own priority.
    pub place: u32,
    /// A source's own market comes before its derived ways.
    pub derived: bool,
    /// Keeps the order total.
    pub source: usize,
    /// Keeps the order total.
    pub price: usize,
}

/// True when an aggregator's price in this pair is only its own cross rate.
#[must_use]
pub fn is_indicative(source: &SourceInfo, pair: Pair) -> bool {
    source.kind == SourceKind::Aggregator && pair.quote.as_str() != "USD"
}

/// True when this source's market may carry other prices on: markets of banks, and markets
/// whose base is money, such as USDT-USD. Coins never stand in the middle of a rate that the
/// Writer publishes.
#[must_use]
pub fn is_conversion_market(config: &EngineConfig, source: &SourceInfo, pair: Pair) -> bool {
    !is_indicative(source, pair)
        && (source.kind == SourceKind::Bank || config.money.contains(&pair.base))
}

/// The candidate that the price of `market` at `source` is for `pair`, if it is one.
#[must_use]
pub fn candidate_for(
    config: &EngineConfig,
    pair: Pair,
    source: usize,
    price: usize,
    market: Pair,
) -> Option<Candidate> {
    let info = config.sources.get(source)?;
    let inverted = market == pair.inverse();
    let conversion = if market == pair || inverted {
        None
    } else {
        let starts_here = market.base == pair.base
            && market.quote != pair.quote
            && info.kind != SourceKind::Bank
            && !is_indicative(info, market)
            && config.money.contains(&market.quote);
        if !starts_here {
            return None;
        }
        Some(Conversion {
            from: market.quote,
            steps: None,
            version: 0,
        })
    };
    let listed = config.policies.get(&pair).and_then(|policy| {
        policy
            .sources
            .iter()
            .position(|id| id.plain() == info.id.plain())
    });
    let place = match listed {
        Some(position) => u32::try_from(position).unwrap_or(u32::MAX),
        None => 1_000 + u32::from(info.priority),
    };
    let rank = Rank {
        // Naming a source in the policy says that its numbers are wanted.
        indicative: listed.is_none() && conversion.is_none() && is_indicative(info, market),
        place,
        derived: conversion.is_some() || inverted,
        source,
        price,
    };
    let is_comparable = !rank.indicative && info.kind != SourceKind::Bank;
    Some(Candidate {
        is_comparable,
        price,
        inverted,
        conversion,
        rank,
    })
}
