//! Settings of the Bank of Russia.

use crate::period::{Period, TimeOfDay};
use crate::settings;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the Bank of Russia.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False: not used.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// The daily table; a URL that does not end in .asp gets its path appended.
    pub rest_url: String,
    /// Time of day at which the timetable starts anew.
    pub anchor: TimeOfDay,
    /// Time between polls, 1s to 24h.
    pub period: Period,
    /// Time zone of the anchor; unset: UTC.
    pub zone: Option<String>,
    /// How long rates stay in force beyond the day the next ones are expected to take effect.
    /// Covers days off that the calendar does not know, such as transferred holidays.
    pub grace: Period,
    /// Longest time a request may take.
    pub timeout: Period,
    /// Longest time after receipt that a rate is fresh; unset: until the next table.
    pub max_age_ms: Option<u64>,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
}

/// Path of the daily table.
const DAILY: &str = "/scripts/XML_daily.asp";

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: 10,
            rest_url: format!("https://www.cbr.ru{DAILY}"),
            anchor: TimeOfDay::default(),
            period: Period::minutes(30),
            zone: None,
            grace: Period::hours(48),
            timeout: Period::seconds(20),
            max_age_ms: None,
            hold_ms: 10_000,
        }
    }
}

impl Config {
    /// The latest table, or the one in force on a date.
    #[must_use]
    pub fn request_url(&self, date: Option<Date>) -> String {
        let url = settings::with_file(&self.rest_url, ".asp", DAILY);
        let Some(date) = date else { return url };
        let separator = if url.contains('?') { '&' } else { '?' };
        format!("{url}{separator}date_req={}", date.strftime("%d/%m/%Y"))
    }

    /// Adds every mistake, each beginning with the key below `prefix` (`sources.cbr`).
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
        let key = format!("{prefix}.grace");
        let (second, fortnight) = (Period::seconds(1), Period::hours(24 * 14));
        settings::check_range(&key, self.grace, second, fortnight, mistakes);
    }
}
