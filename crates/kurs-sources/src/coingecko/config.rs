//! Settings of CoinGecko.

use crate::period::{Period, TimeOfDay};
use crate::settings;
use kurs_core::{Asset, pair::COINGECKO_IDS};
use kurs_telemetry::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which of CoinGecko's plans is used; key and host must match it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Plan {
    /// No key, limited by address.
    Keyless,
    /// A free demo key.
    Demo,
    /// A paid key.
    Pro,
}

/// Settings of CoinGecko.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False: not used.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// Root of the API; unset: the host of the plan. Without a path, /api/v3 is appended.
    pub rest_url: Option<String>,
    /// The key of a demo or paid plan.
    pub key: Option<Secret>,
    /// Which plan the key is of; unset: demo with a key, keyless without.
    pub plan: Option<Plan>,
    /// Coins by CoinGecko's ids, each with its asset.
    pub ids: BTreeMap<String, Asset>,
    /// Currencies that every coin is priced in.
    pub vs_currencies: Vec<Asset>,
    /// Time of day at which the timetable starts anew.
    pub anchor: TimeOfDay,
    /// Time between polls, 1s to 24h; unset: 60s, with a demo key 300s for its monthly quota.
    pub period: Option<Period>,
    /// Time zone of the anchor; unset: UTC.
    pub zone: Option<String>,
    /// Longest time a request may take.
    pub timeout: Period,
    /// Prices that CoinGecko itself last updated longer ago are not used.
    pub max_observed_age: Period,
    /// Longest time after receipt that a price is fresh; unset: until the next poll and 10 s.
    pub max_age_ms: Option<u64>,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        let asset = |name: &str| Asset::parse(name).ok();
        let ids = COINGECKO_IDS
            .iter()
            .filter_map(|(id, name)| Some(((*id).to_owned(), asset(name)?)))
            .collect();
        Self {
            enabled: true,
            priority: 6,
            rest_url: None,
            key: None,
            plan: None,
            ids,
            vs_currencies: ["USD", "EUR", "RUB"]
                .into_iter()
                .filter_map(asset)
                .collect(),
            anchor: TimeOfDay::default(),
            period: None,
            zone: None,
            timeout: Period::seconds(15),
            max_observed_age: Period::minutes(10),
            max_age_ms: None,
            hold_ms: 10_000,
        }
    }
}

impl Config {
    /// The plan in use.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let by_key = if self.given_key().is_some() {
            Plan::Demo
        } else {
            Plan::Keyless
        };
        self.plan.unwrap_or(by_key)
    }

    /// The key, if one is given.
    #[must_use]
    pub fn given_key(&self) -> Option<&Secret> {
        settings::given(self.key.as_ref())
    }

    /// Time between polls.
    #[must_use]
    pub fn period(&self) -> Period {
        let by_plan = match self.plan() {
            Plan::Demo => Period::seconds(300),
            Plan::Keyless | Plan::Pro => Period::seconds(60),
        };
        self.period.unwrap_or(by_plan)
    }

    /// The one batched request; the key travels in a header.
    #[must_use]
    pub fn request_url(&self) -> String {
        let host = match self.plan() {
            Plan::Pro => "https://pro-api.coingecko.com",
            Plan::Keyless | Plan::Demo => "https://api.coingecko.com",
        };
        let root = settings::with_default_path(self.rest_url.as_deref().unwrap_or(host), "/api/v3");
        let ids: Vec<&str> = self.ids.keys().map(String::as_str).collect();
        let currencies: Vec<String> = self
            .vs_currencies
            .iter()
            .map(|asset| asset.as_str().to_ascii_lowercase())
            .collect();
        format!(
            "{}/simple/price?ids={}&vs_currencies={}&include_last_updated_at=true&precision=full",
            root.trim_end_matches('/'),
            ids.join(","),
            currencies.join(","),
        )
    }

    /// Adds every mistake, each beginning with the key below `prefix` (`sources.coingecko`).
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
            self.period(),
            self.zone.as_deref(),
            mistakes,
        );
        if let Some(url) = &self.rest_url {
            let key = format!("{prefix}.rest_url");
            settings::check_url(&key, url, &["https", "http"], mistakes);
        }
        match (self.plan(), self.given_key()) {
            (Plan::Keyless, Some(_)) => {
                mistakes.push(format!("{prefix}.key: plan keyless takes none"));
            }
            (plan @ (Plan::Demo | Plan::Pro), None) => {
                mistakes
                    .push(format!("{prefix}.key: plan {plan:?} needs one").to_ascii_lowercase());
            }
            _ => {}
        }
        if self.ids.is_empty() {
            mistakes.push(format!("{prefix}.ids: names no coin"));
        }
        for id in self.ids.keys() {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if id.is_empty() || !id.bytes().all(plain) {
                mistakes.push(format!(
                    "{prefix}.ids: {id:?} is no CoinGecko id such as bitcoin"
                ));
            }
        }
        if self.vs_currencies.is_empty() {
            mistakes.push(format!("{prefix}.vs_currencies: names no currency"));
        }
        let (shortest, longest) = (Period::seconds(1), Period::hours(240));
        let key = format!("{prefix}.max_observed_age");
        settings::check_range(&key, self.max_observed_age, shortest, longest, mistakes);
    }
}
