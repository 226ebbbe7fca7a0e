//! Keeps the doors up to date: the keys of the store, the public keys of trusted issuers, and what
//! has to end because a key did.
//!
//! The store is asked for a number twice a second. While it is away the last keys hold, which the
//! probes tell: a key that is revoked meanwhile opens as before until the store is back.

use super::Built;
use kurs_auth::{AuthConfig, IssuerConfig, Key, KeyHash, KeyRing, KeySet, Scopes};
use kurs_net::http::{Fetch, Fetched, HttpClient};
use kurs_store::{StoreError, StoredKey};
use kurs_telemetry::Status;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How often the store is asked whether the keys have changed.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the store may take for that before it counts as away.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked for what has to end. With [`ASK_EVERY`] less than a second.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is written down which keys were used.
const NOTE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether the keys of an issuer are wanted before it is time.
const ISSUER_TICK: Duration = Duration::from_secs(1);
/// Keys of an issuer are not read more often than this.
const ISSUER_PAUSE: Duration = Duration::from_secs(30);
/// How long an issuer may take to answer.
const ISSUER_PATIENCE: Duration = Duration::from_secs(5);
/// The check that the probes show.
pub(super) const CHECK: &str = "keys";

/// Follows everything until `stopped` turns true.
pub(super) async fn follow(
    built: Arc<Built>,
    config: AuthConfig,
    mut stopped: watch::Receiver<bool>,
) {
    let mut tasks = JoinSet::new();
    tasks.spawn(follow_keys(Arc::clone(&built)));
    tasks.spawn(end_what_is_over(Arc::clone(&built)));
    for (name, issuer) in config.issuers {
        tasks.spawn(follow_issuer(Arc::clone(&built), name, issuer));
    }
    let _ = stopped.wait_for(|ended| *ended).await;
    tasks.shutdown().await;
    note_uses(&built, built.doors.ring().as_deref()).await;
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn follow_keys(built: Arc<Built>) {
    let mut ticks = ticks(ASK_EVERY);
    let mut version = None;
    let mut note_at = Instant::now() + NOTE_EVERY;
    loop {
        ticks.tick().await;
        let read = timeout(ASK_PATIENCE, read_if_changed(&built, version)).await;
        let read = read.unwrap_or_else(|_| {
            let what = "no answer about the keys in time";
            Err(StoreError::Unavailable(what.to_owned()))
        });
        match read {
            Ok(None) => built.health.set(CHECK, Status::Ok, ""),
            Ok(Some((now, keys))) => {
                version = Some(now);
                let count = keys.len();
                let before = built.doors.set_ring(KeyRing::new(keys));
                built.health.set(CHECK, Status::Ok, "");
                tracing::info!(keys = count, "the keys were read");
                end(&built);
                note_uses(&built, before.as_deref()).await;
            }
            Err(error) => {
                let what = match version {
                    Some(_) => "the keys are as they were before the store went away",
                    None => "the keys were not read yet: nobody gets in by key",
                };
                let detail = format!("{what}: {error}");
                built.health.set(CHECK, Status::Degraded, &detail);
            }
        }
        if Instant::now() >= note_at {
            note_at = Instant::now() + NOTE_EVERY;
            note_uses(&built, built.doors.ring().as_deref()).await;
        }
    }
}

/// The keys with their version, if that is not the one before.
async fn read_if_changed(
    built: &Built,
    before: Option<u64>,
) -> Result<Option<(u64, Vec<Key>)>, StoreError> {
    let version = built.store.key_version().await?;
    if before == Some(version) {
        return Ok(None);
    }
    let stored = built.store.keys().await?;
    let keys = stored.keys.iter().filter_map(key);
    Ok(Some((stored.version, keys.collect())))
}

/// A key as the doors need it.
fn key(stored: &StoredKey) -> Option<Key> {
    let Ok(id) = stored.id.parse() else {
        tracing::warn!(id = %stored.id, "a key in the store has no id of a key, and opens nothing");
        return None;
    };
    // Scopes of a newer program are none of this one.
    let scopes = stored.scopes.split_ascii_whitespace();
    let scopes: Scopes = scopes.filter_map(|word| word.parse().ok()).collect();
    Some(Key {
        id,
        hash: KeyHash::new(stored.hash),
        scopes,
        expires_at: stored.expires_at,
        is_revoked: stored.revoked_at.is_some(),
    })
}

/// Writes down when keys were used. Not more than a convenience: a Reader that may not write to
/// the store leaves it.
async fn note_uses(built: &Built, ring: Option<&KeyRing>) {
    let uses = ring.map(KeyRing::uses).unwrap_or_default();
    if uses.is_empty() {
        return;
    }
    let uses = uses.into_iter().map(|(id, at)| (id.as_str().into(), at));
    let noted = timeout(ASK_PATIENCE, built.store.note_key_use(uses.collect())).await;
    if let Ok(Err(error)) = noted {
        tracing::debug!(%error, "when keys were used could not be written down");
    }
}

async fn end_what_is_over(built: Arc<Built>) {
    let mut ticks = ticks(LOOK_EVERY);
    loop {
        ticks.tick().await;
        end(&built);
    }
}

fn end(built: &Built) {
    let over = built.doors.over(built.clock.now().wall);
    if over.is_empty() {
        return;
    }
    let ended = built.streams.end_where(|owner| over.contains(&owner));
    if ended > 0 {
        tracing::info!(
            streams = ended,
            "ended streams of keys and tokens that have ended"
        );
    }
}

async fn follow_issuer(built: Arc<Built>, name: String, issuer: IssuerConfig) {
    let check = format!("issuer {name}");
    let refresh = Duration::from_secs(u64::from(issuer.refresh_seconds));
    let mut ticks = ticks(ISSUER_TICK);
    let mut read_at: Option<Instant> = None;
    let mut has_keys = false;
    loop {
        ticks.tick().await;
        let wanted = built.doors.tokens().wants_keys(&name) || !has_keys;
        let due = match read_at {
            None => true,
            Some(at) => at.elapsed() >= refresh || (wanted && at.elapsed() >= ISSUER_PAUSE),
        };
        if !due {
            continue;
        }
        read_at = Some(Instant::now());
        let document = if issuer.is_remote() {
            fetch(&issuer.jwks).await
        } else {
            read_file(&issuer.jwks).await
        };
        let keys = document
            .and_then(|document| KeySet::parse(&document).map_err(|error| error.to_string()));
        match keys {
            Ok(keys) => {
                let count = keys.len();
                built.doors.tokens().set_keys(&name, keys);
                has_keys = true;
                built.health.set(&check, Status::Ok, "");
                tracing::debug!(
                    issuer = name,
                    keys = count,
                    "the keys of an issuer were read"
                );
            }
            Err(error) => {
                let detail = format!("its keys cannot be read: {error}");
                built.health.set(&check, Status::Degraded, &detail);
                tracing::warn!(issuer = name, error, "the keys of an issuer cannot be read");
            }
        }
    }
}

async fn fetch(url: &str) -> Result<Vec<u8>, String> {
    let user_agent = concat!("kurs/", env!("CARGO_PKG_VERSION"));
    let http = HttpClient::new(user_agent).map_err(|error| error.to_string())?;
    let fetch = Fetch {
        url: url.to_owned(),
        shown: None,
        headers: Vec::new(),
        validators: None,
        timeout: ISSUER_PATIENCE,
        max_body_bytes: kurs_auth::jwks::JWKS_BYTES_MAX,
    };
    match http.get(fetch).await {
        Ok(Fetched::Body { bytes, .. }) => Ok(bytes.to_vec()),
        Ok(Fetched::NotModified) => Err("an empty answer".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let read = async {
        let most = u64::try_from(kurs_auth::jwks::JWKS_BYTES_MAX).unwrap_or(u64::MAX);
        let mut document = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        file.take(most + 1).read_to_end(&mut document).await?;
        Ok::<_, std::io::Error>(document)
    };
    match timeout(ISSUER_PATIENCE, read).await {
        Ok(Ok(document)) => Ok(document),
        Ok(Err(error)) => Err(format!("{path}: {error}")),
        Err(_) => Err(format!("{path}: it does not come to an end")),
    }
}
