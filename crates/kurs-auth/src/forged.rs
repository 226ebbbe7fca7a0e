//! Forged tokens: none of them opens anything.

use crate::caller::Who;
use crate::config::IssuerConfig;
use crate::jwks::KeySet;
use crate::scope::Scope;
use crate::token::{TOKEN_MAX, TokenRefused, Tokens};
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
const NOW: i64 = 1_795_255_200;
const ISSUER: &str = "https://id.example";
/// The modulus of a key whose other half was thrown away when these two were signed. They are
/// good for an hour from [`NOW`].
const MODULUS: &str = "xUFsXmkBYGD66d55VU4lQPx0opWPi3szET9BNKZSe7l94Um4Eh140kRTk0Jyv9T0LdFZ5KlNbC9_hXxaSHzbGyTegXVd6GvWfI-JdsHbegm4xDWaQoZR386PR2pH5yoFaXcruxM_G3BuJPKExyKO72yR9jgoSh-YcVgIsVQUveQA1whuLVlBgWrkXi2KgDzLfudR3fs6Ku3uL8SPFbieELiHoJf8nvCuED8Mpt76eU9gZzQarkQIsG8tKJIksbXFcruDxjlvG2PcApXCKbsqX57WGQ4T2kEOWYLHDKx9XkWf65s0IVVyJEzFnJQ610anlBaBpNdFPkGtsOpdV3wbjw";
const RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJrdXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjE3OTUyNTg4MDAsInJvbGVzIjpbInZpZXdlciJdfQ.neufUCOImKXZruEyuCV3ucBb1AsZ2pxFNLiDIJwAzasXpxa-GBF446N3l9HRVXE4yEtkM-EYUliG7Ums_bozMgab5QyXKDhUW8943CCtU73WxKNT_1Ge5aTArnH3LC5c4DNoNJIWswZmH2wlCt7FfcSqOfhcpKHxx3pdzHQVwuOhAXjJ1EcKqmHuAhnYuZlKbMngspo1atjwhCcxHDWRetjI2vDx6UzpBpx4Vu5rVHwO7Sq2K9Ioi0OQKHB2gQ88JDKNJDMlgz9CKn1OqzhpDrGPhYKA5th71p92OnUbTZMYTt5ywseidAzuOI3XYFw4JVCQ9pV9vunVHDqH9pvd6w";
const PS256: &str = "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InBzcyJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJrdXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjE3OTUyNTg4MDAsInJvbGVzIjpbInZpZXdlciJdfQ.Ddr_Ikkq7kFtcvRz27PaFS1WELPEEJT2x4OGZ6iJbxvtwbcqleGo9639QtOLRPw3ZuCr0EqQiXnsdaEqu3xtpuY8kRV6eX0pXSgac-G-3uDOoPk7oYqCdcomW7nY-xURdJgaO5-j4ji9pB66MvXLqg4c0xmD-Umk7SHlBjXCwRiR0nXPuBgyvSSGE1OitQzP-PBolr2V9iT2vHfL7-Nj8_szDp0nPmy8wMrKUBp5oFlTHzIvsIRP1BsM0WQz3gUa0iLQYFJJdoCIcIRLiiS1NmKtbO9RcETDWx6SYBBvYHFJX8FhIvsqp1XoXAAybyNGmVdDuaXs6jS3TjR1omWnpw";

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
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

struct World {
    random: SystemRandom,
    good: EcdsaKeyPair,
    foreign: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
    tokens: Tokens,
}

fn p256(random: &SystemRandom) -> EcdsaKeyPair {
    let way = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(way, random).unwrap();
    EcdsaKeyPair::from_pkcs8(way, pkcs8.as_ref(), random).unwrap()
}

fn ec_jwk(key: &EcdsaKeyPair, name: &str, curve: &str) -> Value {
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    json!({"kty": "EC", "kid": name, "crv": curve, "x": base64url(x), "y": base64url(y)})
}

impl World {
    fn new() -> Self {
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

    fn signed_by(&self, key: &EcdsaKeyPair, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let signature = key.sign(&self.random, message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature))
    }

    /// Signed by the trusted key.
    fn signed(&self, header: &str, claims: &str) -> String {
        self.signed_by(&self.good, header, claims)
    }

