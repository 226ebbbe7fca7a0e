//! The address of a database: `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...`.

use crate::StoreUrlError;
use std::fmt;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

const USUAL_PORT: u16 = 5_432;

/// What is asked of the server's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// Nothing: the line is encrypted, whoever is at its other end.
    Nothing,
    /// An authority that is trusted vouches for it.
    Authority,
    /// That, and it is made out for the host of the address.
    Host,
}

/// The address of a PostgreSQL database, understood. Neither its text nor its `Debug` form holds
/// the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    pub(super) config: Config,
    pub(super) verify: Verify,
    /// The file of trusted authorities; `None`: those of the system.
    pub(super) root_certificates: Option<PathBuf>,
}

impl PostgresUrl {
    /// Reads an address. `sslmode` is one of `disable`, `prefer` (as good as if it is left out),
    /// `require`, `verify-ca` and `verify-full`; `sslrootcert` names a PEM file.
    ///
    /// # Errors
    /// [`StoreUrlError::MalformedPostgres`]; it tells nothing of the text, which may hold a
    /// password anywhere.
    pub fn parse(text: &str) -> Result<Self, StoreUrlError> {
        let malformed = StoreUrlError::MalformedPostgres;
        // A password may hold a question mark that was not escaped.
        let host = text.find('@').unwrap_or(0);
        let (before, query) = match text.get(host..).and_then(|rest| rest.find('?')) {
            Some(mark) => text.split_at(host + mark),
            None => (text, ""),
        };
        let query = query.trim_start_matches('?');
        let mut ssl_mode = SslMode::Prefer;
        let mut verify = Verify::Nothing;
        let mut root_certificates = None;
        let mut others = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=') {
                Some(("sslmode", mode)) => {
                    (ssl_mode, verify) = match mode {
                        "disable" => (SslMode::Disable, Verify::Nothing),
                        "prefer" => (SslMode::Prefer, Verify::Nothing),
                        "require" => (SslMode::Require, Verify::Nothing),
                        "verify-ca" => (SslMode::Require, Verify::Authority),
                        "verify-full" => (SslMode::Require, Verify::Host),
                        _ => return Err(malformed),
                    };
                }
                Some(("sslrootcert", "system")) => root_certificates = None,
                Some(("sslrootcert", path)) => root_certificates = Some(unescaped(path)?),
                _ => others.push(parameter),
            }
        }
        let rest = match others.as_slice() {
            [] => before.to_owned(),
            others => format!("{before}?{}", others.join("&")),
        };
        let mut config: Config = rest.parse().map_err(|_| StoreUrlError::MalformedPostgres)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(malformed);
        }
        config.ssl_mode(ssl_mode);
        if config.get_application_name().is_none() {
            config.application_name("kurs");
        }
        Ok(Self {
            config,
            verify,
            root_certificates: root_certificates.map(PathBuf::from),
        })
    }
}

/// `%2F` and the like as what they stand for.
fn unescaped(text: &str) -> Result<String, StoreUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
        let (high, low) = (digit(rest.next()), digit(rest.next()));
        let code = high
            .zip(low)
            .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(code.ok_or(StoreUrlError::MalformedPostgres)?);
    }
    String::from_utf8(bytes).map_err(|_| StoreUrlError::MalformedPostgres)
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(formatter, "{user}@")?;
        }
        let mut ports = self.config.get_ports().iter().cycle();
        for (index, host) in self.config.get_hosts().iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let port = ports.next().copied().unwrap_or(USUAL_PORT);
            match host {
                Host::Tcp(name) => write!(formatter, "{comma}{name}:{port}")?,
                #[cfg(unix)]
                Host::Unix(folder) => write!(formatter, "{comma}{}:{port}", folder.display())?,
            }
        }
        match self.config.get_dbname() {
            Some(name) => write!(formatter, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sslmode_of_other_clients_is_understood() {
        let check = |mode: &str, ssl: SslMode, verify: Verify| {
            let url = PostgresUrl::parse(&format!("postgres://u@h/d?sslmode={mode}")).unwrap();
            assert_eq!(
                (url.config.get_ssl_mode(), url.verify),
                (ssl, verify),
                "{mode}"
            );
        };
        check("disable", SslMode::Disable, Verify::Nothing);
        check("prefer", SslMode::Prefer, Verify::Nothing);
        check("require", SslMode::Require, Verify::Nothing);
        check("verify-ca", SslMode::Require, Verify::Authority);
        check("verify-full", SslMode::Require, Verify::Host);
        let url = PostgresUrl::parse(
            "postgresql://u:p@h:6000/d?connect_timeout=3&sslrootcert=%2Fetc%2Fca.pem&sslmode=verify-full",
        );
        let url = url.unwrap();
        assert_eq!(url.root_certificates, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(url.to_string(), "postgres://u@h:6000/d");
    }

    #[test]
    fn neither_a_wrong_nor_a_right_address_shows_its_password() {
        for text in [
            "postgres://u:secret@h/d?sslmode=secret",
            "postgres://u:secret@h/d?secret=1",
            "postgres://u:secret@h:secret/d",
            "postgres://",
            "postgres:///d",
            "postgres://u:secret@h/d?sslrootcert=%zzsecret",
        ] {
            let error = PostgresUrl::parse(text).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("secret"),
                "{text}: {error}"
            );
        }
        for text in [
            "postgres://u:secret@h,i:1/d?target_session_attrs=read-write",
            "postgres://u:se?sslmode=secret@h/d?sslmode=require",
        ] {
            let url = PostgresUrl::parse(text).unwrap();
            let shown = format!("{url} {url:?} {:?}", url.config);
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
