//! Settings of a streaming venue: section `sources.<name>`.

use super::codec::Facts;
use super::desk::Waits;
use super::sites::Site;
use crate::settings::check_url;
use kurs_net::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::marker::PhantomData;
use std::time::Duration;

/// What a venue that repeats unchanged prices may be late by.
const REPEAT_GRACE: Duration = Duration::from_secs(1);
/// A connection is dead after so many times the silence that makes a pair stale, without any sign
/// of life.
const DEAD_AFTER: u32 = 3;
/// It is frozen after so many times that silence, where there are heartbeats and nothing else.
const FROZEN_AFTER: u32 = 10;

/// Settings of one venue; what is left out is as the venue's [`Site`] says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, bound = "")]
#[schemars(bound = "")]
pub struct Config<S: Site> {
    /// Whether the source is used.
    pub enabled: bool,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// WebSocket server, `wss://` or `ws://`. With no path, the venue's own is used.
    pub ws_url: String,
    /// REST server, `https://` or `http://`. With no path, the venue's own is used.
    pub rest_url: String,
    /// How long a price may be used as fresh after receipt, milliseconds.
    pub max_age_ms: u64,
    /// How long the source must be well before it is preferred again, milliseconds.
    pub hold_ms: u64,
    /// A pair without data for this long is stale, milliseconds. Quiet pairs are confirmed by
    /// REST from half of this on. Bybit says an unchanged price again after 3 s: its pairs are
    /// stale after 4 s at the earliest, and confirmed by REST from 3.5 s on.
    pub silence_ms: u64,
    /// Pause between two REST polls, milliseconds.
    pub poll_ms: u64,
    /// Age at which a connection is replaced by a new one, before the venue cuts it after
    /// 24 hours, milliseconds.
    pub renew_after_ms: u64,
    /// Whether trades are followed too: they date the stream.
    pub trades: bool,
    /// Whether order books are followed. Where the venue has no best prices apart from its
    /// books, they are followed in any case.
    pub books: bool,
    #[serde(skip)]
    #[schemars(skip)]
    #[doc(hidden)]
    pub site: PhantomData<S>,
}

impl<S: Site> Default for Config<S> {
    fn default() -> Self {
        Self {
            enabled: true,
            priority: S::PRIORITY,
            ws_url: S::WS_URL.to_owned(),
            rest_url: S::REST_URL.to_owned(),
            max_age_ms: 5_000,
            hold_ms: 10_000,
            silence_ms: 3_000,
            poll_ms: 2_000,
            renew_after_ms: 23 * 3_600_000,
            trades: true,
            books: true,
            site: PhantomData,
        }
    }
}

impl<S: Site> Config<S> {
    /// Adds every mistake, each beginning with the key below `prefix` (`sources.binance`).
    pub fn validate(&self, prefix: &str, mistakes: &mut Vec<String>) {
        check_url(
            &format!("{prefix}.ws_url"),
            &self.ws_url,
            &["wss", "ws"],
            mistakes,
        );
        check_url(
            &format!("{prefix}.rest_url"),
            &self.rest_url,
            &["https", "http"],
            mistakes,
        );
        if self.priority == 0 {
            mistakes.push(format!("{prefix}.priority: 1 is best, 0 means nothing"));
        }
        let ranges = [
            ("max_age_ms", self.max_age_ms, 100, 86_400_000),
            ("hold_ms", self.hold_ms, 0, 3_600_000),
            ("silence_ms", self.silence_ms, 100, 3_600_000),
            ("poll_ms", self.poll_ms, 100, 3_600_000),
            ("renew_after_ms", self.renew_after_ms, 1_000, 86_400_000),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                mistakes.push(format!(
                    "{prefix}.{key}: {value} is not within {least} to {most}"
                ));
            }
        }
    }

    /// The WebSocket URL with its path.
    #[must_use]
    pub fn stream_url(&self) -> String {
        with_path(&self.ws_url, S::WS_PATH)
    }

    /// The REST URL with its path, without a slash at the end.
    #[must_use]
    pub fn rest_base(&self) -> String {
        with_path(&self.rest_url, S::REST_PATH)
            .trim_end_matches('/')
            .to_owned()
    }

    /// How long a price may be used.
    #[must_use]
    pub const fn max_age(&self) -> Duration {
        Duration::from_millis(self.max_age_ms)
    }

    /// Silence that makes a pair stale: never so short that a price which does not change would
    /// be silent before the venue says it again.
    fn silence(&self, facts: &Facts) -> Duration {
        let repeated = facts
            .repeats_after
            .map_or(Duration::ZERO, |repeats| repeats + REPEAT_GRACE);
        Duration::from_millis(self.silence_ms).max(repeated)
    }

    /// Waits and choices of the desk.
    #[must_use]
    pub fn waits(&self, facts: &Facts) -> Waits {
        let poll = Duration::from_millis(self.poll_ms);
        let silence = self.silence(facts);
        let confirm = facts
            .repeats_after
            .map_or(Duration::ZERO, |repeats| repeats + REPEAT_GRACE / 2);
        Waits {
            silence,
            confirm: confirm.max(silence / 2),
            max_age: self.max_age(),
            // A poll may be late by a second.
            rest_silence: silence.max(poll) + Duration::from_secs(1),
            trades: self.trades,
            books: self.books,
        }
    }

    /// Limits and waits of the connection, within the limits of the venue.
    #[must_use]
    pub fn connection(&self, facts: &Facts) -> Settings {
        let wanted = Duration::from_millis(self.renew_after_ms);
        let renew_after = facts
            .connection_life
            .map_or(wanted, |life| life.min(wanted));
        let silence = self.silence(facts);
        // A stream that rests for long must not use up what the venue allows.
        let resubscribe_after = Duration::from_secs(30).max(facts.resubscribe_pause * 4);
        Settings {
            stream_silence: silence,
            first_frame: silence.max(Duration::from_secs(5)),
            connection_silence: silence * DEAD_AFTER,
            // All streams are subscribed anew after half of it, within the same limits.
            data_silence: (silence * FROZEN_AFTER).max(facts.resubscribe_pause * 4),
            resubscribe_after,
            renew_after,
            renew_jitter: renew_after / 40,
            commands_per_second: facts.commands_per_second,
            streams_per_command: facts.streams_per_command,
            streams_max: facts.streams_max,
            keep_alive: facts.keep_alive,
            ..Settings::default()
        }
    }
}

