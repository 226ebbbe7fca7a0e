//! The graph of markets: assets are nodes, every live market is an edge both ways. A cross rate
//! is the product along the path with the fewest legs, then the youngest oldest leg, then the
//! smallest summed spread. `pricing.md` section 3.

use kurs_core::price::round_published;
use kurs_core::{Asset, Leg, Pair, Price, PriceError, SourceId, Wall};
use rust_decimal::Decimal;
use std::collections::{HashMap, HashSet};

/// Longest path, in legs.
pub const MAX_LEGS: usize = 4;
/// Ways that a search for all shortest ones looks at.
const PATHS_TRIED_MAX: usize = 4_096;

/// A live market as the graph sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    /// The market.
    pub pair: Pair,
    /// Fair price.
    pub value: Price,
    /// Best bid, if known.
    pub bid: Option<Price>,
    /// Best ask, if known.
    pub ask: Option<Price>,
    /// Half-width of what its constituents support, in units of the quote asset.
    pub confidence: Option<Decimal>,
    /// Who quotes it.
    pub source: SourceId,
    /// When it was observed.
    pub observed_at: Wall,
    /// Until when it is valid.
    pub expires_at: Wall,
}

impl Market {
    /// (ask - bid) / value, zero when the sides are not known. For comparing paths only.
    fn relative_spread(&self) -> Decimal {
        match (self.bid, self.ask) {
            (Some(bid), Some(ask)) => ask
                .value()
                .checked_sub(bid.value())
                .and_then(|width| width.checked_div(self.value.value()))
                .unwrap_or(Decimal::ZERO),
            _ => Decimal::ZERO,
        }
    }
}

/// A way from one asset to another: market indices of the graph, with their direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Markets from base to quote; true = taken from its quote to its base.
    pub steps: Vec<(usize, bool)>,
    oldest: Wall,
    spread: Decimal,
}

impl Path {
    fn empty() -> Self {
        Self {
            steps: Vec::new(),
            oldest: Wall::MAX,
            spread: Decimal::ZERO,
        }
    }

    fn extended(&self, market: usize, inverted: bool, what: &Market) -> Self {
        let mut steps = Vec::with_capacity(self.steps.len() + 1);
        steps.extend_from_slice(&self.steps);
        steps.push((market, inverted));
        Self {
            steps,
            oldest: self.oldest.min(what.observed_at),
            spread: self
                .spread
                .checked_add(what.relative_spread())
                .unwrap_or(Decimal::MAX),
        }
    }

    /// True when `self` is to be preferred over `other` of the same length. The markets' order
    /// decides last, so that equal inputs give equal paths.
    fn better_than(&self, other: &Self) -> bool {
        (std::cmp::Reverse(self.oldest), self.spread, &self.steps)
            < (std::cmp::Reverse(other.oldest), other.spread, &other.steps)
    }

    /// True when no continuation can make `other` the better one.
    fn dominates(&self, other: &Self) -> bool {
        self.oldest >= other.oldest && self.spread <= other.spread
    }
}

/// A cross rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossRate {
    /// Product of the legs, rounded to the published digits when there is more than one.
    pub value: Price,
    /// Product of the bids, if all are known.
    pub bid: Option<Price>,
    /// Product of the asks, if all are known.
    pub ask: Option<Price>,
    /// Sum of the legs' relative confidences times the value; `None` when no leg has one.
    pub confidence: Option<Decimal>,
    /// When the oldest leg was observed.
    pub observed_at: Wall,
    /// Until when the first leg to expire is valid.
    pub expires_at: Wall,
    /// The markets, from base to quote.
    pub legs: Vec<Leg>,
}

/// The graph of live markets.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    markets: Vec<Market>,
    neighbours: HashMap<Asset, Vec<(Asset, usize, bool)>>,
}

impl Graph {
    /// A graph of these markets.
    pub fn new(markets: impl IntoIterator<Item = Market>) -> Self {
        let mut graph = Self::default();
        for market in markets {
            graph.insert(market);
        }
        graph
    }

    fn insert(&mut self, market: Market) {
        let index = self.markets.len();
        let Pair { base, quote } = market.pair;
        self.neighbours
            .entry(base)
            .or_default()
            .push((quote, index, false));
        self.neighbours
            .entry(quote)
            .or_default()
            .push((base, index, true));
        self.markets.push(market);
    }

