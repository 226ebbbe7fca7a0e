//! The venues and where a client finds them.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use thiserror::Error;

/// A simulated venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Venue {
    /// Binance spot: WebSocket streams and REST.
    Binance,
    /// Coinbase Exchange: WebSocket feed and REST.
    Coinbase,
    /// Kraken spot: WebSocket v2 and REST.
    Kraken,
    /// Bybit v5 spot: WebSocket and REST.
    Bybit,
    /// OKX v5 public: WebSocket and REST.
    Okx,
    /// CoinGecko API v3.
    Coingecko,
    /// Open Exchange Rates.
    OpenExchangeRates,
    /// European Central Bank daily XML.
    Ecb,
    /// Central Bank of Russia daily XML.
    Cbr,
}

/// The text names no simulated venue.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no simulated venue; there are binance, coinbase, kraken, bybit, okx, coingecko, openexchangerates, ecb, cbr"
)]
pub struct UnknownVenue(pub String);

impl Venue {
    /// Every venue there is.
    pub const ALL: [Self; 9] = [
        Self::Binance,
        Self::Coinbase,
        Self::Kraken,
        Self::Bybit,
        Self::Okx,
        Self::Coingecko,
        Self::OpenExchangeRates,
        Self::Ecb,
        Self::Cbr,
    ];

    /// Its name, which is also its path prefix.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Binance => "binance",
            Self::Coinbase => "coinbase",
            Self::Kraken => "kraken",
            Self::Bybit => "bybit",
            Self::Okx => "okx",
            Self::Coingecko => "coingecko",
            Self::OpenExchangeRates => "openexchangerates",
            Self::Ecb => "ecb",
            Self::Cbr => "cbr",
        }
    }

    /// Whether it streams over WebSocket: an exchange.
    #[must_use]
    pub const fn has_streams(self) -> bool {
        matches!(
            self,
            Self::Binance | Self::Coinbase | Self::Kraken | Self::Bybit | Self::Okx
        )
    }

    /// Splits a request path into the venue and the path as the real venue knows it.
    ///
    /// A client that takes a REST URL with a path for the whole root of the API asks
    /// `/binance/depth` where another, which appends the API's path, asks
    /// `/binance/api/v3/depth`: below the venue's name both are the same.
    pub(crate) fn of_path(path: &str) -> Option<(Self, Cow<'_, str>)> {
        for venue in Self::ALL {
            let rest = path
                .strip_prefix('/')
                .and_then(|path| path.strip_prefix(venue.as_str()));
            let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
                continue;
            };
            let route = match venue.missing_start(rest) {
                "" => rest.into(),
                start => format!("{start}{rest}").into(),
            };
            return Some((venue, route));
        }
        let venue = match path {
            "/api/v3/simple/price" | "/api/v3/simple/supported_vs_currencies" => Self::Coingecko,
            "/api/latest.json" | "/api/usage.json" => Self::OpenExchangeRates,
            "/stats/eurofxref/eurofxref-daily.xml"
            | "/stats/eurofxref/eurofxref-hist.xml"
            | "/stats/eurofxref/eurofxref-hist-90d.xml" => Self::Ecb,
            "/scripts/XML_daily.asp" | "/scripts/XML_dynamic.asp" => Self::Cbr,
            _ if path.starts_with("/api/historical/") => Self::OpenExchangeRates,
            "/v2" => Self::Kraken,
            "/ws/v5/public" => Self::Okx,
            "/stream" | "/ws" => Self::Binance,
            "/products" | "/time" => Self::Coinbase,
            _ if path.starts_with("/products/") => Self::Coinbase,
            _ if path.starts_with("/0/public/") => Self::Kraken,
            _ if path.starts_with("/v5/") => Self::Bybit,
            _ if path.starts_with("/api/v5/") => Self::Okx,
            _ if path.starts_with("/ws/") || path.starts_with("/api/v3/") => Self::Binance,
            _ => return None,
        };
        Some((venue, path.into()))
    }
}

impl Venue {
    /// What a path below the venue's name lacks at its beginning to be one of the venue's own.
    fn missing_start(self, rest: &str) -> &'static str {
        let begins = |starts: &[&str]| starts.iter().any(|start| rest.starts_with(start));
        if rest.len() < 2 {
            return "";
        }
        match self {
            Self::Binance if !begins(&["/api/", "/stream", "/ws"]) => "/api/v3",
            Self::Kraken if begins(&["/public/"]) => "/0",
            Self::Kraken if !begins(&["/0/", "/v2"]) => "/0/public",
            Self::Bybit if begins(&["/market/"]) => "/v5",
            Self::Bybit if !begins(&["/v5/"]) => "/v5/market",
            Self::Okx if begins(&["/market/", "/public/"]) => "/api/v5",
            Self::Okx if begins(&["/v5/"]) => "/api",
            _ => "",
        }
    }
}

impl fmt::Display for Venue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Venue {
    type Err = UnknownVenue;

    fn from_str(text: &str) -> Result<Self, UnknownVenue> {
        Self::ALL
            .into_iter()
            .find(|venue| venue.as_str() == text)
            .ok_or_else(|| UnknownVenue(text.to_owned()))
    }
}

