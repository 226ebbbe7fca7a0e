//! Reader role: from the store and the bus to a picture of all rates that is cheap to read.
//!
//! | module | what it holds |
//! |---|---|
//! | [`view`] | [`RateView`]: the picture, and every question that can be asked of it |
//! | [`follow`] | [`follow::run`]: store warm-up, then the bus, then gaps |
//! | [`document`] | the JSON documents that answers are made of |
//! | [`rendered`] | [`Rendered`]: a finished body with its ETag and validity, shared by all requests |
//!
//! A rate is rendered once per change by the first request that asks, and shared by all others.
//! Validity is counted down on this machine's monotonic clock: what has run out is never served
//! as fresh, whether or not anybody said so on the bus.

mod derive;
pub mod document;
mod explain;
pub mod follow;
mod list;
mod pinned;
pub mod rendered;
mod slot;
pub mod view;

pub use document::{ConstituentDocument, ExplainDocument, LegDocument, ListDocument, RateDocument};
pub use rendered::Rendered;
pub use view::{Answer, Missing, RateView, ViewConfig};
