//! Proxies in front of a server, and whose requests they hand on. Only those that are named are
//! believed: anybody can send `X-Forwarded-For`.

use http::{HeaderMap, HeaderName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A longer chain of trusted proxies is not followed to its end.
const HOPS_MAX: usize = 32;

/// The header in which trusted proxies name their clients. One only: a proxy that writes one of
/// them hands the other on as its client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ProxyHeader {
    /// What nearly all proxies write.
    #[default]
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// RFC 7239.
    #[serde(rename = "forwarded")]
    Forwarded,
}

/// An address, or all addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// A text that names no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor an address with a number of bits.
    #[error("{0:?} is no address such as 10.0.0.7 and no network such as 10.0.0.0/8")]
    Malformed(String),
    /// The address has bits that are not part of the network.
    #[error("{0:?} is an address within {1}; write which of both is meant")]
    Between(String, Network),
}

impl Network {
    /// True for an address that is part of it. IPv4 addresses in IPv6 form are IPv4 addresses.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix_bits) == Some(self.address)
    }

    /// True when every address of its family is part of it.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.prefix_bits == 0
    }
}

/// The address with all bits after the first ones cleared; `None` when it has not so many.
fn masked(address: IpAddr, prefix_bits: u8) -> Option<IpAddr> {
    let prefix_bits = u32::from(prefix_bits);
    match address {
        IpAddr::V4(address) => {
            let rest = u32::BITS.checked_sub(prefix_bits)?;
            let mask = u32::MAX.checked_shl(rest).unwrap_or(0);
            Some(IpAddr::V4((u32::from(address) & mask).into()))
        }
        IpAddr::V6(address) => {
            let rest = u128::BITS.checked_sub(prefix_bits)?;
            let mask = u128::MAX.checked_shl(rest).unwrap_or(0);
            Some(IpAddr::V6((u128::from(address) & mask).into()))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let Some(bits) = bits else {
            let address = address.to_canonical();
            let prefix_bits = if address.is_ipv4() { 32 } else { 128 };
            return Ok(Self {
                address,
                prefix_bits,
            });
        };
        // A network of IPv4 addresses is written as one.
        if address.to_canonical() != address || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        let prefix_bits: u8 = bits.parse().map_err(|_| malformed())?;
        let network = Self {
            address: masked(address, prefix_bits).ok_or_else(malformed)?,
            prefix_bits,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(NetworkError::Between(text.to_owned(), network))
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix_bits)
    }
}

/// The proxies that are believed.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    header: ProxyHeader,
}

impl TrustedProxies {
    /// None when nobody is trusted. What names no network trusts nobody: the configuration was
    /// checked before.
    #[must_use]
    pub fn new(networks: &[String], header: ProxyHeader) -> Option<Self> {
        let networks: Vec<Network> = networks.iter().filter_map(|one| one.parse().ok()).collect();
        (!networks.is_empty()).then_some(Self { networks, header })
    }

    /// True when this address is a proxy that is believed.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// Whose request a trusted peer hands on: the last address in its header that is no trusted
    /// proxy itself. Each proxy appends whom it heard, so all that stands before that one is only
    /// what the client says. An entry that is no address ends the chain: the client is then the
    /// nearest that is known.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let name = match self.header {
            ProxyHeader::XForwardedFor => X_FORWARDED_FOR,
            ProxyHeader::Forwarded => http::header::FORWARDED,
        };
        let mut nearest = peer.to_canonical();
        let values = headers.get_all(&name).iter().rev();
        // Cut at every comma whatever the quotes: an address holds none, and what a client leaves
        // open must not swallow what a proxy appends.
        let entries = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        let entries = entries.map(<[u8]>::trim_ascii);
        for entry in entries.filter(|entry| !entry.is_empty()).take(HOPS_MAX) {
            let address = match self.header {
                ProxyHeader::XForwardedFor => address(entry),
                ProxyHeader::Forwarded => forwarded_for(entry).and_then(address),
            };
            let Some(address) = address else { break };
            nearest = address;
            if !self.trusts(address) {
                break;
            }
        }
        nearest
    }
}

/// The value of the only `for` of an element such as `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &[u8]) -> Option<&[u8]> {
    let mut found = None;
    for pair in element.split(|byte| *byte == b';') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at(at);
        if name.trim_ascii().eq_ignore_ascii_case(b"for") {
            let value = value.get(1..)?.trim_ascii();
            let inside = value
                .strip_prefix(b"\"")
                .map(|rest| rest.strip_suffix(b"\""));
            if found.replace(inside.unwrap_or(Some(value))?).is_some() {
                return None;
            }
        }
    }
    found
}

