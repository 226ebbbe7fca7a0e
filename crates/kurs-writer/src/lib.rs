//! Writer role: what sources say becomes rates on the bus and rows in the store.
//!
//! | module | what it holds |
//! |---|---|
//! | [`writer`] | [`Writer`]: starts all parts under a new epoch, and ends them in order |
//! | [`inbox`] | [`Inbox`]: the bounded way from the sources' tasks to the engine's thread |
//! | [`outcome`] | what follows from an effect of the engine, with its number |
//! | [`candles`] | rows and events folded into candles, and mended from the store |
//! | [`capture`] | record what sources receive, and replay it through the same code |
//! | [`desk`] | the engine's thread: events in; updates, rows and reports out |
//! | [`ledger`] | what is written down of every update: published events, states, gaps |
//! | [`sinks`] | copies of rates, prices and books for other people's databases |
//! | [`snapshots`] | order books, written down from time to time |
//! | [`recorder`] | the way from the engine's thread to the store |
//! | [`commands`] | what Readers ask: books at once, changes in turn |
//! | [`terms`] | under which configuration rates were made: another Writer's may not hold |
//! | [`tracking`] | tracked symbols, and how they change |
//! | `housekeeping` | old history goes, the recorder's state is told |
//! | [`status`] | state and counters of the sources, told once a second |
//!
//! The engine's thread never waits for the bus, the store or a source. What arrives faster than
//! it can be priced is merged: of several prices of one market only the newest is kept.

pub mod candles;
pub mod capture;
pub mod commands;
pub mod desk;
mod housekeeping;
pub mod inbox;
pub mod ledger;
pub mod outcome;
pub mod recorder;
pub mod sinks;
pub mod snapshots;
pub mod status;
pub mod terms;
pub mod tracking;
pub mod writer;

pub use inbox::Inbox;
pub use terms::Terms;
pub use writer::{Parts, Writer};
