//! Settings of Open Exchange Rates.

use crate::period::{Period, TimeOfDay};
use crate::settings;
use kurs_core::Asset;
use kurs_telemetry::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of Open Exchange Rates. Without a key it is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False: not used, even with a key.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// Root of the API. Without a path, /api is appended.
    pub rest_url: String,
    /// The app id.
    pub key: Option<Secret>,
    /// Assets taken from the table besides the currencies of ISO 4217, such as BTC.
    pub more_currencies: Vec<Asset>,
    /// Time of day at which the timetable starts anew.
    pub anchor: TimeOfDay,
    /// Time between polls, 1s to 24h. The free plan has 1000 requests a month.
    pub period: Period,
    /// Time zone of the anchor; unset: UTC.
    pub zone: Option<String>,
    /// Longest time a request may take.
    pub timeout: Period,
    /// A table published longer ago is not used.
    pub max_observed_age: Period,
    /// Longest time after receipt that a price is fresh; unset: until the next poll and 10 s.
    pub max_age_ms: Option<u64>,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: 12,
            rest_url: "https://openexchangerates.org/api".into(),
            key: None,
            more_currencies: Vec::new(),
            anchor: TimeOfDay::default(),
            period: Period::hours(1),
            zone: None,
            timeout: Period::seconds(15),
            max_observed_age: Period::hours(24),
            max_age_ms: None,
            hold_ms: 10_000,
        }
    }
}

impl Config {
    /// The key, if one is given.
    #[must_use]
    pub fn given_key(&self) -> Option<&Secret> {
        settings::given(self.key.as_ref())
    }

    /// The request, key included: never to be shown. The order of the parameters is part of
    /// what the service's ETag belongs to.
    #[must_use]
    pub fn request_url(&self) -> String {
        let root = settings::with_default_path(&self.rest_url, "/api");
        let key = self.given_key().map_or("", |key| key.reveal().trim());
        format!(
            "{}/latest.json?app_id={key}&prettyprint=false",
            root.trim_end_matches('/')
        )
    }

    /// Adds every mistake, each beginning with the key below `prefix` (`sources.openexchangerates`).
    pub fn validate(&self, prefix: &str, mistakes: &mut Vec<String>) {
        settings::check_common(
            prefix,
            self.priority,
            self.timeout,
            self.max_age_ms,
            mistakes,
        );
        settings::check_timetable(
            prefix,
            self.anchor,
            self.period,
            self.zone.as_deref(),
            mistakes,
        );
        let key = format!("{prefix}.rest_url");
        settings::check_url(&key, &self.rest_url, &["https", "http"], mistakes);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self
            .given_key()
            .is_some_and(|key| !key.reveal().trim().bytes().all(plain))
        {
            mistakes.push(format!("{prefix}.key: has characters that no app id has"));
        }
        let (shortest, longest) = (Period::seconds(1), Period::hours(24 * 31));
        let key = format!("{prefix}.max_observed_age");
        settings::check_range(&key, self.max_observed_age, shortest, longest, mistakes);
    }
}
