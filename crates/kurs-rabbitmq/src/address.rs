//! Where the server is, out of a URL.

use lapin::uri::{AMQPScheme, AMQPUri};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A server, and how to log in. Shown without the password.
#[derive(Clone)]
pub struct Address {
    pub(crate) uri: AMQPUri,
}

/// Why a text is no address of a RabbitMQ server. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("expected amqp://HOST:PORT or amqps://HOST:PORT")]
    Scheme,
    /// The server has no name.
    #[error("the server has no name; expected amqp://HOST:PORT")]
    NoHost,
    /// There is a question mark or a `#`.
    #[error("nothing may follow the vhost; in a password write %3F for ? and %23 for #")]
    Query,
    /// It cannot be taken apart.
    #[error("expected amqp://USER:PASSWORD@HOST:PORT/VHOST; a port is from 1 to 65535")]
    Shape,
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. All but the host may
    /// be left out. In user and password `%40` stands for `@`, and so on.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let rest = text
            .strip_prefix("amqp://")
            .or_else(|| text.strip_prefix("amqps://"))
            .ok_or(AddressError::Scheme)?;
        if rest.contains(['#', '?']) {
            return Err(AddressError::Query);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() || host.starts_with(':') {
            return Err(AddressError::NoHost);
        }
        let Ok(mut uri) = text.parse::<AMQPUri>() else {
            return Err(AddressError::Shape);
        };
        // An IPv6 address is not a host to the parser, which would take `localhost` for it.
        if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            address.clone_into(&mut uri.authority.host);
        }
        // No path and `/` both mean the vhost that every server has.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        Ok(Self { uri })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.uri.scheme {
            AMQPScheme::AMQP => "amqp",
            AMQPScheme::AMQPS => "amqps",
        };
        let (server, vhost) = (&self.uri.authority, self.uri.vhost.trim_start_matches('/'));
        write!(
            formatter,
            "{scheme}://{}:{}/{vhost}",
            server.host, server.port
        )
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
    fn server_login_and_vhost_are_read_and_the_password_is_never_shown() {
        let address =
            Address::from_str("amqps://anna:geheim%23@rabbit.example:7000/rates").unwrap();
        let login = &address.uri.authority.userinfo;
        assert_eq!((&*login.username, &*login.password), ("anna", "geheim#"));
        assert_eq!(address.to_string(), "amqps://rabbit.example:7000/rates");
        assert!(!format!("{address:?}").contains("geheim"));
        for (text, shown) in [
            ("amqp://10.0.0.7", "amqp://10.0.0.7:5672/"),
            ("amqps://[::1]/", "amqps://::1:5671/"),
            ("amqp://u:p@[::1]:99/%2f", "amqp://::1:99/"),
        ] {
            let address = Address::from_str(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.uri.vhost, "/");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for (text, error) in [
            ("", AddressError::Scheme),
            ("localhost:5672", AddressError::Scheme),
            ("http://localhost", AddressError::Scheme),
            ("amqp://", AddressError::NoHost),
            ("amqp://:5672", AddressError::NoHost),
            ("amqp://anna:geheim@", AddressError::NoHost),
            ("amqp://anna:geheim@host:99999", AddressError::Shape),
            ("amqp://host/?heartbeat=0", AddressError::Query),
        ] {
            assert_eq!(Address::from_str(text).err(), Some(error), "{text}");
        }
    }
}
