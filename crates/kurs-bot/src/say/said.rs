//! One message, with its buttons and its picture, and the call that says it.

use crate::api::Call;
use crate::button::{Button, Language};
use crate::texts::Text;
use serde_json::{Value, json};
use std::sync::Arc;

/// One message, or the new content of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// HTML of Telegram.
    pub text: String,
    /// Buttons below, row by row.
    pub buttons: Vec<Vec<(String, Button)>>,
    /// Waiting messages of the same key in the same chat are replaced by this one.
    pub key: Option<String>,
    /// A picture; the text stands below it.
    pub picture: Option<Arc<[u8]>>,
    /// The message that is changed; `None` for one more.
    pub edits: Option<i64>,
}

impl Said {
    /// A text alone.
    #[must_use]
    pub const fn text(text: String) -> Self {
        Self {
            text,
            buttons: Vec::new(),
            key: None,
            picture: None,
            edits: None,
        }
    }

    pub(super) fn plain(text: Text, language: Language) -> Self {
        Self::text(text.of(language).to_owned())
    }

    /// In place of a message that is there.
    #[must_use]
    pub fn instead_of(mut self, message: i64) -> Self {
        self.edits = Some(message);
        self.key = Some(format!("edit:{message}"));
        self
    }

    /// The call that says it; the chat is put in by the sender.
    #[must_use]
    pub fn call(&self) -> Call {
        let row = |row: &Vec<(String, Button)>| {
            let buttons = row.iter();
            let button = |(text, button): &(String, Button)| json!({"text": text, "callback_data": button.to_string()});
            Value::Array(buttons.map(button).collect())
        };
        let keyboard: Vec<Value> = self.buttons.iter().map(row).collect();
        let mut params = match (&self.picture, self.edits) {
            (None, _) => json!({
                "text": self.text,
                "parse_mode": "HTML",
                "link_preview_options": {"is_disabled": true},
            }),
            (Some(_), None) => json!({"caption": self.text, "parse_mode": "HTML"}),
            (Some(_), Some(_)) => json!({"media": {
                "type": "photo",
                "media": format!("attach://{}", crate::api::PICTURE_NAME),
                "caption": self.text,
                "parse_mode": "HTML",
            }}),
        };
        if let Some(params) = params.as_object_mut() {
            if let Some(message) = self.edits {
                params.insert("message_id".to_owned(), json!(message));
            }
            if !keyboard.is_empty() {
                let markup = json!({"inline_keyboard": keyboard});
                params.insert("reply_markup".to_owned(), markup);
            }
        }
        let method = match (&self.picture, self.edits) {
            (None, None) => "sendMessage",
            (None, Some(_)) => "editMessageText",
            (Some(_), None) => "sendPhoto",
            (Some(_), Some(_)) => "editMessageMedia",
        };
        let mut call = Call::new(method, params);
        call.picture = self.picture.clone();
        call
    }
}
