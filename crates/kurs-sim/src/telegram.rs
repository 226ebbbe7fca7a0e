//! The Bot API of Telegram, with the rules of the real one: long polling with one poller,
//! webhooks with a secret, limits with bans that grow when they are ignored, texts that must be
//! valid HTML, blocked chats, groups that become supergroups. `parse_mode` is HTML or none.
//!
//! | module | what it holds |
//! |---|---|
//! | `server` | all of it as a state machine, time passed in |
//! | `methods` | the methods of the API |
//! | `flood` | limits and bans |
//! | `html`, `markup` | what a text and its buttons must be |
//! | `params` | parameters from JSON, forms and multipart |
//! | `updates` | what waits for the bot, and who may fetch it |
//! | `hook` | delivery to a webhook |
//! | `control` | levers over HTTP |
//!
//! [`Telegram`] puts it to work: over HTTP below `/telegram`, or called in the same process, where
//! tokio's paused clock makes hours pass in no time.

mod control;
mod flood;
mod hook;
mod html;
mod markup;
mod methods;
mod params;
mod server;
mod updates;

pub use flood::{FloodLimits, TelegramViolations};
pub use methods::Reply as BotReply;
pub use params::{Params, Upload};
pub use server::{Sent, SentKind, TelegramState};

use crate::http::reply::Reply;
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use server::Server;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use updates::Polled;

/// The real one takes 10 MB of picture; a little is around it.
const BODY_BYTES_MAX: usize = 11 * 1_024 * 1_024;
/// The longest wait of a poll.
const POLL_MAX: Duration = Duration::from_secs(50);

/// How the simulated Bot API behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramConfig {
    /// The only token that is accepted.
    pub token: String,
    /// Name of the bot.
    pub username: String,
    /// How much it may send.
    pub limits: FloodLimits,
}

impl Default for TelegramConfig {
    fn default() -> Self {
        Self {
            token: "123456789:SIMULATED-token-of-the-bot-0000000".to_owned(),
            username: "KursBot".to_owned(),
            limits: FloodLimits::default(),
        }
    }
}

/// A running Bot API. Clones of the `Arc` are levers on the same one.
#[derive(Debug)]
pub struct Telegram {
    server: Mutex<Server>,
    /// An update came, a poller was replaced, or a webhook was set.
    changed: Notify,
    started: Instant,
    is_cut: AtomicBool,
    /// So many answers are lost after the request was carried out.
    answers_to_lose: AtomicU64,
}

/// The network ended the request; whether it was carried out is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection broke")]
pub struct Lost;

impl Telegram {
    /// A Bot API without chats.
    #[must_use]
    pub fn new(config: TelegramConfig) -> Arc<Self> {
        Arc::new(Self {
            server: Mutex::new(Server::new(config)),
            changed: Notify::new(),
            started: Instant::now(),
            is_cut: AtomicBool::new(false),
            answers_to_lose: AtomicU64::new(0),
        })
    }

