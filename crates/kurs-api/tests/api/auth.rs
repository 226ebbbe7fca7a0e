//! Who is let in, and what answers say of it.

use crate::client::Reply;
use crate::harness::{Harness, assert_problem};
use crate::streams::EventSource;
use futures_util::{SinkExt, StreamExt};
use kurs_auth::{
    AuthConfig, IssuerConfig, Key, KeyRing, KeySet, LimitsConfig, QuotaConfig, Scope, SecretKey,
};
use kurs_core::Wall;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

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

fn counted(requests: u32) -> impl Fn(&mut LimitsConfig) {
    move |limits| {
        let quota = QuotaConfig {
            requests,
            window_seconds: 60,
        };
        (limits.anonymous, limits.key, limits.failures) = (quota, quota, quota);
        limits.loopback = true;
    }
}

#[tokio::test]
async fn a_quota_is_told_counted_down_and_given_back() {
    let harness = Harness::with_doors(|_, limits, _| counted(3)(limits)).await;
    let held = secret();
    harness.doors.set_ring(KeyRing::new([key(&held, "read")]));
    for header in [String::new(), bearer(&held)] {
        for left in [2, 1, 0] {
            let reply = harness.ask("GET", RATE, &header).await;
            assert_eq!(reply.status, 200);
            assert_eq!(
                reply.header("ratelimit-policy"),
                Some("\"default\";q=3;w=60")
            );
            let said = reply.header("ratelimit").unwrap();
            assert!(
                said.starts_with(&format!("\"default\";r={left};t=")),
                "{said}"
            );
        }
        let refused = harness.ask("GET", RATE, &header).await;
        assert_problem(&refused, 429, "quota-exceeded");
        assert_eq!(refused.header("ratelimit"), Some("\"default\";r=0;t=20"));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((20..=23).contains(&wait), "{wait}");
        // The general way counts the same quota.
        let list = harness.ask("GET", "/api/v1/rates/BTC", &header).await;
        assert_eq!(list.status, 429);
        // Probes are not counted.
        assert_eq!(harness.ask("GET", "/livez", "").await.status, 200);
    }
    harness.clock.advance(Duration::from_secs(20));
    assert_eq!(harness.get(RATE).await.status, 200);
    assert_eq!(harness.get(RATE).await.status, 429);
}

#[tokio::test]
async fn who_tries_many_wrong_keys_has_to_wait() {
    let harness = Harness::with_doors(|_, limits, _| counted(3)(limits)).await;
    for _ in 0..3 {
        let wrong = harness.ask("GET", RATE, &bearer(&secret())).await;
        assert_unauthorized(&wrong, Some("invalid_token"));
    }
    let refused = harness.ask("GET", RATE, &bearer(&secret())).await;
    assert_problem(&refused, 429, "abnormal-usage-detected");
    assert!(refused.header("retry-after").is_some());
    // A right key gets in.
    let held = secret();
    harness.doors.set_ring(KeyRing::new([key(&held, "read")]));
    assert_eq!(harness.ask("GET", RATE, &bearer(&held)).await.status, 200);
}

/// What the follower of the keys does when they change.
fn revoke(harness: &Harness, held: &SecretKey) {
    let gone = Key {
        is_revoked: true,
        ..key(held, "read stream")
    };
    harness.doors.set_ring(KeyRing::new([gone]));
    let over = harness.doors.over(harness.view.now().wall);
    harness.streams.end_where(|owner| over.contains(&owner));
}

#[tokio::test]
async fn a_stream_ends_with_its_key() {
    let (harness, held) = closed_with("read stream").await;
    let mut events = EventSource::open(&harness, "/api/v1/stream", &bearer(&held)).await;
    assert!(events.head.contains("200 ok"), "{}", events.head);
    events.of_kind("snapshot").await;
    revoke(&harness, &held);
    assert_eq!(events.of_kind("bye").await.data["reason"], "revoked");
    let ended = async {
        while harness.streams.listeners() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::client::GUARD, ended)
        .await
        .unwrap();
    let again = harness.ask("GET", "/api/v1/stream", &bearer(&held)).await;
    assert_unauthorized(&again, Some("invalid_token"));
}