    /// The markets, as indexed by [`Path::steps`].
    #[must_use]
    pub fn markets(&self) -> &[Market] {
        &self.markets
    }

    /// True when some market knows the asset.
    #[must_use]
    pub fn knows(&self, asset: Asset) -> bool {
        self.neighbours.contains_key(&asset)
    }

    /// The best path from `base` to every asset that can be reached: one pass over the graph,
    /// leg by leg.
    #[must_use]
    pub fn paths_from(&self, base: Asset) -> HashMap<Asset, Path> {
        self.search(base, None)
    }

    /// The best path between two assets.
    #[must_use]
    pub fn path(&self, base: Asset, quote: Asset) -> Option<Path> {
        self.search(base, Some(quote)).remove(&quote)
    }

    fn search(&self, base: Asset, goal: Option<Asset>) -> HashMap<Asset, Path> {
        let mut settled: HashMap<Asset, Path> = HashMap::new();
        // Per asset of the last layer: the paths of which none dominates another. A path that
        // loses now may win once an older leg follows, so one per asset would not be enough.
        let mut layer: HashMap<Asset, Vec<Path>> = HashMap::from([(base, vec![Path::empty()])]);
        for _ in 0..MAX_LEGS {
            let mut next: HashMap<Asset, Vec<Path>> = HashMap::new();
            for (asset, paths) in &layer {
                for (neighbour, market, inverted) in
                    self.neighbours.get(asset).into_iter().flatten()
                {
                    if *neighbour == base || settled.contains_key(neighbour) {
                        continue;
                    }
                    for path in paths {
                        let longer = path.extended(*market, *inverted, &self.markets[*market]);
                        keep_undominated(next.entry(*neighbour).or_default(), longer);
                    }
                }
            }
            for (asset, paths) in &next {
                let best = paths.iter().fold(None::<&Path>, |best, path| match best {
                    Some(best) if !path.better_than(best) => Some(best),
                    _ => Some(path),
                });
                if let Some(best) = best {
                    settled.insert(*asset, best.clone());
                }
            }
            if next.is_empty() || goal.is_some_and(|goal| settled.contains_key(&goal)) {
                break;
            }
            layer = next;
        }
        settled
    }

    /// All paths with the fewest legs between two assets, of which [`Self::path`] is the best. The
    /// same markets in the same order give the same paths, whatever their prices are. `None` when
    /// there are more than `most`.
    #[must_use]
    pub fn shortest_paths(
        &self,
        base: Asset,
        quote: Asset,
        most: usize,
    ) -> Option<Vec<Vec<(usize, bool)>>> {
        let mut layer: Vec<(Asset, Vec<(usize, bool)>)> = vec![(base, Vec::new())];
        let mut settled = HashSet::from([base]);
        for _ in 0..MAX_LEGS {
            let mut next = Vec::new();
            for (asset, steps) in &layer {
                for (neighbour, market, inverted) in
                    self.neighbours.get(asset).into_iter().flatten()
                {
                    if !settled.contains(neighbour) {
                        let mut longer = steps.clone();
                        longer.push((*market, *inverted));
                        next.push((*neighbour, longer));
                    }
                }
                if next.len() > PATHS_TRIED_MAX {
                    return None;
                }
            }
            let mut found: Vec<_> = next
                .iter()
                .filter(|(asset, _)| *asset == quote)
                .map(|(_, steps)| steps.clone())
                .collect();
            if !found.is_empty() {
                found.sort_unstable();
                return (found.len() <= most).then_some(found);
            }
            settled.extend(next.iter().map(|(asset, _)| *asset));
            layer = next;
        }
        Some(Vec::new())
    }

