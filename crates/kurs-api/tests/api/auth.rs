//! Who is let in by which key, and what answers say of it.

mod canaries;
mod quotas;
mod streams;
mod tokens;

use crate::client::Reply;
use crate::harness::{Harness, assert_problem};
use kurs_auth::{AuthConfig, Key, KeyRing, SecretKey};
use serde_json::json;
use std::time::Duration;

const RATE: &str = "/api/v1/rates/BTC/USD";

pub(crate) fn secret() -> SecretKey {
    SecretKey::make("test", fastrand::fill).unwrap()
}

pub(crate) fn key(secret: &SecretKey, scopes: &str) -> Key {
    Key {
        id: secret.id(),
        hash: secret.hash(),
        scopes: scopes.parse().unwrap(),
        expires_at: None,
        is_revoked: false,
    }
}

pub(crate) fn bearer(secret: &SecretKey) -> String {
    format!("Authorization: Bearer {}\r\n", secret.reveal())
}

fn x_api_key(secret: &SecretKey) -> String {
    format!("X-Api-Key: {}\r\n", secret.reveal())
}

/// Nobody may do anything without a key.
pub(crate) fn closed(auth: &mut AuthConfig) {
    auth.anonymous.clear();
}

/// A server that everybody needs a key for, and a key with these scopes.
async fn closed_with(scopes: &str) -> (Harness, SecretKey) {
    let harness = Harness::with_doors(|auth, _, _| closed(auth)).await;
    let held = secret();
    harness.doors.set_ring(KeyRing::new([key(&held, scopes)]));
    (harness, held)
}

#[track_caller]
fn assert_unauthorized(reply: &Reply, error: Option<&str>) {
    assert_problem(reply, 401, "unauthorized");
    let challenge = reply.header("www-authenticate").unwrap();
    assert!(
        challenge.starts_with("Bearer realm=\"kurs\""),
        "{challenge}"
    );
    let said = error.map(|error| format!("error=\"{error}\""));
    match said {
        Some(said) => assert!(challenge.contains(&said), "{challenge}"),
        None => assert!(!challenge.contains("error="), "{challenge}"),
    }
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn every_route_with_a_scope_wants_a_key_where_nobody_may_ask_without() {
    let (harness, _) = closed_with("read").await;
    let document = harness.get("/openapi.json").await.json();
    let mut client = harness.client().await;
    let mut scoped = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path
            .replace("{base}", "BTC")
            .replace("{quote}", "USD")
            .replace("{source}", "binance")
            .replace("{symbol}", "BTCUSDT");
        for (method, operation) in methods.as_object().unwrap() {
            let reply = client
                .ask(&method.to_uppercase(), &path, "Content-Length: 0\r\n")
                .await;
            if operation["x-scope"].is_null() {
                assert_ne!(reply.status, 401, "{method} {path}");
                assert!(operation["security"].is_null(), "{method} {path}");
                continue;
            }
            scoped += 1;
            assert_unauthorized(&reply, None);
            let scope = operation["x-scope"].as_str().unwrap();
            let challenge = reply.header("www-authenticate").unwrap();
            assert!(
                challenge.ends_with(&format!("scope=\"{scope}\"")),
                "{challenge}"
            );
            for status in ["401", "403", "429", "503"] {
                assert!(!operation["responses"][status].is_null(), "{method} {path}");
            }
            assert_eq!(operation["security"][1], json!({"bearer": []}));
        }
    }
    assert!(scoped > 20, "{scoped}");
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!(schemes["api_key"]["name"], "X-Api-Key");
}

#[tokio::test]
async fn probes_metrics_and_documents_need_no_key() {
    let (harness, _) = closed_with("read").await;
    for target in [
        "/livez",
        "/readyz",
        "/health",
        "/metrics",
        "/openapi.json",
        "/docs",
        "/",
        "/page/app.js",
    ] {
        let wrong = harness.ask("GET", target, "X-Api-Key: wrong\r\n").await;
        assert_eq!(wrong.status, 200, "{target}");
    }
}

#[tokio::test]
async fn a_key_opens_what_its_scopes_say_in_either_header() {
    let (harness, held) = closed_with("read").await;
    for header in [bearer(&held), x_api_key(&held)] {
        for target in [RATE, "/api/v1/rates/BTC", "/api/v1/sources"] {
            let reply = harness.ask("GET", target, &header).await;
            assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        }
        let history = harness.ask("GET", "/api/v1/history/BTC/USD", &header).await;
        assert_problem(&history, 403, "forbidden");
        let challenge = history.header("www-authenticate").unwrap();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
        // What was served in the past is history, whatever the route.
        let past = format!("{RATE}?at=2026-11-21T09:00:00Z");
        assert_problem(&harness.ask("GET", &past, &header).await, 403, "forbidden");
    }
}

