//! Settings of the gRPC server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// The section `grpc` of the configuration. What holds for streams whatever they speak stands in
/// `streams`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address and port. Without one there is no gRPC. Port 0 takes any free port.
    pub addr: Option<SocketAddr>,
    /// Speaks without TLS although `http.tls` has a certificate: for a proxy on the same machine.
    /// Otherwise gRPC is served with the certificate of HTTP, if there is one.
    pub plaintext: bool,
    /// Connections open at one time, over all addresses.
    pub connections: usize,
    /// Connections open at one time from one IPv4 address or one IPv6 /64 network.
    pub connections_per_address: usize,
    /// Calls open at one time on one connection, streams among them.
    pub calls_per_connection: u32,
    /// Length of a request's message, bytes.
    pub request_bytes: usize,
    /// Length of a call's head with its metadata, bytes.
    pub head_bytes: u32,
    /// From the connect to the first settings, and from the first byte of a frame or head to its
    /// last, milliseconds.
    pub head_ms: u64,
    /// From a call's head to the end of its request, milliseconds.
    pub call_ms: u64,
    /// A connection without calls for so long is closed, milliseconds.
    pub idle_ms: u64,
    /// How often a client is asked whether it is there, milliseconds.
    pub ping_ms: u64,
    /// How long it may take to say so, milliseconds.
    pub pong_ms: u64,
    /// After the call for shutdown, until open connections are cut, milliseconds.
    pub drain_ms: u64,
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            addr: None,
            plaintext: false,
            connections: 20_000,
            connections_per_address: 1_000,
            calls_per_connection: 100,
            request_bytes: 65_536,
            head_bytes: 16_384,
            head_ms: 8_000,
            call_ms: 8_000,
            idle_ms: 300_000,
            ping_ms: 20_000,
            pong_ms: 10_000,
            drain_ms: 10_000,
        }
    }
}

impl GrpcConfig {
    /// Adds a sentence for every mistake, with the key it is in.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if value < least || value > most {
                mistakes.push(format!(
                    "grpc.{name}: {value} is not within {least}..{most}"
                ));
            }
        };
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        check("connections", size(self.connections), 1, 1_000_000);
        let same = size(self.connections_per_address);
        check("connections_per_address", same, 1, 1_000_000);
        let calls = u64::from(self.calls_per_connection);
        check("calls_per_connection", calls, 1, 10_000);
        let bytes = size(self.request_bytes);
        check("request_bytes", bytes, 1_024, 4_194_304);
        check("head_bytes", self.head_bytes.into(), 1_024, 1_048_576);
        check("head_ms", self.head_ms, 100, 600_000);
        check("call_ms", self.call_ms, 100, 600_000);
        check("idle_ms", self.idle_ms, 1_000, 86_400_000);
        check("ping_ms", self.ping_ms, 100, 600_000);
        check("pong_ms", self.pong_ms, 100, 600_000);
        check("drain_ms", self.drain_ms, 0, 600_000);
    }

    /// [`GrpcConfig::head_ms`] as a duration.
    #[must_use]
    pub const fn head(&self) -> Duration {
        Duration::from_millis(self.head_ms)
    }

    /// [`GrpcConfig::call_ms`] as a duration.
    #[must_use]
    pub const fn call(&self) -> Duration {
        Duration::from_millis(self.call_ms)
    }

    /// [`GrpcConfig::idle_ms`] as a duration.
    #[must_use]
    pub const fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_ms)
    }

    /// [`GrpcConfig::drain_ms`] as a duration.
    #[must_use]
    pub const fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_good_and_every_mistake_is_named() {
        let mut mistakes = Vec::new();
        GrpcConfig::default().validate(&mut mistakes);
        assert_eq!(mistakes, [] as [&str; 0]);
        let config = GrpcConfig {
            connections: 0,
            head_ms: 0,
            ..GrpcConfig::default()
        };
        config.validate(&mut mistakes);
        assert_eq!(
            mistakes,
            [
                "grpc.connections: 0 is not within 1..1000000",
                "grpc.head_ms: 0 is not within 100..600000"
            ]
        );
    }
}
