//! A URL that may be one of a webhook.

use super::address::is_global;
use hyper::Uri;
use std::net::{IpAddr, Ipv6Addr};

/// Longest URL, in bytes.
pub const URL_MAX: usize = 2_000;

/// A URL, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Over TLS.
    pub is_tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What the header `Host` says.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl Hook {
    /// From its text. `is_insecure`: http and every address, for development.
    ///
    /// # Errors
    /// What is wrong with it, in one phrase.
    pub fn parse(text: &str, is_insecure: bool) -> Result<Self, &'static str> {
        if text.len() > URL_MAX {
            return Err("is longer than 2000 bytes");
        }
        let url: Uri = text.parse().map_err(|_| "is no URL")?;
        let is_tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") if is_insecure => false,
            Some("http") => return Err("must begin with https://"),
            _ => return Err("is no URL that begins with https://"),
        };
        let authority = url.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not carry a user or a password");
        }
        let host = authority.host();
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bracketed.is_some_and(|host| host.parse::<Ipv6Addr>().is_err()) {
            return Err("is no address");
        }
        let host = bracketed.unwrap_or(host);
        // With the point of the root, names could be written in two ways.
        if host.is_empty() || host.ends_with('.') {
            return Err("has no host");
        }
        if let Ok(address) = host.parse::<IpAddr>()
            && !is_insecure
            && !is_global(address)
        {
            return Err("is no address of the open internet");
        }
        let usual_port = if is_tls { 443 } else { 80 };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            is_tls,
            host: host.to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(usual_port),
            authority: authority.as_str().to_owned(),
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let hook = Hook::parse("https://Hooks.Example.org/x/y?z=1", false).unwrap();
        assert_eq!(
            hook,
            Hook {
                is_tls: true,
                host: "hooks.example.org".to_owned(),
                port: 443,
                authority: "Hooks.Example.org".to_owned(),
                path: "/x/y?z=1".to_owned(),
            }
        );
        let hook = Hook::parse("https://[2606:4700::1111]:8443", false).unwrap();
        assert_eq!(
            (&*hook.host, hook.port, &*hook.path),
            ("2606:4700::1111", 8443, "/")
        );
    }

    #[test]
    fn what_leads_inside_is_refused() {
        for wrong in [
            "",
            "example.org",
            "/hook",
            "//example.org/",
            "http://example.org/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "https://",
            "https:///x",
            "https://user@example.org/",
            "https://user:word@example.org/",
            "https://example.org@127.0.0.1/",
            "https://127.0.0.1/",
            "https://127.0.0.1:6379/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[fd00::1]/",
            "https://[fe80::1%25eth0]/",
            "https://localhost./",
            "https://example.org/ x",
            "https://example.org/\r\nHost: x",
        ] {
            assert!(Hook::parse(wrong, false).is_err(), "{wrong}");
        }
        let long = format!("https://example.org/{}", "x".repeat(URL_MAX));
        assert!(Hook::parse(&long, false).is_err());
    }

    #[test]
    fn development_may_reach_this_machine() {
        let hook = Hook::parse("http://127.0.0.1:18200/hook", true).unwrap();
        assert!(!hook.is_tls);
        assert_eq!(hook.port, 18_200);
    }
}
