//! Tokens of the trusted key whose claims are not good.

use super::Case;
use crate::signer::{HEADER, ISSUER, NOW, World, base64url, claims};
use crate::token::TokenRefused::{Audience, Claims, Expired, Issuer, Key, TooEarly};
use serde_json::{Value, json};

pub(super) fn cases(world: &World) -> Vec<Case> {
    let good = world.of(&claims());
    let header = good.split('.').next().unwrap();
    let text = claims().to_string();
    let twice = |claim: &str| {
        let head = text.strip_suffix('}').unwrap();
        world.signed(HEADER, &format!("{head},{claim}}}"))
    };
    vec![
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
    ]
}
