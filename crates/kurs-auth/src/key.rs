//! The form of an API key: `kurs_<environment>_<id>_<random>_<checksum>`.
//!
//! The beginning lets scanners of secrets find keys that were published by mistake. The checksum
//! lets a key that was mistyped, cut or guessed be refused before anything is looked up. Neither
//! says that a key is good: only its hash among the stored ones does.

use crate::base62;
use ring::digest::{SHA256, digest};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;

/// Letters and digits of an id.
pub const ID_LENGTH: usize = 8;
/// Letters and digits that make a key unguessable: 256 bits.
pub const RANDOM_LENGTH: usize = 43;
const CHECKSUM_LENGTH: usize = 6;
/// Longest name of an environment.
pub const ENVIRONMENT_MAX: usize = 12;
const BEGIN: &str = "kurs_";
/// Longest key: nothing longer is looked at.
const KEY_MAX: usize =
    BEGIN.len() + ENVIRONMENT_MAX + 1 + ID_LENGTH + 1 + RANDOM_LENGTH + 1 + CHECKSUM_LENGTH;

/// What a key is known by; no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_LENGTH]);

/// The text is no id of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id of a key is {ID_LENGTH} letters and digits")]
pub struct KeyIdError;

impl KeyId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Letters and digits only, by the one way it is made.
        std::str::from_utf8(&self.0).unwrap_or("")
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        let bytes = text.as_bytes().try_into().map_err(|_| KeyIdError)?;
        if base62::is_base62(text) {
            Ok(Self(bytes))
        } else {
            Err(KeyIdError)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// SHA-256 of a whole key: what is stored. A key has 256 random bits, so that nothing slower is
/// needed against guessing.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// A stored hash.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Self(bytes)
    }

    /// For the store.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes the same time whichever bytes differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyHash(***)")
    }
}

/// What is wrong with a text that should be a key. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyTextError {
    /// It has not the parts of a key.
    #[error("it is not of the form kurs_<environment>_<id>_<random>_<checksum>")]
    Form,
    /// It was changed, or never was a key.
    #[error("its checksum is wrong: it was cut or mistyped")]
    Checksum,
}

/// A new key, on its way to its holder: the only time it can be seen.
pub struct SecretKey {
    text: String,
    id: KeyId,
}

impl SecretKey {
    /// A new key. `fill` gives bytes that nobody can foresee, from the operating system.
    ///
    /// # Errors
    /// [`KeyTextError::Form`] when the environment is not 1 to 12 small letters and digits.
    pub fn make(environment: &str, mut fill: impl FnMut(&mut [u8])) -> Result<Self, KeyTextError> {
        let id = base62::random(ID_LENGTH, &mut fill);
        let random = base62::random(RANDOM_LENGTH, &mut fill);
        let body = format!("{BEGIN}{environment}_{id}_{random}");
        let checksum = checksum(&body);
        let checksum = std::str::from_utf8(&checksum).unwrap_or("");
        let text = format!("{body}_{checksum}");
        let id = read(&text)?;
        Ok(Self { text, id })
    }

    /// What it is known by.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What is stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.text)
    }

    /// The key itself, to be shown to its holder once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey({}, ***)", self.id)
    }
}

/// True when a key may be made for an environment of this name.
#[must_use]
pub fn is_environment(name: &str) -> bool {
    (1..=ENVIRONMENT_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// True when a text may be meant as a key; a token never begins like this.
#[must_use]
pub fn looks_like_key(text: &str) -> bool {
    text.starts_with(BEGIN)
}

/// The id of a key whose form and checksum are right.
///
/// # Errors
/// [`KeyTextError`].
pub fn read(text: &str) -> Result<KeyId, KeyTextError> {
    if text.len() > KEY_MAX {
        return Err(KeyTextError::Form);
    }
    let (body, found) = text.rsplit_once('_').ok_or(KeyTextError::Form)?;
    let rest = body.strip_prefix(BEGIN).ok_or(KeyTextError::Form)?;
    let mut parts = rest.split('_');
    let (Some(environment), Some(id), Some(random), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(KeyTextError::Form);
    };
    if !is_environment(environment)
        || random.len() != RANDOM_LENGTH
        || !base62::is_base62(random)
        || found.len() != CHECKSUM_LENGTH
        || !base62::is_base62(found)
    {
        return Err(KeyTextError::Form);
    }
    let id = id.parse().map_err(|_| KeyTextError::Form)?;
    if checksum(body) != found.as_bytes() {
        return Err(KeyTextError::Checksum);
    }
    Ok(id)
}

fn checksum(body: &str) -> [u8; CHECKSUM_LENGTH] {
    base62::of_u32(crc32fast::hash(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random() -> impl FnMut(&mut [u8]) {
        let mut random = fastrand::Rng::with_seed(6);
        move |bytes| random.fill(bytes)
    }

    #[test]
    fn a_key_has_the_documented_form_and_is_read_again() {
        let key = SecretKey::make("live", random()).unwrap();
        let parts: Vec<&str> = key.reveal().split('_').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        assert_eq!((parts[0], parts[1]), ("kurs", "live"));
        assert_eq!(lengths[2..], [8, 43, 6]);
        assert_eq!(read(key.reveal()), Ok(key.id()));
        assert_eq!(key.id().as_str(), parts[2]);
        assert!(key.hash().matches(&KeyHash::of(key.reveal())));
        assert!(!key.hash().matches(&KeyHash::of("kurs")));
    }

    #[test]
    fn what_is_no_key_is_refused_before_a_look_up() {
        let key = SecretKey::make("live", random()).unwrap();
        let text = key.reveal();
        let long = "x".repeat(10_000);
        for wrong in ["", "kurs", "kurs_", "kurs_live_a_b_c", &long, &text[1..]] {
            assert_eq!(read(wrong), Err(KeyTextError::Form), "{wrong}");
        }
        for wrong in [
            text.replace("_live_", "_lIve_"),
            text.replace("_live_", "__"),
            format!("{text}_"),
            format!(" {text}"),
            text.replace("kurs_", "KURS_"),
            text.replacen('_', "\u{ff3f}", 2),
        ] {
            assert_eq!(read(&wrong), Err(KeyTextError::Form), "{wrong}");
        }
        let other = text.replace("_live_", "_test_");
        assert_eq!(read(&other), Err(KeyTextError::Checksum));
    }

    #[test]
    fn every_changed_letter_is_noticed() {
        let key = SecretKey::make("live", random()).unwrap();
        for place in 0..key.reveal().len() {
            let mut bytes = key.reveal().as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'7' { b'8' } else { b'7' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(read(&changed).is_err(), "{changed}");
        }
    }

    #[test]
    fn an_environment_is_a_short_word() {
        for name in ["live", "test", "a1", "abcdefghijkl"] {
            assert!(SecretKey::make(name, random()).is_ok(), "{name}");
        }
        for name in ["", "Live", "a_b", "abcdefghijklm", "a b"] {
            assert!(SecretKey::make(name, random()).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown_but_its_id() {
        let key = SecretKey::make("live", random()).unwrap();
        let shown = format!("{key:?} {:?}", key.hash());
        assert_eq!(shown, format!("SecretKey({}, ***) KeyHash(***)", key.id()));
    }
}
