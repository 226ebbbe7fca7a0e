//! What a sim is told at its start.

use crate::capture::CaptureConfig;
use crate::faults::FaultWord;
use crate::telegram::TelegramConfig;
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
    /// The same for each of Coinbase, Kraken (`S0001-USD`, `S0001/USD`), Bybit and OKX
    /// (`S0001USDT`, `S0001-USDT`).
    pub extra_symbols_elsewhere: usize,
    /// Binance: limits and habits.
    pub binance: BinanceLimits,
    /// Coinbase: limits and habits.
    pub coinbase: CoinbaseHabits,
    /// Kraken: limits and habits.
    pub kraken: KrakenHabits,
    /// Bybit: limits and habits.
    pub bybit: BybitHabits,
    /// OKX: limits and habits.
    pub okx: OkxHabits,
    /// CoinGecko: how long one computed price is served, seconds.
    pub coingecko_cache_seconds: u64,
    /// CoinGecko: the only demo or pro key that is accepted; `None` accepts any and none.
    pub coingecko_key: Option<String>,
    /// Open Exchange Rates: the only app_id that is accepted; `None` accepts any that is there.
    pub openexchangerates_key: Option<String>,
    /// Open Exchange Rates: a new table every so many seconds.
    pub openexchangerates_period_seconds: u64,
    /// The Bot API of Telegram.
    pub telegram: TelegramConfig,
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
            extra_symbols_elsewhere: 0,
            binance: BinanceLimits::default(),
            coinbase: CoinbaseHabits::default(),
            kraken: KrakenHabits::default(),
            bybit: BybitHabits::default(),
            okx: OkxHabits::default(),
            coingecko_cache_seconds: 60,
            coingecko_key: None,
            openexchangerates_key: None,
            openexchangerates_period_seconds: 3_600,
            telegram: TelegramConfig::default(),
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

/// Limits every exchange but Binance has in the same form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeLimits {
    /// WebSocket handshakes allowed within `connections_within_ms`.
    pub connections: usize,
    /// See `connections`, milliseconds.
    pub connections_within_ms: u64,
    /// REST requests allowed within `requests_within_ms`.
    pub requests: usize,
    /// See `requests`, milliseconds.
    pub requests_within_ms: u64,
    /// Frames that may wait for a client that reads slowly; one more and it is disconnected.
    pub queued_frames_max: usize,
}

impl ExchangeLimits {
    const fn new(
        connections: usize,
        connections_within_ms: u64,
        requests: usize,
        requests_within_ms: u64,
    ) -> Self {
        Self {
            connections,
            connections_within_ms,
            requests,
            requests_within_ms,
            queued_frames_max: 16_384,
        }
    }
}

/// Limits and habits of the simulated Coinbase (Exchange feed).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CoinbaseHabits {
    /// Connections and requests: 8 a second with bursts to 20, and 10 a second.
    pub limits: ExchangeLimits,
    /// A connection that has not subscribed anything after this time is closed, milliseconds.
    pub subscribe_within_ms: u64,
    /// Messages a connection may send in a second.
    pub messages_per_second: usize,
}

impl Default for CoinbaseHabits {
    fn default() -> Self {
        Self {
            limits: ExchangeLimits::new(20, 2_500, 10, 1_000),
            subscribe_within_ms: 5_000,
            messages_per_second: 100,
        }
    }
}

/// Limits and habits of the simulated Kraken (WebSocket v2).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KrakenHabits {
    /// Connections and requests: 150 in ten minutes, and about one a second.
    pub limits: ExchangeLimits,
    /// Heartbeats from the first subscription on, milliseconds.
    pub heartbeat_every_ms: u64,
}

impl Default for KrakenHabits {
    fn default() -> Self {
        Self {
            limits: ExchangeLimits::new(150, 600_000, 15, 15_000),
            heartbeat_every_ms: 1_000,
        }
    }
}

/// Limits and habits of the simulated Bybit (v5 spot).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BybitHabits {
    /// Connections and requests: 500 in five minutes, and 600 in five seconds.
    pub limits: ExchangeLimits,
    /// A connection that sends no ping for so long is closed, milliseconds; `None`: never.
    pub ping_within_ms: Option<u64>,
    /// `orderbook.1` repeats its snapshot after so long without a change, milliseconds.
    pub repeat_after_ms: u64,
    /// Whether every second subscription is answered by its snapshots before its
    /// acknowledgement.
    pub snapshot_before_ack: bool,
}

impl Default for BybitHabits {
    fn default() -> Self {
        Self {
            limits: ExchangeLimits::new(500, 300_000, 600, 5_000),
            ping_within_ms: None,
            repeat_after_ms: 3_000,
            snapshot_before_ack: true,
        }
    }
}

/// Limits and habits of the simulated OKX (v5 public).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OkxHabits {
    /// Connections and requests: 3 a second, and 40 in two seconds.
    pub limits: ExchangeLimits,
    /// A connection over which nothing was sent for so long, or that has had no subscription for
    /// so long, is closed, milliseconds.
    pub idle_ms: u64,
    /// A book without a change says so after this time, milliseconds.
    pub repeat_after_ms: u64,
    /// Whether `books` carries true checksums, as it did until June 2026, instead of 0.
    pub checksum: bool,
    /// Subscriptions and unsubscriptions a connection may ask in an hour.
    pub commands_per_hour: usize,
}

impl Default for OkxHabits {
    fn default() -> Self {
        Self {
            limits: ExchangeLimits::new(3, 1_000, 40, 2_000),
            idle_ms: 30_000,
            repeat_after_ms: 60_000,
            checksum: false,
            commands_per_hour: 480,
        }
    }
}
