//! `/api/v1/admin/keys`: API keys by API. A key is shown in the answer that makes it, and never
//! again; the store has its hash only.

use super::actor;
use super::body::{HOLDS_A_KEY, Members, shows_a_key};
use super::settings::store_problem;
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::incoming::whole;
use crate::key::{KeyDocument, LIFE_MAX, NAME_MAX, is_name, make, noted};
use crate::problem::{Kind, Problem};
use crate::route::Work;
use http::StatusCode;
use http::header::LOCATION;
use kurs_auth::{KeyId, Scope, Scopes, SecretKey};
use kurs_core::Wall;
use kurs_store::{AuditEntry, StoredKey};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Keys that are good at a time; more are made by nobody who knows what they do.
const KEYS_MAX: usize = 10_000;
/// How long the old key of a rotation is good still, unless asked otherwise, seconds.
const OVERLAP_SECONDS: u64 = 86_400;
/// How long an answer waits until this instance acts by what it speaks of.
const TAKEN_WITHIN: Duration = Duration::from_secs(3);
/// How often that is looked at meanwhile.
const TAKEN_POLL: Duration = Duration::from_millis(10);

/// All keys.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeysDocument {
    /// The keys, oldest first; revoked and expired ones among them.
    keys: Vec<KeyDocument>,
}

/// A key that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MadeKeyDocument {
    /// The key itself: shown this once.
    key: String,
    #[serde(flatten)]
    about: KeyDocument,
    /// True when this instance lets it in already; others follow within a second.
    taken_over: bool,
    /// The key whose place it has taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<ReplacedKeyDocument>,
}

/// A key whose place another one has taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ReplacedKeyDocument {
    id: Arc<str>,
    /// Until when it is good still.
    good_until: Wall,
}

/// A key to be made.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct MakeKeyRequest {
    /// What people call it, such as who holds it: one line.
    #[schemars(
        length(min = 1, max = NAME_MAX),
        regex(pattern = r"^[^\x00-\x1F\x7F-\x9F]+$"),
        example = &"shop"
    )]
    name: String,
    /// What it may do; `read` unless given.
    #[schemars(
        length(min = 1, max = 4),
        inner(regex(pattern = "^(read|history|stream|admin)$"))
    )]
    scopes: Option<Vec<String>>,
    /// How long it is good, seconds; without an end unless given.
    #[schemars(range(min = 1, max = LIFE_SECONDS))]
    expires_in_seconds: Option<u64>,
    /// What for, for the audit log.
    #[schemars(length(max = 1_000))]
    why: Option<String>,
}

/// How a key is replaced.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct RotateKeyRequest {
    /// How long the old key is good still, seconds; a day unless given.
    #[schemars(range(min = 0, max = LIFE_SECONDS))]
    overlap_seconds: Option<u64>,
    /// How long the key is good, seconds; without an end unless given.
    #[schemars(range(min = 1, max = LIFE_SECONDS))]
    expires_in_seconds: Option<u64>,
    /// What for, for the audit log.
    #[schemars(length(max = 1_000))]
    why: Option<String>,
}

const LIFE_SECONDS: u64 = LIFE_MAX.as_secs();

/// `GET /api/v1/admin/keys`.
pub(crate) fn list(call: Call) -> Work {
    Box::pin(async move {
        let now = call.api.view.now().wall;
        let stored = call.api.store.keys().await.map_err(|e| store_problem(&e))?;
        let keys = stored.keys.iter().map(|key| KeyDocument::of(key, now));
        let document = KeysDocument {
            keys: keys.collect(),
        };
        Ok(Answer::json(&document).cached(Caching::NoStore))
    })
}

