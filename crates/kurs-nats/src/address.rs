//! Where the servers are, out of a URL.

use std::fmt;
use std::str::FromStr;

/// Port of a NATS server when the address names none.
const PORT: u16 = 4222;

/// Servers of one cluster, and how to log in. Shown without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) servers: Vec<Server>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) is_tls: bool,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Server {
    host: String,
    port: u16,
}

/// Why a text is no address of NATS servers. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("expected nats://HOST:PORT or tls://HOST:PORT")]
    Scheme,
    /// A server has no name.
    #[error("a server without a name; expected nats://HOST:PORT, several parted by commas")]
    NoHost,
    /// A port is no number from 1 to 65535.
    #[error("the port of a server must be from 1 to 65535")]
    Port,
    /// There is a path, a question mark or a `#`.
    #[error("nothing may follow the servers; a path or a query means nothing to NATS")]
    Path,
    /// A `%` that no two hexadecimal digits follow.
    #[error("a % in user or password must be followed by two hexadecimal digits")]
    Escape,
    /// Servers that log in differently.
    #[error("all servers of one address have the same scheme, user and password")]
    Different,
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `nats://user:password@host:port,host:port`, or `tls://` for TLS. The port may be left
    /// out (4222), the scheme and the login from the second server on. In user and password
    /// `%40` stands for `@`, and so on.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (is_tls, rest) = scheme(text).ok_or(AddressError::Scheme)?;
        let mut address = Self {
            servers: Vec::new(),
            user: None,
            password: None,
            is_tls,
        };
        for (number, part) in rest.split(',').enumerate() {
            let part = part.trim();
            let part = match scheme(part) {
                Some((tls, part)) if tls == is_tls => part,
                Some(_) => return Err(AddressError::Different),
                None => part,
            };
            let (login, server) = match part.rsplit_once('@') {
                Some((login, server)) => (Some(login), server),
                None => (None, part),
            };
            if let Some(login) = login {
                let (user, password) = match login.split_once(':') {
                    Some((user, password)) => (user, Some(unescape(password)?)),
                    None => (login, None),
                };
                let user = Some(unescape(user)?);
                if number > 0 && (address.user != user || address.password != password) {
                    return Err(AddressError::Different);
                }
                (address.user, address.password) = (user, password);
            }
            address.servers.push(Server::parse(server)?);
        }
        Ok(address)
    }
}

fn scheme(text: &str) -> Option<(bool, &str)> {
    let nats = text.strip_prefix("nats://").map(|rest| (false, rest));
    nats.or_else(|| text.strip_prefix("tls://").map(|rest| (true, rest)))
}

fn unescape(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().map(char::from).and_then(|c| c.to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push(high * 16 + low),
            _ => return Err(AddressError::Escape),
        }
    }
    String::from_utf8(bytes).map_err(|_| AddressError::Escape)
}

impl Server {
    fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('/').unwrap_or(text);
        if text.contains(['/', '?', '#', ' ']) {
            return Err(AddressError::Path);
        }
        // The colons of an IPv6 address stand inside brackets.
        let (host, port) = match text.rfind(':').filter(|at| !text[*at..].contains(']')) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        if host.is_empty() {
            return Err(AddressError::NoHost);
        }
        let port = match port {
            "" => PORT,
            port => port.parse().map_err(|_| AddressError::Port)?,
        };
        if port == 0 {
            return Err(AddressError::Port);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "tls" } else { "nats" };
        let servers: Vec<String> = self.servers.iter().map(Server::to_string).collect();
        write!(formatter, "{scheme}://{}", servers.join(","))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Address({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_login_are_read_and_the_password_is_never_shown() {
        let address = Address::from_str("nats://anna:p%40ss@one:1,two,[::1]:3").unwrap();
        assert_eq!(address.to_string(), "nats://one:1,two:4222,[::1]:3");
        assert_eq!(address.user.as_deref(), Some("anna"));
        assert_eq!(address.password.as_deref(), Some("p@ss"));
        assert!(!format!("{address:?}").contains("p@ss"));
        assert!(Address::from_str("tls://one").unwrap().is_tls);
        let twice = "nats://a:b@one,nats://a:b@two";
        assert_eq!(Address::from_str(twice).unwrap().servers.len(), 2);
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        let cases = [
            ("redis://one", AddressError::Scheme),
            ("nats://", AddressError::NoHost),
            ("nats://one,,two", AddressError::NoHost),
            ("nats://one:0", AddressError::Port),
            ("nats://one:70000", AddressError::Port),
            ("nats://one/path", AddressError::Path),
            ("nats://a:%4@one", AddressError::Escape),
            ("nats://a:b@one,tls://a:b@two", AddressError::Different),
            ("nats://a:b@one,a:c@two", AddressError::Different),
        ];
        for (text, error) in cases {
            assert_eq!(Address::from_str(text), Err(error), "{text}");
        }
    }
}
