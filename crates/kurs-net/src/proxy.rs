//! The proxy settings of the environment, read once and passed on as a value.

use std::net::IpAddr;

/// Which proxy to use for which target: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
/// `NO_PROXY`, lower-case names first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    plain: Option<Route>,
    tls: Option<Route>,
    exceptions: Vec<Exception>,
}

/// How to reach a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Through an HTTP proxy, by CONNECT.
    Through(Proxy),
    /// The environment names a proxy of a kind that is not supported.
    Unsupported(String),
}

/// An HTTP proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// True when the proxy itself is spoken to over TLS.
    pub tls: bool,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Value of Proxy-Authorization, a secret.
    pub authorization: Option<String>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(formatter, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    Everything,
    Host { name: String, port: Option<u16> },
    Network { address: IpAddr, prefix_bits: u8 },
}

impl Proxies {
    /// No proxy for anything.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// From the environment, given as a look-up by name.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            let found = names.iter().find_map(|name| variable(name));
            found
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let all = first(&["all_proxy", "ALL_PROXY"]);
        let plain = first(&["http_proxy", "HTTP_PROXY"]).or_else(|| all.clone());
        let tls = first(&["https_proxy", "HTTPS_PROXY"]).or(all);
        let exceptions = first(&["no_proxy", "NO_PROXY"]).unwrap_or_default();
        Self {
            plain: plain.as_deref().map(parse_proxy),
            tls: tls.as_deref().map(parse_proxy),
            exceptions: exceptions.split(',').filter_map(parse_exception).collect(),
        }
    }

    /// The way to a target; `None` when it is reached directly.
    #[must_use]
    pub fn route(&self, tls: bool, host: &str, port: u16) -> Option<&Route> {
        let route = if tls {
            self.tls.as_ref()
        } else {
            self.plain.as_ref()
        };
        let excepted = self
            .exceptions
            .iter()
            .any(|exception| exception.covers(host, port));
        route.filter(|_| !excepted)
    }
}

impl Exception {
    fn covers(&self, host: &str, target_port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Host { name, port } => {
                let host = host.to_ascii_lowercase();
                let inside = host.strip_suffix(name.as_str());
                let named = inside.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                named && port.is_none_or(|port| port == target_port)
            }
            Self::Network {
                address,
                prefix_bits,
            } => host
                .parse::<IpAddr>()
                .is_ok_and(|candidate| in_network(candidate, *address, *prefix_bits)),
        }
    }
}

fn in_network(candidate: IpAddr, network: IpAddr, prefix_bits: u8) -> bool {
    let (left, right, width) = match (candidate, network) {
        (IpAddr::V4(left), IpAddr::V4(right)) => (
            u128::from(left.to_bits()),
            u128::from(right.to_bits()),
            32_u32,
        ),
        (IpAddr::V6(left), IpAddr::V6(right)) => (left.to_bits(), right.to_bits(), 128),
        _ => return false,
    };
    let shift = width.saturating_sub(u32::from(prefix_bits));
    (left ^ right).checked_shr(shift).unwrap_or(0) == 0
}

fn parse_exception(entry: &str) -> Option<Exception> {
    let entry = entry.trim().to_ascii_lowercase();
    if entry.is_empty() {
        return None;
    }
    if entry == "*" {
        return Some(Exception::Everything);
    }
    if let Some((address, bits)) = entry.split_once('/') {
        let address = address.parse().ok()?;
        return Some(Exception::Network {
            address,
            prefix_bits: bits.parse().ok()?,
        });
    }
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Some(Exception::Network {
            address,
            prefix_bits: 128,
        });
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.parse().ok()?)),
        None => (entry.as_str(), None),
    };
    let name = name
        .trim_start_matches('*')
        .trim_start_matches('.')
        .to_owned();
    Some(Exception::Host { name, port })
}

fn parse_proxy(text: &str) -> Route {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        other => return Route::Unsupported(format!("proxies of kind {other} are not supported")),
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, address) = match rest.rsplit_once('@') {
        Some((user, address)) => (Some(user), address),
        None => (None, rest),
    };
    let (host, port) = split_port(address, if tls { 443 } else { 80 });
    if host.is_empty() {
        return Route::Unsupported("the proxy has no host name".to_owned());
    }
    let authorization = user.map(|user| format!("Basic {}", base64(&percent_decoded(user))));
    Route::Through(Proxy {
        tls,
        host: host.to_owned(),
        port,
        authorization,
    })
}

fn split_port(address: &str, default: u16) -> (&str, u16) {
    if let Some(rest) = address.strip_prefix('[')
        && let Some((host, after)) = rest.split_once(']')
    {
        let port = after.strip_prefix(':').and_then(|port| port.parse().ok());
        return (host, port.unwrap_or(default));
    }
    match address.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(default)),
        None => (address, default),
    }
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| *first == b'%');
        let escaped = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            let sextet = usize::try_from(bits >> (18 - 6 * position) & 63).unwrap_or(0);
            let letter = ALPHABET.get(sextet).copied().unwrap_or(b'A');
            text.push(if position <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_environment(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn check(proxies: &Proxies, tls: bool, host: &str, expect: &str) {
        let route = proxies.route(tls, host, 443);
        assert_eq!(
            route.map_or("direct".to_owned(), |route| format!("{route:?}")),
            expect,
            "{host}"
        );
    }

    #[test]
    fn each_kind_of_target_has_its_proxy_and_all_stands_in() {
        let some = proxies(&[
            ("HTTPS_PROXY", "http://one:3128"),
            ("all_proxy", "https://two"),
        ]);
        check(&some, true, "venue.example", "Through(http://one:3128)");
        check(&some, false, "venue.example", "Through(https://two:443)");
        check(&Proxies::none(), true, "venue.example", "direct");
    }

    #[test]
    fn exceptions_are_reached_directly() {
        let some = proxies(&[
            ("https_proxy", "one:8080"),
            (
                "no_proxy",
                "inner.example, .lan,10.0.0.0/8,::1,port.example:9443",
            ),
        ]);
        for host in [
            "inner.example",
            "a.Inner.example",
            "x.lan",
            "10.1.2.3",
            "::1",
        ] {
            check(&some, true, host, "direct");
        }
        for host in [
            "outer.example",
            "notinner.example",
            "11.1.2.3",
            "port.example",
        ] {
            check(&some, true, host, "Through(http://one:8080)");
        }
        check(
            &proxies(&[("https_proxy", "one"), ("no_proxy", "*")]),
            true,
            "any",
            "direct",
        );
    }

    #[test]
    fn credentials_are_sent_decoded_and_never_shown() {
        let some = proxies(&[("https_proxy", "http://user:p%40ss@one:1")]);
        let Some(Route::Through(proxy)) = some.route(true, "x", 443) else {
            panic!("no proxy")
        };
        assert_eq!(proxy.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert_eq!(format!("{some:?}").matches("dXNl").count(), 0);
    }

    #[test]
    fn unsupported_kinds_are_said_not_ignored() {
        let some = proxies(&[("ALL_PROXY", "socks5://one:1080")]);
        check(
            &some,
            true,
            "x",
            "Unsupported(\"proxies of kind socks5 are not supported\")",
        );
    }

    #[test]
    fn base64_pads_as_it_must() {
        for (text, expect) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), expect);
        }
    }
}
