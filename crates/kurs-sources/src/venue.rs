//! The runtime of all streaming venues: connections, books, silence, polling. What tells one
//! venue from another is its [`codec::Codec`].
//!
//! | module | what it holds |
//! |---|---|
//! | [`codec`] | [`codec::Codec`]: the words, ids and requests of a venue |
//! | [`desk`] | [`Desk`]: the state of every pair and of the source, whichever way data comes |
//! | `symbols` | symbols and streams by number |
//! | `merge` | each best price once over two connections |
//! | `books` | the book of a symbol over all connections |
//! | `judge` | whether a connection still speaks the venue's language |
//! | [`config`] | [`Config`]: the settings all venues share, with each one's defaults |
//! | [`sites`] | where each venue is found |
//! | [`Venue`] | the source that runs a desk: its tasks, its connections |
//! | `door` | the desk behind its lock, with the recorder's tap |
//! | `session` | the dialect for the WebSocket client |
//! | `rest`, `listing`, `poll`, `follower`, `snapshots` | requests with their limits |

mod books;
pub mod codec;
pub mod config;
pub mod desk;
mod door;
mod follower;
mod judge;
mod listing;
mod merge;
mod poll;
mod rest;
mod session;
pub mod sites;
mod snapshots;
mod source;
mod symbols;

pub use config::Config;
pub use desk::{Desk, DeskParts, Waits};
pub use source::{Venue, VenueMeans};
