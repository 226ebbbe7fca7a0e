//! Books replayed from the recorded captures, against what the venues themselves say about
//! them: best prices, checksums, chains of ids. Decoding is done in the plainest way here;
//! the decoders of the product prove the same end to end elsewhere.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]
#![expect(clippy::print_stderr, reason = "what was not replayed must be seen")]

mod binance;
mod in_stream;
mod reader;