/// An address, with or without brackets and a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let is_port = |port: &str| {
        (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit())
    };
    let address = if let Some(inside) = text.strip_prefix('[') {
        let (address, rest) = inside.split_once(']')?;
        if !rest.is_empty() && !is_port(rest.strip_prefix(':')?) {
            return None;
        }
        IpAddr::V6(address.parse().ok()?)
    } else if let Ok(address) = text.parse::<IpAddr>() {
        address
    } else {
        let (address, port) = text.split_once(':').filter(|(_, port)| is_port(port))?;
        let _ = port;
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn trusted(header: ProxyHeader) -> TrustedProxies {
        let networks = ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "2001:db8::7"];
        TrustedProxies::new(&networks.map(str::to_owned), header).unwrap()
    }

    fn told(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        headers
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        let proxies = trusted(ProxyHeader::XForwardedFor);
        for (values, expect) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9, 10.1.2.3"], "203.0.113.9"),
            (
                &["1.1.1.1", "203.0.113.9", "10.1.2.3, fd00::1"],
                "203.0.113.9",
            ),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:80, 2001:db8::7"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9, ,"], "203.0.113.9"),
            // Nobody but proxies: the farthest of them.
            (&["10.0.0.5, 10.0.0.6"], "10.0.0.5"),
            // What is no address ends the chain.
            (&["unknown"], "10.9.9.9"),
            (&[""], "10.9.9.9"),
            (&["203.0.113.9, unknown"], "10.9.9.9"),
            (&["203.0.113.9, unknown, 10.0.0.6"], "10.0.0.6"),
            (&["203.0.113.9, 1.1.1.1.1"], "10.9.9.9"),
            (&["203.0.113.9:"], "10.9.9.9"),
            (&["203.0.113.9:123456"], "10.9.9.9"),
            (&["[203.0.113.9]"], "10.9.9.9"),
            (&["[2001:db8::1"], "10.9.9.9"),
            (&["2001:db8::1 x"], "10.9.9.9"),
            (&["\"203.0.113.9\""], "10.9.9.9"),
            (&["203.0.113.9, \u{e9}"], "10.9.9.9"),
            (&[], "10.9.9.9"),
        ] {
            let headers = told("x-forwarded-for", values);
            assert_eq!(
                proxies.client(ip("10.9.9.9"), &headers),
                ip(expect),
                "{values:?}"
            );
        }
    }

    #[test]
    fn forwarded_is_read_by_the_same_rule() {
        let proxies = trusted(ProxyHeader::Forwarded);
        for (values, expect) in [
            (&["for=203.0.113.9"][..], "203.0.113.9"),
            (
                &["For=\"203.0.113.9:80\";proto=https;by=10.0.0.1"],
                "203.0.113.9",
            ),
            (
                &["for=1.1.1.1, for=\"[2001:db8::1]:4711\", for=10.0.0.2"],
                "2001:db8::1",
            ),
            // A quote that the client left open does not hide what the proxy appended.
            (&["for=\"1.1.1.1, for=203.0.113.9"], "203.0.113.9"),
            (&["for=\"1.1.1.1", "for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=_hidden"], "10.9.9.9"),
            (&["for=unknown, for=10.0.0.2"], "10.0.0.2"),
            (&["for=1.1.1.1;for=2.2.2.2"], "10.9.9.9"),
            (&["proto=https"], "10.9.9.9"),
            (&["203.0.113.9"], "10.9.9.9"),
            (&["for=\"203.0.113.9"], "10.9.9.9"),
        ] {
            let headers = told("forwarded", values);
            assert_eq!(
                proxies.client(ip("10.9.9.9"), &headers),
                ip(expect),
                "{values:?}"
            );
        }
        // The other header is not looked at: the client may have sent it.
        let headers = told("x-forwarded-for", &["203.0.113.9"]);
        assert_eq!(proxies.client(ip("10.9.9.9"), &headers), ip("10.9.9.9"));
    }

    #[test]
    fn a_network_is_an_address_or_a_beginning_of_addresses() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(ip(address))
        };
        for (network, address, expect) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("10.0.0.7/32", "10.0.0.7", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe80::1", false),
            ("::ffff:10.0.0.7", "10.0.0.7", true),
        ] {
            assert_eq!(contains(network, address), expect, "{network} {address}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "a",
            "::ffff:10.0.0.0/104",
            "::/129",
            "10.0.0/8",
            "10.0.0.1/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let said = "10.0.0.1/8".parse::<Network>().unwrap_err().to_string();
        assert!(said.contains("10.0.0.0/8"), "{said}");
    }
}