/// The URL, with `path` when it has none of its own.
fn with_path(url: &str, path: &str) -> String {
    let (address, query) = match url.split_once('?') {
        Some((address, query)) => (address, format!("?{query}")),
        None => (url, String::new()),
    };
    let after_scheme = address.find("://").map_or(0, |at| at + 3);
    let own = address
        .get(after_scheme..)
        .and_then(|rest| rest.find('/').map(|at| at + after_scheme));
    match own {
        Some(at) if address.len() > at + 1 => url.to_owned(),
        Some(at) => format!("{}{path}{query}", address.get(..at).unwrap_or(address)),
        None => format!("{address}{path}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::codec::Codec;
    use super::super::sites::{Binance, Bybit, Coinbase, Kraken, Okx};
    use super::*;

    #[test]
    fn a_path_of_the_user_is_kept_and_a_missing_one_is_added() {
        for (url, expect) in [
            ("ws://127.0.0.1:9", "ws://127.0.0.1:9/stream"),
            ("ws://127.0.0.1:9/", "ws://127.0.0.1:9/stream"),
            (
                "wss://a.example/?timeUnit=MICROSECOND",
                "wss://a.example/stream?timeUnit=MICROSECOND",
            ),
            ("wss://a.example/ws", "wss://a.example/ws"),
        ] {
            assert_eq!(with_path(url, "/stream"), expect);
        }
    }

    #[test]
    fn every_venue_is_found_where_its_sheet_says() {
        fn urls<S: Site>() -> [String; 2] {
            let config = Config::<S>::default();
            [config.stream_url(), config.rest_base()]
        }
        let expected = [
            [
                "wss://data-stream.binance.vision/stream",
                "https://data-api.binance.vision/api/v3",
            ],
            [
                "wss://ws-feed.exchange.coinbase.com",
                "https://api.exchange.coinbase.com",
            ],
            ["wss://ws.kraken.com/v2", "https://api.kraken.com"],
            [
                "wss://stream.bybit.com/v5/public/spot",
                "https://api.bybit.com",
            ],
            ["wss://ws.okx.com:8443/ws/v5/public", "https://www.okx.com"],
        ];
        let found = [
            urls::<Binance>(),
            urls::<Coinbase>(),
            urls::<Kraken>(),
            urls::<Bybit>(),
            urls::<Okx>(),
        ];
        assert_eq!(found, expected.map(|pair| pair.map(str::to_owned)));
    }

    #[test]
    fn a_pair_is_not_silent_before_the_venue_says_an_unchanged_price_again() {
        let facts = crate::bybit::Bybit::new().facts();
        for (silence_ms, expected) in [(1_000, 4_000), (3_000, 4_000), (6_000, 6_000)] {
            let config = Config::<Bybit> {
                silence_ms,
                ..Config::default()
            };
            let expected = Duration::from_millis(expected);
            let (waits, connection) = (config.waits(&facts), config.connection(&facts));
            assert_eq!(waits.silence, expected);
            assert_eq!(connection.stream_silence, expected);
            // The repetition has had its time before REST is asked.
            assert!(waits.confirm > Duration::from_secs(3) || waits.confirm >= expected / 2);
            assert!(waits.confirm < expected);
        }
        let facts = crate::okx::Okx::new().facts();
        let waits = Config::<Okx>::default().waits(&facts);
        let (silence, confirm) = (Duration::from_secs(3), Duration::from_millis(1_500));
        assert_eq!((waits.silence, waits.confirm), (silence, confirm));
    }

    #[test]
    fn a_frozen_connection_has_longer_than_a_dead_one_and_all_within_the_venues_limits() {
        let venues = [
            Config::<Kraken>::default().connection(&crate::kraken::Kraken::new().facts()),
            Config::<Okx>::default().connection(&crate::okx::Okx::new().facts()),
        ];
        let seconds = venues.map(|settings| {
            let (dead, frozen) = (settings.connection_silence, settings.data_silence);
            (dead.as_secs(), frozen.as_secs())
        });
        // OKX takes 480 commands an hour: two per 32 s are 225.
        assert_eq!(seconds, [(9, 30), (9, 64)]);
    }

    #[test]
    fn all_mistakes_are_reported_with_their_keys() {
        let mut mistakes = Vec::new();
        Config::<Binance>::default().validate("sources.binance", &mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        let config = Config::<Binance> {
            ws_url: "https://x".to_owned(),
            rest_url: String::new(),
            silence_ms: 0,
            priority: 0,
            ..Config::default()
        };
        config.validate("sources.binance", &mut mistakes);
        let keys: Vec<_> = mistakes
            .iter()
            .filter_map(|text| text.split(':').next())
            .collect();
        assert_eq!(
            keys,
            ["ws_url", "rest_url", "priority", "silence_ms"]
                .map(|key| format!("sources.binance.{key}"))
        );
    }
}