/// Complete URLs of one running sim, as the sources take them in their configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueUrls {
    /// `sources.binance.ws_url`.
    pub binance_ws: String,
    /// `sources.binance.rest_url`, with or without `/api/v3` appended.
    pub binance_rest: String,
    /// `sources.coinbase.ws_url`.
    pub coinbase_ws: String,
    /// `sources.coinbase.rest_url`.
    pub coinbase_rest: String,
    /// `sources.kraken.ws_url`.
    pub kraken_ws: String,
    /// `sources.kraken.rest_url`, with or without `/0/public` appended.
    pub kraken_rest: String,
    /// `sources.bybit.ws_url`.
    pub bybit_ws: String,
    /// `sources.bybit.rest_url`, with or without `/v5` or `/v5/market` appended.
    pub bybit_rest: String,
    /// `sources.okx.ws_url`.
    pub okx_ws: String,
    /// `sources.okx.rest_url`, with or without `/api/v5` appended.
    pub okx_rest: String,
    /// `sources.coingecko.rest_url`.
    pub coingecko_rest: String,
    /// `sources.openexchangerates.rest_url`.
    pub openexchangerates_rest: String,
    /// `sources.ecb.rest_url`: the whole URL of the daily file.
    pub ecb_rest: String,
    /// `sources.cbr.rest_url`: the whole URL of the daily table.
    pub cbr_rest: String,
    /// `telegram.api_url`.
    pub telegram_api: String,
    /// Root of the control routes.
    pub control: String,
}

impl VenueUrls {
    /// The URLs of a sim that listens at this address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        Self {
            binance_ws: format!("ws://{address}/binance/stream"),
            binance_rest: format!("http://{address}/binance"),
            coinbase_ws: format!("ws://{address}/coinbase"),
            coinbase_rest: format!("http://{address}/coinbase"),
            kraken_ws: format!("ws://{address}/kraken/v2"),
            kraken_rest: format!("http://{address}/kraken"),
            bybit_ws: format!("ws://{address}/bybit/v5/public/spot"),
            bybit_rest: format!("http://{address}/bybit"),
            okx_ws: format!("ws://{address}/okx/ws/v5/public"),
            okx_rest: format!("http://{address}/okx"),
            coingecko_rest: format!("http://{address}/coingecko/api/v3"),
            openexchangerates_rest: format!("http://{address}/openexchangerates/api"),
            ecb_rest: format!("http://{address}/ecb/stats/eurofxref/eurofxref-daily.xml"),
            cbr_rest: format!("http://{address}/cbr/scripts/XML_daily.asp"),
            telegram_api: format!("http://{address}/telegram"),
            control: format!("http://{address}/control"),
        }
    }

    /// The WebSocket URL of one venue; `None` for a venue that has only REST.
    #[must_use]
    pub fn ws(&self, venue: Venue) -> Option<&str> {
        match venue {
            Venue::Binance => Some(&self.binance_ws),
            Venue::Coinbase => Some(&self.coinbase_ws),
            Venue::Kraken => Some(&self.kraken_ws),
            Venue::Bybit => Some(&self.bybit_ws),
            Venue::Okx => Some(&self.okx_ws),
            _ => None,
        }
    }

    /// The REST URL of one venue.
    #[must_use]
    pub fn rest(&self, venue: Venue) -> &str {
        match venue {
            Venue::Binance => &self.binance_rest,
            Venue::Coinbase => &self.coinbase_rest,
            Venue::Kraken => &self.kraken_rest,
            Venue::Bybit => &self.bybit_rest,
            Venue::Okx => &self.okx_rest,
            Venue::Coingecko => &self.coingecko_rest,
            Venue::OpenExchangeRates => &self.openexchangerates_rest,
            Venue::Ecb => &self.ecb_rest,
            Venue::Cbr => &self.cbr_rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_with_and_without_the_name_of_its_venue() {
        let cases = [
            ("/binance/stream", Some((Venue::Binance, "/stream"))),
            (
                "/binance/api/v3/depth",
                Some((Venue::Binance, "/api/v3/depth")),
            ),
            (
                "/api/v3/simple/price",
                Some((Venue::Coingecko, "/api/v3/simple/price")),
            ),
            ("/api/v3/depth", Some((Venue::Binance, "/api/v3/depth"))),
            (
                "/cbr/scripts/XML_daily.asp",
                Some((Venue::Cbr, "/scripts/XML_daily.asp")),
            ),
            ("/binance/depth", Some((Venue::Binance, "/api/v3/depth"))),
            (
                "/binance/ws/btcusdt@trade",
                Some((Venue::Binance, "/ws/btcusdt@trade")),
            ),
            ("/coinbase", Some((Venue::Coinbase, ""))),
            ("/coinbase/products", Some((Venue::Coinbase, "/products"))),
            ("/kraken/v2", Some((Venue::Kraken, "/v2"))),
            ("/v2", Some((Venue::Kraken, "/v2"))),
            (
                "/kraken/0/public/Ticker",
                Some((Venue::Kraken, "/0/public/Ticker")),
            ),
            ("/kraken/Ticker", Some((Venue::Kraken, "/0/public/Ticker"))),
            ("/bybit/tickers", Some((Venue::Bybit, "/v5/market/tickers"))),
            ("/v5/market/time", Some((Venue::Bybit, "/v5/market/time"))),
            (
                "/okx/market/tickers",
                Some((Venue::Okx, "/api/v5/market/tickers")),
            ),
            ("/okx/ws/v5/public", Some((Venue::Okx, "/ws/v5/public"))),
            ("/ws/v5/public", Some((Venue::Okx, "/ws/v5/public"))),
            ("/binancex/stream", None),
            ("/", None),
        ];
        for (path, expect) in cases {
            let expect = expect.map(|(venue, route)| (venue, route.into()));
            assert_eq!(Venue::of_path(path), expect, "{path}");
        }
    }
}
