//! Takes updates and answers them.
//!
//! What a person asked to be kept is stored before the answer is given to the sender, so whoever
//! read "Watching" can rely on it. An update counts as handled then; its answer leaves when the
//! limits let it.

mod act;

use crate::api::{ApiError, Call};
use crate::button::{Button, Language};
use crate::chats::Chats;
use crate::command::{self, Command};
use crate::config::TelegramConfig;
use crate::pictures::Pictures;
use crate::say::{self, Said};
use crate::sender::{SendError, Sender};
use crate::texts::Text;
use crate::wire::{Membership, Message, Press, Update};
use kurs_core::{Clock, Mono};
use kurs_reader::RateView;
use kurs_store::StoreError;
use parking_lot::Mutex;
use serde_json::json;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Semaphore;

/// An answer that did not get its turn within so long is not wanted any more.
const ANSWER_PATIENCE: Duration = Duration::from_secs(120);
/// An answer to a press is no message, and must come within seconds.
const PRESS_TIMEOUT: Duration = Duration::from_secs(8);
/// Answers to presses on their way at one time.
const PRESSES_MAX: usize = 16;
/// Updates remembered, so that one that comes twice does nothing twice.
const SEEN_MAX: usize = 10_000;
/// A chat that is not served is told so once in this time.
const REFUSAL_EVERY: Duration = Duration::from_secs(86_400);
/// Chats remembered that were told so; beyond it nobody is.
const REFUSED_MAX: usize = 10_000;

/// Who handles updates.
#[derive(Debug)]
pub struct Desk {
    pub(crate) view: Arc<RateView>,
    pub(crate) chats: Chats,
    pub(crate) sender: Arc<Sender>,
    pub(crate) pictures: Arc<dyn Pictures>,
    pub(crate) clock: Arc<dyn Clock>,
    config: TelegramConfig,
    /// Name of the bot, once Telegram has said it.
    own_name: OnceLock<String>,
    seen: Mutex<Seen>,
    refused: Mutex<HashMap<i64, Mono>>,
    presses: Arc<Semaphore>,
    random: Mutex<fastrand::Rng>,
}

#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<i64>,
    ids: HashSet<i64>,
}

/// Where an answer belongs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) chat: i64,
    pub(crate) language: Language,
    /// The message whose button was pressed, and whether it is a picture.
    pub(crate) pressed: Option<(i64, bool)>,
    /// The update that is answered.
    pub(crate) update: i64,
}

