//! Chats, messages and updates of the simulated Bot API: a state machine, time passed in.

use super::TelegramConfig;
use super::flood::{Flood, TelegramViolations};
use super::hook::Hook;
use super::methods::Reply;
use super::updates::Updates;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// 2026-01-01, for the dates of messages; nothing depends on it.
const BEGIN_UNIX: u64 = 1_767_225_600;
/// Messages remembered of one chat.
const REMEMBERED: usize = 1_000;
/// Button presses that can still be answered.
const PRESSES_MAX: usize = 100_000;
/// A press must be answered within so long.
pub(crate) const PRESS_MS_MAX: u64 = 15_000;

/// How a message came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentKind {
    /// `sendMessage`.
    Text,
    /// `sendPhoto`.
    Photo,
    /// `editMessageText`; `text` is what stands there after it.
    EditedText,
    /// `editMessageMedia`.
    EditedPhoto,
}

/// One message, or one change of a message, that a chat got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// When, milliseconds since the start.
    pub at_ms: u64,
    /// Number of the message in its chat.
    pub message_id: i64,
    /// How.
    pub kind: SentKind,
    /// Text or caption as it is seen.
    pub text: String,
    /// Text or caption as it was sent.
    pub raw: String,
    /// The buttons below it, row by row, as text and data.
    pub buttons: Vec<Vec<(String, String)>>,
    /// Bytes of the picture; none for a text.
    #[serde(skip)]
    pub picture: Vec<u8>,
}

/// What happened so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelegramState {
    /// Messages that were taken, changes of messages included.
    pub messages: u64,
    /// Calls of any method.
    pub calls: u64,
    /// Calls that carried a wrong token.
    pub wrong_tokens: u64,
    /// Polls refused because there was another poller or a webhook.
    pub conflicts: u64,
    /// Answers 403.
    pub forbidden: u64,
    /// Updates not fetched or not confirmed yet.
    pub updates_waiting: usize,
    /// Updates that the bot confirmed.
    pub updates_confirmed: u64,
    /// The webhook that is set.
    pub webhook: Option<String>,
    /// Commands as the bot announced them, by language (empty: all others).
    pub commands: BTreeMap<String, Vec<String>>,
    /// Texts of answers to button presses, the last hundred.
    pub press_answers: Vec<String>,
    /// Rules the bot broke.
    pub violations: TelegramViolations,
}

/// One chat.
#[derive(Debug, Default)]
pub(crate) struct Chat {
    pub(crate) is_blocked: bool,
    /// The bot has seen a 403 since it was blocked.
    pub(crate) was_told: bool,
    pub(crate) migrated_to: Option<i64>,
    next_message: i64,
    pub(crate) sent: Vec<Sent>,
}

impl Chat {
    pub(crate) fn number(&mut self) -> i64 {
        self.next_message += 1;
        self.next_message
    }

    pub(crate) fn remember(&mut self, sent: Sent) {
        if self.sent.len() >= REMEMBERED {
            self.sent.remove(0);
        }
        self.sent.push(sent);
    }

    /// How a message stands now.
    pub(crate) fn latest(&self, message: i64) -> Option<&Sent> {
        let mut sent = self.sent.iter().rev();
        sent.find(|sent| sent.message_id == message)
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) config: TelegramConfig,
    pub(crate) chats: BTreeMap<i64, Chat>,
    pub(crate) updates: Updates,
    pub(crate) flood: Flood,
    pub(crate) violations: TelegramViolations,
    pub(crate) hook: Option<Hook>,
    pub(crate) hook_error: Option<String>,
    /// Presses that wait for their answer, with when they happened.
    pub(crate) presses: BTreeMap<String, u64>,
    pressed: u64,
    pub(crate) press_answers: Vec<String>,
    pub(crate) commands: BTreeMap<String, Vec<String>>,
    pub(crate) messages: u64,
    pub(crate) calls: u64,
    pub(crate) wrong_tokens: u64,
    pub(crate) forbidden: u64,
}

impl Server {
    pub(crate) fn new(config: TelegramConfig) -> Self {
        Self {
            flood: Flood::new(config.limits.clone()),
            config,
            chats: BTreeMap::new(),
            updates: Updates::default(),
            violations: TelegramViolations::default(),
            hook: None,
            hook_error: None,
            presses: BTreeMap::new(),
            pressed: 0,
            press_answers: Vec::new(),
            commands: BTreeMap::new(),
            messages: 0,
            calls: 0,
            wrong_tokens: 0,
            forbidden: 0,
        }
    }

    /// 401 for another token, 404 for what is none.
    pub(crate) fn refusal_of(&mut self, token: &str) -> Option<Reply> {
        if token == self.config.token {
            return None;
        }
        self.wrong_tokens += 1;
        let looks_right = token
            .split_once(':')
            .is_some_and(|(id, rest)| id.parse::<u64>().is_ok() && !rest.is_empty());
        Some(match looks_right {
            true => Reply::refused(401, "Unauthorized"),
            false => Reply::refused(404, "Not Found"),
        })
    }

    pub(crate) fn chat_json(&self, chat: i64) -> Value {
        if chat < 0 {
            let kind = if chat < -1_000_000_000_000 {
                "supergroup"
            } else {
                "group"
            };
            json!({"id": chat, "type": kind, "title": "A group"})
        } else {
            json!({"id": chat, "type": "private", "first_name": "Anna"})
        }
    }

