//! What is stored of chats, and their alerts.

use crate::button::Language;
use crate::command::Wish;
use kurs_alert::alert::id_of;
use kurs_alert::{Alert, AlertConfig, Condition, Seat, Target, Terms};
use kurs_core::{Clock, Pair};
use kurs_store::{AlertAdded, Fence, NewAlert, Store, StoreError, StoredChat};
use std::sync::Arc;

/// Chats and alerts in the store, written under the lease of the role.
#[derive(Clone)]
pub struct Chats {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    seat: Seat,
    limits: AlertConfig,
}

impl std::fmt::Debug for Chats {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Chats")
            .field("seat", &self.seat)
            .finish_non_exhaustive()
    }
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wished {
    /// It is watched.
    Watching(Condition),
    /// There are too many alerts.
    TooMany,
    /// It cannot be watched, why.
    Refused(String),
}

impl Chats {
    /// Chats of this store.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        seat: Seat,
        limits: AlertConfig,
    ) -> Self {
        Self {
            store,
            clock,
            seat,
            limits,
        }
    }

    /// What writes carry.
    fn fence(&self) -> Result<Fence, StoreError> {
        let lost = || StoreError::Unavailable("another process tells people".to_owned());
        self.seat.fence().ok_or_else(lost)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// A chat, if it is known.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn find(&self, chat: i64) -> Result<Option<(Language, bool)>, StoreError> {
        let found = self.store.talk().chat(chat).await?;
        Ok(found.map(|chat| (Language::of_code(&chat.language), chat.is_blocked)))
    }

    /// Notes how a chat stands.
    ///
    /// # Errors
    /// When the store is away, or the lease is somebody else's.
    pub async fn save(
        &self,
        chat: i64,
        language: Language,
        is_blocked: bool,
    ) -> Result<(), StoreError> {
        let stored = StoredChat {
            chat,
            language: language.code().into(),
            is_blocked,
            updated_at: self.clock.now().wall,
        };
        self.store.talk().save_chat(stored, self.fence()?).await
    }

    /// The language of a chat that has just spoken; from then on it is known, and not blocked.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn heard(&self, chat: i64, code: Option<&str>) -> Result<Language, StoreError> {
        match self.find(chat).await? {
            Some((language, false)) => Ok(language),
            Some((language, true)) => {
                self.save(chat, language, false).await?;
                Ok(language)
            }
            None => {
                let language = Language::of_code(code.unwrap_or(""));
                self.save(chat, language, false).await?;
                Ok(language)
            }
        }
    }

    /// The bot may not write there any more: its alerts rest.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn block(&self, chat: i64) -> Result<(), StoreError> {
        let language = self
            .find(chat)
            .await?
            .map_or_else(Language::default, |(language, _)| language);
        self.save(chat, language, true).await?;
        for mut alert in self.alerts(chat).await? {
            if !alert.is_paused {
                alert.is_paused = true;
                self.store.talk().change_alert(alert.store(), None).await?;
            }
        }
        Ok(())
    }

    /// A group goes on under another number, and its alerts with it.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn migrate(&self, from: i64, to: i64) -> Result<(), StoreError> {
        let language = self
            .find(from)
            .await?
            .map_or_else(Language::default, |(language, _)| language);
        self.save(to, language, false).await?;
        for mut alert in self.alerts(from).await? {
            alert.target = Target::Telegram { chat: to };
            self.store.talk().change_alert(alert.store(), None).await?;
        }
        Ok(())
    }

    /// The alerts of a chat, oldest first; those that cannot be understood are left out.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn alerts(&self, chat: i64) -> Result<Vec<Alert>, StoreError> {
        let target = Target::Telegram { chat }.to_string();
        let stored = self.store.talk().alerts_of(&target).await?;
        Ok(stored
            .iter()
            .filter_map(|stored| Alert::read(stored).ok())
            .collect())
    }

    /// Watches something. The same `request` again changes nothing.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn watch(
        &self,
        chat: i64,
        pair: Pair,
        wish: Wish,
        request: &str,
        random: [u8; 12],
    ) -> Result<Wished, StoreError> {
        let condition = match wish {
            Wish::Percent(percent) => Condition::Percent {
                pair,
                percent,
                window: None,
            },
            Wish::Threshold(side, value) => Condition::Threshold { pair, side, value },
        };
        let terms = match Terms::usual(condition).document().understand() {
            Ok(terms) => terms,
            Err(mistakes) => {
                let sentences = mistakes.iter().map(|mistake| mistake.why.as_str());
                return Ok(Wished::Refused(sentences.collect::<Vec<_>>().join("; ")));
            }
        };
        let condition = terms.condition.clone();
        let owner = format!("telegram:{chat}").into();
        let target = Target::Telegram { chat };
        let alert = Alert::new(id_of(random), target, terms, owner, self.clock.now().wall);
        let new = NewAlert {
            alert: alert.store(),
            secret: None,
            request: Some(request.into()),
            alerts_max: self.limits.max,
            target_max: self.limits.max_per_target,
        };
        Ok(match self.store.talk().add_alert(new, None).await? {
            AlertAdded::New => Wished::Watching(condition),
            AlertAdded::Before(before) => match Alert::read(&before) {
                Ok(alert) => Wished::Watching(alert.terms.condition),
                Err(_) => Wished::Watching(condition),
            },
            AlertAdded::TooMany => Wished::TooMany,
        })
    }

    /// Removes alerts of a chat that are meant; gives what they watched.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn remove(
        &self,
        chat: i64,
        is_meant: impl Fn(&Alert) -> bool,
    ) -> Result<Vec<Condition>, StoreError> {
        let mut removed = Vec::new();
        for alert in self.alerts(chat).await? {
            if is_meant(&alert) && self.store.talk().remove_alert(&alert.id, None).await? {
                removed.push(alert.terms.condition);
            }
        }
        Ok(removed)
    }

    /// Lets a paused alert of a chat go on; gives what it watches.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn resume(&self, chat: i64, id: &str) -> Result<Option<Condition>, StoreError> {
        let alerts = self.alerts(chat).await?;
        let Some(mut alert) = alerts.into_iter().find(|alert| &*alert.id == id) else {
            return Ok(None);
        };
        if alert.is_paused {
            alert.is_paused = false;
            self.store.talk().change_alert(alert.store(), None).await?;
        }
        Ok(Some(alert.terms.condition))
    }

    /// The next update to ask for.
    ///
    /// # Errors
    /// When the store is away.
    pub async fn offset(&self, bot: &str) -> Result<Option<i64>, StoreError> {
        self.store.talk().bot_offset(bot).await
    }

    /// Notes the next update to ask for.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn save_offset(&self, bot: &str, next: i64) -> Result<(), StoreError> {
        self.store
            .talk()
            .save_bot_offset(bot, next, self.fence()?)
            .await
    }
}
