//! Section `sinks.influxdb` of the configuration.

use super::line::Precision;
use super::target::{self, Target};
use kurs_telemetry::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest time that can be asked for, in milliseconds: an hour.
const HOUR_MS: u64 = 3_600_000;

/// InfluxDB, or another database that takes its line protocol over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InfluxConfig {
    /// Where the database listens, such as `http://127.0.0.1:8086`. A path other than `/` is
    /// taken as the whole path to write to. Empty: off.
    pub url: String,
    /// InfluxDB 1.x: the database, which must be there. Empty for databases that have none.
    pub database: String,
    /// InfluxDB 1.x: the user, if it wants one.
    pub username: String,
    /// InfluxDB 1.x: the user's password.
    pub password: Option<Secret>,
    /// InfluxDB 2.x: the organisation. With `bucket` and `token` it takes the place of `database`.
    pub org: String,
    /// InfluxDB 2.x: the bucket.
    pub bucket: String,
    /// InfluxDB 2.x: the token, which may write to the bucket.
    pub token: Option<Secret>,
    /// Write published rates, as measurement `rate`.
    pub rates: bool,
    /// Write each source's own fair price, as measurement `price`.
    pub prices: bool,
    /// Write the best levels of order books, as measurement `book`.
    pub books: bool,
    /// Milliseconds between two looks at the order books.
    pub book_every_ms: u64,
    /// Levels per side that are written of a book.
    pub book_levels: usize,
    /// Add the value as text, digit by digit, as field `value_text`. Numbers become doubles in the
    /// database, which keep 15 digits; only a venue's own price may have more.
    pub exact: bool,
    /// Unit of the times: `us` or `ms`.
    pub precision: Precision,
    /// Compress what is sent.
    pub gzip: bool,
    /// Lines that may wait; beyond them the oldest are dropped.
    pub queue_rows: usize,
    /// Bytes that may wait; beyond them the oldest lines are dropped.
    pub queue_bytes: usize,
    /// Most lines in one request.
    pub batch_rows: usize,
    /// Most bytes in one request, before compression.
    pub batch_bytes: usize,
    /// Milliseconds that a line waits for others to be sent with it.
    pub linger_ms: u64,
    /// Milliseconds that a request may take.
    pub timeout_ms: u64,
    /// Longest wait before a request that failed is tried again, in milliseconds.
    pub retry_max_ms: u64,
    /// Milliseconds that the end of the program waits for what is not yet sent.
    pub finish_ms: u64,
}

impl Default for InfluxConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            database: "kurs".to_owned(),
            username: String::new(),
            password: None,
            org: String::new(),
            bucket: String::new(),
            token: None,
            rates: true,
            prices: true,
            books: true,
            book_every_ms: 10_000,
            book_levels: 10,
            exact: false,
            precision: Precision::Us,
            gzip: true,
            queue_rows: 200_000,
            queue_bytes: 64 * 1024 * 1024,
            batch_rows: 5_000,
            batch_bytes: 512 * 1024,
            linger_ms: 1_000,
            timeout_ms: 10_000,
            retry_max_ms: 30_000,
            finish_ms: 3_000,
        }
    }
}

impl InfluxConfig {
    /// True when the settings are those of InfluxDB 2.x.
    #[must_use]
    pub fn is_version_2(&self) -> bool {
        !self.org.is_empty() || !self.bucket.is_empty() || self.token.is_some()
    }

