//! Tokens that nobody, somebody else, or another way has signed.

use super::Case;
use crate::signer::{HEADER, MODULUS, PS256, RS256, World, base64url, claims, ec_jwk};
use crate::token::TokenRefused::{Algorithm, Form, Key, Signature};
use ring::signature::{EcdsaKeyPair, KeyPair};
use serde_json::json;

pub(super) fn cases(world: &World) -> Vec<Case> {
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
    vec![
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
    ]
}
