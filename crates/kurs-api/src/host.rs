//! The `Host` field, which says what server a request is for (RFC 9112 section 3.2).

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Version};
use std::net::Ipv6Addr;

/// What is wrong with the `Host` of a request. HTTP/1.0 may leave it out.
pub(crate) fn mistake(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut values = headers.get_all(HOST).iter();
    match (values.next(), values.next()) {
        (None, _) if version <= Version::HTTP_10 => None,
        (None, _) => Some("a request needs a Host field"),
        (Some(_), Some(_)) => Some("there is more than one Host field"),
        (Some(value), None) if is_host(value) => None,
        (Some(_), None) => Some("the Host field is not a host with an optional port"),
    }
}

/// `uri-host [ ":" port ]` of RFC 9110 section 7.2; the name may be empty.
pub(crate) fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    if let Some(literal) = bytes.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let (address, rest) = literal.split_at(end);
        return std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
            && is_port(rest.get(1..).unwrap_or_default());
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b':')
        .unwrap_or(bytes.len());
    let (name, port) = bytes.split_at(end);
    is_name(name) && is_port(port)
}

/// Nothing, or a colon and digits.
fn is_port(text: &[u8]) -> bool {
    match text.split_first() {
        None => true,
        Some((b':', digits)) => digits.iter().all(u8::is_ascii_digit),
        Some(_) => false,
    }
}

/// `reg-name` of RFC 3986 section 3.2.2, which holds IPv4 addresses too.
fn is_name(mut name: &[u8]) -> bool {
    while let Some((byte, rest)) = name.split_first() {
        name = match (byte, rest) {
            (b'%', [high, low, rest @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                rest
            }
            (byte, rest) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(byte) => {
                rest
            }
            _ => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for text in [
            "localhost",
            "localhost:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:80",
            "a_b.example",
            "a%20b",
            "",
            "a:",
        ] {
            assert!(is_host(&HeaderValue::from_static(text)), "{text}");
        }
        for text in [
            "a b", "a/b", "user@a", "a:b", "a:1:2", "[::1", "[::1]x", "[a]", "a%2", "http://a",
            "a,b c", "a?b",
        ] {
            assert!(!is_host(&HeaderValue::from_static(text)), "{text}");
        }
        assert!(!is_host(&HeaderValue::from_bytes(b"\xff").unwrap()));
    }
}
