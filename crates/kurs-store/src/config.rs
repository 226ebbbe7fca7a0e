//! Section `store` of the configuration, and opening what it names.

use crate::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use crate::sqlite::{SqliteOptions, SqliteStore};
use crate::{Retention, SchemaState, Store, StoreError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Longest time that anything is kept for, in days (a century), unless it is for good.
const DAYS_MAX: u32 = 36_500;
/// A week: blocks are made of full hours of work at the latest then.
const PACK_AFTER_MINUTES_MAX: u32 = 7 * 24 * 60;
/// Packing and deleting keep one for long; the Writer and its readers need others meanwhile.
const MIN_CONNECTIONS: u32 = 2;
const MAX_CONNECTIONS: u32 = 100;

/// Where kurs keeps what must outlive it, and for how long.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:PATH` for a file, `sqlite::memory:` for nothing that stays,
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE` for PostgreSQL; with a password in it better
    /// a file: `url_file`.
    pub url: String,
    /// Days that rates as received are kept. Of this and the other numbers of days: 0 is for good.
    pub history_days: u32,
    /// Days that published rates are kept: as long as somebody may ask at which rate he settled.
    pub published_days: u32,
    /// Days that candles of one second are kept.
    pub second_candles_days: u32,
    /// Days that candles of one and of five minutes are kept; those of hours and days stay.
    pub minute_candles_days: u32,
    /// Days that order books are kept.
    pub book_days: u32,
    /// Days that the list of gaps is kept.
    pub gap_days: u32,
    /// Days that the audit log is kept: who changed what by the API, and when.
    pub audit_days: u32,
    /// Minutes after which history is packed into compressed blocks; 0 never packs it, so that
    /// plain SQL reads all of it.
    pub pack_after_minutes: u32,
    /// Bring an older schema to this program's version at the start. Not set: yes for SQLite, no
    /// for PostgreSQL, where `kurs migrate` does it.
    pub auto_migrate: Option<bool>,
    /// Milliseconds to wait while another process writes to the same file.
    pub busy_timeout_ms: u64,
    /// Milliseconds after which a query is ended.
    pub statement_timeout_ms: u64,
    /// Most connections to PostgreSQL at a time.
    pub max_connections: u32,
    /// Milliseconds that making a connection to PostgreSQL may take.
    pub connect_timeout_ms: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:kurs.db".to_owned(),
            history_days: Retention::default().history_days,
            published_days: Retention::default().published_days,
            second_candles_days: Retention::default().second_candles_days,
            minute_candles_days: Retention::default().minute_candles_days,
            book_days: Retention::default().book_days,
            gap_days: Retention::default().gap_days,
            audit_days: Retention::default().audit_days,
            pack_after_minutes: 10,
            auto_migrate: None,
            busy_timeout_ms: 5_000,
            statement_timeout_ms: 5_000,
            max_connections: 8,
            connect_timeout_ms: 5_000,
        }
    }
}

impl fmt::Debug for StoreConfig {
    /// Without the address: that of a database server carries a password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self
            .url
            .parse::<StoreUrl>()
            .map_or_else(|_| "?".to_owned(), |url| url.to_string());
        formatter
            .debug_struct("StoreConfig")
            .field("url", &url)
            .field("retention", &self.retention())
            .field("pack_after_minutes", &self.pack_after_minutes)
            .field("auto_migrate", &self.auto_migrate)
            .field("busy_timeout_ms", &self.busy_timeout_ms)
            .field("statement_timeout_ms", &self.statement_timeout_ms)
            .field("max_connections", &self.max_connections)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .finish()
    }
}

impl StoreConfig {
    /// Adds a sentence per mistake, each beginning with the key.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if let Err(error) = self.url.parse::<StoreUrl>() {
            mistakes.push(format!("store.url: {error}"));
        }
        let days = [
            ("history_days", self.history_days),
            ("published_days", self.published_days),
            ("second_candles_days", self.second_candles_days),
            ("minute_candles_days", self.minute_candles_days),
            ("book_days", self.book_days),
            ("gap_days", self.gap_days),
            ("audit_days", self.audit_days),
        ];
        for (key, days) in days {
            if days > DAYS_MAX {
                mistakes.push(format!("store.{key}: must be from 0 to {DAYS_MAX}"));
            }
        }
        if self.pack_after_minutes > PACK_AFTER_MINUTES_MAX {
            mistakes.push(format!(
                "store.pack_after_minutes: must be from 0 to {PACK_AFTER_MINUTES_MAX}"
            ));
        }
        let timeouts = [
            ("busy_timeout_ms", self.busy_timeout_ms),
            ("statement_timeout_ms", self.statement_timeout_ms),
            ("connect_timeout_ms", self.connect_timeout_ms),
        ];
        for (key, milliseconds) in timeouts {
            if !(1..=60_000).contains(&milliseconds) {
                mistakes.push(format!("store.{key}: must be from 1 to 60000"));
            }
        }
        if !(MIN_CONNECTIONS..=MAX_CONNECTIONS).contains(&self.max_connections) {
            mistakes.push(format!(
                "store.max_connections: must be from {MIN_CONNECTIONS} to {MAX_CONNECTIONS}"
            ));
        }
    }

    /// How long what is kept.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        Retention {
            history_days: self.history_days,
            published_days: self.published_days,
            second_candles_days: self.second_candles_days,
            minute_candles_days: self.minute_candles_days,
            book_days: self.book_days,
            gap_days: self.gap_days,
            audit_days: self.audit_days,
        }
    }

    /// How old history is when it is packed; `None`: never.
    #[must_use]
    pub fn pack_after(&self) -> Option<Duration> {
        let seconds = u64::from(self.pack_after_minutes) * 60;
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// True when the store is a database server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.url.parse(), Ok(StoreUrl::Postgres(_)))
    }

    /// True when the store is a file that is not there yet: opening it would make it.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self.url.parse(), Ok(StoreUrl::SqliteFile(path)) if !path.exists())
    }

    /// Whether an older schema is brought to this program's version at the start.
    #[must_use]
    pub fn migrates_itself(&self) -> bool {
        self.auto_migrate.unwrap_or(!self.is_server())
    }
}

/// A store by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    SqliteFile(PathBuf),
    /// SQLite in memory.
    SqliteMemory,
    /// A PostgreSQL database.
    Postgres(Box<PostgresUrl>),
}

/// Why an address names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// A kind of store that this program does not have.
    #[error("{0}: is no store that kurs knows; use sqlite:PATH or postgres://...")]
    NotInThisBuild(String),
    /// Not of a form that is understood.
    #[error(
        "is written sqlite:PATH, such as sqlite:kurs.db, or sqlite::memory:, or postgres://..."
    )]
    Malformed,
    /// Begins as the address of a PostgreSQL database and goes on in another way. Tells nothing
    /// of it, since a password may be anywhere in it.
    #[error(
        "is written postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the \
         password as %XX, and sslmode=disable, prefer, require, verify-ca or verify-full"
    )]
    MalformedPostgres,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    /// Reads `sqlite:PATH`, `sqlite://PATH` (an absolute path has three slashes),
    /// `sqlite::memory:`, and `postgres://` or `postgresql://` as [`PostgresUrl`] does.
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(StoreUrlError::Malformed)?;
        let scheme = scheme.to_ascii_lowercase();
        if matches!(scheme.as_str(), "postgres" | "postgresql") {
            let url = PostgresUrl::parse(&format!("{scheme}:{rest}"))?;
            return Ok(Self::Postgres(Box::new(url)));
        }
        if scheme != "sqlite" {
            // A path with a colon is no scheme.
            let is_scheme =
                !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return Err(if is_scheme && rest.starts_with("//") {
                StoreUrlError::NotInThisBuild(scheme)
            } else {
                StoreUrlError::Malformed
            });
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        match path {
            ":memory:" => Ok(Self::SqliteMemory),
            "" => Err(StoreUrlError::Malformed),
            _ if path.contains(['\0', '?', '#']) => Err(StoreUrlError::Malformed),
            _ => Ok(Self::SqliteFile(PathBuf::from(path))),
        }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqliteFile(path) => write!(formatter, "sqlite:{}", path.display()),
            Self::SqliteMemory => formatter.write_str("sqlite::memory:"),
            Self::Postgres(url) => url.fmt(formatter),
        }
    }
}

