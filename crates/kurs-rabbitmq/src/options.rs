//! Where the server is, and what is kept there.

use lapin::uri::{AMQPScheme, AMQPUri};
use std::fmt;
use std::time::Duration;
use thiserror::Error;

/// How long updates are kept for subscribers that lie behind.
pub const FLOW_AGE_MAX: Duration = Duration::from_secs(600);
/// Bytes of updates kept at most.
pub const FLOW_BYTES_MAX: u64 = 1 << 30;
/// Bytes of a file of the flow; only whole files are ever dropped.
pub const SEGMENT_BYTES: u64 = 16 << 20;
/// Time between two snapshots of the last values while something changes.
pub const SNAPSHOT_EVERY: Duration = Duration::from_secs(5);

/// How a [`crate::RabbitBus`] reaches its server. Debug does not show the password.
#[derive(Clone)]
pub struct RabbitOptions {
    /// `amqp://[user:password@]host[:port][/vhost]`, `amqps://` for TLS.
    pub url: String,
    /// What all names on the server begin with, so that several kurs can share it: letters,
    /// digits, `-` and `_`.
    pub prefix: String,
    /// How long updates are kept for subscribers that lie behind. Holds for a flow that is not
    /// there yet.
    pub flow_age_max: Duration,
    /// Bytes of updates kept at most; holds as well for a flow that is not there yet.
    pub flow_bytes_max: u64,
    /// Bytes of a file of the flow; only whole files are ever dropped.
    pub segment_bytes: u64,
    /// Time between two snapshots of the last values while something changes.
    pub snapshot_every: Duration,
    /// Updates on their way to the server, unconfirmed, at most.
    pub window: usize,
    /// Messages that the server sends ahead to a subscriber, at most.
    pub prefetch: u16,
    /// Silence after which the server and kurs send a sign of life, seconds; twice as much ends
    /// a connection.
    pub heartbeat_seconds: u16,
    /// Updates that wait for the server before superseded ones are dropped.
    pub outbox_max: usize,
    /// Seed of the pauses between attempts; each process should have another.
    pub seed: u64,
}

/// What is wrong with [`RabbitOptions`], for the person who wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RabbitOptionsError {
    /// The address cannot be used.
    #[error("the address of RabbitMQ {0}")]
    Url(&'static str),
    /// The prefix cannot be used.
    #[error("the prefix is 1 to 64 letters, digits, `-` or `_`")]
    Prefix,
    /// Too little is kept.
    #[error(
        "updates are kept for at least 10 s, in files of at least 65536 bytes, at least two of them"
    )]
    Flow,
    /// Snapshots too often or too rarely.
    #[error("snapshots are written every 100 ms to 60 s")]
    Snapshots,
    /// A number that is too small or too large.
    #[error("window is 1 to 65536, prefetch 16 to 65535, heartbeat 1 to 60 seconds")]
    Numbers,
}

