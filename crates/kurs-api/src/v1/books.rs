//! Order books.

use super::currency::ask;
use super::missing::pair_problem;
use crate::answer::Answer;
use crate::call::Call;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use kurs_bus::book::LEVELS_MAX;
use kurs_bus::{BookState, Command, Reply};
use kurs_core::{Depth, Level, Pair, Price, Sizes, SourceId, Wall};
use kurs_pricing::fair::{self, DepthSettings};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Levels per side that can be asked for.
pub(crate) const LEVELS: (u32, u32, u32) = (1, LEVELS_MAX as u32, 20);

/// How deep the depth-weighted price of the answer looks: half a percent off the middle.
const SETTINGS: DepthSettings = DepthSettings {
    step: Decimal::ONE,
    max_spread: Decimal::from_parts(5, 0, 0, false, 3),
    cap_sizes: false,
};

/// A synced order book.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BookDocument {
    /// Whose; `sim:` marks a simulated one.
    source: SourceId,
    /// The market.
    pair: Pair,
    /// The venue's own word for it.
    symbol: Arc<str>,
    /// The venue's id of the last message applied, where it has ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    update_id: Option<u64>,
    /// When the venue says that message was true, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<Wall>,
    /// When that message was received.
    received_at: Wall,
    /// Time since then, milliseconds.
    age_ms: u64,
    /// What keeps it in step: `id_range`, `chain`, `counter`, `checksum` or `unverifiable`.
    verified_by: Arc<str>,
    /// Fair prices of this book.
    fair: FairDocument,
    /// Levels held on the buyers' side, shown or not.
    bid_levels: u64,
    /// Levels held on the sellers' side, shown or not.
    ask_levels: u64,
    /// Buyers, highest first.
    bids: Vec<LevelDocument>,
    /// Sellers, lowest first.
    asks: Vec<LevelDocument>,
}

/// One price level.
#[derive(Debug, Serialize, JsonSchema)]
struct LevelDocument {
    /// In quote asset.
    price: Price,
    /// In base asset.
    #[schemars(with = "Price")]
    size: Decimal,
}

/// Fair prices, `pricing.md` section 1.
#[derive(Debug, Serialize, JsonSchema)]
struct FairDocument {
    /// The middle of the best levels.
    mid: Option<Price>,
    /// The middle weighted by what is offered at the best levels.
    weighted_mid: Option<Price>,
    /// Weighted over the depth of the levels held, in steps of one hundredth of it.
    depth_weighted: Option<Price>,
}

/// `GET /api/v1/books/{source}/{symbol}`.
pub(crate) fn book(call: Call) -> Work {
    Box::pin(async move {
        let text = call.arguments.text("symbol").unwrap_or("");
        let pair = call
            .api
            .view
            .parse_pair(text)
            .map_err(|error| pair_problem("symbol", &error))?
            .canonical();
        let source = call
            .arguments
            .source("source")
            .ok_or_else(|| Problem::parameter("source", "is required"))?;
        let shown = call.arguments.whole("depth").unwrap_or(LEVELS.2);
        let command = Command::Book {
            source,
            pair,
            levels: LEVELS_MAX,
        };
        match ask(&call, command).await? {
            Reply::Book(state) => {
                let now = call.api.view.now().wall;
                Ok(Answer::json(&document(*state, shown, now)))
            }
            Reply::BookNotReady { why } => {
                Err(Problem::new(Kind::BookNotReady, &*why).retry_after(1))
            }
            Reply::NoBook {
                unknown_source,
                why,
            } => {
                let kind = if unknown_source {
                    Kind::UnknownSource
                } else {
                    Kind::UnknownBook
                };
                Err(Problem::new(kind, &*why))
            }
            Reply::Unavailable { why } => Err(Problem::new(Kind::WriterUnavailable, &*why)),
            _ => Err(super::currency::unfitting()),
        }
    })
}

fn document(state: BookState, shown: u32, now: Wall) -> BookDocument {
    let shown = usize::try_from(shown).unwrap_or(usize::MAX);
    let levels = |side: &[(Price, Decimal)]| {
        side.iter()
            .take(shown)
            .map(|&(price, size)| LevelDocument { price, size })
            .collect()
    };
    let age = now.since(state.received_at).as_millis();
    BookDocument {
        fair: fair_prices(&state),
        bids: levels(&state.bids),
        asks: levels(&state.asks),
        source: state.source,
        pair: state.pair,
        symbol: state.symbol,
        update_id: state.update_id,
        observed_at: state.observed_at,
        received_at: state.received_at,
        age_ms: u64::try_from(age).unwrap_or(u64::MAX),
        verified_by: state.verified_by,
        bid_levels: state.bid_levels,
        ask_levels: state.ask_levels,
    }
}

fn fair_prices(state: &BookState) -> FairDocument {
    let best = state.bids.first().zip(state.asks.first());
    let mid = best.and_then(|(bid, ask)| Price::mid(bid.0, ask.0).ok());
    let weighted_mid = best.and_then(|(bid, ask)| {
        let sizes = Sizes {
            bid: bid.1,
            ask: ask.1,
        };
        fair::weighted_mid(bid.0, ask.0, &sizes).ok()
    });
    let side = |levels: &[(Price, Decimal)]| -> Box<[Level]> {
        levels
            .iter()
            .map(|&(price, size)| Level { price, size })
            .collect()
    };
    let depth = Depth {
        bids: side(&state.bids),
        asks: side(&state.asks),
    };
    FairDocument {
        mid,
        weighted_mid: weighted_mid.map(Price::published),
        depth_weighted: step_of(&depth)
            .and_then(|step| fair::depth_weighted(&depth, &DepthSettings { step, ..SETTINGS }).ok())
            .map(Price::published),
    }
}

/// One hundredth of the thinner side.
fn step_of(depth: &Depth) -> Option<Decimal> {
    let total = |levels: &[Level]| {
        levels
            .iter()
            .try_fold(Decimal::ZERO, |sum, level| sum.checked_add(level.size))
    };
    let thinner = total(&depth.bids)?.min(total(&depth.asks)?);
    thinner.checked_div(Decimal::ONE_HUNDRED)
}
