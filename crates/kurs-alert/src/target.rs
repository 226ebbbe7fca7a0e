//! Who is told.

use std::fmt;
use std::sync::Arc;

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A program, by a signed request. What it is signed with is in the store.
    Webhook {
        /// Where it listens.
        url: Arc<str>,
    },
    /// A chat of the Telegram bot.
    Telegram {
        /// Its number.
        chat: i64,
    },
}

/// A stored target that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no target")]
pub struct TargetError(Arc<str>);

impl Target {
    /// The word of its kind, which is the label of metrics.
    #[must_use]
    pub const fn courier(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Telegram { .. } => "telegram",
        }
    }

    /// From its text.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError(text.into());
        if let Some(url) = text.strip_prefix("webhook:") {
            return Ok(Self::Webhook { url: url.into() });
        }
        let chat = text.strip_prefix("telegram:").ok_or_else(error)?;
        let chat = chat.parse().map_err(|_| error())?;
        Ok(Self::Telegram { chat })
    }
}

/// As it is stored and looked for: `webhook:https://...`, `telegram:-100123`.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook { url } => write!(formatter, "webhook:{url}"),
            Self::Telegram { chat } => write!(formatter, "telegram:{chat}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_survives_its_text() {
        for target in [
            Target::Webhook {
                url: "https://example.org/hook?x=telegram:1".into(),
            },
            Target::Telegram {
                chat: -1_001_234_567_890,
            },
        ] {
            assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }
        for wrong in ["", "telegram:", "telegram:x", "mail:a@example.org"] {
            assert!(Target::parse(wrong).is_err(), "{wrong}");
        }
    }
}
