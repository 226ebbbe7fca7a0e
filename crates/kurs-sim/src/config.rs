//! What a sim is told at its start.

use crate::capture::CaptureConfig;
use crate::faults::FaultWord;
use serde::{Deserialize, Serialize};

/// How the simulated venues behave. Every default is what the real venue does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// Same seed, same market.
    pub seed: u64,
    /// How lively the market is, in percent: 100 gives BTCUSDT tens of changes a second.
    pub activity_percent: u32,
    /// Invented further Binance symbols (`S0001USDT`, ...), for load.
    pub extra_symbols: usize,
    /// Binance: limits and habits.
    pub binance: BinanceLimits,
    /// CoinGecko: how long one computed price is served, seconds.
    pub coingecko_cache_seconds: u64,
    /// CoinGecko: the only demo or pro key that is accepted; `None` accepts any and none.
    pub coingecko_key: Option<String>,
    /// Open Exchange Rates: the only app_id that is accepted; `None` accepts any that is there.
    pub openexchangerates_key: Option<String>,
    /// Open Exchange Rates: a new table every so many seconds.
    pub openexchangerates_period_seconds: u64,
    /// A capture to play as Binance instead of the market.
    pub capture: Option<CaptureConfig>,
    /// Faults that hold from the start, as command-line words.
    pub faults: Vec<FaultWord>,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            activity_percent: 100,
            extra_symbols: 0,
            binance: BinanceLimits::default(),
            coingecko_cache_seconds: 60,
            coingecko_key: None,
            openexchangerates_key: None,
            openexchangerates_period_seconds: 3_600,
            capture: None,
            faults: Vec::new(),
        }
    }
}

impl SimConfig {
    /// A quiet config for tests: this seed, everything else as by default.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }
}

/// Limits and habits of the simulated Binance.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BinanceLimits {
    /// REST weight allowed in a minute.
    pub weight_per_minute: u32,
    /// Requests that may be refused with 429 before the ban.
    pub refusals_before_ban: u32,
    /// Length of the ban (418), seconds.
    pub ban_seconds: u64,
    /// Incoming messages (pings and pongs included) a connection may send in a second.
    pub messages_per_second: usize,
    /// Streams a connection may hold.
    pub streams_per_connection: usize,
    /// Connection attempts allowed in five minutes.
    pub attempts_per_five_minutes: usize,
    /// The server pings this often, milliseconds.
    pub ping_every_ms: u64,
    /// A pong with the same payload must come within this time, milliseconds.
    pub pong_within_ms: u64,
    /// A connection is closed at this age, milliseconds; the real venue: 24 h.
    pub max_connection_age_ms: u64,
    /// Frames that may wait for a client that reads slowly; one more and it is disconnected.
    pub queued_frames_max: usize,
}

impl Default for BinanceLimits {
    fn default() -> Self {
        Self {
            weight_per_minute: 6_000,
            refusals_before_ban: 10,
            ban_seconds: 120,
            messages_per_second: 5,
            streams_per_connection: 1_024,
            attempts_per_five_minutes: 300,
            ping_every_ms: 20_000,
            pong_within_ms: 60_000,
            max_connection_age_ms: 24 * 3_600_000,
            queued_frames_max: 16_384,
        }
    }
}
