//! Tokens of trusted issuers.

use super::{RATE, assert_unauthorized, closed};
use crate::harness::{Harness, assert_problem};
use crate::streams::EventSource;
use kurs_auth::{IssuerConfig, KeySet, Scope};
use serde_json::json;
use std::time::Duration;

/// The public half of a key, and a token that was signed with the other half before that was
/// thrown away: issuer `https://id.example`, audience `kurs`, role `viewer`, good for an hour.
const MODULUS: &str = "xUFsXmkBYGD66d55VU4lQPx0opWPi3szET9BNKZSe7l94Um4Eh140kRTk0Jyv9T0LdFZ5KlNbC9_hXxaSHzbGyTegXVd6GvWfI-JdsHbegm4xDWaQoZR386PR2pH5yoFaXcruxM_G3BuJPKExyKO72yR9jgoSh-YcVgIsVQUveQA1whuLVlBgWrkXi2KgDzLfudR3fs6Ku3uL8SPFbieELiHoJf8nvCuED8Mpt76eU9gZzQarkQIsG8tKJIksbXFcruDxjlvG2PcApXCKbsqX57WGQ4T2kEOWYLHDKx9XkWf65s0IVVyJEzFnJQ610anlBaBpNdFPkGtsOpdV3wbjw";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUiLCJhdWQiOiJrdXJzIiwic3ViIjoiYWxpY2UiLCJleHAiOjE3OTUyNTg4MDAsInJvbGVzIjpbInZpZXdlciJdfQ.neufUCOImKXZruEyuCV3ucBb1AsZ2pxFNLiDIJwAzasXpxa-GBF446N3l9HRVXE4yEtkM-EYUliG7Ums_bozMgab5QyXKDhUW8943CCtU73WxKNT_1Ge5aTArnH3LC5c4DNoNJIWswZmH2wlCt7FfcSqOfhcpKHxx3pdzHQVwuOhAXjJ1EcKqmHuAhnYuZlKbMngspo1atjwhCcxHDWRetjI2vDx6UzpBpx4Vu5rVHwO7Sq2K9Ioi0OQKHB2gQ88JDKNJDMlgz9CKn1OqzhpDrGPhYKA5th71p92OnUbTZMYTt5ywseidAzuOI3XYFw4JVCQ9pV9vunVHDqH9pvd6w";

#[tokio::test]
async fn a_token_of_a_trusted_issuer_opens_what_its_roles_say() {
    let harness = Harness::with_doors(|auth, _, _| {
        closed(auth);
        let issuer = IssuerConfig {
            issuer: "https://id.example".into(),
            audience: "kurs".into(),
            jwks: "keys.json".into(),
            roles_claim: "roles".into(),
            roles: [("viewer".to_owned(), vec![Scope::Read, Scope::Stream])].into(),
            ..IssuerConfig::default()
        };
        auth.issuers.insert("main".to_owned(), issuer);
    })
    .await;
    let header = format!("Authorization: Bearer {TOKEN}\r\n");
    let no_keys_yet = harness.ask("GET", RATE, &header).await;
    assert_unauthorized(&no_keys_yet, Some("invalid_token"));
    let set =
        json!({"keys": [{"kty": "RSA", "kid": "rsa", "alg": "RS256", "n": MODULUS, "e": "AQAB"}]});
    let set = KeySet::parse(set.to_string().as_bytes()).unwrap();
    harness.doors.tokens().set_keys("main", set);
    // The second time it is remembered.
    for _ in 0..2 {
        let reply = harness.ask("GET", RATE, &header).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("private, max-age=60"));
    }
    let history = harness.ask("GET", "/api/v1/history/BTC/USD", &header).await;
    assert_problem(&history, 403, "forbidden");
    let mut events = EventSource::open(&harness, "/api/v1/stream", &header).await;
    events.of_kind("snapshot").await;
    harness.clock.advance(Duration::from_secs(3_606));
    let over = harness.doors.over(harness.view.now().wall);
    assert_eq!(harness.streams.end_where(|owner| over.contains(&owner)), 1);
    assert_eq!(events.of_kind("bye").await.data["reason"], "revoked");
    let late = harness.ask("GET", RATE, &header).await;
    assert_unauthorized(&late, Some("invalid_token"));
}
