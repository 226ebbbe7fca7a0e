//! Record and replay: everything that sources receive goes into files, and from files through
//! the same machines, the same engine and the same numbering.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`CaptureConfig`]: section `capture` |
//! | [`mod@line`] | the line format |
//! | [`files`] | names of files, order, deletion of the oldest |
//! | [`queue`] | what waits to be written |
//! | [`mod@write`] | [`Capture`]: the thread that writes |
//! | [`read`] | reading of files, bounded in memory |
//! | [`words`] | what meta lines say; inputs of sources as lines |
//! | [`replay`] | [`Replay`]: recorded lines through machines, engine and numbering |

pub mod config;
pub mod files;
pub mod line;
pub mod queue;
pub mod read;
pub mod replay;
pub mod words;
pub mod write;

pub use config::CaptureConfig;
pub use replay::Replay;
pub use write::{Capture, Head, WriteError, Written};
