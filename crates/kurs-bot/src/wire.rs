//! The parts of the Bot API that this bot reads.
//!
//! Own types instead of a library's: an update is read field by field and what is not understood
//! is left out, so that a command inside a message of a kind that came up yesterday is answered.
//! The library at hand (frankenstein 0.52) refuses the whole update then, holds `retry_after` in
//! 16 bits, and brings a crate that is no longer kept (`paste`) and a licence of its own.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Something that happened. Unknown kinds have neither message nor press.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Update {
    /// Its number.
    #[serde(deserialize_with = "lenient")]
    pub update_id: Option<i64>,
    /// Somebody wrote.
    #[serde(deserialize_with = "lenient")]
    pub message: Option<Message>,
    /// Somebody pressed a button.
    #[serde(deserialize_with = "lenient")]
    pub callback_query: Option<Press>,
    /// The bot was let in or thrown out.
    #[serde(deserialize_with = "lenient")]
    pub my_chat_member: Option<Membership>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Message {
    /// Its number in its chat.
    pub message_id: i64,
    /// Where.
    pub chat: Chat,
    /// Who.
    #[serde(default, deserialize_with = "lenient")]
    pub from: Option<User>,
    /// What.
    #[serde(default, deserialize_with = "lenient")]
    pub text: Option<String>,
    /// The group goes on under another number.
    #[serde(default, deserialize_with = "lenient")]
    pub migrate_to_chat_id: Option<i64>,
    /// There is a picture in it: its text is a caption.
    #[serde(default, deserialize_with = "lenient")]
    pub photo: Option<Vec<Value>>,
}

/// A chat: groups have numbers below zero.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Chat {
    /// Its number.
    pub id: i64,
}

/// A person or a bot.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct User {
    /// Its number.
    pub id: i64,
    /// It is a bot.
    #[serde(default)]
    pub is_bot: bool,
    /// Name with which commands are addressed.
    #[serde(default, deserialize_with = "lenient")]
    pub username: Option<String>,
    /// Such as `ru` or `en-GB`.
    #[serde(default, deserialize_with = "lenient")]
    pub language_code: Option<String>,
}

/// A press of a button.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Press {
    /// Its id, for the answer.
    pub id: String,
    /// Who.
    pub from: User,
    /// Below which message.
    #[serde(default, deserialize_with = "lenient")]
    pub message: Option<Message>,
    /// What the button carries.
    #[serde(default, deserialize_with = "lenient")]
    pub data: Option<String>,
}

/// How the bot stands in a chat.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Membership {
    /// Where.
    pub chat: Chat,
    /// How, from now on.
    pub new_chat_member: Member,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Member {
    /// `member`, `kicked`, `left`, ...
    pub status: String,
}

impl Update {
    /// Reads an update; `None` for what is no object with a number.
    #[must_use]
    pub fn read(value: Value) -> Option<(i64, Self)> {
        let update: Self = serde_json::from_value(value).ok()?;
        Some((update.update_id?, update))
    }

    /// The chat it is about.
    #[must_use]
    pub fn chat(&self) -> Option<i64> {
        let pressed = self
            .callback_query
            .as_ref()
            .and_then(|press| press.message.as_ref());
        let message = self.message.as_ref().or(pressed);
        let membership = self.my_chat_member.as_ref();
        message
            .map(|message| message.chat.id)
            .or_else(|| membership.map(|membership| membership.chat.id))
    }
}

/// A part that cannot be read is as good as absent.
fn lenient<'de, D: Deserializer<'de>, T: serde::de::DeserializeOwned>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_message_of_a_kind_that_is_not_known_is_read_all_the_same() {
        let (id, update) = Update::read(json!({
            "update_id": 9_007_199_254_740_993_i64,
            "message": {
                "message_id": 3,
                "chat": {"id": -1_001_234_567_890_i64, "type": "something_else"},
                "from": {"id": 5, "is_bot": "?", "language_code": 7},
                "text": "/rates",
                "forward_origin": {"type": "of_tomorrow"},
            },
        }))
        .unwrap();
        assert_eq!(id, 9_007_199_254_740_993);
        let message = update.message.unwrap();
        assert_eq!(message.text.as_deref(), Some("/rates"));
        assert_eq!(message.chat.id, -1_001_234_567_890);
        assert_eq!(message.from, None, "what cannot be read is left out");
    }
}