impl RabbitOptions {
    /// The defaults with this address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: "kurs".to_owned(),
            flow_age_max: FLOW_AGE_MAX,
            flow_bytes_max: FLOW_BYTES_MAX,
            segment_bytes: SEGMENT_BYTES,
            snapshot_every: SNAPSHOT_EVERY,
            window: 512,
            prefetch: 1_024,
            heartbeat_seconds: 2,
            outbox_max: kurs_bus::outbox::OUTBOX_MAX,
            seed: 0,
        }
    }

    /// Everything that is wrong, none when they can be used.
    #[must_use]
    pub fn mistakes(&self) -> Vec<RabbitOptionsError> {
        let mut mistakes = Vec::new();
        mistakes.extend(self.address().err());
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.bytes().all(is_word) {
            mistakes.push(RabbitOptionsError::Prefix);
        }
        if self.flow_age_max < Duration::from_secs(10)
            || self.segment_bytes < 65_536
            || self.flow_bytes_max < self.segment_bytes.saturating_mul(2)
        {
            mistakes.push(RabbitOptionsError::Flow);
        }
        if !(Duration::from_millis(100)..=Duration::from_secs(60)).contains(&self.snapshot_every) {
            mistakes.push(RabbitOptionsError::Snapshots);
        }
        if !(1..=65_536).contains(&self.window)
            || self.prefetch < 16
            || !(1..=60).contains(&self.heartbeat_seconds)
        {
            mistakes.push(RabbitOptionsError::Numbers);
        }
        mistakes
    }

    /// The address taken apart.
    pub(crate) fn address(&self) -> Result<AMQPUri, RabbitOptionsError> {
        let wrong = |why| Err(RabbitOptionsError::Url(why));
        let Some((scheme, rest)) = self.url.split_once("://") else {
            return wrong("begins with amqp:// or amqps://");
        };
        if !matches!(scheme, "amqp" | "amqps") {
            return wrong("begins with amqp:// or amqps://");
        }
        if rest.contains(['#', '?']) {
            return wrong("has no `#` and no `?`: write them as %23 and %3F in a password");
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let Ok(mut uri) = self.url.parse::<AMQPUri>() else {
            return wrong("is amqp://[user:password@]host[:port][/vhost]");
        };
        if host.is_empty() || host.starts_with(':') {
            return wrong("has a host");
        }
        // An IPv6 address is not a host to the parser, which would take `localhost` for it.
        if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            address.clone_into(&mut uri.authority.host);
        }
        // No path and `/` both mean the vhost that every server has.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        uri.query.heartbeat = Some(self.heartbeat_seconds);
        Ok(uri)
    }

    /// `host:port`, for logs.
    pub(crate) fn server(&self) -> String {
        let shown = |uri: AMQPUri| {
            let secure = if uri.scheme == AMQPScheme::AMQPS {
                " (TLS)"
            } else {
                ""
            };
            format!("{}:{}{secure}", uri.authority.host, uri.authority.port)
        };
        self.address().map_or_else(|_| "?".to_owned(), shown)
    }
}

impl fmt::Debug for RabbitOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RabbitOptions")
            .field("server", &self.server())
            .field("prefix", &self.prefix)
            .field("flow_age_max", &self.flow_age_max)
            .field("flow_bytes_max", &self.flow_bytes_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_its_password_never_shown() {
        let mut options = RabbitOptions::new("amqps://anna:geheim%23@rabbit.example:7000/rates");
        assert_eq!(options.mistakes(), []);
        let uri = options.address().unwrap();
        assert_eq!(uri.authority.userinfo.password, "geheim#");
        assert_eq!(uri.authority.userinfo.username, "anna");
        assert_eq!(uri.vhost, "rates");
        let shown = format!("{options:?}");
        assert!(shown.contains("rabbit.example:7000"), "{shown}");
        assert!(!shown.contains("geheim"), "{shown}");
        for unusable in ["amqp://anna:geheim@", "amqp://anna:geheim@host:99999"] {
            options.url = unusable.to_owned();
            let shown = format!("{options:?} {:?}", options.mistakes());
            assert!(!shown.contains("geheim"), "{shown}");
        }
    }

    #[test]
    fn hosts_are_what_was_written() {
        let host = |url: &str| {
            let uri = RabbitOptions::new(url).address().unwrap();
            (uri.authority.host, uri.authority.port, uri.vhost)
        };
        let slash = || "/".to_owned();
        assert_eq!(host("amqp://10.0.0.7"), ("10.0.0.7".into(), 5_672, slash()));
        assert_eq!(host("amqps://[::1]/"), ("::1".into(), 5_671, slash()));
        assert_eq!(host("amqp://u:p@[::1]:99/%2f"), ("::1".into(), 99, slash()));
    }

    #[test]
    fn every_mistake_is_named() {
        for url in [
            "",
            "localhost:5672",
            "http://localhost",
            "amqp://",
            "amqp://:5672",
            "amqp://host:99999",
            "amqp://host/?heartbeat=0",
        ] {
            assert_eq!(RabbitOptions::new(url).mistakes().len(), 1, "{url}");
        }
        let options = RabbitOptions {
            prefix: "a.b".to_owned(),
            flow_bytes_max: 3,
            snapshot_every: Duration::ZERO,
            prefetch: 0,
            ..RabbitOptions::new("nats://host")
        };
        assert_eq!(options.mistakes().len(), 5);
    }
}
