//! The words of kurs. Every other crate speaks in these types; this one does no I/O, reads no
//! clock and knows no venue.
//!
//! | module | what it holds |
//! |---|---|
//! | [`asset`] | [`Asset`], network aliases such as `USDTTRC` |
//! | [`pair`] | [`Pair`], and [`PairParser`] for every spelling users send |
//! | [`price`] | [`Price`], an exact positive decimal, and the rounding rules |
//! | [`source`] | [`SourceId`], its kind and state |
//! | [`depth`] | [`Depth`]: the best levels of an order book |
//! | [`event`] | [`SourceEvent`]: what a source says, in our words |
//! | [`rate`] | [`Rate`]: what kurs publishes, with its legs and the reason for its source |
//! | [`stamp`] | [`Epoch`], [`Seq`], [`UpdateId`] |
//! | [`time`] | [`Wall`] and [`Mono`] times, [`Now`], the [`Clock`] trait |
//! | [`tracked`] | [`TrackedSymbol`] |

pub mod asset;
pub mod depth;
pub mod event;
pub mod pair;
pub mod price;
pub mod rate;
pub mod source;
pub mod stamp;
pub mod text;
pub mod time;
pub mod tracked;

pub use asset::{Asset, AssetError};
pub use depth::{Depth, Level, Sizes};
pub use event::{EventKind, Quote, SourceEvent, Tick};
pub use pair::{Pair, PairError, PairParser};
pub use price::{Price, PriceError};
pub use rate::{Choice, Leg, Rate, RateState, Skipped};
pub use source::{SourceId, SourceIdError, SourceKind, SourceState};
pub use stamp::{Epoch, Seq, UpdateId};
pub use time::{Clock, ManualClock, Mono, Now, SystemClock, Wall};
pub use tracked::TrackedSymbol;