    pub(crate) fn bot_json(&self) -> Value {
        let id: i64 = self
            .config
            .token
            .split(':')
            .next()
            .and_then(|id| id.parse().ok())
            .unwrap_or(1);
        json!({"id": id, "is_bot": true, "first_name": "kurs", "username": self.config.username})
    }

    pub(crate) const fn date(now_ms: u64) -> u64 {
        BEGIN_UNIX + now_ms / 1_000
    }

    fn person(chat: i64, language: &str) -> Value {
        let mut person = json!({"id": chat.unsigned_abs(), "is_bot": false, "first_name": "Anna"});
        if let (false, Some(fields)) = (language.is_empty(), person.as_object_mut()) {
            fields.insert("language_code".to_owned(), json!(language));
        }
        person
    }

    pub(crate) fn say(&mut self, chat: i64, language: &str, text: &str, now_ms: u64) -> i64 {
        let number = self.chats.entry(chat).or_default().number();
        let mut message = json!({
            "message_id": number,
            "from": Self::person(chat, language),
            "chat": self.chat_json(chat),
            "date": Self::date(now_ms),
            "text": text,
        });
        let command = text.split_whitespace().next().unwrap_or("");
        if let (true, Some(fields)) = (command.starts_with('/'), message.as_object_mut()) {
            let length = command.encode_utf16().count();
            let entities = json!([{"type": "bot_command", "offset": 0, "length": length}]);
            fields.insert("entities".to_owned(), entities);
        }
        self.updates.post(json!({"message": message}))
    }

    pub(crate) fn press(
        &mut self,
        chat: i64,
        language: &str,
        message: i64,
        data: &str,
        now_ms: u64,
    ) -> i64 {
        self.pressed += 1;
        let id = format!("4{:012}", self.pressed);
        if self.presses.len() >= PRESSES_MAX {
            self.presses.pop_first();
        }
        self.presses.insert(id.clone(), now_ms);
        let mut below = json!({
            "message_id": message,
            "from": self.bot_json(),
            "chat": self.chat_json(chat),
            "date": Self::date(now_ms),
        });
        let latest = self.chats.get(&chat).and_then(|chat| chat.latest(message));
        let is_photo =
            latest.is_some_and(|sent| matches!(sent.kind, SentKind::Photo | SentKind::EditedPhoto));
        if let (true, Some(fields)) = (is_photo, below.as_object_mut()) {
            let size = json!([{"file_id": "x", "file_unique_id": "x", "width": 90, "height": 60}]);
            fields.insert("photo".to_owned(), size);
        }
        self.updates.post(json!({"callback_query": {
            "id": id,
            "from": Self::person(chat, language),
            "message": below,
            "chat_instance": format!("{chat}"),
            "data": data,
        }}))
    }

    pub(crate) fn post(&mut self, update: Value) -> i64 {
        self.updates.post(update)
    }

    pub(crate) fn add_chat(&mut self, chat: i64) {
        self.chats.entry(chat).or_default();
    }

    pub(crate) fn block(&mut self, chat: i64, blocked: bool) {
        let chat = self.chats.entry(chat).or_default();
        chat.is_blocked = blocked;
        chat.was_told = false;
    }

    pub(crate) fn migrate(&mut self, from: i64, to: i64) {
        self.chats.entry(from).or_default().migrated_to = Some(to);
        self.chats.entry(to).or_default();
    }

    pub(crate) fn sent(&self, chat: i64) -> Vec<Sent> {
        self.chats
            .get(&chat)
            .map(|chat| chat.sent.clone())
            .unwrap_or_default()
    }

    pub(crate) fn all_sent(&self) -> BTreeMap<i64, Vec<Sent>> {
        let chats = self.chats.iter().filter(|(_, chat)| !chat.sent.is_empty());
        chats.map(|(id, chat)| (*id, chat.sent.clone())).collect()
    }

    pub(crate) fn state(&self) -> TelegramState {
        TelegramState {
            messages: self.messages,
            calls: self.calls,
            wrong_tokens: self.wrong_tokens,
            conflicts: self.updates.conflicts,
            forbidden: self.forbidden,
            updates_waiting: self.updates.len(),
            updates_confirmed: self.updates.confirmed,
            webhook: self.hook.as_ref().map(|hook| hook.url.clone()),
            commands: self.commands.clone(),
            press_answers: self.press_answers.clone(),
            violations: self.violations.clone(),
        }
    }

    pub(crate) fn next_for_hook(&self) -> Option<(i64, Value)> {
        self.updates.first().cloned()
    }

    /// The webhook was asked: a success confirms the update.
    pub(crate) fn after_hook(&mut self, id: i64, outcome: Result<(), String>, _now_ms: u64) {
        match outcome {
            Ok(()) => {
                self.hook_error = None;
                self.updates.remove_first(id);
            }
            Err(why) => self.hook_error = Some(why),
        }
    }

    /// Names of methods that this server knows.
    pub(crate) fn methods() -> BTreeSet<&'static str> {
        [
            "getme",
            "getupdates",
            "setwebhook",
            "deletewebhook",
            "getwebhookinfo",
            "sendmessage",
            "sendphoto",
            "editmessagetext",
            "editmessagemedia",
            "answercallbackquery",
            "setmycommands",
        ]
        .into()
    }
}
