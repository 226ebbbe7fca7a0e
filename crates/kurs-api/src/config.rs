//! Settings of the HTTP server.

use kurs_auth::{Network, ProxyHeader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;
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
    /// Addresses such as `10.0.0.7` and networks such as `10.0.0.0/8` of proxies in front of
    /// kurs: they are believed about whose requests they hand on. Empty: nobody is.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it: `x-forwarded-for` or `forwarded`. The other one is not
    /// looked at.
    pub proxy_header: ProxyHeader,
    /// A folder from which the files of the web page are read in the place of those in the
    /// program, for those who work on them.
    pub web_dir: Option<PathBuf>,
    /// TLS on the API's address. Without it the API speaks plain HTTP.
    pub tls: TlsConfig,
    /// Caps and deadlines.
    pub limits: Limits,
}

/// The section `http.tls` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate, followed by those that lead to its authority. Read again
    /// when it changes.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key of the certificate. Read again when it changes.
    pub key_file: Option<PathBuf>,
    /// How long browsers are told to come back by TLS only (HSTS), seconds. 0: they are not told.
    pub hsts_seconds: u64,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            // A year.
            hsts_seconds: 31_536_000,
        }
    }
}

impl TlsConfig {
    /// True when certificate and key are named.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.cert_file.is_some() && self.key_file.is_some()
    }

    fn validate(&self, mistakes: &mut Vec<String>) {
        if self.cert_file.is_some() != self.key_file.is_some() {
            mistakes
                .push("http.tls: cert_file and key_file are set together or not at all".to_owned());
        }
        // More than this means nothing to a browser, and is a slip of the hand.
        let most = 10 * 31_536_000;
        if self.hsts_seconds > most {
            mistakes.push(format!(
                "http.tls.hsts_seconds: {} is not within 0..{most}",
                self.hsts_seconds
            ));
        }
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            ops_addr: None,
            cors_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            proxy_header: ProxyHeader::default(),
            web_dir: None,
            tls: TlsConfig::default(),
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
    /// To shake hands on TLS, from the connect, milliseconds.
    pub handshake_ms: u64,
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
    /// Requests that are open at one time over one connection of HTTP/2.
    pub requests_per_connection: u32,
    /// History pages that are read from the store at one time.
    pub history_reads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 1_000,
            // Deadlines are looked at a few times a second: what waits is gone within 10 s.
            handshake_ms: 9_500,
            head_ms: 9_500,
            idle_ms: 75_000,
            body_ms: 10_000,
            write_ms: 30_000,
            drain_ms: 25_000,
            uri_bytes: 8 * 1024,
            head_bytes: 32 * 1024,
            body_bytes: 64 * 1024,
            requests_per_connection: 100,
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
            if origin == "*" {
                mistakes.push(format!(
                    "http.cors_origins[{at}]: * would let every page read; name the origins that may"
                ));
            } else if !is_origin(origin) {
                mistakes.push(format!(
                    "http.cors_origins[{at}]: {origin:?} is not an origin such as https://shop.example"
                ));
            }
        }
        for (at, network) in self.trusted_proxies.iter().enumerate() {
            if let Err(error) = network.parse::<Network>() {
                mistakes.push(format!("http.trusted_proxies[{at}]: {error}"));
            }
        }
        self.tls.validate(mistakes);
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
        check("handshake_ms", self.handshake_ms, 10, 600_000);
        check("head_ms", self.head_ms, 10, 600_000);
        check("idle_ms", self.idle_ms, 10, 3_600_000);
        check("body_ms", self.body_ms, 10, 600_000);
        check("write_ms", self.write_ms, 10, 600_000);
        check("drain_ms", self.drain_ms, 0, 600_000);
        check("uri_bytes", size(self.uri_bytes), 256, 65_000);
        check("head_bytes", size(self.head_bytes), 1_024, 1_048_576);
        check("body_bytes", size(self.body_bytes), 256, 16 * 1_048_576);
        check(
            "requests_per_connection",
            u64::from(self.requests_per_connection),
            1,
            10_000,
        );
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
        config.trusted_proxies = vec!["10.0.0.0/8".into(), "10.0.0.1/8".into()];
        config.tls.cert_file = Some("cert.pem".into());
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 6, "{mistakes:?}");
        assert!(mistakes[1].starts_with("http.cors_origins[1]"));
        assert!(mistakes[2].starts_with("http.trusted_proxies[1]"));
        assert!(mistakes[3].starts_with("http.tls:"));
    }

    #[test]
    fn a_wildcard_is_no_origin() {
        let config = ApiConfig {
            cors_origins: vec!["*".into()],
            ..ApiConfig::default()
        };
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert!(mistakes[0].contains("every page"), "{mistakes:?}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<ApiConfig>(r#"{"adress":"127.0.0.1:1"}"#).is_err());
        let config: ApiConfig = serde_json::from_str(r#"{"limits":{"head_ms":5}}"#).unwrap();
        assert_eq!(config.limits.idle_ms, 75_000);
    }
}
