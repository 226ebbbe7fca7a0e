//! Where the server is, out of a URL.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A server, and how to log in. Shown without the password.
#[derive(Clone)]
pub struct Address {
    pub(crate) info: ConnectionInfo,
}

/// Why a text is no address of a Redis server. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("expected redis://HOST:PORT or rediss://HOST:PORT")]
    Scheme,
    /// The server has no name.
    #[error("the server has no name; expected redis://HOST:PORT")]
    NoHost,
    /// There is a question mark or a `#`.
    #[error("nothing may follow the database; in a password write %3F for ? and %23 for #")]
    Query,
    /// What follows the server is no number.
    #[error("only the number of a database may follow the server, as in redis://HOST:PORT/0")]
    Database,
    /// It cannot be taken apart.
    #[error("expected redis://USER:PASSWORD@HOST:PORT/DATABASE; a port is from 1 to 65535")]
    Shape,
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `redis://user:password@host:port/database`, or `rediss://` for TLS. All but the host
    /// may be left out: the port is 6379 then, the database 0. In user and password `%40` stands
    /// for `@`, and so on.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .strip_prefix("redis://")
            .or_else(|| text.strip_prefix("rediss://"))
            .ok_or(AddressError::Scheme)?;
        if rest.contains(['?', '#']) {
            return Err(AddressError::Query);
        }
        let (server, database) = rest.split_once('/').unwrap_or((rest, ""));
        let host = server.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || host.starts_with(':') {
            return Err(AddressError::NoHost);
        }
        if !database.is_empty() && database.parse::<u16>().is_err() {
            return Err(AddressError::Database);
        }
        let info = text
            .into_connection_info()
            .map_err(|_| AddressError::Shape)?;
        match info.addr() {
            ConnectionAddr::Tcp(_, port) | ConnectionAddr::TcpTls { port, .. } if *port != 0 => {
                Ok(Self { info })
            }
            _ => Err(AddressError::Shape),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.info.addr() {
            ConnectionAddr::TcpTls { .. } => "rediss",
            _ => "redis",
        };
        let (server, database) = (self.info.addr(), self.info.redis_settings().db());
        write!(formatter, "{scheme}://{server}/{database}")
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
    fn server_login_and_database_are_read_and_the_password_is_never_shown() {
        let address = Address::from_str("rediss://anna:geheim%23@redis.example:7000/3").unwrap();
        let settings = address.info.redis_settings();
        assert_eq!(settings.username(), Some("anna"));
        assert_eq!(settings.password(), Some("geheim#"));
        assert_eq!(settings.db(), 3);
        assert_eq!(address.to_string(), "rediss://redis.example:7000/3");
        assert!(!format!("{address:?}").contains("geheim"));
        let short = Address::from_str("redis://:geheim@[::1]").unwrap();
        assert_eq!(short.to_string(), "redis://::1:6379/0");
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        let cases = [
            ("", AddressError::Scheme),
            ("nats://one", AddressError::Scheme),
            ("localhost:6379", AddressError::Scheme),
            ("unix:///run/redis.sock", AddressError::Scheme),
            ("redis://", AddressError::NoHost),
            ("redis://:geheim@", AddressError::NoHost),
            ("redis://:geheim@:6379", AddressError::NoHost),
            ("redis://one/x", AddressError::Database),
            ("redis://one/-1", AddressError::Database),
            ("redis://one/0/1", AddressError::Database),
            ("redis://one:0", AddressError::Shape),
            ("redis://one:99999", AddressError::Shape),
            ("redis://0.0.0.0", AddressError::Shape),
            ("redis://one?protocol=resp3", AddressError::Query),
            ("rediss://one/#insecure", AddressError::Query),
        ];
        for (text, error) in cases {
            assert_eq!(Address::from_str(text).err(), Some(error), "{text}");
        }
    }
}
