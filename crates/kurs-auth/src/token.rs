//! Tokens (JWT, RFC 7519) of trusted issuers, checked as RFC 8725 asks.
//!
//! A token chooses nothing: its issuer is looked up among the configured ones, its key among the
//! keys that this issuer published at the configured place, and the key decides the algorithm.
//! What a token says of keys itself (`jku`, `x5u`, `jwk`, `x5c`) is not looked at.

use crate::caller::{Caller, Who};
use crate::config::IssuerConfig;
use crate::jwks::KeySet;
use crate::key::KeyHash;
use crate::scope::Scopes;
use crate::verify;
use arc_swap::ArcSwap;
use jsonwebtoken::{Header, Validation, dangerous, decode, decode_header};
use kurs_core::Wall;
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Longest token, bytes.
pub const TOKEN_MAX: usize = 8 * 1_024;
/// How far the clocks of issuer and server may differ, seconds.
const LEEWAY_SECONDS: i64 = 5;
/// Tokens that are remembered to be good. A signature costs more than all else of a request.
const REMEMBERED: usize = 10_000;
/// Longest subject, bytes.
const SUBJECT_MAX: usize = 256;

/// Why a token opens nothing. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// It is no signed token.
    #[error("this is neither a key nor a signed token")]
    Form,
    /// Nobody who is trusted has issued it.
    #[error("the issuer of the token is not trusted")]
    Issuer,
    /// The issuer has no such key.
    #[error("the issuer of the token has no such key")]
    Key,
    /// Its key is for another algorithm.
    #[error("the algorithm of the token is not that of its key")]
    Algorithm,
    /// Somebody else has signed it, or it was changed.
    #[error("the signature of the token is wrong")]
    Signature,
    /// It is meant for others.
    #[error("the token is meant for another audience")]
    Audience,
    /// A claim is missing or is not of its form.
    #[error("the token needs the claims exp, iss, aud and sub, each once and of its form")]
    Claims,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    TooEarly,
}

/// One trusted issuer.
#[derive(Debug)]
struct Issuer {
    config: IssuerConfig,
    name: Arc<str>,
    keys: ArcSwap<KeySet>,
    /// A token named a key that is not known: the issuer may have a new one.
    wants_keys: AtomicBool,
}

/// The trusted issuers with their keys.
#[derive(Debug, Default)]
pub struct Tokens {
    issuers: BTreeMap<String, Issuer>,
    good: Mutex<Good>,
}

/// Tokens whose signature was right under the present keys, by hash.
#[derive(Debug, Default)]
struct Good {
    callers: HashMap<[u8; 32], Caller>,
    /// Grows with every change of keys: what was checked under others is not remembered.
    keys: u64,
}

impl Tokens {
    /// Trusts these issuers, whose keys are not there yet: see [`Tokens::set_keys`].
    #[must_use]
    pub fn new(issuers: &BTreeMap<String, IssuerConfig>) -> Self {
        verify::install();
        let issuer = |config: &IssuerConfig| Issuer {
            config: config.clone(),
            name: config.issuer.as_str().into(),
            keys: ArcSwap::default(),
            wants_keys: AtomicBool::new(true),
        };
        Self {
            issuers: issuers
                .iter()
                .map(|(name, config)| (name.clone(), issuer(config)))
                .collect(),
            good: Mutex::default(),
        }
    }