/// Opens the store that the configuration names, with its schema as it is. Blocks for as long
/// as the disk takes; [`prepare`] comes next.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be opened, [`StoreError::Corrupt`] when what is
/// there is not a store of kurs.
pub fn open(config: &StoreConfig) -> Result<Arc<dyn Store>, StoreError> {
    let url: StoreUrl = config
        .url
        .parse()
        .map_err(|error: StoreUrlError| StoreError::Unavailable(format!("store.url: {error}")))?;
    let path = match url {
        StoreUrl::SqliteFile(path) => path,
        StoreUrl::SqliteMemory => PathBuf::from(":memory:"),
        StoreUrl::Postgres(url) => {
            let options = PostgresOptions {
                max_connections: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
                connect_timeout: Duration::from_millis(config.connect_timeout_ms),
                statement_timeout: Duration::from_millis(config.statement_timeout_ms),
            };
            return Ok(Arc::new(PostgresStore::new(*url, options)?));
        }
    };
    let options = SqliteOptions {
        busy_timeout: Duration::from_millis(config.busy_timeout_ms),
        statement_limit: Duration::from_millis(config.statement_timeout_ms),
        ..SqliteOptions::default()
    };
    Ok(Arc::new(SqliteStore::open(path, options)?))
}

/// Makes the schema right, or refuses one that is not: migrates when the configuration says so.
/// `kurs migrate` calls [`Store::migrate`] itself instead.
///
/// # Errors
/// [`StoreError::Schema`] when the version is another one and may not or cannot be changed.
pub async fn prepare(store: &dyn Store, config: &StoreConfig) -> Result<SchemaState, StoreError> {
    if config.migrates_itself() {
        return store.migrate().await;
    }
    let state = store.schema().await?;
    if state.found < state.needed {
        return Err(StoreError::Schema {
            found: state.found,
            needed: state.needed,
        });
    }
    if state.found > state.needed {
        // A newer schema may allow this program; every ordinary call looks.
        store.terms().await?;
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(config: &StoreConfig) -> Vec<String> {
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        mistakes
    }

    #[test]
    fn every_form_of_an_sqlite_address_is_understood() {
        let file = |path: &str| Ok(StoreUrl::SqliteFile(PathBuf::from(path)));
        assert_eq!("sqlite:kurs.db".parse(), file("kurs.db"));
        assert_eq!("sqlite:/var/lib/kurs.db".parse(), file("/var/lib/kurs.db"));
        assert_eq!("sqlite://kurs.db".parse(), file("kurs.db"));
        assert_eq!(
            "SQLite:///var/lib/kurs.db".parse(),
            file("/var/lib/kurs.db")
        );
        assert_eq!("sqlite::memory:".parse(), Ok(StoreUrl::SqliteMemory));
        assert_eq!("sqlite://:memory:".parse(), Ok(StoreUrl::SqliteMemory));
    }

    #[test]
    fn other_stores_are_named_as_missing_and_nonsense_as_nonsense() {
        let error = "mysql://user:secret@host/kurs"
            .parse::<StoreUrl>()
            .unwrap_err();
        assert_eq!(error, StoreUrlError::NotInThisBuild("mysql".to_owned()));
        assert!(!error.to_string().contains("secret"));
        for text in [
            "",
            "kurs.db",
            "sqlite:",
            "sqlite://",
            "sqlite:a?mode=ro",
            ":",
            "C:\\kurs.db",
        ] {
            assert_eq!(
                text.parse::<StoreUrl>(),
                Err(StoreUrlError::Malformed),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_default_is_right_and_all_mistakes_are_told_at_once() {
        assert!(mistakes(&StoreConfig::default()).is_empty());
        let wrong = StoreConfig {
            url: "mysql://x".to_owned(),
            history_days: 36_501,
            busy_timeout_ms: 0,
            statement_timeout_ms: 60_001,
            max_connections: 1,
            connect_timeout_ms: 0,
            ..StoreConfig::default()
        };
        let told = mistakes(&wrong);
        let keys: Vec<&str> = told
            .iter()
            .filter_map(|text| text.split(':').next())
            .collect();
        assert_eq!(
            keys,
            [
                "store.url",
                "store.history_days",
                "store.busy_timeout_ms",
                "store.statement_timeout_ms",
                "store.connect_timeout_ms",
                "store.max_connections"
            ]
        );
    }

    #[test]
    fn unknown_keys_are_refused_and_missing_ones_have_their_default() {
        let config: StoreConfig = serde_json::from_str(r#"{"history_days": 7}"#).unwrap();
        assert_eq!(
            config,
            StoreConfig {
                history_days: 7,
                ..StoreConfig::default()
            }
        );
        assert!(serde_json::from_str::<StoreConfig>(r#"{"histroy_days": 7}"#).is_err());
    }

    #[test]
    fn a_password_in_the_address_is_not_printed() {
        let config = StoreConfig {
            url: "postgres://u:secret@h/d".to_owned(),
            ..StoreConfig::default()
        };
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn only_an_embedded_store_migrates_itself_unless_told() {
        let of = |url: &str, auto_migrate: Option<bool>| StoreConfig {
            url: url.to_owned(),
            auto_migrate,
            ..StoreConfig::default()
        };
        assert!(of("sqlite:kurs.db", None).migrates_itself());
        assert!(!of("sqlite:kurs.db", Some(false)).migrates_itself());
        for url in ["postgres://u@h/d", "PostgreSQL://u@h/d"] {
            assert!(!of(url, None).migrates_itself(), "{url}");
            assert!(of(url, Some(true)).migrates_itself(), "{url}");
        }
    }
}