#[tokio::test]
async fn a_wrong_key_is_refused_even_where_none_is_needed() {
    let harness = Harness::start().await;
    let (held, other) = (secret(), secret());
    let gone = Key {
        is_revoked: true,
        ..key(&held, "read")
    };
    harness.doors.set_ring(KeyRing::new([gone]));
    assert_eq!(harness.get(RATE).await.status, 200);
    let both = bearer(&held) + &x_api_key(&held);
    let headers = [
        bearer(&held),
        bearer(&other),
        x_api_key(&other),
        both,
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer a.b.c\r\n".to_owned(),
        "X-Api-Key: kurs\r\n".to_owned(),
    ];
    for header in headers {
        // The short way and the general one.
        for target in [RATE, "/api/v1/rates/BTC"] {
            let reply = harness.ask("GET", target, &header).await;
            assert_unauthorized(&reply, Some("invalid_token"));
        }
    }
    // A proxy's own business.
    let basic = "Authorization: Basic dXNlcjpwYXNz\r\n";
    assert_eq!(harness.ask("GET", RATE, basic).await.status, 200);
}

#[tokio::test]
async fn answers_to_keys_are_private_and_the_same_on_both_ways() {
    let (harness, held) = closed_with("read").await;
    let header = bearer(&held);
    let short = harness.ask("GET", RATE, &header).await;
    // An `Origin` sends it the general way.
    let general = format!("{header}Origin: https://shop.example\r\n");
    let general = harness.ask("GET", RATE, &general).await;
    for reply in [&short, &general] {
        assert_eq!(reply.header("cache-control"), Some("private, max-age=60"));
        assert_eq!(reply.header("vary"), Some("Authorization, X-Api-Key"));
        let left = reply.header("ratelimit").unwrap();
        assert!(left.starts_with("\"default\";r="), "{left}");
        assert_eq!(
            reply.header("ratelimit-policy"),
            Some("\"default\";q=6000;w=60")
        );
    }
    assert_eq!(short.body, general.body);
    let tag = short.header("etag").unwrap();
    let same = format!("{header}If-None-Match: {tag}\r\n");
    let unchanged = harness.ask("GET", RATE, &same).await;
    assert_eq!(unchanged.status, 304);
    assert_eq!(
        unchanged.header("cache-control"),
        Some("private, max-age=60")
    );
    // A route that needs no scope is the same for everybody.
    let list = harness.ask("GET", "/openapi.json", &header).await;
    assert_eq!(list.header("vary"), Some("Accept-Encoding"));
    let historian = secret();
    harness
        .doors
        .set_ring(KeyRing::new([key(&historian, "history")]));
    let header = bearer(&historian);
    let page = harness.ask("GET", "/api/v1/history/BTC/USD", &header).await;
    assert_eq!(page.header("cache-control"), Some("private, no-cache"));
    assert_eq!(
        page.header("vary"),
        Some("Accept, Authorization, X-Api-Key")
    );
    let open = Harness::start().await.get(RATE).await;
    assert_eq!(
        (open.header("vary"), open.header("ratelimit")),
        (None, None)
    );
}

#[tokio::test]
async fn a_key_ends_when_it_expires() {
    let (harness, held) = closed_with("read").await;
    let now = harness.view.now().wall;
    let ends = Key {
        expires_at: Some(now.plus(Duration::from_secs(10))),
        ..key(&held, "read")
    };
    harness.doors.set_ring(KeyRing::new([ends]));
    assert_eq!(harness.ask("GET", RATE, &bearer(&held)).await.status, 200);
    harness.clock.advance(Duration::from_secs(10));
    let late = harness.ask("GET", RATE, &bearer(&held)).await;
    assert_unauthorized(&late, Some("invalid_token"));
    assert!(late.text().contains("expired"), "{}", late.text());
}

#[tokio::test]
async fn changes_come_from_the_own_machine_until_there_is_a_key_and_then_by_key_alone() {
    let harness = Harness::start().await;
    harness.writer(|_| kurs_bus::Reply::Untracked { existed: true });
    let target = "/api/v1/currency/BTCUSDT";
    assert_eq!(harness.ask("DELETE", target, "").await.status, 204);
    let from_a_page = "Origin: https://evil.example\r\n";
    let refused = harness.ask("DELETE", target, from_a_page).await;
    assert_problem(&refused, 403, "forbidden");
    let (admin, reader) = (secret(), secret());
    let keys = [key(&admin, "admin"), key(&reader, "read history stream")];
    harness.doors.set_ring(KeyRing::new(keys));
    assert_unauthorized(&harness.ask("DELETE", target, "").await, None);
    let refused = harness.ask("DELETE", target, &bearer(&reader)).await;
    assert_problem(&refused, 403, "forbidden");
    let allowed = harness.ask("DELETE", target, &bearer(&admin)).await;
    assert_ne!(allowed.status, 401);
    assert_ne!(allowed.status, 403);
    // Behind a proxy on this machine a key is enough.
    let handed_on = bearer(&admin) + "X-Forwarded-For: 203.0.113.7\r\n";
    assert_ne!(harness.ask("DELETE", target, &handed_on).await.status, 403);
}

#[tokio::test]
async fn before_the_keys_were_read_nobody_gets_in_by_key() {
    let harness = Harness::with_unread_keys().await;
    assert_eq!(harness.get(RATE).await.status, 200, "rates go on");
    let keyed = harness.ask("GET", RATE, &bearer(&secret())).await;
    assert_problem(&keyed, 503, "keys-unavailable");
    let change = harness.ask("DELETE", "/api/v1/currency/BTCUSDT", "").await;
    assert_problem(&change, 503, "keys-unavailable");
}
