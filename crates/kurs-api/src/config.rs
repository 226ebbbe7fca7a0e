//! Settings of the HTTP server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The section `http` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// Address and port of the API. Port 0 takes any free port.
    pub addr: SocketAddr,
    /// A separate address for probes and metrics; when set, the API's own address does not
    /// answer them any more.
    pub ops_addr: Option<SocketAddr>,
    /// Origins, such as `https://shop.example`, whose pages may read the API. Empty: none.
    pub cors_origins: Vec<String>,
    /// Caps and deadlines.
    pub limits: Limits,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_addr: None,
            cors_origins: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Caps and deadlines of the HTTP server. Every wait on a client and every size it can choose
/// has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections open at one time, over all addresses.
    pub connections: usize,
    /// Connections open at one time from one IPv4 address or one IPv6 /64 network.
    pub connections_per_address: usize,
    /// From the first byte of a request (or from the connect) to the end of its head,
    /// milliseconds.
    pub head_ms: u64,
    /// Between two requests of a connection, milliseconds. More than the 60 s a proxy keeps
    /// connections, so that the proxy is the one that closes.
    pub idle_ms: u64,
    /// To receive a request's body, milliseconds.
    pub body_ms: u64,
    /// To hand a complete answer over to a client that reads slowly, milliseconds.
    pub write_ms: u64,
    /// After the call for shutdown, until open connections are cut, milliseconds.
    pub drain_ms: u64,
    /// Length of the request target, bytes.
    pub uri_bytes: usize,
    /// Length of a request's head, bytes. At most 100 fields whatever its length.
    pub head_bytes: usize,
    /// Length of a request's body, bytes.
    pub body_bytes: usize,
    /// History pages that are read from the store at one time.
    pub history_reads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 1_000,
            head_ms: 10_000,
            idle_ms: 75_000,
            body_ms: 10_000,
            write_ms: 30_000,
            drain_ms: 25_000,
            uri_bytes: 8 * 1024,
            head_bytes: 32 * 1024,
            body_bytes: 64 * 1024,
            history_reads: 64,
        }
    }
}

impl ApiConfig {
    /// Adds a sentence for every mistake, with the key it is in.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.ops_addr == Some(self.addr) && self.addr.port() != 0 {
            mistakes.push("http.ops_addr: must differ from http.addr".to_owned());
        }
        for (at, origin) in self.cors_origins.iter().enumerate() {
            if !is_origin(origin) {
                mistakes.push(format!(
                    "http.cors_origins[{at}]: {origin:?} is not an origin such as https://shop.example"
                ));
            }
        }
        self.limits.validate(mistakes);
    }
}

impl Limits {
    fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if value < least || value > most {
                mistakes.push(format!(
                    "http.limits.{name}: {value} is not within {least}..{most}"
                ));
            }
        };
        let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
        check("connections", size(self.connections), 1, 1_000_000);
        check(
            "connections_per_address",
            size(self.connections_per_address),
            1,
            1_000_000,
        );
        check("head_ms", self.head_ms, 10, 600_000);
        check("idle_ms", self.idle_ms, 10, 3_600_000);
        check("body_ms", self.body_ms, 10, 600_000);
        check("write_ms", self.write_ms, 10, 600_000);
        check("drain_ms", self.drain_ms, 0, 600_000);
        check("uri_bytes", size(self.uri_bytes), 256, 65_000);
        check("head_bytes", size(self.head_bytes), 1_024, 1_048_576);
        check("body_bytes", size(self.body_bytes), 256, 16 * 1_048_576);
        check("history_reads", size(self.history_reads), 1, 10_000);
    }

    /// [`Limits::body_ms`] as a duration.
    #[must_use]
    pub const fn body(&self) -> Duration {
        Duration::from_millis(self.body_ms)
    }

    /// [`Limits::drain_ms`] as a duration.
    #[must_use]
    pub const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

/// `scheme://host[:port]`, nothing after it, as browsers send it.
fn is_origin(text: &str) -> bool {
    let Some(host) = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
    else {
        return false;
    };
    !host.is_empty()
        && host.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".:-[]".contains(&byte)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_bind_the_loopback_address() {
        let mut mistakes = Vec::new();
        let config = ApiConfig::default();
        config.validate(&mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        assert!(config.addr.ip().is_loopback());
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let mut config = ApiConfig::default();
        config.ops_addr = Some(config.addr);
        config.cors_origins = vec!["https://shop.example".into(), "shop.example/".into()];
        config.limits.head_ms = 0;
        config.limits.uri_bytes = 1;
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        assert!(mistakes[1].starts_with("http.cors_origins[1]"));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<ApiConfig>(r#"{"adress":"127.0.0.1:1"}"#).is_err());
        let config: ApiConfig = serde_json::from_str(r#"{"limits":{"head_ms":5}}"#).unwrap();
        assert_eq!(config.limits.idle_ms, 75_000);
    }
}
