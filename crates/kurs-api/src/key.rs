//! API keys as they are made, shown and noted: by the routes and by `kurs keys`.

use kurs_auth::{Entropy, Scopes, SecretKey};
use kurs_core::Wall;
use kurs_store::StoredKey;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Longest name of a key, in characters.
pub const NAME_MAX: usize = 64;
/// Longest life of a key, and longest overlap: ten years, about.
pub const LIFE_MAX: Duration = Duration::from_secs(3_660 * 86_400);

/// A key, without anything of the key itself or of its hash.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyDocument {
    /// What it is known by, here and in the audit log.
    id: Arc<str>,
    /// The word in the key that tells where it belongs.
    environment: Arc<str>,
    /// What people call it.
    name: Arc<str>,
    /// What it may do: `read`, `history`, `stream`, `admin`.
    scopes: Vec<String>,
    /// `good`; `replaced`: good until it expires, another one has taken its place; `expired`;
    /// `revoked`.
    state: &'static str,
    /// When it was made.
    created_at: Wall,
    /// Not good from this moment on; null: without an end.
    expires_at: Option<Wall>,
    /// When it was taken back.
    revoked_at: Option<Wall>,
    /// The key that has taken its place.
    replaced_by: Option<Arc<str>>,
    /// When it was used last, about.
    used_at: Option<Wall>,
}

impl KeyDocument {
    /// How the key stands at this moment.
    #[must_use]
    pub fn of(key: &StoredKey, now: Wall) -> Self {
        Self {
            id: Arc::clone(&key.id),
            environment: Arc::clone(&key.environment),
            name: Arc::clone(&key.name),
            scopes: words(&key.scopes),
            state: state(key, now),
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            replaced_by: key.replaced_by.clone(),
            used_at: key.used_at,
        }
    }
}

fn words(scopes: &str) -> Vec<String> {
    let scopes = scopes.split_ascii_whitespace();
    scopes.map(str::to_owned).collect()
}

/// One word for how a key stands.
#[must_use]
pub fn state(key: &StoredKey, now: Wall) -> &'static str {
    match (key.revoked_at, key.expires_at, &key.replaced_by) {
        (Some(_), _, _) => "revoked",
        (None, Some(until), _) if until <= now => "expired",
        (None, _, Some(_)) => "replaced",
        (None, _, None) => "good",
    }
}

/// A key in the audit log: nothing of the key itself, nor of its hash.
#[must_use]
pub fn noted(key: &StoredKey) -> Arc<str> {
    let facts = json!({
        "id": key.id,
        "name": key.name,
        "scopes": words(&key.scopes),
        "expires_at": key.expires_at.map(|time| time.to_string()),
    });
    facts.to_string().into()
}

/// Whether this may be the name of a key: 1 to [`NAME_MAX`] characters in one line.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Makes a key, and what is stored of it. `None`: the system gives no random numbers.
#[must_use]
pub fn make(
    environment: &str,
    name: Arc<str>,
    scopes: Scopes,
    now: Wall,
    expires: Option<Duration>,
) -> Option<(SecretKey, StoredKey)> {
    let mut entropy = Entropy::default();
    let secret = SecretKey::make(environment, |bytes| entropy.fill(bytes));
    let secret = secret.ok().filter(|_| entropy.is_good())?;
    let key = StoredKey {
        id: secret.id().as_str().into(),
        environment: environment.into(),
        name,
        scopes: scopes.to_string().into(),
        hash: *secret.hash().bytes(),
        created_at: now,
        expires_at: expires.map(|span| now.plus(span)),
        revoked_at: None,
        replaced_by: None,
        used_at: None,
    };
    Some((secret, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_auth::Scope;

    #[test]
    fn a_document_and_the_log_hold_nothing_of_the_key() {
        let now = Wall(1_000_000);
        let scopes: Scopes = [Scope::Read, Scope::Admin].into_iter().collect();
        let life = Some(Duration::from_secs(60));
        let (secret, key) = make("live", "ops".into(), scopes, now, life).unwrap();
        let document = serde_json::to_string(&KeyDocument::of(&key, now)).unwrap();
        let tail = secret.reveal().rsplit('_').next().unwrap().to_owned();
        for text in [&*document, &*noted(&key)] {
            assert!(!text.contains(&tail), "{text}");
            assert!(text.contains(r#""scopes":["read","admin"]"#), "{text}");
        }
        assert_eq!(key.expires_at, Some(now.plus(Duration::from_secs(60))));
        assert_eq!(state(&key, now), "good");
        assert_eq!(state(&key, now.plus(Duration::from_secs(60))), "expired");
    }

    #[test]
    fn a_name_is_one_line_of_at_most_64_characters() {
        assert!(is_name("the shop's checkout"));
        assert!(is_name(&"ж".repeat(NAME_MAX)));
        for wrong in ["", "a\nb", &"x".repeat(NAME_MAX + 1)] {
            assert!(!is_name(wrong), "{wrong:?}");
        }
    }
}
