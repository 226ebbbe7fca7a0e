//! Settings of all sources: section `sources` of the configuration.

use crate::venue::{self, sites};
use crate::{cbr, coingecko, ecb, http_source, openexchangerates, registry};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of all sources, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SourcesConfig {
    /// Binance.
    pub binance: venue::Config<sites::Binance>,
    /// Coinbase Exchange.
    pub coinbase: venue::Config<sites::Coinbase>,
    /// Kraken.
    pub kraken: venue::Config<sites::Kraken>,
    /// Bybit.
    pub bybit: venue::Config<sites::Bybit>,
    /// OKX.
    pub okx: venue::Config<sites::Okx>,
    /// CoinGecko; `coingeko`, a common misspelling, is accepted too.
    #[serde(alias = "coingeko")]
    pub coingecko: coingecko::Config,
    /// Open Exchange Rates.
    pub openexchangerates: openexchangerates::Config,
    /// European Central Bank.
    pub ecb: ecb::Config,
    /// Bank of Russia.
    pub cbr: cbr::Config,
    /// Further sources in JSON, XML or CSV by names of your choice: [sources.http.NAME] with url
    /// and rates. docs/http-source.md has their keys; `kurs sources try NAME` shows what is read.
    pub http: BTreeMap<String, http_source::Config>,
}

impl SourcesConfig {
    /// Adds every mistake of every source with the path of its key, such as
    /// `sources.ecb.period: ...`.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        self.binance.validate("sources.binance", mistakes);
        self.coinbase.validate("sources.coinbase", mistakes);
        self.kraken.validate("sources.kraken", mistakes);
        self.bybit.validate("sources.bybit", mistakes);
        self.okx.validate("sources.okx", mistakes);
        self.coingecko.validate("sources.coingecko", mistakes);
        self.openexchangerates
            .validate("sources.openexchangerates", mistakes);
        self.ecb.validate("sources.ecb", mistakes);
        self.cbr.validate("sources.cbr", mistakes);
        http_source::validate_all(&self.http, &registry::NAMES, "sources.http", mistakes);
    }

    /// The names of all sources: those built in, and those of the user.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let own = self.http.keys().map(String::as_str);
        registry::NAMES.into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_telemetry::Secret;

    #[test]
    fn the_defaults_have_no_mistakes() {
        let mut mistakes = Vec::new();
        SourcesConfig::default().validate(&mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
    }

    #[test]
    fn all_mistakes_are_told_with_their_keys() {
        let config: SourcesConfig = serde_json::from_value(serde_json::json!({
            "coingeko": {"period": "25h", "rest_url": "ftp://x", "ids": {"bit coin": "BTC"}, "plan": "pro"},
            "openexchangerates": {"priority": 0, "key": "a&b"},
            "ecb": {"period": "0s", "zone": "Mars/Olympus", "window_to": "10:00", "window_period": "2d"},
            "cbr": {"rest_url": "https://", "grace": "30d", "timeout": "1d", "max_age_ms": 0},
        }))
        .unwrap();
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        for key in [
            "coingecko.period",
            "coingecko.rest_url",
            "coingecko.ids",
            "coingecko.key",
            "openexchangerates.priority",
            "openexchangerates.key",
            "ecb.period",
            "ecb.zone",
            "ecb.window_to",
            "ecb.window_period",
            "cbr.rest_url",
            "cbr.grace",
            "cbr.timeout",
            "cbr.max_age_ms",
        ] {
            let start = format!("sources.{key}: ");
            assert!(
                mistakes.iter().any(|mistake| mistake.starts_with(&start)),
                "{key}: {mistakes:#?}"
            );
        }
    }

    #[test]
    fn unknown_keys_are_refused_and_durations_read() {
        assert!(serde_json::from_str::<SourcesConfig>(r#"{"ecb":{"perod":"1h"}}"#).is_err());
        assert!(serde_json::from_str::<SourcesConfig>(r#"{"ecb":{"period":"soon"}}"#).is_err());
        let config: SourcesConfig =
            serde_json::from_str(r#"{"cbr":{"anchor":"04:00","period":"9h"}}"#).unwrap();
        assert_eq!(config.cbr.period.to_string(), "9h");
        assert_eq!(config.cbr.anchor.to_string(), "04:00");
    }

    #[test]
    fn a_key_is_never_shown() {
        let mut config = SourcesConfig::default();
        config.openexchangerates.key = Some(Secret::new("canary"));
        config.coingecko.key = Some(Secret::new("canary"));
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn urls_of_the_user_get_the_default_path_and_nothing_else() {
        let config: SourcesConfig = serde_json::from_value(serde_json::json!({
            "coingecko": {"rest_url": "http://127.0.0.1:9"},
            "openexchangerates": {"rest_url": "http://127.0.0.1:9/", "key": "k"},
            "ecb": {"rest_url": "http://127.0.0.1:9"},
            "cbr": {"rest_url": "http://127.0.0.1:9"},
        }))
        .unwrap();
        let date = jiff::civil::date(2026, 4, 25);
        for (url, start) in [
            (
                config.coingecko.request_url(),
                "/api/v3/simple/price?ids=binancecoin,bitcoin,ethereum,",
            ),
            (
                config.openexchangerates.request_url(),
                "/api/latest.json?app_id=k&prettyprint=false",
            ),
            (
                config.ecb.request_url(),
                "/stats/eurofxref/eurofxref-daily.xml",
            ),
            (config.cbr.request_url(None), "/scripts/XML_daily.asp"),
            (
                config.cbr.request_url(Some(date)),
                "/scripts/XML_daily.asp?date_req=25/04/2026",
            ),
        ] {
            assert!(
                url.starts_with(&format!("http://127.0.0.1:9{start}")),
                "{url}"
            );
        }
    }
}
