//! Reader role: from the store and the bus to a picture of all rates that is cheap to read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`view`] | [`RateView`]: the picture, and every question that can be asked of it |
//! | [`follow`] | [`follow::run`]: store warm-up, then the bus, then gaps |
//! | [`candles`] | candles of any pair, joined from those of its markets where it has none |
//! | [`changes`] | how a rate has changed within an hour and a day |
//! | [`past`] | [`Past`]: what was served at a moment of the past |
//! | [`series`] | what was served of a pair, moment after moment |
//! | [`document`] | the JSON documents that answers are made of |
//! | `transit` | how long updates were on their way |
//! | [`rendered`] | [`Rendered`]: a finished body with its ETag and validity, shared by all requests |
//!
//! A rate is rendered once per change by the first request that asks, and shared by all others.
//! Validity is counted down on this machine's monotonic clock: what has run out is never served
//! as fresh, whether or not anybody said so on the bus.

pub mod candles;
pub mod changes;
mod derive;
pub mod document;
mod explain;
pub mod follow;
mod list;
pub mod past;
mod pinned;
pub mod rendered;
pub mod series;
mod slot;
mod transit;
pub mod view;

pub use document::{ConstituentDocument, ExplainDocument, LegDocument, ListDocument, RateDocument};
pub use follow::Told;
pub use past::{Past, PastError};
pub use rendered::Rendered;
pub use view::{Answer, Missing, RateView, ViewConfig};
