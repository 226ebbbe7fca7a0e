//! Settings of the European Central Bank.

use crate::period::{Period, TimeOfDay};
use crate::settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the European Central Bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False: not used.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// The daily file; a URL that does not end in .xml gets its path appended. A query of the
    /// data API in csvdata format works too.
    pub rest_url: String,
    /// Time of day at which the timetable starts anew.
    pub anchor: TimeOfDay,
    /// Time between polls outside the publication window, 1s to 24h.
    pub period: Period,
    /// Time zone of the anchor; unset: UTC.
    pub zone: Option<String>,
    /// Start of the publication window on working days, Frankfurt time.
    pub window_from: TimeOfDay,
    /// End of the publication window, Frankfurt time.
    pub window_to: TimeOfDay,
    /// Time between polls in the publication window, 1s to 24h.
    pub window_period: Period,
    /// When the rates of a working day are expected, Frankfurt time.
    pub published_at: TimeOfDay,
    /// How late the next publication may be before the former rates expire.
    pub grace: Period,
    /// Longest time a request may take.
    pub timeout: Period,
    /// Longest time after receipt that a rate is fresh; unset: until the next publication.
    pub max_age_ms: Option<u64>,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
}

/// Path of the daily file.
const DAILY: &str = "/stats/eurofxref/eurofxref-daily.xml";

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: 11,
            rest_url: format!("https://www.ecb.europa.eu{DAILY}"),
            anchor: TimeOfDay::default(),
            period: Period::hours(1),
            zone: None,
            window_from: TimeOfDay::of(15, 50),
            window_to: TimeOfDay::of(18, 0),
            window_period: Period::minutes(10),
            published_at: TimeOfDay::of(16, 0),
            grace: Period::hours(6),
            timeout: Period::seconds(20),
            max_age_ms: None,
            hold_ms: 10_000,
        }
    }
}

impl Config {
    /// The file that is polled.
    #[must_use]
    pub fn request_url(&self) -> String {
        if self.rest_url.contains("/service/data/") {
            return self.rest_url.clone();
        }
        settings::with_file(&self.rest_url, ".xml", DAILY)
    }

    /// Adds every mistake, each beginning with the key below `prefix` (`sources.ecb`).
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
        let key = format!("{prefix}.window_period");
        let (second, day) = (Period::seconds(1), Period::hours(24));
        settings::check_range(&key, self.window_period, second, day, mistakes);
        if self.window_to < self.window_from {
            mistakes.push(format!("{prefix}.window_to: lies before window_from"));
        }
        let key = format!("{prefix}.grace");
        settings::check_range(&key, self.grace, second, Period::hours(24 * 14), mistakes);
    }
}