    /// True when nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty()
    }

    /// Replaces the keys of an issuer, by its name in the configuration.
    pub fn set_keys(&self, name: &str, keys: KeySet) {
        if let Some(issuer) = self.issuers.get(name) {
            issuer.keys.store(Arc::new(keys));
            let mut good = self.good.lock();
            good.callers.clear();
            good.keys += 1;
        }
    }

    /// True, once, when the keys of an issuer should be read again before it is time.
    #[must_use]
    pub fn wants_keys(&self, name: &str) -> bool {
        let issuer = self.issuers.get(name);
        issuer.is_some_and(|issuer| issuer.wants_keys.swap(false, Ordering::Relaxed))
    }

    /// Who holds a token that was good before; `None` when it has to be checked.
    #[must_use]
    pub fn remembered(&self, token: &str, now: Wall) -> Option<Caller> {
        if self.issuers.is_empty() || token.len() > TOKEN_MAX {
            return None;
        }
        let hash = KeyHash::of(token);
        let caller = self.good.lock().callers.get(hash.bytes()).cloned()?;
        (!caller.is_expired(now)).then_some(caller)
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// [`TokenRefused`].
    pub fn check(&self, token: &str, now: Wall) -> Result<Caller, TokenRefused> {
        let keys = self.good.lock().keys;
        let caller = self.examine(token, now)?;
        let mut good = self.good.lock();
        if good.keys == keys {
            if good.callers.len() >= REMEMBERED {
                good.callers.clear();
            }
            good.callers
                .insert(*KeyHash::of(token).bytes(), caller.clone());
        }
        Ok(caller)
    }

    fn examine(&self, token: &str, now: Wall) -> Result<Caller, TokenRefused> {
        let is_token = token.len() <= TOKEN_MAX && token.split('.').count() == 3;
        if !is_token || self.issuers.is_empty() {
            return Err(TokenRefused::Form);
        }
        let header = decode_header(token).map_err(|_| TokenRefused::Form)?;
        if !is_plain(&header) {
            return Err(TokenRefused::Form);
        }
        // Not believed: it only says whose keys decide.
        let named: Named =
            dangerous::insecure_decode_claims(token).map_err(|_| TokenRefused::Claims)?;
        let mut issuers = self.issuers.values();
        let issuer = issuers.find(|issuer| *issuer.name == *named.iss);
        let issuer = issuer.ok_or(TokenRefused::Issuer)?;
        let keys = issuer.keys.load();
        let Some(key) = keys.find(header.kid.as_deref()) else {
            issuer.wants_keys.store(true, Ordering::Relaxed);
            return Err(TokenRefused::Key);
        };
        if header.alg != key.algorithm {
            return Err(TokenRefused::Algorithm);
        }
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&issuer.config.issuer]);
        // Times are checked below, on the clock that is passed in; the audience there as well, by
        // every letter.
        validation.validate_exp = false;
        validation.validate_aud = false;
        let data = decode::<Claims>(token, &key.key, &validation).map_err(|error| {
            use jsonwebtoken::errors::ErrorKind;
            match error.kind() {
                ErrorKind::InvalidSignature => TokenRefused::Signature,
                ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
                    TokenRefused::Algorithm
                }
                ErrorKind::InvalidIssuer => TokenRefused::Issuer,
                ErrorKind::Base64(_) => TokenRefused::Form,
                _ => TokenRefused::Claims,
            }
        })?;
        issuer.caller(&data.claims, now)
    }
}

/// Nothing in the header changes what the token means.
fn is_plain(header: &Header) -> bool {
    let is_known_type = header.typ.as_deref().is_none_or(|name| {
        let name = name.to_ascii_lowercase();
        matches!(&*name, "jwt" | "at+jwt" | "application/at+jwt")
    });
    is_known_type && header.crit.is_none() && header.enc.is_none() && header.zip.is_none()
}

impl Issuer {
    fn caller(&self, claims: &Claims, now: Wall) -> Result<Caller, TokenRefused> {
        let text = |name: &str| claims.0.get(name).and_then(Value::as_str);
        let whole = |name: &str| match claims.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or(TokenRefused::Claims),
        };
        if text("iss") != Some(&*self.name) {
            return Err(TokenRefused::Issuer);
        }
        let is_ours = |value: &Value| value.as_str() == Some(&*self.config.audience);
        let is_meant_for_us = match claims.0.get("aud") {
            Some(Value::Array(several)) => several.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => return Err(TokenRefused::Claims),
        };
        if !is_meant_for_us {
            return Err(TokenRefused::Audience);
        }
        let subject = text("sub").filter(|subject| {
            (1..=SUBJECT_MAX).contains(&subject.len()) && !subject.chars().any(char::is_control)
        });
        let subject = subject.ok_or(TokenRefused::Claims)?;
        let expires = whole("exp")?.ok_or(TokenRefused::Claims)?;
        let now_seconds = now.unix_seconds();
        let until = expires.saturating_add(LEEWAY_SECONDS);
        if until <= now_seconds {
            return Err(TokenRefused::Expired);
        }
        let latest = now_seconds.saturating_add(LEEWAY_SECONDS);
        for name in ["nbf", "iat"] {
            if whole(name)?.is_some_and(|from| from > latest) {
                return Err(TokenRefused::TooEarly);
            }
        }
        Ok(Caller {
            who: Who::Token {
                issuer: Arc::clone(&self.name),
                subject: subject.into(),
            },
            scopes: self.scopes(claims),
            expires_at: Some(Wall::from_unix_seconds(until)),
        })
    }

    /// What the roles of a caller may do together.
    fn scopes(&self, claims: &Claims) -> Scopes {
        let path = &*self.config.roles_claim;
        // A name with dots in it, such as a URL, comes before a way into tables.
        let value = claims.0.get(path).or_else(|| {
            let mut parts = path.split('.');
            let mut value = claims.0.get(parts.next()?)?;
            for part in parts {
                value = value.get(part)?;
            }
            Some(value)
        });
        let words: Vec<&str> = match value {
            Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let roles = words
            .into_iter()
            .filter_map(|word| self.config.roles.get(word));
        roles.flatten().copied().collect()
    }
}

/// The one claim that is read before the signature.
#[derive(Deserialize)]
struct Named {
    iss: String,
}

/// All claims, none of them twice: two readers of one token must not see two tokens.
struct Claims(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Once;
        impl<'de> Visitor<'de> for Once {
            type Value = Claims;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
                let mut claims = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim comes twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        from.deserialize_map(Once)
    }
}

#[cfg(test)]
mod tests;
