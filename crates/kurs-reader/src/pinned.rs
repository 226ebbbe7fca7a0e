//! Rates pinned to one source: what it has is taken from it, what it lacks is derived.

use crate::derive::{Snapshot, Steps, Taken, answer_of, take_leg, take_price, unless_expired};
use crate::slot::HeldPrice;
use crate::view::{Answer, Missing, RateView};
use kurs_core::{Mono, Now, Pair, RateState, SourceId};
use kurs_pricing::Graph;
use std::sync::Arc;

/// A node of the graph that the source's own prices were put into.
enum Node {
    Own(Arc<HeldPrice>),
    Published(usize),
}

impl RateView {
    /// The way that starts at one source's own market and goes on over fresh markets.
    pub(crate) fn pinned_way(
        &self,
        asked: Pair,
        source: SourceId,
        snapshot: &Snapshot,
        now: Mono,
    ) -> Option<(Arc<HeldPrice>, Steps)> {
        let pair = asked.canonical();
        let own = self.source_prices(|by, market| by == source && market.base == pair.base);
        let mut best: Option<(Arc<HeldPrice>, Steps)> = None;
        let mut last_known = None;
        for price in own {
            let market = price.price.pair;
            let steps = if market.quote == pair.quote {
                Vec::new()
            } else if let Some(path) = snapshot.graph.path(market.quote, pair.quote) {
                path.steps
            } else {
                continue;
            };
            if !price.is_live(now) {
                last_known = Some((price, steps));
                continue;
            }
            if best
                .as_ref()
                .is_none_or(|(_, other)| steps.len() < other.len())
            {
                best = Some((price, steps));
            }
        }
        // A price that has run out is given back all the same: the caller says that it has.
        best.or(last_known)
    }

    /// The way when the source has no market of the base asset: over the published markets, with
    /// the source's own prices in the place of others wherever it has them.
    pub(crate) fn pinned_legs(
        &self,
        asked: Pair,
        source: SourceId,
        snapshot: &Snapshot,
        now: Now,
    ) -> Result<Answer, Missing> {
        // A source that has not spoken yet lacks everything: what others say must not be given
        // under its name.
        if self.is_live(source) == Some(false) {
            return Err(Missing::NoRateYet(asked));
        }
        let pair = asked.canonical();
        let own: Vec<Arc<HeldPrice>> = self
            .source_prices(|by, _| by == source)
            .into_iter()
            .filter(|price| price.is_live(now.mono))
            .collect();
        let has_own = |market: Pair| own.iter().any(|price| price.price.pair == market);
        let mut nodes = Vec::new();
        let mut markets = Vec::new();
        for (index, market) in snapshot.graph.markets().iter().enumerate() {
            if !has_own(market.pair) {
                nodes.push(Node::Published(index));
                markets.push(*market);
            }
        }
        for price in own {
            markets.push(price.market());
            nodes.push(Node::Own(price));
        }
        let graph = Graph::new(markets);
        let Some(path) = graph.path(pair.base, pair.quote) else {
            // Nothing of the source helps: what kurs publishes says why there is none.
            return self.rate_within(asked, None);
        };
        let taken: Option<Vec<Taken>> = path
            .steps
            .iter()
            .map(|(node, inverted)| match &nodes[*node] {
                Node::Own(price) => Some(take_price(price, *inverted)),
                Node::Published(index) => take_leg(&*snapshot.slots[*index].load()?, *inverted),
            })
            .collect();
        let answer = taken
            .and_then(|taken| answer_of(asked, &taken, RateState::Fresh))
            .ok_or(Missing::NoPath(asked))?;
        unless_expired(answer, now.mono)
    }
}