    /// Adds a sentence per mistake, each beginning with the key.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut wrong = |key: &str, what: &str| {
            mistakes.push(format!("sinks.influxdb.{key}: {what}"));
        };
        if !self.url.is_empty() {
            if let Err(why) = target::parse(&self.url) {
                wrong("url", why);
            }
            self.validate_account(&mut wrong);
            if !self.rates && !self.prices && !self.books {
                wrong(
                    "rates",
                    "with prices and books off too there is nothing to write",
                );
            }
        }
        let counts = [
            ("book_levels", self.book_levels, 1, 100),
            ("batch_rows", self.batch_rows, 1, 50_000),
            ("queue_rows", self.queue_rows, self.batch_rows, 5_000_000),
            ("batch_bytes", self.batch_bytes, 16 * 1024, 16 * 1024 * 1024),
            (
                "queue_bytes",
                self.queue_bytes,
                self.batch_bytes,
                1024 * 1024 * 1024,
            ),
        ];
        for (key, number, least, most) in counts {
            // A least that is itself too great is told by its own key.
            if number < least || number > most {
                wrong(key, &format!("must be from {least} to {most}"));
            }
        }
        let times = [
            ("book_every_ms", self.book_every_ms, 100, 24 * HOUR_MS),
            ("linger_ms", self.linger_ms, 0, 60_000),
            ("timeout_ms", self.timeout_ms, 100, 60_000),
            ("retry_max_ms", self.retry_max_ms, 100, HOUR_MS),
            ("finish_ms", self.finish_ms, 0, 30_000),
        ];
        for (key, milliseconds, least, most) in times {
            if !(least..=most).contains(&milliseconds) {
                wrong(key, &format!("must be from {least} to {most}"));
            }
        }
    }

    fn validate_account(&self, wrong: &mut impl FnMut(&str, &str)) {
        if self.is_version_2() {
            for (key, is_there) in [
                ("org", !self.org.is_empty()),
                ("bucket", !self.bucket.is_empty()),
                ("token", self.token.is_some()),
            ] {
                if !is_there {
                    wrong(key, "is missing: InfluxDB 2.x needs org, bucket and token");
                }
            }
            if !self.username.is_empty() || self.password.is_some() {
                wrong(
                    "username",
                    "is of InfluxDB 1.x, org, bucket and token are of 2.x",
                );
            }
            if self.database != Self::default().database {
                wrong(
                    "database",
                    "is of InfluxDB 1.x, org, bucket and token are of 2.x",
                );
            }
        } else if self.username.is_empty() && self.password.is_some() {
            wrong("username", "is missing: there is a password");
        } else if !self.username.is_empty() && self.password.is_none() {
            wrong("password", "is missing: there is a username");
        }
        if self.username.contains(':') {
            wrong(
                "username",
                "cannot have a colon: HTTP has no way to send it",
            );
        }
        if self.token.is_some() && Target::authorization(self).is_none() {
            wrong("token", "has characters that no HTTP header can carry");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(config: &InfluxConfig) -> Vec<String> {
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        mistakes
    }

    fn keys(config: &InfluxConfig) -> Vec<String> {
        let key = |mistake: String| mistake.split(": ").next().unwrap_or_default().to_owned();
        mistakes(config).into_iter().map(key).collect()
    }

    fn on() -> InfluxConfig {
        InfluxConfig {
            url: "http://127.0.0.1:8086".to_owned(),
            ..InfluxConfig::default()
        }
    }

    fn version_2() -> InfluxConfig {
        InfluxConfig {
            org: "desk".to_owned(),
            bucket: "rates".to_owned(),
            token: Some(Secret::new("canary")),
            ..on()
        }
    }

    #[test]
    fn the_default_is_off_and_a_url_or_a_bucket_with_its_token_is_enough() {
        for config in [InfluxConfig::default(), on(), version_2()] {
            assert_eq!(mistakes(&config), [""; 0]);
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_keys() {
        let config = InfluxConfig {
            url: "ftp://127.0.0.1".to_owned(),
            org: "desk".to_owned(),
            username: "anna".to_owned(),
            database: "rates".to_owned(),
            rates: false,
            prices: false,
            books: false,
            book_levels: 0,
            book_every_ms: 1,
            queue_rows: 10,
            queue_bytes: 10,
            batch_rows: 100,
            batch_bytes: 0,
            linger_ms: 60_001,
            timeout_ms: 0,
            retry_max_ms: 0,
            finish_ms: 30_001,
            ..on()
        };
        let expected = [
            "url",
            "bucket",
            "token",
            "username",
            "database",
            "rates",
            "book_levels",
            "queue_rows",
            "batch_bytes",
            "book_every_ms",
            "linger_ms",
            "timeout_ms",
            "retry_max_ms",
            "finish_ms",
        ];
        assert_eq!(
            keys(&config),
            expected.map(|key| format!("sinks.influxdb.{key}"))
        );
    }

    #[test]
    fn half_an_account_is_a_mistake() {
        let check = |username: &str, password: Option<&str>, expected: &[&str]| {
            let config = InfluxConfig {
                username: username.to_owned(),
                password: password.map(Secret::new),
                ..on()
            };
            let expected: Vec<_> = expected
                .iter()
                .map(|key| format!("sinks.influxdb.{key}"))
                .collect();
            assert_eq!(keys(&config), expected, "{username}");
        };
        check("anna", Some("p"), &[]);
        check("anna", None, &["password"]);
        check("", Some("p"), &["username"]);
        check("an:na", Some("p"), &["username"]);
    }

    #[test]
    fn urls_with_a_password_or_a_query_are_refused() {
        for url in [
            "http://anna:canary@127.0.0.1:8086",
            "http://127.0.0.1:8086/?db=x",
            "http://127.0.0.1:8086/#x",
            "127.0.0.1:8086",
            "influx",
        ] {
            let config = InfluxConfig {
                url: url.to_owned(),
                ..on()
            };
            assert_eq!(keys(&config), ["sinks.influxdb.url"], "{url}");
            assert!(!mistakes(&config)[0].contains("canary"));
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = InfluxConfig {
            token: Some(Secret::new("canary\n")),
            password: Some(Secret::new("canary")),
            ..version_2()
        };
        let shown = format!("{config:?} {:?}", mistakes(&config));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(keys(&config).contains(&"sinks.influxdb.token".to_owned()));
    }
}
