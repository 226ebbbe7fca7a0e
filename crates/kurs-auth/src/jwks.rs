//! The public keys of an issuer (RFC 7517), each with the one algorithm that it is for.

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Longest document, bytes.
pub const JWKS_BYTES_MAX: usize = 256 * 1_024;
/// Most keys of one issuer.
const KEYS_MAX: usize = 100;

/// Why a document holds no usable keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is too long.
    #[error("the key set is longer than {JWKS_BYTES_MAX} bytes")]
    TooLong,
    /// It is no key set.
    #[error("this is no JSON Web Key Set")]
    Form,
    /// No key in it can check a signature.
    #[error(
        "no key of the set can be used: RS, PS, ES256, ES384 and EdDSA keys for signatures can"
    )]
    NoKey,
    /// Two keys go by one name.
    #[error("two keys of the set have the same kid")]
    SameName,
}

/// One public key.
#[derive(Debug, Clone)]
pub(crate) struct PublicKey {
    pub(crate) name: Option<String>,
    pub(crate) algorithm: Algorithm,
    pub(crate) key: DecodingKey,
}

/// The public keys of an issuer. Shared secrets are left out: whoever may check with one could
/// sign with it as well.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// The keys of a document that can check signatures; others are left out.
    ///
    /// # Errors
    /// [`JwksError`].
    pub fn parse(document: &[u8]) -> Result<Self, JwksError> {
        if document.len() > JWKS_BYTES_MAX {
            return Err(JwksError::TooLong);
        }
        let document: Document = serde_json::from_slice(document).map_err(|_| JwksError::Form)?;
        let written = document.keys.into_iter().take(KEYS_MAX);
        let keys: Vec<PublicKey> = written
            .filter_map(|value| serde_json::from_value::<Written>(value).ok())
            .filter_map(|written| written.key())
            .collect();
        if keys.is_empty() {
            return Err(JwksError::NoKey);
        }
        for (place, key) in keys.iter().enumerate() {
            let before = keys.iter().take(place);
            if before.into_iter().any(|other| other.name == key.name) {
                return Err(JwksError::SameName);
            }
        }
        Ok(Self { keys })
    }

    /// True before the first document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key that a token names. One that names none means the only one.
    pub(crate) fn find(&self, name: Option<&str>) -> Option<&PublicKey> {
        match name {
            Some(name) => {
                let mut keys = self.keys.iter();
                keys.find(|key| key.name.as_deref() == Some(name))
            }
            None => match self.keys.as_slice() {
                [only] => Some(only),
                _ => None,
            },
        }
    }
}

impl Written {
    fn key(&self) -> Option<PublicKey> {
        let for_signatures = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let may_verify = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if !for_signatures || !self.key_ops.as_ref().is_none_or(may_verify) {
            return None;
        }
        let algorithm: Algorithm = match (&self.alg, &*self.kty, self.crv.as_deref()) {
            (Some(name), _, _) => name.parse().ok()?,
            (None, "RSA", _) => Algorithm::RS256,
            (None, "EC", Some("P-256")) => Algorithm::ES256,
            (None, "EC", Some("P-384")) => Algorithm::ES384,
            (None, "OKP", Some("Ed25519")) => Algorithm::EdDSA,
            _ => return None,
        };
        let (n, e) = (self.n.as_deref(), self.e.as_deref());
        let (x, y) = (self.x.as_deref(), self.y.as_deref());
        let key = match (&*self.kty, algorithm, self.crv.as_deref()) {
            (
                "RSA",
                Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512,
                _,
            ) => DecodingKey::from_rsa_components(n?, e?).ok()?,
            ("EC", Algorithm::ES256, Some("P-256")) | ("EC", Algorithm::ES384, Some("P-384")) => {
                DecodingKey::from_ec_components(x?, y?).ok()?
            }
            ("OKP", Algorithm::EdDSA, Some("Ed25519")) => {
                DecodingKey::from_ed_components(x?).ok()?
            }
            _ => return None,
        };
        Some(PublicKey {
            name: self.kid.clone(),
            algorithm,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_signatures_are_taken_and_shared_secrets_are_not() {
        let document = br#"{"keys":[
            {"kty":"EC","kid":"a","crv":"P-256","x":"AA","y":"AA"},
            {"kty":"oct","kid":"b","alg":"HS256","k":"c2VjcmV0"},
            {"kty":"RSA","kid":"c","alg":"HS256","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"d","use":"enc","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"e","key_ops":["encrypt"],"n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"f","alg":"ES256","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"g","n":"AQAB","e":"AQAB","alg":"none"},
            {"kty":"EC","kid":"h","crv":"P-256","alg":"ES384","x":"AA","y":"AA"},
            {"kty":"what"}, 7
        ]}"#;
        let set = KeySet::parse(document).unwrap();
        let names: Vec<_> = set.keys.iter().map(|key| key.name.as_deref()).collect();
        assert_eq!(names, [Some("a")]);
        assert_eq!(set.find(None).unwrap().algorithm, Algorithm::ES256);
        assert!(set.find(Some("b")).is_none());
    }

    #[test]
    fn what_is_no_key_set_says_so() {
        let parse = |text: &str| KeySet::parse(text.as_bytes()).unwrap_err();
        assert_eq!(parse("no"), JwksError::Form);
        assert_eq!(parse("{}"), JwksError::Form);
        assert_eq!(parse(r#"{"keys":[]}"#), JwksError::NoKey);
        assert_eq!(parse(&" ".repeat(JWKS_BYTES_MAX + 1)), JwksError::TooLong);
        let twice = r#"{"keys":[{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}]}"#;
        assert_eq!(parse(twice), JwksError::SameName);
    }
}
