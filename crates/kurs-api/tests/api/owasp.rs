//! One test for each item of the OWASP API Security Top 10 (2023) that a server of rates can meet,
//! named after it. Items about what kurs asks of others are tested where that is done: SSRF and
//! unsafe consumption in kurs-net, kurs-sources and kurs-auth.

use crate::auth::{bearer, closed, key, secret};
use crate::harness::{Harness, assert_problem};
use kurs_auth::{Key, KeyRing, QuotaConfig};
use serde_json::Value;

const RATE: &str = "/api/v1/rates/BTC/USD";

/// API1: objects belong to nobody, but for what a key has opened: a ticket is its own key's.
#[tokio::test]
async fn api1_broken_object_level_authorization() {
    let harness = Harness::with_doors(|auth, _, _| closed(auth)).await;
    let (listener, reader) = (secret(), secret());
    let keys = [key(&listener, "stream"), key(&reader, "read")];
    harness.doors.set_ring(KeyRing::new(keys));
    let headers = bearer(&listener) + "Content-Length: 0\r\n";
    let ticket = harness.ask("POST", "/api/v1/stream/ticket", &headers).await;
    let ticket = ticket.json()["ticket"].as_str().unwrap().to_owned();
    // The ticket of one beside the key of another is neither's.
    let target = format!("/api/v1/stream?ticket={ticket}");
    let both = harness.ask("GET", &target, &bearer(&reader)).await;
    assert_problem(&both, 401, "unauthorized");
    let guessed = format!("{}x", &target[..target.len() - 1]);
    assert_problem(&harness.get(&guessed).await, 401, "unauthorized");
}

#[tokio::test]
async fn api2_broken_authentication() {
    let harness = Harness::with_doors(|auth, _, _| closed(auth)).await;
    let (held, gone) = (secret(), secret());
    let revoked = Key {
        is_revoked: true,
        ..key(&gone, "read")
    };
    harness
        .doors
        .set_ring(KeyRing::new([key(&held, "read"), revoked]));
    let good = held.reveal();
    let changed = format!("{}{}", &good[..30], &secret().reveal()[30..]);
    for wrong in [
        "",
        "null",
        "undefined",
        good.to_uppercase().as_str(),
        &good[1..],
        &changed,
        gone.reveal(),
    ] {
        let header = format!("Authorization: Bearer {wrong}\r\n");
        let reply = harness.ask("GET", RATE, &header).await;
        assert_problem(&reply, 401, "unauthorized");
    }
    // A key never works from the URL, where logs would keep it.
    for name in ["key", "api_key", "token", "access_token"] {
        let reply = harness.get(&format!("{RATE}?{name}={good}")).await;
        assert_problem(&reply, 401, "unauthorized");
    }
    assert_eq!(harness.ask("GET", RATE, &bearer(&held)).await.status, 200);
}

#[tokio::test]
async fn api3_broken_object_property_level_authorization() {
    let harness = Harness::start().await;
    // What is not a property that may be set is refused, not passed over.
    let body = r#"{"symbol":"BTCUSDT","added_at":"2020-01-01T00:00:00Z"}"#;
    let headers = "Content-Type: application/json\r\n";
    let reply = harness.post("/api/v1/currency", headers, body).await;
    assert_problem(&reply, 400, "invalid-body");
}

#[tokio::test]
async fn api4_unrestricted_resource_consumption() {
    let harness = Harness::with_doors(|_, limits, _| {
        limits.loopback = true;
        limits.anonymous = QuotaConfig {
            requests: 5,
            window_seconds: 60,
        };
    })
    .await;
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(harness.get(RATE).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    let pairs = vec!["BTC-USD"; 501].join(",");
    let harness = Harness::start().await;
    let batch = harness.get(&format!("/api/v1/rates?pairs={pairs}")).await;
    assert_eq!(batch.status, 400);
    let page = harness.get("/api/v1/history/BTC/USD?limit=100000").await;
    assert_problem(&page, 400, "invalid-parameter");
}

#[tokio::test]
async fn api5_broken_function_level_authorization() {
    let harness = Harness::start().await;
    let held = secret();
    harness
        .doors
        .set_ring(KeyRing::new([key(&held, "read history stream")]));
    let document = harness.get("/openapi.json").await.json();
    let mut admin_routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["x-scope"] != "admin" {
                // Whatever changes something is for admins, but for tickets, which change nothing.
                let reads = method == "get" || operation["operationId"] == "makeStreamTicket";
                assert!(reads, "{method} {path}");
                continue;
            }
            admin_routes += 1;
            let target = path.replace("{symbol}", "BTCUSDT");
            let headers = bearer(&held) + "Content-Length: 0\r\n";
            let reply = harness.ask(&method.to_uppercase(), &target, &headers).await;
            assert_problem(&reply, 403, "forbidden");
        }
    }
    assert!(admin_routes >= 2);
}

/// API6: the one flow that costs others something is tracking symbols, and it is not for all.
#[tokio::test]
async fn api6_unrestricted_access_to_sensitive_business_flows() {
    let harness = Harness::start().await;
    harness
        .doors
        .set_ring(KeyRing::new([key(&secret(), "admin")]));
    let body = r#"{"symbol":"BTCUSDT"}"#;
    let headers = "Content-Type: application/json\r\n";
    let reply = harness.post("/api/v1/currency", headers, body).await;
    assert_problem(&reply, 401, "unauthorized");
}

/// API7: no route takes an address to ask.
#[tokio::test]
async fn api7_server_side_request_forgery() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    let is_address = |name: &Value| {
        let name = name.as_str().unwrap_or("").to_ascii_lowercase();
        ["url", "uri", "host", "callback", "webhook"]
            .iter()
            .any(|word| name.contains(word))
    };
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().unwrap() {
                assert!(!is_address(&parameter["name"]), "{parameter}");
            }
        }
    }
}

#[tokio::test]
async fn api8_security_misconfiguration() {
    let harness = Harness::start().await;
    for target in [RATE, "/nope", "/docs", "/api/v1/rates/BTC/USD?x=1"] {
        let reply = harness.get(target).await;
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(reply.header("server"), None);
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let traced = harness.ask("TRACE", RATE, "").await;
    assert_problem(&traced, 405, "method-not-allowed");
}

/// API9: what is served is what is documented, and old names are marked as such.
#[tokio::test]
async fn api9_improper_inventory_management() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths["/rates/{base}/{quote}"]["get"]["deprecated"], true);
    for hidden in [
        "/debug",
        "/admin",
        "/api/v2/rates",
        "/api/v0/rates",
        "/.env",
        "/actuator",
    ] {
        assert_problem(&harness.get(hidden).await, 404, "unknown-route");
    }
}

/// API10: what clients and sources send is never believed to be of its form; here, of clients.
#[tokio::test]
async fn api10_unsafe_consumption_of_apis() {
    let harness = Harness::start().await;
    let deep = "[".repeat(10_000);
    let headers = "Content-Type: application/json\r\n";
    for body in [
        deep.as_str(),
        "{\"symbol\":1e999}",
        "\u{feff}{}",
        "{\"symbol\":\"\\ud800\"}",
    ] {
        let reply = harness.post("/api/v1/currency", headers, body).await;
        assert_problem(&reply, 400, "invalid-body");
    }
}
