//! The fair price of one source's market, as far as the source gives what it needs.

use super::Engine;
use super::plan::Plan;
use super::slots::PriceSlot;
use crate::config::{FairMethod, PolicyKind};
use crate::fair::{depth_weighted, weighted_mid};
use kurs_core::{Depth, Mono, Pair, Price};
use rust_decimal::{Decimal, RoundingStrategy};
use std::sync::Arc;

/// Digits of a step that follows from prices: it need not move with every tick.
const STEP_DIGITS: u32 = 4;

/// A fair price, and which one it is.
#[derive(Debug, Clone)]
pub(super) struct Fair {
    pub(super) value: Price,
    pub(super) method: FairMethod,
    /// Why it is not the one that was asked for; `None` when it is.
    pub(super) why: Option<Arc<str>>,
}

impl Fair {
    /// Bid and ask with the fair price between them: deep volume may weigh it over the best
    /// levels, and rounding over a bid or ask of more digits than are published.
    #[inline]
    pub(super) fn within(
        &self,
        bid: Option<Price>,
        ask: Option<Price>,
    ) -> (Option<Price>, Option<Price>) {
        if self.method == FairMethod::Mid {
            return (bid, ask);
        }
        let value = self.value;
        (bid.map(|bid| bid.min(value)), ask.map(|ask| ask.max(value)))
    }
}

impl Engine {
    /// The fair price of a market by the method of a plan; the mid where the source does not
    /// give what that needs.
    #[inline]
    pub(super) fn fair(&self, now: Mono, price: usize, plan: &Plan) -> Fair {
        let slot = &self.prices[price];
        let quoted = &slot.quoted;
        if plan.price == FairMethod::Mid {
            return Fair {
                value: quoted.value,
                method: FairMethod::Mid,
                why: None,
            };
        }
        self.fair_by(now, slot, plan)
    }

    fn fair_by(&self, now: Mono, slot: &PriceSlot, plan: &Plan) -> Fair {
        let quoted = &slot.quoted;
        // Into a merged book go levels; its venues are held against one another by their mids.
        let method = match plan.kind {
            PolicyKind::Merged => FairMethod::Mid,
            _ => plan.price,
        };
        let found = match method {
            FairMethod::Mid => Ok(quoted.value),
            FairMethod::WeightedMid => {
                match (quoted.quote.bid(), quoted.quote.ask(), &quoted.sizes) {
                    (Some(bid), Some(ask), Some(sizes)) => {
                        weighted_mid(bid, ask, sizes).map_err(|error| error.to_string())
                    }
                    _ => Err("it gives no sizes".to_owned()),
                }
            }
            FairMethod::DepthWeighted => match slot.live_depth(now) {
                Some(depth) => {
                    let step = self.step(plan, quoted.pair, quoted.value.value(), depth);
                    depth_weighted(depth, &plan.policy.depth(step))
                        .map_err(|error| error.to_string())
                }
                None => Err("it gives no depth at present".to_owned()),
            },
        };
        match found {
            Ok(value) => Fair {
                value: if method == FairMethod::Mid {
                    value
                } else {
                    value.published()
                },
                method,
                why: None,
            },
            Err(why) => Fair {
                value: quoted.value,
                method: FairMethod::Mid,
                why: Some(format!("mid, since {why}").into()),
            },
        }
    }

    /// The step of the volume grid in base asset: as configured, else what one BTC is worth by
    /// our own rate of BTC in the quote asset. Where that is not known, a tenth of what the
    /// thinner side of the book offers.
    pub(super) fn step(&self, plan: &Plan, market: Pair, mid: Decimal, depth: &Depth) -> Decimal {
        if let Some(step) = plan.policy.step {
            return step.value();
        }
        let bitcoin = match market.base.as_str() {
            "BTC" => Some(mid),
            _ => self.bitcoin_in(market),
        };
        let by_bitcoin = bitcoin
            .and_then(|bitcoin| bitcoin.checked_div(mid))
            .and_then(|step| {
                step.round_sf_with_strategy(STEP_DIGITS, RoundingStrategy::MidpointNearestEven)
            })
            .filter(|step| !step.is_zero());
        by_bitcoin.unwrap_or_else(|| a_tenth(depth))
    }

    /// What one BTC costs in the quote asset of a market, if that is known.
    fn bitcoin_in(&self, market: Pair) -> Option<Decimal> {
        if market.quote.as_str() == "BTC" {
            return Some(Decimal::ONE);
        }
        let pair = Pair::new(self.bitcoin?, market.quote);
        let published = self.pairs[*self.pair_index.get(&pair)?]
            .published
            .as_ref()?;
        Some(published.market.value.value())
    }
}

fn a_tenth(depth: &Depth) -> Decimal {
    let total = |levels: &[kurs_core::Level]| {
        levels.iter().fold(Decimal::ZERO, |sum, level| {
            sum.checked_add(level.size).unwrap_or(Decimal::MAX)
        })
    };
    let thinner = total(&depth.bids).min(total(&depth.asks));
    let tenth = thinner.checked_div(Decimal::TEN).unwrap_or(thinner);
    if tenth.is_zero() { Decimal::ONE } else { tenth }
}
