//! Where each venue is found and which place it has, unless the settings say otherwise.

use std::fmt::Debug;

/// A venue's defaults.
pub trait Site: Debug + Clone + Copy + Default + PartialEq + Eq + Send + Sync + 'static {
    /// Name of the source and of its section.
    const NAME: &'static str;
    /// Place in the order of preference.
    const PRIORITY: u16;
    /// WebSocket server.
    const WS_URL: &'static str;
    /// Path of the WebSocket where a URL has none.
    const WS_PATH: &'static str;
    /// REST server.
    const REST_URL: &'static str;
    /// Path before that of every request where a URL has none.
    const REST_PATH: &'static str;
}

/// Binance spot: the hosts that serve market data only, to anybody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Binance;

impl Site for Binance {
    const NAME: &'static str = "binance";
    const PRIORITY: u16 = 1;
    const WS_URL: &'static str = "wss://data-stream.binance.vision";
    const WS_PATH: &'static str = "/stream";
    const REST_URL: &'static str = "https://data-api.binance.vision";
    const REST_PATH: &'static str = "/api/v3";
}

/// Coinbase Exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Coinbase;

impl Site for Coinbase {
    const NAME: &'static str = "coinbase";
    const PRIORITY: u16 = 2;
    const WS_URL: &'static str = "wss://ws-feed.exchange.coinbase.com";
    const WS_PATH: &'static str = "";
    const REST_URL: &'static str = "https://api.exchange.coinbase.com";
    const REST_PATH: &'static str = "";
}

/// Kraken spot, version 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kraken;

impl Site for Kraken {
    const NAME: &'static str = "kraken";
    const PRIORITY: u16 = 3;
    const WS_URL: &'static str = "wss://ws.kraken.com";
    const WS_PATH: &'static str = "/v2";
    const REST_URL: &'static str = "https://api.kraken.com";
    const REST_PATH: &'static str = "";
}

/// Bybit spot, version 5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bybit;

impl Site for Bybit {
    const NAME: &'static str = "bybit";
    const PRIORITY: u16 = 4;
    const WS_URL: &'static str = "wss://stream.bybit.com";
    const WS_PATH: &'static str = "/v5/public/spot";
    const REST_URL: &'static str = "https://api.bybit.com";
    const REST_PATH: &'static str = "";
}

/// OKX spot, version 5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Okx;

impl Site for Okx {
    const NAME: &'static str = "okx";
    const PRIORITY: u16 = 5;
    const WS_URL: &'static str = "wss://ws.okx.com:8443";
    const WS_PATH: &'static str = "/ws/v5/public";
    const REST_URL: &'static str = "https://www.okx.com";
    const REST_PATH: &'static str = "";
}
