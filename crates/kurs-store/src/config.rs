//! Section `store` of the configuration, and opening what it names.

use crate::sqlite::{SqliteOptions, SqliteStore};
use crate::{SchemaState, Store, StoreError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// Longest history that can be asked for, in days (a century).
const HISTORY_DAYS_MAX: u32 = 36_500;

/// Where kurs keeps what must outlive it, and for how long.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// `sqlite:PATH` for a file, `sqlite::memory:` for nothing that stays.
    pub url: String,
    /// Days that history is kept.
    pub history_days: u32,
    /// Bring an older schema to this program's version at the start. Not set: yes for SQLite.
    pub auto_migrate: Option<bool>,
    /// Milliseconds to wait while another process writes to the same file.
    pub busy_timeout_ms: u64,
    /// Milliseconds after which a query is ended.
    pub statement_timeout_ms: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite:kurs.db".to_owned(),
            history_days: 30,
            auto_migrate: None,
            busy_timeout_ms: 5_000,
            statement_timeout_ms: 5_000,
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
            .field("history_days", &self.history_days)
            .field("auto_migrate", &self.auto_migrate)
            .field("busy_timeout_ms", &self.busy_timeout_ms)
            .field("statement_timeout_ms", &self.statement_timeout_ms)
            .finish()
    }
}

impl StoreConfig {
    /// Adds a sentence per mistake, each beginning with the key.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if let Err(error) = self.url.parse::<StoreUrl>() {
            mistakes.push(format!("store.url: {error}"));
        }
        if !(1..=HISTORY_DAYS_MAX).contains(&self.history_days) {
            mistakes.push(format!(
                "store.history_days: must be from 1 to {HISTORY_DAYS_MAX}"
            ));
        }
        let timeouts = [
            ("busy_timeout_ms", self.busy_timeout_ms),
            ("statement_timeout_ms", self.statement_timeout_ms),
        ];
        for (key, milliseconds) in timeouts {
            if !(1..=60_000).contains(&milliseconds) {
                mistakes.push(format!("store.{key}: must be from 1 to 60000"));
            }
        }
    }

    /// Whether an older schema is brought to this program's version at the start.
    #[must_use]
    pub fn migrates_itself(&self) -> bool {
        self.auto_migrate.unwrap_or(true)
    }
}

/// A store by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A SQLite file.
    SqliteFile(PathBuf),
    /// SQLite in memory.
    SqliteMemory,
}

/// Why an address names no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// A kind of store that this program does not have.
    #[error("{0}: is not in this build yet; use sqlite:PATH")]
    NotInThisBuild(String),
    /// Not of a form that is understood.
    #[error("is written sqlite:PATH, such as sqlite:kurs.db, or sqlite::memory:")]
    Malformed,
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    /// Reads `sqlite:PATH`, `sqlite://PATH` (an absolute path has three slashes) and
    /// `sqlite::memory:`.
    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(StoreUrlError::Malformed)?;
        let scheme = scheme.to_ascii_lowercase();
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
    let options = SqliteOptions {
        busy_timeout: std::time::Duration::from_millis(config.busy_timeout_ms),
        statement_limit: std::time::Duration::from_millis(config.statement_timeout_ms),
        ..SqliteOptions::default()
    };
    let path = match url {
        StoreUrl::SqliteFile(path) => path,
        StoreUrl::SqliteMemory => PathBuf::from(":memory:"),
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
    if state.found != state.needed {
        return Err(StoreError::Schema {
            found: state.found,
            needed: state.needed,
        });
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
        let error = "postgres://user:secret@host/kurs"
            .parse::<StoreUrl>()
            .unwrap_err();
        assert_eq!(error, StoreUrlError::NotInThisBuild("postgres".to_owned()));
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
            history_days: 0,
            busy_timeout_ms: 0,
            statement_timeout_ms: 60_001,
            auto_migrate: None,
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
                "store.statement_timeout_ms"
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
}
