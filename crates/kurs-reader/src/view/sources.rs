//! What the view knows of single sources.

use super::RateView;
use crate::slot::HeldPrice;
use kurs_bus::{SourcePrice, SourceStatus};
use kurs_core::{Pair, SourceId, SourceState};
use kurs_pricing::Market;
use std::sync::Arc;

impl RateView {
    /// The last price of a source for a pair. A source is found by its full name, or by its
    /// plain name when it is simulated.
    pub(crate) fn source_price(&self, source: SourceId, pair: Pair) -> Option<Arc<HeldPrice>> {
        self.prices.read().get(&(source, pair)).cloned()
    }

    /// A source's own last price for a pair, live or not.
    #[must_use]
    pub fn price_of(&self, source: SourceId, pair: Pair) -> Option<SourcePrice> {
        let held = self.source_price(source, pair)?;
        Some(SourcePrice {
            state: held.state_at(self.mono()),
            ..held.price.clone()
        })
    }

    /// All prices of one market, or of one source.
    pub(crate) fn source_prices(
        &self,
        wanted: impl Fn(SourceId, Pair) -> bool,
    ) -> Vec<Arc<HeldPrice>> {
        let prices = self.prices.read();
        let statuses = self.statuses.read();
        // A source that the present Writer does not run is not shown any more.
        let runs = |source: &SourceId| statuses.is_empty() || statuses.contains_key(source);
        let mut found: Vec<Arc<HeldPrice>> = prices
            .iter()
            .filter(|((source, pair), _)| runs(source) && wanted(*source, *pair))
            .map(|(_, held)| Arc::clone(held))
            .collect();
        found.sort_unstable_by_key(|held| (held.price.source, held.price.pair));
        found
    }

    /// The markets of all sources, live or not.
    pub(crate) fn source_markets(&self) -> Vec<Market> {
        let prices = self.source_prices(|_, _| true);
        prices.iter().map(|held| held.market()).collect()
    }

    /// The source a user means by this name: `binance` finds `sim:binance` where that is what
    /// runs.
    #[must_use]
    pub fn find_source(&self, name: SourceId) -> Option<SourceId> {
        let statuses = self.statuses.read();
        if statuses.contains_key(&name) {
            return Some(name);
        }
        statuses
            .keys()
            .find(|source| source.plain() == name.as_str())
            .copied()
    }

    /// Whether a source is live by its own last word; `None` when it has given none.
    pub(crate) fn is_live(&self, source: SourceId) -> Option<bool> {
        let statuses = self.statuses.read();
        let (_, status) = statuses.get(&source)?;
        Some(status.state == SourceState::Live)
    }

    /// State and counters of every source.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.statuses
            .read()
            .values()
            .map(|(_, status)| status.clone())
            .collect()
    }

    /// The best of these sources by its order of preference.
    #[must_use]
    pub fn best_source(&self, of: impl IntoIterator<Item = SourceId>) -> Option<SourceId> {
        let statuses = self.statuses.read();
        of.into_iter().min_by_key(|source| {
            (
                statuses
                    .get(source)
                    .map_or(u16::MAX, |(_, status)| status.priority),
                *source,
            )
        })
    }
}