    /// The place in `paths` of the best of several ways of equal length through other markets of
    /// the same pairs; a way of which `market` gives none is passed over.
    pub fn best_of<'p, M>(
        paths: impl IntoIterator<Item = &'p [M]>,
        market: impl Fn(&M) -> Option<Market>,
    ) -> Option<usize>
    where
        M: 'p,
    {
        let mut best: Option<(usize, Path)> = None;
        for (place, steps) in paths.into_iter().enumerate() {
            let mut path = Path::empty();
            let whole = steps.iter().all(|step| match market(step) {
                Some(market) => {
                    path.oldest = path.oldest.min(market.observed_at);
                    let spread = path.spread.checked_add(market.relative_spread());
                    path.spread = spread.unwrap_or(Decimal::MAX);
                    true
                }
                None => false,
            });
            // Earlier ones come first in the markets' order, which decides last.
            if whole && best.as_ref().is_none_or(|(_, best)| path.better_than(best)) {
                best = Some((place, path));
            }
        }
        best.map(|(place, _)| place)
    }

    /// The cross rate along a path of this graph.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`] when a product cannot be held.
    pub fn rate(&self, path: &Path) -> Result<CrossRate, PriceError> {
        multiply(
            path.steps
                .iter()
                .map(|(market, inverted)| (&self.markets[*market], *inverted)),
        )
    }
}

fn keep_undominated(paths: &mut Vec<Path>, path: Path) {
    if let Some(same) = paths
        .iter_mut()
        .find(|other| other.oldest == path.oldest && other.spread == path.spread)
    {
        if path.better_than(same) {
            *same = path;
        }
        return;
    }
    if paths.iter().any(|other| other.dominates(&path)) {
        return;
    }
    paths.retain(|other| !path.dominates(other));
    paths.push(path);
}

/// The product of markets taken in order; `true` takes a market from its quote to its base,
/// where bid' = 1/ask and ask' = 1/bid. Rounding happens once, at the end.
///
/// # Errors
/// [`PriceError::OutOfRange`] when a product cannot be held or there is no market.
pub fn multiply<'a>(
    markets: impl IntoIterator<Item = (&'a Market, bool)>,
) -> Result<CrossRate, PriceError> {
    let mut value: Option<Price> = None;
    let mut bid: Option<Price> = None;
    let mut ask: Option<Price> = None;
    let mut relative_confidence: Option<Decimal> = None;
    let mut observed_at = Wall::MAX;
    let mut expires_at = Wall::MAX;
    let mut legs = Vec::with_capacity(MAX_LEGS);
    for (market, inverted) in markets {
        let (leg_value, leg_bid, leg_ask) = if inverted {
            (
                market.value.inverse()?,
                market.ask.map(Price::inverse).transpose()?,
                market.bid.map(Price::inverse).transpose()?,
            )
        } else {
            (market.value, market.bid, market.ask)
        };
        if let Some(so_far) = value {
            value = Some(so_far.times(leg_value)?);
            bid = both_times(bid, leg_bid)?;
            ask = both_times(ask, leg_ask)?;
        } else {
            (value, bid, ask) = (Some(leg_value), leg_bid, leg_ask);
        }
        if let Some(confidence) = market.confidence {
            let relative = confidence
                .checked_div(market.value.value())
                .ok_or(PriceError::OutOfRange)?;
            let sum = relative_confidence
                .unwrap_or(Decimal::ZERO)
                .checked_add(relative);
            relative_confidence = Some(sum.ok_or(PriceError::OutOfRange)?);
        }
        observed_at = observed_at.min(market.observed_at);
        expires_at = expires_at.min(market.expires_at);
        legs.push(Leg {
            pair: market.pair,
            source: market.source,
            value: market.value,
            inverted,
            observed_at: market.observed_at,
            expires_at: market.expires_at,
        });
    }
    let value = value.ok_or(PriceError::OutOfRange)?;
    // One market in its own direction keeps its venue's digits; all else was computed.
    let as_quoted = matches!(legs.as_slice(), [leg] if !leg.inverted);
    let round = |price: Price| if as_quoted { price } else { price.published() };
    let confidence = relative_confidence
        .and_then(|relative| relative.checked_mul(value.value()))
        .map(round_published);
    Ok(CrossRate {
        value: round(value),
        bid: bid.map(round),
        ask: ask.map(round),
        confidence,
        observed_at,
        expires_at,
        legs,
    })
}

fn both_times(left: Option<Price>, right: Option<Price>) -> Result<Option<Price>, PriceError> {
    match (left, right) {
        (Some(left), Some(right)) => left.times(right).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