/// `POST /api/v1/admin/keys`.
pub(crate) fn add(call: Call) -> Work {
    Box::pin(async move {
        let mut body = Members::of(
            call.body.as_ref(),
            &["name", "scopes", "expires_in_seconds", "why"],
        )?;
        let why = body.why();
        let name = match body.take("name") {
            Some(Value::String(name)) if shows_a_key(&name) => body.mistake("/name", HOLDS_A_KEY),
            Some(Value::String(name)) if is_name(&name) => Some(name),
            None => body.mistake("/name", "is required"),
            Some(_) => body.mistake(
                "/name",
                format!("must be a text of 1 to {NAME_MAX} characters in one line"),
            ),
        };
        let scopes = scopes(&mut body);
        let expires = seconds(&mut body, "expires_in_seconds", 1);
        body.finish()?;
        let (api, now) = (&call.api, call.api.view.now().wall);
        let stored = api.store.keys().await.map_err(|e| store_problem(&e))?;
        let good = stored.keys.iter().filter(|key| {
            key.revoked_at.is_none() && key.expires_at.is_none_or(|until| until > now)
        });
        if good.count() >= KEYS_MAX {
            let detail = format!("{KEYS_MAX} keys are good at present: revoke some");
            return Err(Problem::new(Kind::TooBusy, detail));
        }
        let name = name.unwrap_or_default().into();
        let (secret, key) = made(&call, name, scopes.unwrap_or(Scopes::NONE), now, expires)?;
        let entry = AuditEntry {
            after: Some(noted(&key)),
            ..entry(&call, "create_key", &key.id, why.as_deref())
        };
        let added = api.store.add_key_noted(key.clone(), Some(entry)).await;
        if !added.map_err(|error| unwritten(&error))? {
            return Err(Problem::new(Kind::TooBusy, "the id is taken: try again"));
        }
        shown(&call, &secret, &key, None).await
    })
}

/// `POST /api/v1/admin/keys/{id}/rotate`.
pub(crate) fn rotate(call: Call) -> Work {
    Box::pin(async move {
        let known = ["overlap_seconds", "expires_in_seconds", "why"];
        let mut body = Members::of(call.body.as_ref(), &known)?;
        let why = body.why();
        let overlap = seconds(&mut body, "overlap_seconds", 0);
        let expires = seconds(&mut body, "expires_in_seconds", 1);
        body.finish()?;
        let (api, now) = (&call.api, call.api.view.now().wall);
        let id = call.arguments.text("id").unwrap_or("");
        let stored = api.store.keys().await.map_err(|e| store_problem(&e))?;
        let old = stored.keys.iter().find(|key| &*key.id == id);
        let old = old.ok_or_else(|| unknown(id))?;
        // Scopes of a newer program stay with the old key.
        let scopes = old.scopes.split_ascii_whitespace();
        let scopes: Scopes = scopes.filter_map(|word| word.parse().ok()).collect();
        let (secret, key) = made(&call, Arc::clone(&old.name), scopes, now, expires)?;
        let until = now.plus(overlap.unwrap_or(Duration::from_secs(OVERLAP_SECONDS)));
        let entry = AuditEntry {
            before: Some(noted(old)),
            after: Some(noted(&key)),
            ..entry(&call, "rotate_key", id, why.as_deref())
        };
        let replaced = api
            .store
            .replace_key_noted(id, key.clone(), until, Some(entry));
        if !replaced.await.map_err(|error| unwritten(&error))? {
            let detail = format!("the key {id} was revoked or rotated before");
            return Err(Problem::new(Kind::KeyIsOver, detail));
        }
        let replaces = ReplacedKeyDocument {
            id: Arc::clone(&old.id),
            good_until: old.expires_at.map_or(until, |ends| ends.min(until)),
        };
        shown(&call, &secret, &key, Some(replaces)).await
    })
}

/// `DELETE /api/v1/admin/keys/{id}`.
pub(crate) fn revoke(call: Call) -> Work {
    Box::pin(async move {
        let (api, now) = (&call.api, call.api.view.now().wall);
        let id = call.arguments.text("id").unwrap_or("");
        let why = call.arguments.text("why");
        if why.is_some_and(shows_a_key) {
            return Err(Problem::parameter("why", HOLDS_A_KEY));
        }
        let entry = entry(&call, "revoke_key", id, why);
        let revoked = api.store.revoke_key_noted(id, now, Some(entry)).await;
        if !revoked.map_err(|error| unwritten(&error))? {
            return Err(unknown(id));
        }
        until_taken_over(&call, id, false).await;
        Ok(Answer::empty(StatusCode::NO_CONTENT))
    })
}

