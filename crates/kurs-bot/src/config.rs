//! Settings: the section `telegram`.

use kurs_telemetry::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Most chats on the list.
const CHATS_MAX: usize = 10_000;

/// How updates come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The bot asks for them.
    #[default]
    Polling,
    /// Telegram sends them.
    Webhook,
}

/// The section `telegram` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramConfig {
    /// The token that BotFather gave. Without one there is no bot in Telegram.
    pub token: Option<Secret>,
    /// Where the Bot API is: Telegram's own, or a server of yours.
    pub api_url: String,
    /// Numbers of the chats that are served. Empty: all.
    pub chats: Vec<i64>,
    /// How updates come: `polling` needs nothing; `webhook` needs an address that Telegram reaches.
    pub mode: Mode,
    /// Where Telegram sends updates, `https://` with port 443, 80, 88 or 8443.
    pub webhook_url: String,
    /// Where the bot listens for them; TLS ends in front of it.
    pub webhook_addr: SocketAddr,
    /// What proves that an update comes from Telegram: 16 to 256 of A-Z, a-z, 0-9, `_` and `-`.
    pub webhook_secret: Option<Secret>,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            token: None,
            api_url: "https://api.telegram.org".to_owned(),
            chats: Vec::new(),
            mode: Mode::Polling,
            webhook_url: String::new(),
            webhook_addr: SocketAddr::from(([127, 0, 0, 1], 8_444)),
            webhook_secret: None,
        }
    }
}

impl TelegramConfig {
    /// The number of the bot: the part of its token that is no secret.
    #[must_use]
    pub fn bot_number(&self) -> Option<&str> {
        let token = self.token.as_ref()?.reveal();
        let (number, rest) = token.split_once(':')?;
        let is_number =
            (1..=20).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && !rest.is_empty()).then_some(number)
    }

    /// Whether a chat is served.
    #[must_use]
    pub fn serves(&self, chat: i64) -> bool {
        self.chats.is_empty() || self.chats.contains(&chat)
    }

    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if let Some(token) = &self.token {
            let fits =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-');
            let is_fine = self.bot_number().is_some()
                && token.reveal().len() <= 256
                && token.reveal().bytes().all(fits);
            if !is_fine {
                mistakes.push(
                    "telegram.token: not of the form that BotFather gives, 123456:ABC-DEF"
                        .to_owned(),
                );
            }
        }
        if !is_url(&self.api_url) || self.api_url.contains(['?', '#', '@']) {
            mistakes.push(
                "telegram.api_url: must begin with https:// or http://, without user, query and \
                 fragment"
                    .to_owned(),
            );
        }
        if self.chats.len() > CHATS_MAX {
            mistakes.push(format!("telegram.chats: more than {CHATS_MAX}"));
        }
        if self.mode == Mode::Webhook {
            self.validate_webhook(is_url(&self.webhook_url), mistakes);
        }
    }

    fn validate_webhook(&self, is_url: bool, mistakes: &mut Vec<String>) {
        if !is_url {
            mistakes.push(
                "telegram.webhook_url: with mode webhook, where Telegram sends updates".to_owned(),
            );
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let is_secret = |secret: &Secret| {
            let secret = secret.reveal();
            (16..=256).contains(&secret.len()) && secret.bytes().all(fits)
        };
        if !self.webhook_secret.as_ref().is_some_and(is_secret) {
            mistakes.push(
                "telegram.webhook_secret: with mode webhook, 16 to 256 of A-Z, a-z, 0-9, _ and -"
                    .to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(config: &TelegramConfig) -> Vec<String> {
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        mistakes
    }

    #[test]
    fn the_defaults_are_fine_and_have_no_bot() {
        let config = TelegramConfig::default();
        assert_eq!(mistakes(&config), [""; 0]);
        assert_eq!(config.bot_number(), None);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once_and_no_secret_with_it() {
        let config = TelegramConfig {
            token: Some(Secret::new("canary")),
            api_url: "ftp://x".to_owned(),
            mode: Mode::Webhook,
            webhook_secret: Some(Secret::new("canary short")),
            ..TelegramConfig::default()
        };
        let found = mistakes(&config);
        assert_eq!(found.len(), 4, "{found:?}");
        let shown = format!(
            "{found:?} {config:?} {}",
            serde_json::to_string(&config).unwrap()
        );
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn the_number_of_a_bot_is_known_from_its_token() {
        let config = TelegramConfig {
            token: Some(Secret::new("123456:ABC-DEF_x")),
            chats: vec![-5],
            ..TelegramConfig::default()
        };
        assert_eq!(mistakes(&config), [""; 0]);
        assert_eq!(config.bot_number(), Some("123456"));
        assert!(config.serves(-5) && !config.serves(5));
    }
}
