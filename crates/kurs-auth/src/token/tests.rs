//! Good tokens: what they open, how long they are remembered, when the keys are asked for.

use super::{TokenRefused, Tokens};
use crate::caller::Who;
use crate::jwks::KeySet;
use crate::signer::{NOW, PS256, RS256, World, base64url, claims, ec_jwk};
use kurs_core::Wall;
use serde_json::json;
use std::collections::BTreeMap;

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