#[tokio::test]
async fn a_socket_ends_with_its_key() {
    let (harness, held) = closed_with("stream").await;
    let stream = TcpStream::connect(harness.address).await.unwrap();
    let url = format!("ws://{}/api/v1/ws", harness.address);
    let mut request = url.into_client_request().unwrap();
    let value = held.reveal().parse().unwrap();
    request.headers_mut().insert("x-api-key", value);
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let command = json!({"id": 1, "op": "subscribe", "topics": ["rates"]});
    socket
        .send(Message::text(command.to_string()))
        .await
        .unwrap();
    let mut told = Vec::new();
    let mut is_revoked = false;
    let frame = loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                if event["event"] == "snapshot" && !is_revoked {
                    is_revoked = true;
                    revoke(&harness, &held);
                }
                told.push(event);
            }
            Message::Close(frame) => break frame.unwrap(),
            _ => {}
        }
    };
    assert_eq!((u16::from(frame.code), &*frame.reason), (1_008, "revoked"));
    let byes = told.iter().filter(|event| event["event"] == "bye").count();
    assert_eq!(byes, 1, "{told:?}");
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once() {
    let (harness, held) = closed_with("stream").await;
    let give = async || {
        let headers = bearer(&held) + "Content-Length: 0\r\n";
        let reply = harness.ask("POST", "/api/v1/stream/ticket", &headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let document = reply.json();
        assert_eq!(document["expires_in_seconds"], 30);
        document["ticket"].as_str().unwrap().to_owned()
    };
    let target = format!("/api/v1/stream?ticket={}", give().await);
    let mut events = EventSource::open(&harness, &target, "").await;
    events.of_kind("snapshot").await;
    let again = harness.get(&target).await;
    assert_unauthorized(&again, Some("invalid_token"));
    let late = format!("/api/v1/stream?ticket={}", give().await);
    harness.clock.advance(Duration::from_secs(30));
    assert_unauthorized(&harness.get(&late).await, Some("invalid_token"));
    // It stands for the key, and ends with it.
    revoke(&harness, &held);
    assert_eq!(events.of_kind("bye").await.data["reason"], "revoked");
    let elsewhere = harness.get(&format!("{RATE}?ticket=kt_x")).await;
    assert_eq!(elsewhere.status, 401, "no other route knows tickets");
}

#[tokio::test]
async fn canary_secrets_come_back_in_no_answer_and_no_metric() {
    let (harness, held) = closed_with("read stream").await;
    let other = secret();
    let canary = &held.reveal()[22..];
    let mut replies = Vec::new();
    for header in [
        bearer(&held),
        x_api_key(&held),
        bearer(&held) + &x_api_key(&other),
        format!("Authorization: Bearer {}x\r\n", held.reveal()),
        format!("Authorization: Bearer a.{}.c\r\n", held.reveal()),
        format!("X-Api-Key: {} \r\n", &held.reveal()[..50]),
    ] {
        for target in [
            RATE,
            "/api/v1/history/BTC/USD",
            "/nope",
            "/api/v1/sources?x=1",
        ] {
            replies.push(harness.ask("GET", target, &header).await);
        }
    }
    replies.push(harness.get("/metrics").await);
    replies.push(harness.get("/health").await);
    for reply in replies {
        let said = format!("{:?} {}", reply.headers, reply.text());
        assert!(!said.contains(&canary[..20]), "{said}");
    }
    let shown = format!("{:?} {:?} {:?}", harness.doors, harness.api, held);
    assert!(!shown.contains(&canary[..20]), "{shown}");
    assert!(Wall::MAX > harness.view.now().wall);
}
