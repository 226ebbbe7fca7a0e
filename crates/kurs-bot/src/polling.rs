//! Asks Telegram for updates: one poller, held by the lease of the role.

use crate::api::{ApiError, BotApi, Call};
use crate::desk::Desk;
use crate::wire::Update;
use kurs_core::Mono;
use kurs_net::Backoff;
use kurs_net::backoff::BackoffSettings;
use kurs_telemetry::{Health, Status};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Name of the check.
pub const CHECK: &str = "telegram";
/// Telegram answers an empty poll after so long.
const POLL_SECONDS: u64 = 25;
/// And the answer is waited for so much longer.
const POLL_TIMEOUT: Duration = Duration::from_secs(POLL_SECONDS + 10);
/// Calls other than polls.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// Updates that are handled at one time go on for so long before the next are fetched.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// Updates whose handling takes longer than that.
const LATE_MAX: usize = 256;
/// Updates that Telegram sends again after a restart lie so close below the stored offset; one
/// far below it is of a new count, which Telegram begins after a quiet week.
const RECENT: i64 = 100_000;
/// The kinds of updates that are wanted.
pub(crate) const KINDS: [&str; 3] = ["message", "callback_query", "my_chat_member"];

/// Updates with their numbers, oldest first.
type Numbered = Vec<(i64, Update)>;

/// What polling needs.
pub(crate) struct Poller {
    pub(crate) api: Arc<dyn BotApi>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) health: Arc<Health>,
    /// Number of the bot, under which its offset is stored.
    pub(crate) bot: String,
    pub(crate) random: fastrand::Rng,
}

/// Between attempts.
pub(crate) fn backoff() -> Backoff {
    Backoff::new(BackoffSettings {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(30),
        reset_after: Duration::ZERO,
    })
}

/// Tells Telegram and the checks who we are; repeats until it works. False when the token is
/// wrong, which no repetition mends.
pub(crate) async fn introduce(poller: &mut Poller, hook: Option<Call>) -> bool {
    let mut backoff = backoff();
    loop {
        let error = match greet(poller, hook.as_ref()).await {
            Ok(name) => {
                poller.desk.set_own_name(&name);
                poller.health.set(CHECK, Status::Ok, "");
                tracing::info!(bot = name, "the Telegram bot is ready");
                return true;
            }
            Err(error) => error,
        };
        if is_hopeless(poller, &error) {
            return false;
        }
        poller
            .health
            .set(CHECK, Status::Degraded, &error.to_string());
        tracing::warn!(%error, "Telegram cannot be asked");
        pause(&error, &mut backoff, &mut poller.random).await;
    }
}

/// A wrong token is told once, and ends it.
fn is_hopeless(poller: &Poller, error: &ApiError) -> bool {
    if !matches!(error, ApiError::WrongToken(_)) {
        return false;
    }
    poller
        .health
        .set(CHECK, Status::Degraded, &error.to_string());
    tracing::error!(%error, "the bot stops: see telegram.token");
    true
}

async fn greet(poller: &Poller, hook: Option<&Call>) -> Result<String, ApiError> {
    let ask = |call: Call| async move { poller.api.call(&call, CALL_TIMEOUT).await };
    let me = ask(Call::new("getMe", json!({}))).await?;
    for commands in crate::commands() {
        ask(Call::new("setMyCommands", commands)).await?;
    }
    match hook {
        Some(hook) => ask(hook.clone()).await?,
        // With a webhook set every poll would be refused.
        None => {
            ask(Call::new(
                "deleteWebhook",
                json!({"drop_pending_updates": false}),
            ))
            .await?
        }
    };
    let name = me.get("username").and_then(Value::as_str);
    Ok(name.unwrap_or_default().to_owned())
}

async fn pause(error: &ApiError, backoff: &mut Backoff, random: &mut fastrand::Rng) {
    let wait = match error {
        ApiError::Flood(wait) => *wait,
        _ => backoff.next_delay(random).max(Duration::from_secs(1)),
    };
    tokio::time::sleep(wait).await;
}

/// Polls until dropped.
pub(crate) async fn run(mut poller: Poller) {
    if !introduce(&mut poller, None).await {
        return;
    }
    let stored = stored_offset(&mut poller).await;
    let mut next: Option<i64> = None;
    let mut backoff = backoff();
    let mut late = JoinSet::new();
    loop {
        let mut params = json!({
            "timeout": POLL_SECONDS,
            "limit": 100,
            "allowed_updates": KINDS,
        });
        if let (Some(next), Some(params)) = (next, params.as_object_mut()) {
            params.insert("offset".to_owned(), json!(next));
        }
        let call = Call::new("getUpdates", params);
        let batch = match poller.api.call(&call, POLL_TIMEOUT).await {
            Ok(Value::Array(batch)) => batch,
            Ok(_) => Vec::new(),
            Err(error) if is_hopeless(&poller, &error) => return,
            Err(error) => {
                let detail = error.to_string();
                poller.health.set(CHECK, Status::Degraded, &detail);
                tracing::warn!(%error, "no updates of Telegram");
                pause(&error, &mut backoff, &mut poller.random).await;
                continue;
            }
        };
        backoff.data(Mono(0));
        poller.health.set(CHECK, Status::Ok, "");
        let updates: Vec<(i64, Update)> = batch.into_iter().filter_map(Update::read).collect();
        let Some(last) = updates.iter().map(|(id, _)| *id).max() else {
            continue;
        };
        let is_wanted = |id: i64| match (next, stored) {
            // The first poll confirms nothing, so what was handled before may come again.
            (None, Some(stored)) => id >= stored || id < stored.saturating_sub(RECENT),
            _ => true,
        };
        let wanted = updates.into_iter().filter(|(id, _)| is_wanted(*id));
        handle_all(&poller.desk, wanted, &mut late).await;
        let following = last.saturating_add(1);
        // Kept only now: what was not handled comes again after a crash.
        if let Err(error) = poller.desk.chats.save_offset(&poller.bot, following).await {
            tracing::warn!(%error, "how far the updates were handled was not stored");
        }
        next = Some(following);
    }
}

async fn stored_offset(poller: &mut Poller) -> Option<i64> {
    let mut backoff = backoff();
    loop {
        match poller.desk.chats.offset(&poller.bot).await {
            Ok(offset) => return offset,
            Err(error) => {
                tracing::warn!(%error, "how far the updates were handled is not known yet");
                tokio::time::sleep(backoff.next_delay(&mut poller.random)).await;
            }
        }
    }
}

/// Handles updates: those of a chat one after the other, chats beside each other. What takes too
/// long goes on in the background, so that one chat never holds up the others for good.
async fn handle_all(
    desk: &Arc<Desk>,
    updates: impl Iterator<Item = (i64, Update)>,
    late: &mut JoinSet<()>,
) {
    let mut chats: Vec<(Option<i64>, Numbered)> = Vec::new();
    for (id, update) in updates {
        let chat = update.chat();
        match chats.iter_mut().find(|(known, _)| *known == chat) {
            Some((_, list)) => list.push((id, update)),
            None => chats.push((chat, vec![(id, update)])),
        }
    }
    for (_, list) in chats {
        let desk = Arc::clone(desk);
        late.spawn(async move {
            for (id, update) in list {
                desk.handle(id, update).await;
            }
        });
    }
    let all_done = async { while late.join_next().await.is_some() {} };
    if tokio::time::timeout(BATCH_TIMEOUT, all_done).await.is_err() {
        tracing::warn!(count = late.len(), "updates take long to be handled");
    }
    while late.len() > LATE_MAX {
        late.join_next().await;
    }
}
