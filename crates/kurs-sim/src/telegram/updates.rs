//! What waits for the bot, and who may fetch it.

use super::methods::Reply;
use super::params::Params;
use super::server::Server;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// More updates are not kept; the oldest go.
const KEPT_MAX: usize = 200_000;
/// The most that one call gives.
const LIMIT_MAX: i64 = 100;
/// Kinds that are sent only to those who ask for them.
const UNASKED_NOT: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    queue: VecDeque<(i64, Value)>,
    next_id: i64,
    /// Kinds asked for; remembered until somebody asks for others.
    allowed: Option<Vec<String>>,
    /// Number of the poll that is the last to have begun.
    turn: u64,
    /// Polls that a later one ended, and polls while a webhook was set.
    pub(crate) conflicts: u64,
    pub(crate) confirmed: u64,
}

/// What a poll has come to so far.
#[derive(Debug)]
pub(crate) enum Polled {
    Answer(Reply),
    Nothing,
}

impl Updates {
    pub(crate) fn post(&mut self, mut update: Value) -> i64 {
        let id = match update.get("update_id").and_then(Value::as_i64) {
            Some(id) => id,
            None => self.next_id.max(1),
        };
        self.next_id = self.next_id.max(id.saturating_add(1));
        let is_wanted = match (&self.allowed, kind(&update)) {
            (Some(allowed), Some(kind)) => allowed.iter().any(|allowed| allowed == kind),
            (None, Some(kind)) => !UNASKED_NOT.contains(&kind),
            (_, None) => true,
        };
        if !is_wanted {
            return id;
        }
        if let Some(update) = update.as_object_mut() {
            update.insert("update_id".to_owned(), json!(id));
        }
        if self.queue.len() >= KEPT_MAX {
            self.queue.pop_front();
        }
        self.queue.push_back((id, update));
        id
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(crate) fn first(&self) -> Option<&(i64, Value)> {
        self.queue.front()
    }

    pub(crate) fn remove_first(&mut self, id: i64) {
        if self.queue.front().is_some_and(|(first, _)| *first == id) {
            self.queue.pop_front();
            self.confirmed += 1;
        }
    }

    /// Takes `allowed_updates` when the call names them.
    pub(crate) fn allow(&mut self, params: &Params) -> Result<(), Reply> {
        if !params.has("allowed_updates") {
            return Ok(());
        }
        let list = params.structure("allowed_updates");
        let Some(list) = list.as_ref().and_then(Value::as_array) else {
            let why = "Bad Request: can't parse allowed_updates: JSON array expected";
            return Err(Reply::refused(400, why));
        };
        let kinds: Vec<String> = list
            .iter()
            .filter_map(|kind| kind.as_str().map(str::to_owned))
            .collect();
        self.allowed = (!kinds.is_empty()).then_some(kinds);
        Ok(())
    }

    pub(crate) fn allowed(&self) -> Option<&[String]> {
        self.allowed.as_deref()
    }

    /// Confirms everything below the offset; a negative one keeps only so many.
    fn confirm(&mut self, offset: i64) {
        let before = self.queue.len();
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            while self.queue.len() > keep {
                self.queue.pop_front();
            }
        } else {
            while self.queue.front().is_some_and(|(id, _)| *id < offset) {
                self.queue.pop_front();
            }
        }
        self.confirmed += u64::try_from(before - self.queue.len()).unwrap_or(0);
    }
}

fn kind(update: &Value) -> Option<&str> {
    let fields = update.as_object()?;
    fields
        .keys()
        .map(String::as_str)
        .find(|key| *key != "update_id")
}

impl Server {
    /// A poll begins: it confirms, and sends away whoever polled before.
    pub(crate) fn begin_poll(&mut self, params: &Params) -> Result<u64, Reply> {
        self.calls += 1;
        if self.hook.is_some() {
            self.updates.conflicts += 1;
            let why = "Conflict: can't use getUpdates method while webhook is active; \
                       use deleteWebhook to delete the webhook first";
            return Err(Reply::refused(409, why));
        }
        self.updates.allow(params)?;
        self.updates.confirm(params.integer("offset").unwrap_or(0));
        self.updates.turn += 1;
        Ok(self.updates.turn)
    }

    /// How a poll stands.
    pub(crate) fn poll(&mut self, turn: u64, params: &Params) -> Polled {
        if turn != self.updates.turn || self.hook.is_some() {
            self.updates.conflicts += 1;
            let why = "Conflict: terminated by other getUpdates request; \
                       make sure that only one bot instance is running";
            return Polled::Answer(Reply::refused(409, why));
        }
        let limit = params.integer("limit").unwrap_or(LIMIT_MAX);
        let limit = usize::try_from(limit.clamp(1, LIMIT_MAX)).unwrap_or(1);
        if self.updates.queue.is_empty() {
            return Polled::Nothing;
        }
        let some = self.updates.queue.iter().take(limit);
        let some: Vec<&Value> = some.map(|(_, update)| update).collect();
        Polled::Answer(Reply::done(json!(some)))
    }
}
