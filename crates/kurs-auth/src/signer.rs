//! Two issuers with their keys, and whatever can be signed with these: for tests.

use crate::config::IssuerConfig;
use crate::jwks::KeySet;
use crate::scope::Scope;
use crate::token::{TokenRefused, Tokens};
use kurs_core::Wall;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// 2026-11-21T10:00:00Z.
pub(crate) const NOW: i64 = 1_795_255_200;
pub(crate) const ISSUER: &str = "https://id.example";
/// The modulus of a key whose other half was thrown away when these two were signed. They are
/// good for an hour from [`NOW`].
pub(crate) const MODULUS: &str = "xUFsXmkBYGD66d55VU4lQPx0opWPi3szET9BNKZSe7l94Um4Eh140kRTk0Jyv9T0LdFZ5KlNbC9_hXxaSHzbGyTegXVd6GvWfI-JdsHbegm4xDWaQoZR386PR2pH5yoFaXcruxM_G3BuJPKExyKO72yR9jgoSh-YcVgIsVQUveQA1whuLVlBgWrkXi2KgDzLfudR3fs6Ku3uL8SPFbieELiHoJf8nvCuED8Mpt76eU9gZzQarkQIsG8tKJIksbXFcruDxjlvG2PcApXCKbsqX57WGQ4T2kEOWYLHDKx9XkWf65s0IVVyJEzFnJQ610anlBaBpNdFPkGtsOpdV3wbjw";
pub(crate) const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJrdXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjE3OTUyNTg4MDAsInJvbGVzIjpbInZpZXdlciJdfQ.neufUCOImKXZruEyuCV3ucBb1AsZ2pxFNLiDIJwAzasXpxa-GBF446N3l9HRVXE4yEtkM-EYUliG7Ums_bozMgab5QyXKDhUW8943CCtU73WxKNT_1Ge5aTArnH3LC5c4DNoNJIWswZmH2wlCt7FfcSqOfhcpKHxx3pdzHQVwuOhAXjJ1EcKqmHuAhnYuZlKbMngspo1atjwhCcxHDWRetjI2vDx6UzpBpx4Vu5rVHwO7Sq2K9Ioi0OQKHB2gQ88JDKNJDMlgz9CKn1OqzhpDrGPhYKA5th71p92OnUbTZMYTt5ywseidAzuOI3XYFw4JVCQ9pV9vunVHDqH9pvd6w";
pub(crate) const PS256: &str = "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InBzcyJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJrdXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjE3OTUyNTg4MDAsInJvbGVzIjpbInZpZXdlciJdfQ.Ddr_Ikkq7kFtcvRz27PaFS1WELPEEJT2x4OGZ6iJbxvtwbcqleGo9639QtOLRPw3ZuCr0EqQiXnsdaEqu3xtpuY8kRV6eX0pXSgac-G-3uDOoPk7oYqCdcomW7nY-xURdJgaO5-j4ji9pB66MvXLqg4c0xmD-Umk7SHlBjXCwRiR0nXPuBgyvSSGE1OitQzP-PBolr2V9iT2vHfL7-Nj8_szDp0nPmy8wMrKUBp5oFlTHzIvsIRP1BsM0WQz3gUa0iLQYFJJdoCIcIRLiiS1NmKtbO9RcETDWx6SYBBvYHFJX8FhIvsqp1XoXAAybyNGmVdDuaXs6jS3TjR1omWnpw";

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    pub(crate) const LETTERS: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for group in bytes.as_ref().chunks(3) {
        let mut bits = [0; 3];
        bits[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, bits[0], bits[1], bits[2]]);
        for place in 0..=group.len() {
            let six = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(LETTERS[usize::try_from(six).unwrap()]));
        }
    }
    text
}

pub(crate) struct World {
    pub(crate) random: SystemRandom,
    pub(crate) good: EcdsaKeyPair,
    pub(crate) foreign: EcdsaKeyPair,
    pub(crate) p384: EcdsaKeyPair,
    pub(crate) edwards: Ed25519KeyPair,
    pub(crate) tokens: Tokens,
}

pub(crate) fn p256(random: &SystemRandom) -> EcdsaKeyPair {
    let way = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(way, random).unwrap();
    EcdsaKeyPair::from_pkcs8(way, pkcs8.as_ref(), random).unwrap()
}

pub(crate) fn ec_jwk(key: &EcdsaKeyPair, name: &str, curve: &str) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({"kty": "EC", "kid": name, "crv": curve, "x": base64url(x), "y": base64url(y)})
}

impl World {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let (good, foreign) = (p256(&random), p256(&random));
        let way = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(way, &random).unwrap();
        let p384 = EcdsaKeyPair::from_pkcs8(way, pkcs8.as_ref(), &random).unwrap();
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let edwards = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let config = |issuer: &str| IssuerConfig {
            issuer: issuer.to_owned(),
            audience: "kurs".to_owned(),
            jwks: "keys.json".to_owned(),
            roles_claim: "roles".to_owned(),
            roles: BTreeMap::from([
                ("viewer".to_owned(), vec![Scope::Read, Scope::Stream]),
                ("boss".to_owned(), vec![Scope::Admin]),
            ]),
            ..IssuerConfig::default()
        };
        let issuers = BTreeMap::from([
            ("main".to_owned(), config(ISSUER)),
            ("other".to_owned(), config("https://other.example")),
            ("silent".to_owned(), config("https://silent.example")),
        ]);
        let tokens = Tokens::new(&issuers);
        let set = json!({"keys": [
            ec_jwk(&good, "good", "P-256"),
            ec_jwk(&p384, "p384", "P-384"),
            {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": base64url(edwards.public_key())},
            {"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": MODULUS, "e": "AQAB"},
            {"kty": "RSA", "kid": "pss", "alg": "PS256", "n": MODULUS, "e": "AQAB"},
            {"kty": "oct", "kid": "shared", "alg": "HS256", "k": base64url("shared secret")},
        ]});
        tokens.set_keys("main", KeySet::parse(set.to_string().as_bytes()).unwrap());
        let set = json!({"keys": [ec_jwk(&foreign, "foreign", "P-256")]});
        tokens.set_keys("other", KeySet::parse(set.to_string().as_bytes()).unwrap());
        Self {
            random,
            good,
            foreign,
            p384,
            edwards,
            tokens,
        }
    }

    pub(crate) fn signed_by(&self, key: &EcdsaKeyPair, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = key.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature))
    }

    /// Signed by the trusted key.
    pub(crate) fn signed(&self, header: &str, claims: &str) -> String {
        self.signed_by(&self.good, header, claims)
    }

    /// With the right header.
    pub(crate) fn of(&self, claims: &Value) -> String {
        self.signed(HEADER, &claims.to_string())
    }

    /// The right claims, but for these.
    pub(crate) fn with(&self, changed: &[(&str, Value)]) -> String {
        let mut claims = claims();
        for (name, value) in changed {
            claims[*name] = value.clone();
        }
        self.of(&claims)
    }

    pub(crate) fn without(&self, name: &str) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        self.of(&claims)
    }

    /// With a header that says this beside what is right.
    pub(crate) fn saying(&self, more: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"good",{more}}}"#);
        self.signed(&header, &claims().to_string())
    }

    pub(crate) fn hmac(secret: &[u8], header: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }

    pub(crate) fn check(&self, token: &str) -> Result<crate::Caller, TokenRefused> {
        self.tokens.check(token, Wall::from_unix_seconds(NOW))
    }
}

pub(crate) const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"good"}"#;

pub(crate) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "kurs", "sub": "alice", "exp": NOW + 3_600, "roles": ["viewer"]})
}
