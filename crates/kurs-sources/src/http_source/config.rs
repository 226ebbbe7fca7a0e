//! Settings of one source that is described by its configuration alone.

use super::number::{DecimalMark, GroupMark};
use super::plan::Plan;
use super::reading::{Readings, Table};
use super::request::Template;
use super::wire::Format;
use crate::period::{Period, TimeOfDay};
use crate::settings;
use kurs_core::{SourceId, SourceKind, source::SIMULATED_PREFIX};
use kurs_telemetry::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// No more sources of this kind.
const MOST_SOURCES: usize = 64;

/// Longest name, so that the mark of simulated prices fits in front of it.
const LONGEST_NAME: usize = 31 - SIMULATED_PREFIX.len();

/// Bounds of the longest body, bytes.
const BODY_BYTES: std::ops::RangeInclusive<usize> = 1_024..=16 << 20;

/// Bounds of the rows that are read of a table.
const ROWS: std::ops::RangeInclusive<usize> = 1..=10_000;

/// Settings of one source that is described by its configuration alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// False: not used.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// What the source is: bank, exchange or aggregator.
    pub kind: SourceKind,
    /// What is asked by GET; `{key}` stands for the key.
    pub url: String,
    /// The key that the service gave you, put where `{key}` stands in url and headers.
    pub key: Option<Secret>,
    /// Further request headers, never shown; `{key}` stands for the key.
    pub headers: BTreeMap<String, Secret>,
    /// json, xml or csv; unset: what the answer seems to be.
    pub format: Option<Format>,
    /// Encoding of the text, such as windows-1251; unset: what the answer declares, else UTF-8.
    pub charset: Option<String>,
    /// Between whole part and fraction of numbers that are texts: "." or ",".
    pub decimal: DecimalMark,
    /// Between groups of three digits: " ", ",", "." or "'"; unset: nothing.
    pub thousands: Option<GroupMark>,
    /// Between the cells of CSV; unset: comma, semicolon, tab or bar, whichever it seems to be.
    pub delimiter: Option<String>,
    /// True when the first line of CSV names the columns.
    pub header: bool,
    /// Where single rates stand, by pair: a path, or a table of paths.
    pub rates: Readings,
    /// Where rates stand that fill rows of the same form.
    pub table: Option<Table>,
    /// Where the document says when its rates were true; a rate's own `observed_at` comes first.
    pub observed_at: Option<String>,
    /// How such times are written, in letters of strftime; unset: one of the usual ways.
    pub time_format: Option<String>,
    /// Rates that the document dates longer ago are not used; unset: no limit.
    pub max_observed_age: Option<Period>,
    /// Time of day at which the timetable starts anew.
    pub anchor: TimeOfDay,
    /// Time between polls, 1s to 24h.
    pub period: Period,
    /// Time zone of the anchor, and of times in the document that name none; unset: UTC.
    pub zone: Option<String>,
    /// Longest time a request may take.
    pub timeout: Period,
    /// Longest time after receipt that a price is fresh; unset: until the next poll and 10 s.
    pub max_age_ms: Option<u64>,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
    /// A longer answer is refused, bytes, 1024 to 16777216.
    pub max_body_bytes: usize,
    /// Of a table no more rows are read, 1 to 10000.
    pub max_rows: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: 20,
            kind: SourceKind::Bank,
            url: String::new(),
            key: None,
            headers: BTreeMap::new(),
            format: None,
            charset: None,
            decimal: DecimalMark::default(),
            thousands: None,
            delimiter: None,
            header: true,
            rates: Readings::default(),
            table: None,
            observed_at: None,
            time_format: None,
            max_observed_age: None,
            anchor: TimeOfDay::default(),
            period: Period::seconds(60),
            zone: None,
            timeout: Period::seconds(15),
            max_age_ms: None,
            hold_ms: 10_000,
            max_body_bytes: 2 << 20,
            max_rows: 1_000,
        }
    }
}

/// Adds every mistake of all sources, each beginning with the key below `prefix`
/// (`sources.http`). `taken` are the names of the sources that are built in.
pub fn validate_all(
    sources: &BTreeMap<String, Config>,
    taken: &[&str],
    prefix: &str,
    mistakes: &mut Vec<String>,
) {
    if sources.len() > MOST_SOURCES {
        mistakes.push(format!("{prefix}: more than {MOST_SOURCES} sources"));
    }
    for (name, config) in sources {
        let key = format!("{prefix}.{name}");
        if let Err(why) = check_name(name, taken) {
            mistakes.push(format!("{key}: {why}"));
        }
        config.validate(&key, mistakes);
    }
}

fn check_name(name: &str, taken: &[&str]) -> Result<(), String> {
    let is_own = SourceId::parse(name).is_ok_and(|id| id.as_str() == name) && !name.contains(':');
    if !is_own || name.len() > LONGEST_NAME {
        return Err(format!(
            "a name has 1 to {LONGEST_NAME} of a-z, 0-9, dash and underscore"
        ));
    }
    if taken.contains(&name) {
        return Err("this is the name of a built-in source; choose another".to_owned());
    }
    Ok(())
}

impl Config {
    /// The key, if one is given.
    #[must_use]
    pub fn given_key(&self) -> Option<&Secret> {
        settings::given(self.key.as_ref())
    }

    /// True when the URL leads to this machine, and nowhere else.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let Ok(uri) = self.url.replace("{key}", "k").parse::<http::Uri>() else {
            return false;
        };
        let host = uri.host().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address
            .parse::<std::net::IpAddr>()
            .map_or(host == "localhost", |address| address.is_loopback())
    }

    /// Adds every mistake, each beginning with the key below `prefix` (`sources.http.mybank`).
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
        if let Some(age) = self.max_observed_age {
            let key = format!("{prefix}.max_observed_age");
            let longest = Period::hours(24 * 366);
            settings::check_range(&key, age, Period::seconds(1), longest, mistakes);
        }
        for (key, value, range) in [
            ("max_body_bytes", self.max_body_bytes, BODY_BYTES),
            ("max_rows", self.max_rows, ROWS),
        ] {
            if !range.contains(&value) {
                let (from, to) = (range.start(), range.end());
                mistakes.push(format!(
                    "{prefix}.{key}: is between {from} and {to}, not {value}"
                ));
            }
        }
        let mut said = Vec::new();
        let _ = Template::new(self, &mut said);
        let _ = Plan::new(self, &mut said);
        mistakes.extend(said.into_iter().map(|what| format!("{prefix}.{what}")));
    }
}