    /// Milliseconds since the start, by tokio's clock.
    #[must_use]
    pub fn up_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Server, u64) -> R) -> R {
        let now_ms = self.up_ms();
        act(&mut self.server.lock(), now_ms)
    }

    /// Calls a method, as the HTTP part does.
    ///
    /// # Errors
    /// [`Lost`] when the network is cut or the answer is to be lost.
    pub async fn call(&self, token: &str, method: &str, params: &Params) -> Result<BotReply, Lost> {
        if self.is_cut.load(Ordering::Acquire) {
            return Err(Lost);
        }
        let reply = if method.eq_ignore_ascii_case("getUpdates") {
            self.poll(token, params).await
        } else {
            let reply =
                self.with(|server, now_ms| methods::call(server, token, method, params, now_ms));
            if method.to_ascii_lowercase().ends_with("webhook") {
                self.changed.notify_waiters();
            }
            reply
        };
        let counts_down = |left: u64| left.checked_sub(1);
        let loses = !method.eq_ignore_ascii_case("getUpdates")
            && self
                .answers_to_lose
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, counts_down)
                .is_ok();
        if loses || self.is_cut.load(Ordering::Acquire) {
            return Err(Lost);
        }
        Ok(reply)
    }

    /// `getUpdates`: answers at once when there is something, else waits.
    async fn poll(&self, token: &str, params: &Params) -> BotReply {
        if let Some(refused) = self.with(|server, _| server.refusal_of(token)) {
            return refused;
        }
        let wait = params
            .integer("timeout")
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(Duration::ZERO, Duration::from_secs)
            .min(POLL_MAX);
        let until = Instant::now() + wait;
        let turn = match self.with(|server, _| server.begin_poll(params)) {
            Ok(turn) => turn,
            Err(refused) => return refused,
        };
        // Whoever polled before is sent away now.
        self.changed.notify_waiters();
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.is_cut.load(Ordering::Acquire) {
                return BotReply::refused(502, "Bad Gateway");
            }
            match self.with(|server, _| server.poll(turn, params)) {
                Polled::Answer(reply) => return reply,
                Polled::Nothing if Instant::now() >= until => {
                    return BotReply::done(json!([]));
                }
                Polled::Nothing => {}
            }
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }

    /// A person writes in a chat: the update's number. The chat is known from then on. A text
    /// that begins with `/` is marked as a command; ids below zero are groups.
    pub fn say(&self, chat: i64, language: &str, text: &str) -> i64 {
        let id = self.with(|server, now_ms| server.say(chat, language, text, now_ms));
        self.changed.notify_waiters();
        id
    }

    /// A person presses a button of a message: the update's number.
    pub fn press(&self, chat: i64, language: &str, message: i64, data: &str) -> i64 {
        let id = self.with(|server, now_ms| server.press(chat, language, message, data, now_ms));
        self.changed.notify_waiters();
        id
    }

    /// Any update, as it is; its `update_id` is set unless it has one.
    pub fn post(&self, update: Value) -> i64 {
        let id = self.with(|server, _| server.post(update));
        self.changed.notify_waiters();
        id
    }

    /// Makes a chat known, as after `/start`.
    pub fn add_chat(&self, chat: i64) {
        self.with(|server, _| server.add_chat(chat));
    }

    /// A person blocks the bot, or a group throws it out; or takes it back.
    pub fn block(&self, chat: i64, blocked: bool) {
        self.with(|server, _| server.block(chat, blocked));
    }

    /// A group becomes a supergroup with another id.
    pub fn migrate(&self, from: i64, to: i64) {
        self.with(|server, _| server.migrate(from, to));
    }

    /// Answers 429 for so long, to one chat or to everything.
    pub fn flood(&self, chat: Option<i64>, seconds: u64) {
        self.with(|server, now_ms| server.flood.ban(chat, seconds, now_ms));
    }

    /// Cuts the network or mends it.
    pub fn cut(&self, cut: bool) {
        self.is_cut.store(cut, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Loses the answers of the next so many calls: they are carried out, and nobody learns it.
    pub fn lose_answers(&self, count: u64) {
        self.answers_to_lose.store(count, Ordering::Release);
    }

    /// What a chat was sent, oldest first.
    #[must_use]
    pub fn sent(&self, chat: i64) -> Vec<Sent> {
        self.with(|server, _| server.sent(chat))
    }

    /// What all chats were sent.
    #[must_use]
    pub fn all_sent(&self) -> BTreeMap<i64, Vec<Sent>> {
        self.with(|server, _| server.all_sent())
    }

    /// What happened so far.
    #[must_use]
    pub fn state(&self) -> TelegramState {
        self.with(|server, _| server.state())
    }

    /// True while a webhook is set.
    pub(crate) fn hook(&self) -> Option<hook::Hook> {
        self.with(|server, _| server.hook.clone())
    }
}

/// A request below `/telegram` or `/control/telegram`.
pub(crate) async fn respond(request: Request<Incoming>, telegram: &Telegram) -> Option<Reply> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let query = request.uri().query().unwrap_or("").to_owned();
    let content_type = request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let Ok(body) = body.collect().await.map(|body| body.to_bytes()) else {
        let reply = BotReply::refused(413, "Request Entity Too Large");
        return Some(reply.into_http());
    };
    if let Some(route) = path.strip_prefix("/control/telegram") {
        return Some(control::respond(&method, route, &query, &body, telegram));
    }
    answer(telegram, &path, &method, &query, &content_type, &body)
        .await
        .ok()
        .map(BotReply::into_http)
}

async fn answer(
    telegram: &Telegram,
    path: &str,
    method: &Method,
    query: &str,
    content_type: &str,
    body: &Bytes,
) -> Result<BotReply, Lost> {
    let not_found = || BotReply::refused(404, "Not Found");
    let Some((token, name)) = path
        .strip_prefix("/telegram/bot")
        .and_then(|rest| rest.split_once('/'))
    else {
        return Ok(not_found());
    };
    if *method != Method::GET && *method != Method::POST {
        return Ok(not_found());
    }
    let params = match Params::read(query, content_type, body) {
        Ok(params) => params,
        Err(why) => return Ok(BotReply::refused(400, &format!("Bad Request: {why}"))),
    };
    telegram.call(token, name, &params).await
}

/// Delivers updates to the webhook, when one is set, until dropped.
pub(crate) async fn deliver(telegram: Arc<Telegram>) {
    loop {
        let changed = telegram.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if let Some(hook) = telegram.hook()
            && let Some((id, update)) = telegram.with(|server, _| server.next_for_hook())
        {
            let outcome = hook::post(&hook, &update).await;
            let is_done = outcome.is_ok();
            telegram.with(|server, now_ms| server.after_hook(id, outcome, now_ms));
            if !is_done {
                tokio::time::sleep(hook::RETRY).await;
            }
            continue;
        }
        changed.await;
    }
}