fn scopes(body: &mut Members) -> Option<Scopes> {
    const WORDS: &str = "must be a list of some of read, history, stream, admin";
    match body.take("scopes") {
        None | Some(Value::Null) => Some(Scopes::NONE.with(Scope::Read)),
        Some(Value::Array(words)) if (1..=4).contains(&words.len()) => {
            let words = words
                .iter()
                .map(|word| word.as_str().and_then(|word| word.parse().ok()));
            let scopes: Option<Vec<Scope>> = words.collect();
            match scopes {
                Some(scopes) => Some(scopes.into_iter().collect()),
                None => body.mistake("/scopes", WORDS),
            }
        }
        Some(_) => body.mistake("/scopes", WORDS),
    }
}

fn seconds(body: &mut Members, name: &str, least: u64) -> Option<Duration> {
    match body.take(name) {
        None | Some(Value::Null) => None,
        Some(value) => match whole(&value).and_then(|whole| u64::try_from(whole).ok()) {
            Some(seconds) if (least..=LIFE_SECONDS).contains(&seconds) => {
                Some(Duration::from_secs(seconds))
            }
            _ => body.mistake(
                &format!("/{name}"),
                format!("must be a whole number from {least} to {LIFE_SECONDS}"),
            ),
        },
    }
}

fn made(
    call: &Call,
    name: Arc<str>,
    scopes: Scopes,
    now: Wall,
    expires: Option<Duration>,
) -> Result<(SecretKey, StoredKey), Problem> {
    make(call.api.doors.environment(), name, scopes, now, expires)
        .ok_or_else(|| Problem::new(Kind::TooBusy, "the system gives no random numbers"))
}

fn entry(call: &Call, action: &str, id: &str, why: Option<&str>) -> AuditEntry {
    let actor = actor(call, why);
    AuditEntry {
        at: call.api.view.now().wall,
        who: actor.who,
        address: actor.address,
        action: action.into(),
        subject: id.into(),
        before: None,
        after: None,
        why: actor.why,
    }
}

fn unknown(id: &str) -> Problem {
    Problem::new(Kind::UnknownKey, format!("there is no key {id}"))
}

/// A Reader whose role may not write to the database makes no keys.
fn unwritten(error: &kurs_store::StoreError) -> Problem {
    tracing::warn!(%error, "a key could not be written");
    let detail = "the keys cannot be changed through this instance at present";
    Problem::new(Kind::StoreUnavailable, detail)
}

/// The answer with a key in it: kept nowhere on its way.
async fn shown(
    call: &Call,
    secret: &SecretKey,
    key: &StoredKey,
    replaces: Option<ReplacedKeyDocument>,
) -> Outcome {
    let document = MadeKeyDocument {
        key: secret.reveal().to_owned(),
        about: KeyDocument::of(key, key.created_at),
        taken_over: until_taken_over(call, &key.id, true).await,
        replaces,
    };
    Ok(Answer::json(&document)
        .with_status(StatusCode::CREATED)
        .with_header(LOCATION, "/api/v1/admin/keys")
        .cached(Caching::NoStore))
}

/// Waits until this instance lets a key in, or does not any more, so that whoever got the answer
/// sees its effect here.
async fn until_taken_over(call: &Call, id: &str, is_good: bool) -> bool {
    let Ok(id) = id.parse::<KeyId>() else {
        return false;
    };
    let is_taken = || {
        let ring = call.api.doors.ring();
        let now = call.api.view.now().wall;
        ring.is_some_and(|ring| ring.standing(id, now).is_ok() == is_good)
    };
    let wait = async {
        while !is_taken() {
            tokio::time::sleep(TAKEN_POLL).await;
        }
    };
    tokio::time::timeout(TAKEN_WITHIN, wait).await.is_ok()
}
