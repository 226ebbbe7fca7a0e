//! All keys as they stood at one moment.

use crate::caller::{Caller, Who};
use crate::key::{self, KeyHash, KeyId, KeyTextError};
use crate::scope::Scopes;
use kurs_core::Wall;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

/// One key, without its secret.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// What it is known by.
    pub id: KeyId,
    /// Of the whole key.
    pub hash: KeyHash,
    /// What its holder may do.
    pub scopes: Scopes,
    /// Not from this moment on; `None`: without an end.
    pub expires_at: Option<Wall>,
    /// True when it was taken back.
    pub is_revoked: bool,
}

/// Why a key opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// It is no key at all.
    #[error("this is no key: {0}")]
    NoKey(#[from] KeyTextError),
    /// There is no such key. Says the same whether the id or the rest is wrong.
    #[error("no such key")]
    Unknown,
    /// It was taken back.
    #[error("the key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
}

/// All keys, by id. A new state is a new ring.
#[derive(Debug, Default)]
pub struct KeyRing {
    keys: HashMap<KeyId, Held>,
}

#[derive(Debug)]
struct Held {
    key: Key,
    /// When it was used last, microseconds since 1970; 0: not since [`KeyRing::uses`].
    used_at: AtomicI64,
}

impl KeyRing {
    /// A ring of these keys.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self {
            keys: keys
                .into_iter()
                .map(|key| {
                    let used_at = AtomicI64::new(0);
                    (key.id, Held { key, used_at })
                })
                .collect(),
        }
    }

    /// The keys that were used since this was asked last, each with the last time.
    #[must_use]
    pub fn uses(&self) -> Vec<(KeyId, Wall)> {
        let used = self.keys.values().filter_map(|held| {
            let used_at = held.used_at.swap(0, Ordering::Relaxed);
            (used_at != 0).then_some((held.key.id, Wall(used_at)))
        });
        used.collect()
    }

    /// True when there never was a key: those that were revoked or have expired count.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Who holds this key.
    ///
    /// # Errors
    /// [`KeyRefused`].
    pub fn check(&self, text: &str, now: Wall) -> Result<Caller, KeyRefused> {
        let id = key::read(text)?;
        let hash = KeyHash::of(text);
        let found = self.keys.get(&id);
        let held = found.filter(|held| held.key.hash.matches(&hash));
        let held = held.ok_or(KeyRefused::Unknown)?;
        // Only a holder of the key is told what became of it.
        let key = &held.key;
        key.standing(now)?;
        held.used_at.store(now.0, Ordering::Relaxed);
        Ok(Caller {
            who: Who::Key(id),
            scopes: key.scopes,
            expires_at: key.expires_at,
        })
    }

    /// Whether a key that was good before still is.
    ///
    /// # Errors
    /// [`KeyRefused`].
    pub fn standing(&self, id: KeyId, now: Wall) -> Result<&Key, KeyRefused> {
        let held = self.keys.get(&id).ok_or(KeyRefused::Unknown)?;
        held.key.standing(now)?;
        Ok(&held.key)
    }
}

impl Key {
    fn standing(&self, now: Wall) -> Result<(), KeyRefused> {
        if self.is_revoked {
            return Err(KeyRefused::Revoked);
        }
        if self.expires_at.is_some_and(|until| until <= now) {
            return Err(KeyRefused::Expired);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::scope::Scope;

    fn secret(seed: u64) -> SecretKey {
        let mut random = fastrand::Rng::with_seed(seed);
        SecretKey::make("live", move |bytes| random.fill(bytes)).unwrap()
    }

    fn key(secret: &SecretKey) -> Key {
        Key {
            id: secret.id(),
            hash: secret.hash(),
            scopes: Scopes::NONE.with(Scope::Read),
            expires_at: None,
            is_revoked: false,
        }
    }

    #[test]
    fn a_key_opens_what_its_scopes_say_until_it_ends() {
        let secret = secret(1);
        let held = Key {
            expires_at: Some(Wall(100)),
            ..key(&secret)
        };
        let ring = KeyRing::new([held]);
        let caller = ring.check(secret.reveal(), Wall(99)).unwrap();
        assert_eq!(caller.who, Who::Key(secret.id()));
        assert!(caller.may(Scope::Read) && !caller.may(Scope::Admin));
        let late = ring.check(secret.reveal(), Wall(100));
        assert_eq!(late, Err(KeyRefused::Expired));
        assert_eq!(ring.uses(), [(secret.id(), Wall(99))]);
        assert!(ring.uses().is_empty(), "told once");
        assert!(ring.standing(secret.id(), Wall(99)).is_ok());
        assert!(ring.standing(secret.id(), Wall(100)).is_err());
    }

    #[test]
    fn a_revoked_key_opens_nothing_and_still_counts() {
        let secret = secret(1);
        let ring = KeyRing::new([Key {
            is_revoked: true,
            ..key(&secret)
        }]);
        let refused = ring.check(secret.reveal(), Wall(0));
        assert_eq!(refused, Err(KeyRefused::Revoked));
        assert!(!ring.is_empty());
    }

    #[test]
    fn the_id_alone_opens_nothing() {
        let (held, forged) = (secret(1), secret(2));
        // A right key in form and checksum, with the id of another.
        let stolen = Key {
            hash: held.hash(),
            ..key(&forged)
        };
        let ring = KeyRing::new([stolen]);
        let refused = ring.check(forged.reveal(), Wall(0));
        assert_eq!(refused, Err(KeyRefused::Unknown));
        let nobody = KeyRing::default().check(held.reveal(), Wall(0));
        assert_eq!(nobody, Err(KeyRefused::Unknown));
    }
}
