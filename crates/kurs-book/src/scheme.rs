//! How a venue lets its books be kept in step.

/// Kinds of sync scheme, by what the venue offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Diffs cover ranges of ids; the snapshot is asked for separately and bridged (Binance).
    IdRange,
    /// Each message names the one before; the snapshot comes in the stream (OKX).
    Chain,
    /// Messages are counted; the snapshot comes in the stream (Bybit).
    Counter,
    /// A CRC32 over the best levels after each message, Kraken's way of writing them.
    KrakenChecksum,
    /// [`Self::Chain`], and a CRC32 over the best 25 levels where a message carries one: OKX
    /// until June 2026, and its clones.
    ChainWithChecksum,
    /// Nothing can be verified (Coinbase `level2_batch`): a crossed book is the only sign.
    Unverifiable,
}
