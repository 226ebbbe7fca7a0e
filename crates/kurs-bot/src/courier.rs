//! Brings what alerts tell to chats.
//!
//! The outbox of the store says what is to be told; a delivery is marked done as soon as Telegram
//! has said yes. Telegram knows no idempotency key, so one gap remains: a message that Telegram
//! took while the bot died, or its answer got lost, before the mark was made, is sent again. These
//! are at most as many as are on their way at one time (`in_flight_max`, 8).

use crate::api::ApiError;
use crate::chats::Chats;
use crate::config::TelegramConfig;
use crate::say;
use crate::sender::{SendError, Sender};
use async_trait::async_trait;
use kurs_alert::{Courier, Delivered, Delivery, Target};
use std::sync::Arc;
use std::time::Duration;

/// A message that did not get its turn within so long goes back to the outbox.
/// With the time that Telegram may take, this is less than the 30 s of an attempt.
const PATIENCE: Duration = Duration::from_secs(8);

/// The way to chats.
#[derive(Debug)]
pub struct TelegramCourier {
    chats: Chats,
    sender: Arc<Sender>,
    config: TelegramConfig,
}

impl TelegramCourier {
    /// A courier that shares queue and limits with the bot.
    #[must_use]
    pub const fn new(chats: Chats, sender: Arc<Sender>, config: TelegramConfig) -> Self {
        Self {
            chats,
            sender,
            config,
        }
    }

    async fn send(&self, delivery: &Delivery, chat: i64) -> Result<(), SendError> {
        let known = self.chats.find(chat).await;
        let language = match known {
            Ok(Some((_, true))) => {
                return Err(ApiError::Blocked("the chat is blocked".to_owned()).into());
            }
            Ok(Some((language, false))) => language,
            // An alert for a chat that never spoke, or a store that is away: English will do.
            _ => crate::button::Language::default(),
        };
        let call = say::fired(&delivery.message, language).call();
        self.sender.send(chat, None, call, PATIENCE).await.map(drop)
    }
}

#[async_trait]
impl Courier for TelegramCourier {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Telegram { .. })
    }

    async fn deliver(&self, delivery: &Delivery) -> Delivered {
        let Target::Telegram { chat } = &delivery.target else {
            return Delivered::Never {
                why: "this is no chat".to_owned(),
            };
        };
        if !self.config.serves(*chat) {
            return Delivered::Never {
                why: "the chat is not in telegram.chats".to_owned(),
            };
        }
        let mut sent = self.send(delivery, *chat).await;
        let mut written_to = *chat;
        if let Err(SendError::Api(ApiError::Migrated(to))) = sent {
            if let Err(error) = self.chats.migrate(*chat, to).await {
                tracing::warn!(%error, "the new number of a group was not stored");
            }
            written_to = to;
            sent = self.send(delivery, to).await;
        }
        let again = |after: Option<Duration>, why: String| Delivered::Again { after, why };
        match sent {
            Ok(()) => Delivered::Done,
            Err(SendError::Api(ApiError::Flood(wait))) => {
                again(Some(wait), "limited by Telegram".to_owned())
            }
            Err(SendError::Api(ApiError::Blocked(why))) => {
                if let Err(error) = self.chats.block(written_to).await {
                    tracing::warn!(%error, "a blocked chat was not noted");
                }
                Delivered::Never { why }
            }
            Err(SendError::Api(ApiError::Refused(why))) => Delivered::Never { why },
            Err(error) => again(None, error.to_string()),
        }
    }
}
