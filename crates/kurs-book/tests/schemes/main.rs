//! Every scheme against a simulated venue whose true book is known at every moment, over
//! lines that drop, repeat, swap and delay messages, while the venue restarts and its snapshots
//! are stale. What is promised: a readable book is the venue's, and it becomes readable again.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]

mod in_stream;
mod range;
mod venue;