    /// With the right header.
    fn of(&self, claims: &Value) -> String {
        self.signed(HEADER, &claims.to_string())
    }

    /// The right claims, but for these.
    fn with(&self, changed: &[(&str, Value)]) -> String {
        let mut claims = claims();
        for (name, value) in changed {
            claims[*name] = value.clone();
        }
        self.of(&claims)
    }

    fn without(&self, name: &str) -> String {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        self.of(&claims)
    }

    /// With a header that says this beside what is right.
    fn saying(&self, more: &str) -> String {
        let header = format!(r#"{{"alg":"ES256","typ":"JWT","kid":"good",{more}}}"#);
        self.signed(&header, &claims().to_string())
    }

    fn hmac(secret: &[u8], header: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims().to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let signature = hmac::sign(&key, message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }

    fn check(&self, token: &str) -> Result<crate::Caller, TokenRefused> {
        self.tokens.check(token, Wall::from_unix_seconds(NOW))
    }
}

const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","kid":"good"}"#;

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "kurs", "sub": "alice", "exp": NOW + 3_600, "roles": ["viewer"]})
}

#[test]
fn good_tokens_of_every_algorithm_open_what_their_roles_say() {
    let world = World::new();
    let text = claims().to_string();
    let p384 = world.signed_by(&world.p384, r#"{"alg":"ES384","kid":"p384"}"#, &text);
    let message = format!(
        "{}.{}",
        base64url(r#"{"alg":"EdDSA","kid":"ed"}"#),
        base64url(&text)
    );
    let signature = world.edwards.sign(message.as_bytes());
    let edwards = format!("{message}.{}", base64url(signature));
    for token in [&world.of(&claims()), &p384, &edwards, RS256, PS256] {
        let caller = world.check(token).unwrap();
        assert!(matches!(&caller.who, Who::Token { subject, .. } if &**subject == "alice"));
        assert_eq!(caller.scopes.to_string(), "read stream");
        assert_eq!(
            caller.expires_at,
            Some(Wall::from_unix_seconds(NOW + 3_605))
        );
    }
    let several = world.with(&[
        ("aud", json!(["a", "kurs"])),
        ("roles", json!("viewer boss x")),
    ]);
    assert_eq!(
        world.check(&several).unwrap().scopes.to_string(),
        "read stream admin"
    );
    let nobody = world.with(&[("roles", json!(7))]);
    assert!(world.check(&nobody).unwrap().scopes.is_empty());
    let late = world.with(&[("exp", json!(NOW - 4)), ("nbf", json!(NOW + 5))]);
    assert!(
        world.check(&late).is_ok(),
        "clocks may differ by five seconds"
    );
    let typed = world.saying(r#""x":1"#).replace("=", "");
    assert!(world.check(&typed).is_ok());
}

#[test]
fn what_a_token_says_of_keys_is_not_looked_at() {
    let world = World::new();
    let jwk = ec_jwk(&world.foreign, "good", "P-256");
    for more in [
        r#""jku":"https://evil.example/keys""#.to_owned(),
        r#""x5u":"https://evil.example/cert""#.to_owned(),
        format!(r#""jwk":{jwk}"#),
    ] {
        assert!(
            world.check(&world.saying(&more)).is_ok(),
            "signed as it should be: {more}"
        );
        let header = format!(r#"{{"alg":"ES256","kid":"good",{more}}}"#);
        let forged = world.signed_by(&world.foreign, &header, &claims().to_string());
        assert_eq!(world.check(&forged), Err(TokenRefused::Signature), "{more}");
    }
}

#[test]
fn an_unknown_key_asks_for_the_keys_anew_once() {
    let world = World::new();
    assert!(world.tokens.wants_keys("main"), "nothing was read yet");
    assert!(!world.tokens.wants_keys("main"));
    let token = world.signed(r#"{"alg":"ES256","kid":"new"}"#, &claims().to_string());
    assert_eq!(world.check(&token), Err(TokenRefused::Key));
    assert!(world.tokens.wants_keys("main"));
    assert!(!world.tokens.wants_keys("main") && !world.tokens.wants_keys("nobody"));
}

#[test]
fn forged_tokens_open_nothing() {
    use TokenRefused::{
        Algorithm, Audience, Claims, Expired, Form, Issuer, Key, Signature, TooEarly,
    };
    let world = World::new();
    let good = world.of(&claims());
    let text = claims().to_string();
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let unsigned = |algorithm: &str| {
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"good"}}"#);
        format!("{}.{payload}.", base64url(header))
    };
    let boss = text.replace("viewer", "boss");
    let hs = |kid: &str| format!(r#"{{"alg":"HS256","typ":"JWT","kid":"{kid}"}}"#);
    let point = world.good.public_key().as_ref().to_vec();
    let jwk = ec_jwk(&world.good, "good", "P-256").to_string();
    let twice = |claim: &str| {
        let head = text.strip_suffix('}').unwrap();
        world.signed(HEADER, &format!("{head},{claim}}}"))
    };
    let (rs_message, rs_signature) = RS256.rsplit_once('.').unwrap();
    let ps_signature = PS256.rsplit_once('.').unwrap().1;
    let as_header = |text: &str| world.signed(text, &claims().to_string());
    let mut flipped = signature.to_owned();
    flipped.replace_range(10..11, if &signature[10..11] == "A" { "B" } else { "A" });
    let der = {
        use ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING as WAY;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&WAY, &world.random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&WAY, pkcs8.as_ref(), &world.random).unwrap();
        world.signed_by(&key, HEADER, &text)
    };
    let cases: Vec<(&str, String, TokenRefused)> = vec![
        // No signature at all.
        ("alg none", unsigned("none"), Form),
        ("alg None", unsigned("None"), Form),
        ("alg NONE", unsigned("NONE"), Form),
        ("alg nOnE", unsigned("nOnE"), Form),
        (
            "alg none with the old signature",
            format!("{}{signature}", unsigned("none")),
            Form,
        ),
        ("empty alg", unsigned(""), Form),
        ("no alg", as_header(r#"{"typ":"JWT","kid":"good"}"#), Form),
        ("alg null", as_header(r#"{"alg":null,"kid":"good"}"#), Form),
        (
            "alg a list",
            as_header(r#"{"alg":["ES256"],"kid":"good"}"#),
            Form,
        ),
        (
            "alg twice",
            as_header(r#"{"alg":"ES256","alg":"ES256","kid":"good"}"#),
            Form,
        ),
        (
            "kid twice",
            as_header(r#"{"alg":"ES256","kid":"good","kid":"good"}"#),
            Form,
        ),
        ("empty signature", format!("{header}.{payload}."), Signature),
        ("no signature", format!("{header}.{payload}"), Form),
        // Another algorithm than that of the key.
        (
            "HS256 with the public point",
            World::hmac(&point, &hs("good")),
            Algorithm,
        ),
        (
            "HS256 with the public JWK",
            World::hmac(jwk.as_bytes(), &hs("good")),
            Algorithm,
        ),
        (
            "HS256 with the RSA modulus",
            World::hmac(MODULUS.as_bytes(), &hs("rsa")),
            Algorithm,
        ),
        (
            "HS256 with an empty secret",
            World::hmac(b"", &hs("good")),
            Algorithm,
        ),
        (
            "HS256 with a shared key of the set",
            World::hmac(b"shared secret", &hs("shared")),
            Key,
        ),
        (
            "ES384 said of a P-256 key",
            as_header(r#"{"alg":"ES384","kid":"good"}"#),
            Algorithm,
        ),
        (
            "RS256 said of a curve",
            as_header(r#"{"alg":"RS256","kid":"good"}"#),
            Algorithm,
        ),
        (
            "EdDSA said of a P-256 key",
            as_header(r#"{"alg":"EdDSA","kid":"good"}"#),
            Algorithm,
        ),
        (
            "PS256 signature as RS256",
            format!("{rs_message}.{ps_signature}"),
            Signature,
        ),
        (
            "RS256 token under the PSS key",
            {
                let header = base64url(r#"{"alg":"RS256","typ":"JWT","kid":"pss"}"#);
                let payload = RS256.split('.').nth(1).unwrap();
                format!("{header}.{payload}.{rs_signature}")
            },
            Algorithm,
        ),
        // Signed by somebody else, or changed.
        (
            "signed by a stranger",
            world.signed_by(&world.foreign, HEADER, &text),
            Signature,
        ),
        (
            "the key of another issuer",
            world.signed_by(&world.foreign, r#"{"alg":"ES256","kid":"foreign"}"#, &text),
            Key,
        ),
        (
            "another issuer's name on our key",
            world.with(&[("iss", json!("https://other.example"))]),
            Key,
        ),
        (
            "roles changed",
            format!("{header}.{}.{signature}", base64url(boss)),
            Signature,
        ),
        (
            "header changed",
            format!(
                "{}.{payload}.{signature}",
                base64url(r#"{"alg":"ES256","kid":"good"}"#)
            ),
            Signature,
        ),
        (
            "one letter of the signature",
            format!("{header}.{payload}.{flipped}"),
            Signature,
        ),
        (
            "a signature of zeros",
            format!("{header}.{payload}.{}", base64url([0; 64])),
            Signature,
        ),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..44]),
            Signature,
        ),
        ("a longer signature", format!("{good}AAAA"), Signature),
        ("a DER signature", der, Signature),
        ("padding", format!("{good}=="), Form),
        (
            "wrong kid",
            as_header(r#"{"alg":"ES256","kid":"p256"}"#),
            Key,
        ),
        (
            "no kid among several keys",
            as_header(r#"{"alg":"ES256"}"#),
            Key,
        ),
        (
            "a path as kid",
            as_header(r#"{"alg":"ES256","kid":"../../dev/null"}"#),
            Key,
        ),
        (
            "SQL as kid",
            as_header(r#"{"alg":"ES256","kid":"' OR 1=1 --"}"#),
            Key,
        ),
        ("critical header", world.saying(r#""crit":["exp"]"#), Form),
        (
            "another type",
            as_header(r#"{"alg":"ES256","kid":"good","typ":"secevent+jwt"}"#),
            Form,
        ),
        // Claims.
        (
            "unknown issuer",
            world.with(&[("iss", json!("https://evil.example"))]),
            Issuer,
        ),
        (
            "issuer with a slash more",
            world.with(&[("iss", json!("https://id.example/"))]),
            Issuer,
        ),
        (
            "issuer in capitals",
            world.with(&[("iss", json!("https://ID.example"))]),
            Issuer,
        ),
        (
            "issuer without keys",
            world.with(&[("iss", json!("https://silent.example"))]),
            Key,
        ),
        (
            "issuers as a list",
            world.with(&[("iss", json!([ISSUER]))]),
            Claims,
        ),
        ("no issuer", world.without("iss"), Claims),
        (
            "wrong audience",
            world.with(&[("aud", json!("shop"))]),
            Audience,
        ),
        (
            "audience in capitals",
            world.with(&[("aud", json!("KURS"))]),
            Audience,
        ),
        (
            "no audience in the list",
            world.with(&[("aud", json!(["shop", "kurs "]))]),
            Audience,
        ),
        (
            "an empty list of audiences",
            world.with(&[("aud", json!([]))]),
            Audience,
        ),
        ("no audience", world.without("aud"), Claims),
        ("no subject", world.without("sub"), Claims),
        (
            "an empty subject",
            world.with(&[("sub", json!(""))]),
            Claims,
        ),
        (
            "a subject of control characters",
            world.with(&[("sub", json!("a\r\nb"))]),
            Claims,
        ),
        (
            "a subject without end",
            world.with(&[("sub", json!("a".repeat(257)))]),
            Claims,
        ),
        (
            "a number as subject",
            world.with(&[("sub", json!(7))]),
            Claims,
        ),
        ("no end", world.without("exp"), Claims),
        ("expired", world.with(&[("exp", json!(NOW - 5))]), Expired),
        (
            "expired long ago",
            world.with(&[("exp", json!(0))]),
            Expired,
        ),
        (
            "an end as a text",
            world.with(&[("exp", json!("9999999999"))]),
            Claims,
        ),
        (
            "a fraction as end",
            world.with(&[("exp", json!(9_999_999_999.5))]),
            Claims,
        ),
        (
            "an end that no number holds",
            world.with(&[("exp", json!(1e300))]),
            Claims,
        ),
        (
            "an end before 1970",
            world.with(&[("exp", json!(-1))]),
            Claims,
        ),
        (
            "an end of null",
            world.with(&[("exp", Value::Null)]),
            Claims,
        ),
        ("not yet", world.with(&[("nbf", json!(NOW + 6))]), TooEarly),
        (
            "a beginning as a text",
            world.with(&[("nbf", json!("0"))]),
            Claims,
        ),
        (
            "issued in the future",
            world.with(&[("iat", json!(NOW + 6))]),
            TooEarly,
        ),
        ("exp twice", twice(r#""exp":9999999999"#), Claims),
        ("aud twice", twice(r#""aud":"kurs""#), Claims),
        ("iss twice", twice(&format!(r#""iss":"{ISSUER}""#)), Claims),
        ("roles twice", twice(r#""roles":["boss"]"#), Claims),
        (
            "claims that are no table",
            world.signed(HEADER, "[]"),
            Claims,
        ),
        ("claims that are no JSON", world.signed(HEADER, "{"), Claims),
        (
            "claims that are no UTF-8",
            {
                let message = format!("{header}.{}", base64url([0xff, 0xfe]));
                let signature = world.good.sign(&world.random, message.as_bytes()).unwrap();
                format!("{message}.{}", base64url(signature))
            },
            Claims,
        ),
        (
            "claims without a bottom",
            world.signed(HEADER, &"[".repeat(5_000)),
            Claims,
        ),
        // No token.
        ("nothing", String::new(), Form),
        ("dots", "..".to_owned(), Form),
        ("five parts, as if encrypted", format!("{good}.AA.AA"), Form),
        ("a blank before it", format!(" {good}"), Form),
        ("cut in the header", good[..20].to_owned(), Form),
        (
            "cut in the claims",
            good[..header.len() + 20].to_owned(),
            Form,
        ),
        (
            "huge",
            world.with(&[("x", json!("x".repeat(TOKEN_MAX)))]),
            Form,
        ),
        (
            "the JSON form",
            format!(r#"{{"payload":"{payload}","signatures":[]}}"#),
            Form,
        ),
    ];
    assert!(world.check(&good).is_ok());
    assert!(cases.len() >= 40, "{}", cases.len());
    let wrong = cases.iter().filter_map(|(name, token, expect)| {
        let checked = world.check(token);
        (checked != Err(*expect)).then_some((name, checked))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_token_that_was_cut_or_changed_anywhere_opens_nothing() {
    let world = World::new();
    let good = world.of(&claims());
    for length in 0..good.len() {
        assert!(world.check(&good[..length]).is_err(), "cut after {length}");
    }
    // The last letter holds bits that belong to no byte: all others count.
    for place in 0..good.len() - 1 {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(world.check(&changed).is_err(), "changed at {place}");
    }
}

#[test]
fn a_good_token_is_remembered_until_it_ends_or_the_keys_change() {
    let world = World::new();
    let (good, now) = (world.of(&claims()), Wall::from_unix_seconds(NOW));
    assert_eq!(world.tokens.remembered(&good, now), None);
    let caller = world.check(&good).unwrap();
    assert_eq!(world.tokens.remembered(&good, now), Some(caller));
    let over = Wall::from_unix_seconds(NOW + 3_605);
    assert_eq!(world.tokens.remembered(&good, over), None);
    assert_eq!(world.tokens.remembered(&good[1..], now), None);
    let set = json!({"keys": [ec_jwk(&world.foreign, "good", "P-256")]});
    let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
    world.tokens.set_keys("main", set);
    assert_eq!(world.tokens.remembered(&good, now), None);
    assert_eq!(world.check(&good), Err(TokenRefused::Signature));
    assert_eq!(world.tokens.remembered(&good, now), None);
}

#[test]
fn without_issuers_no_token_is_read() {
    let tokens = Tokens::new(&BTreeMap::new());
    assert!(tokens.is_empty());
    let refused = tokens.check(RS256, Wall::from_unix_seconds(NOW));
    assert_eq!(refused, Err(TokenRefused::Form));
}
