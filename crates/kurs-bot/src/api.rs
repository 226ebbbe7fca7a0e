//! Calls to the Bot API, and what may come back.

pub mod http;

pub use self::http::HttpApi;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Such as `sendMessage`.
    pub method: &'static str,
    /// Its parameters.
    pub params: Map<String, Value>,
    /// A picture that goes with it, in PNG.
    pub picture: Option<Arc<[u8]>>,
}

/// Under this name the picture of a call is attached.
pub const PICTURE_NAME: &str = "photo";

impl Call {
    /// A call without a picture; `params` is a JSON object.
    #[must_use]
    pub fn new(method: &'static str, params: Value) -> Self {
        let params = match params {
            Value::Object(params) => params,
            _ => Map::new(),
        };
        Self {
            method,
            params,
            picture: None,
        }
    }

    /// The same to another chat.
    #[must_use]
    pub fn to(mut self, chat: i64) -> Self {
        self.params.insert("chat_id".to_owned(), json!(chat));
        self
    }
}

/// Why a call came to nothing, named by what the caller can do. Never shows the token.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ApiError {
    /// 401 or 404: the token is wrong, and asking again does not help.
    #[error("Telegram does not know this token (HTTP {0})")]
    WrongToken(u16),
    /// 409: somebody else polls with this token, or a webhook is set.
    #[error("somebody else fetches the updates of this bot: {0}")]
    Conflict(String),
    /// 429: not before so long.
    #[error("limited by Telegram: retry after {} s", .0.as_secs())]
    Flood(Duration),
    /// 403: the bot may not write there.
    #[error("may not write to this chat: {0}")]
    Blocked(String),
    /// The group has another number.
    #[error("the chat goes on as {0}")]
    Migrated(i64),
    /// Another 4xx: asking again the same way does not help.
    #[error("refused by Telegram: {0}")]
    Refused(String),
    /// It was surely not carried out; try again later.
    #[error("cannot reach Telegram: {0}")]
    Unreachable(String),
    /// Nobody knows whether it was carried out; try again later.
    #[error("no answer of Telegram: {0}")]
    Unknown(String),
}

impl ApiError {
    /// The error that an answer means.
    #[must_use]
    pub fn of(status: u16, body: &Value) -> Self {
        let number = |name: &str| body.get("parameters")?.get(name)?.as_i64();
        let description = body.get("description").and_then(Value::as_str);
        let description: String = description
            .unwrap_or("no reason given")
            .chars()
            .take(256)
            .collect();
        if let Some(chat) = number("migrate_to_chat_id") {
            return Self::Migrated(chat);
        }
        match status {
            429 => {
                let seconds = number("retry_after").and_then(|seconds| u64::try_from(seconds).ok());
                // Without a word on it: as long as the shortest ban.
                Self::Flood(Duration::from_secs(seconds.unwrap_or(1).max(1)))
            }
            401 | 404 => Self::WrongToken(status),
            403 => Self::Blocked(description),
            409 => Self::Conflict(description),
            500.. => Self::Unknown(format!("HTTP {status}")),
            _ => Self::Refused(description),
        }
    }

    /// True when an edit changed nothing, which is as good as done.
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        matches!(self, Self::Refused(why) if why.contains("message is not modified"))
    }
}

/// The Bot API: over HTTP, or in the same process for tests.
#[async_trait]
pub trait BotApi: Send + Sync + std::fmt::Debug {
    /// Makes one call and gives its `result`. `timeout` is for all of it.
    async fn call(&self, call: &Call, timeout: Duration) -> Result<Value, ApiError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_named_by_what_can_be_done() {
        let of = |status, parameters: Value| {
            ApiError::of(
                status,
                &json!({"description": "why", "parameters": parameters}),
            )
        };
        let wait = Duration::from_secs(100_000);
        assert_eq!(
            of(429, json!({"retry_after": 100_000})),
            ApiError::Flood(wait)
        );
        assert_eq!(of(429, json!({})), ApiError::Flood(Duration::from_secs(1)));
        assert_eq!(
            of(400, json!({"migrate_to_chat_id": -7})),
            ApiError::Migrated(-7)
        );
        assert_eq!(of(403, json!(null)), ApiError::Blocked("why".to_owned()));
        assert_eq!(
            of(502, json!(null)),
            ApiError::Unknown("HTTP 502".to_owned())
        );
        assert_eq!(of(401, json!(null)), ApiError::WrongToken(401));
    }
}
