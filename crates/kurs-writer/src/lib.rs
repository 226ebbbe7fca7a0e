//! Writer role: what sources say becomes rates on the bus and rows in the store.
//!
//! | module | what it holds |
//! |---|---|
//! | [`writer`] | [`Writer`]: starts all parts, and ends them in order |
//! | [`config`] | [`WriterConfig`] |
//! | [`lease`] | when it writes: which leases it asks for, keeps and gives away |
//! | [`shards`] | which part of the pairs an update belongs to |
//! | [`scope`] | which pairs the sources of this Writer follow |
//! | [`standby`] | a hot standby's picture of a shard, and what it does first on take-over |
//! | `office`, `tenure`, `former` | leading a shard, from the lease to its end |
//! | `follow` | what other Writers publish |
//! | [`inbox`] | [`Inbox`]: the bounded way from the sources' tasks to the engine's thread |
//! | [`outcome`] | what follows from an effect of the engine, with its number |
//! | [`candles`] | rows and events folded into candles, and mended from the store |
//! | [`capture`] | record what sources receive, and replay it through the same code |
//! | [`desk`] | the engine's thread: events in; updates, rows and reports out |
//! | [`ledger`] | what is written down of every update: published events, states, gaps |
//! | [`sinks`] | copies of rates, prices and books for other people's databases |
//! | [`snapshots`] | order books, written down from time to time |
//! | [`recorder`] | the way from the engine's thread to the store |
//! | [`settings`] | changes of settings: judged, stored and noted together |
//! | [`audit`] | what the audit log says of a change |
//! | [`commands`] | what Readers ask: books at once, changes in turn |
//! | [`terms`] | under which configuration rates were made: another Writer's may not hold |
//! | [`tracking`] | tracked symbols, and how they change |
//! | `housekeeping` | old history goes, the recorder's state is told |
//! | [`status`] | state and counters of the sources, told once a second |
//!
//! The engine's thread never waits for the bus, the store or a source. What arrives faster than
//! it can be priced is merged: of several prices of one market only the newest is kept.

pub mod audit;
pub mod candles;
pub mod capture;
pub mod commands;
pub mod config;
pub mod desk;
mod follow;
mod former;
mod housekeeping;
pub mod inbox;
pub mod lease;
pub mod ledger;
mod office;
pub mod outcome;
pub mod recorder;
pub mod scope;
pub mod settings;
pub mod shards;
pub mod sinks;
pub mod snapshots;
pub mod standby;
pub mod status;
mod tenure;
pub mod terms;
pub mod tracking;
pub mod writer;

pub use config::WriterConfig;
pub use inbox::Inbox;
pub use settings::{Judge, Judged};
pub use terms::Terms;
pub use writer::{Parts, Writer};