impl Desk {
    /// A desk that answers by this sender.
    #[must_use]
    pub fn new(
        view: Arc<RateView>,
        chats: Chats,
        sender: Arc<Sender>,
        pictures: Arc<dyn Pictures>,
        clock: Arc<dyn Clock>,
        config: TelegramConfig,
        seed: u64,
    ) -> Self {
        Self {
            view,
            chats,
            sender,
            pictures,
            clock,
            config,
            own_name: OnceLock::new(),
            seen: Mutex::default(),
            refused: Mutex::default(),
            presses: Arc::new(Semaphore::new(PRESSES_MAX)),
            random: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// Telegram said what the bot is called.
    pub fn set_own_name(&self, name: &str) {
        // It is the same each time.
        let _ = self.own_name.set(name.to_owned());
    }

    /// Handles an update: at most once, whatever is in it.
    pub async fn handle(self: &Arc<Self>, id: i64, update: Update) {
        if !self.seen.lock().add(id) {
            return;
        }
        self.sender.metrics.updates.inc();
        let handled = if let Some(message) = update.message {
            self.message(id, message).await
        } else if let Some(press) = update.callback_query {
            self.press(id, press).await
        } else if let Some(membership) = update.my_chat_member {
            self.membership(&membership).await
        } else {
            Ok(())
        };
        if let Err(error) = handled {
            tracing::warn!(%error, "an update of Telegram was not handled in full");
        }
    }

    /// True when the chat is served; if not, it is told so, but seldom.
    fn serves(self: &Arc<Self>, chat: i64, code: Option<&str>) -> bool {
        if self.config.serves(chat) {
            return true;
        }
        let now = self.clock.mono();
        let mut refused = self.refused.lock();
        let is_due = match refused.get(&chat) {
            Some(last) => now.since(*last) >= REFUSAL_EVERY,
            None => refused.len() < REFUSED_MAX,
        };
        if is_due {
            refused.insert(chat, now);
            drop(refused);
            let language = Language::of_code(code.unwrap_or(""));
            let text = Text::NotAllowed.with(language, &[("chat", &chat.to_string())]);
            self.answer(chat, Said::text(text));
        }
        false
    }

    async fn message(self: &Arc<Self>, id: i64, message: Message) -> Result<(), StoreError> {
        let chat = message.chat.id;
        if let Some(to) = message.migrate_to_chat_id {
            return match self.config.serves(chat) {
                true => self.chats.migrate(chat, to).await,
                false => Ok(()),
            };
        }
        let is_bot = message.from.as_ref().is_some_and(|from| from.is_bot);
        let Some(text) = message.text.as_deref().filter(|_| !is_bot) else {
            return Ok(());
        };
        let own_name = self.own_name.get().map_or("", String::as_str);
        let asked = match command::split(text, own_name) {
            Some((name, words)) => {
                let parse = |text: &str| self.view.parse_pair(text);
                Some(command::read(name, &words, &parse))
            }
            // In a group people talk to each other.
            None if chat < 0 || text.starts_with('/') => return Ok(()),
            None => {
                let parse = |text: &str| self.view.parse_pair(text);
                command::bare_pair(text, &parse).map(|pair| Command::Rate(Some(pair)))
            }
        };
        if chat < 0 && asked == Some(Command::Unknown) && !text.contains('@') {
            // It may be meant for another bot of the group.
            return Ok(());
        }
        let code = message
            .from
            .as_ref()
            .and_then(|from| from.language_code.as_deref());
        if !self.serves(chat, code) {
            return Ok(());
        }
        let language = match self.chats.heard(chat, code).await {
            Ok(language) => language,
            Err(error) => {
                let language = Language::of_code(code.unwrap_or(""));
                self.answer(chat, say::simply(Text::Trouble, language));
                return Err(error);
            }
        };
        let place = Place {
            chat,
            language,
            pressed: None,
            update: id,
        };
        let Some(asked) = asked else {
            self.answer(chat, say::simply(Text::NotUnderstood, language));
            return Ok(());
        };
        self.or_trouble(place, self.command(place, asked).await)
    }

    async fn press(self: &Arc<Self>, id: i64, press: Press) -> Result<(), StoreError> {
        let code = press.from.language_code.as_deref();
        let button = press.data.as_deref().and_then(Button::read);
        let (Some(message), Some(button)) = (press.message, button) else {
            let language = Language::of_code(code.unwrap_or(""));
            self.answer_press(press.id, Text::PressOld.of(language));
            return Ok(());
        };
        let chat = message.chat.id;
        if !self.serves(chat, code) {
            self.answer_press(press.id, "");
            return Ok(());
        }
        let language = match self.chats.heard(chat, code).await {
            Ok(language) => language,
            Err(error) => {
                let language = Language::of_code(code.unwrap_or(""));
                self.answer_press(press.id, Text::Trouble.of(language));
                return Err(error);
            }
        };
        self.answer_press(press.id, "");
        let is_picture = message.photo.is_some();
        let place = Place {
            chat,
            language,
            pressed: Some((message.message_id, is_picture)),
            update: id,
        };
        self.or_trouble(place, self.button(place, button).await)
    }

    async fn membership(&self, membership: &Membership) -> Result<(), StoreError> {
        let chat = membership.chat.id;
        let status = membership.new_chat_member.status.as_str();
        match (self.chats.find(chat).await?, status) {
            (Some((_, false)), "kicked" | "left") => self.chats.block(chat).await,
            (Some((language, true)), "member" | "administrator") => {
                self.chats.save(chat, language, false).await
            }
            _ => Ok(()),
        }
    }

    fn or_trouble(
        self: &Arc<Self>,
        place: Place,
        done: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if done.is_err() {
            self.answer(place.chat, say::simply(Text::Trouble, place.language));
        }
        done
    }

    /// Hands a message to the sender; nobody waits for it.
    pub(crate) fn answer(self: &Arc<Self>, chat: i64, said: Said) {
        let desk = Arc::clone(self);
        tokio::spawn(async move {
            let call = said.call();
            let key = said.key.as_deref();
            let sent = desk.sender.send(chat, key, call, ANSWER_PATIENCE).await;
            desk.after(chat, sent.map(drop), &said).await;
        });
    }

    /// What a refused answer means for the chat.
    async fn after(&self, chat: i64, sent: Result<(), SendError>, said: &Said) {
        let done = match sent {
            Ok(()) | Err(SendError::Replaced | SendError::Ended | SendError::TooLate) => Ok(()),
            Err(SendError::Full) => {
                tracing::warn!("too many answers wait for Telegram: one is dropped");
                Ok(())
            }
            Err(SendError::Api(ApiError::Blocked(_))) => self.chats.block(chat).await,
            Err(SendError::Api(ApiError::Migrated(to))) => {
                let moved = self.chats.migrate(chat, to).await;
                let call = said.call();
                // One that fails here, too, is not tried for ever.
                let _ = self.sender.send(to, None, call, ANSWER_PATIENCE).await;
                moved
            }
            Err(SendError::Api(error)) if error.is_not_modified() => Ok(()),
            Err(SendError::Api(error)) => {
                tracing::warn!(%error, "an answer did not reach Telegram");
                Ok(())
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "how a chat stands was not stored");
        }
    }

    /// Ends the waiting mark of a pressed button.
    fn answer_press(&self, id: String, text: &str) {
        let call = Call::new(
            "answerCallbackQuery",
            json!({"callback_query_id": id, "text": text}),
        );
        let Ok(permit) = Arc::clone(&self.presses).try_acquire_owned() else {
            return;
        };
        let sender = Arc::clone(&self.sender);
        tokio::spawn(async move {
            if let Err(error) = sender.ask(&call, PRESS_TIMEOUT).await {
                tracing::debug!(%error, "a press of a button was not answered");
            }
            drop(permit);
        });
    }

    /// Twelve random bytes.
    pub(crate) fn random(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        self.random.lock().fill(&mut bytes);
        bytes
    }
}

impl Seen {
    /// False when it was there.
    fn add(&mut self, id: i64) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
