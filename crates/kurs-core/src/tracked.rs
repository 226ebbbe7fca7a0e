//! Symbols that users asked kurs to follow.

use crate::pair::Pair;
use crate::time::Wall;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A symbol that is followed on every enabled streaming venue that lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackedSymbol {
    /// As it was asked for, upper case, such as `BTCUSDT`.
    pub symbol: Arc<str>,
    /// The pair it means, canonical.
    pub pair: Pair,
    /// Since when it is tracked.
    pub added_at: Wall,
}
