//! One test for each item of the OWASP API Security Top 10 (2023) that a server of rates can meet,
//! named after it. What the whole program asks of others, SSRF and unsafe consumption, is tested
//! again with the real binary in `kurs/tests/doors/owasp.rs`.

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
    let last = if target.ends_with('x') { 'y' } else { 'x' };
    let guessed = format!("{}{last}", &target[..target.len() - 1]);
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

/// API3: no answer has a property that is nobody's business, and no request can set one that is
/// not offered. That answers have the documented properties alone is what `fuzz` holds them to.
#[tokio::test]
async fn api3_broken_object_property_level_authorization() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut properties = 0;
    for (schema, described) in schemas {
        let named = described["properties"].as_object();
        for name in named.into_iter().flat_map(|map| map.keys()) {
            properties += 1;
            // Told once, to whoever made it: to check what comes by it.
            if (schema.as_str(), name.as_str()) == ("MadeAlert", "secret") {
                continue;
            }
            let words: Vec<&str> = name.split('_').collect();
            for inner in [
                "secret", "password", "hash", "token", "url", "hint", "salt", "path_of",
            ] {
                assert!(!words.contains(&inner), "{schema}.{name}");
            }
        }
    }
    assert!(properties > 150, "{properties}");

    let mut bodies = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = body["$ref"].as_str() else {
                assert!(body.is_null(), "{method} {path} takes what has no name");
                continue;
            };
            bodies += 1;
            let schema = document.pointer(name.trim_start_matches('#')).unwrap();
            assert_eq!(schema["additionalProperties"], false, "{method} {path}");
            // What is not offered is refused by name, not passed over; so is what answers hold.
            for extra in ["added_at", "id", "is_admin", "scopes", "__proto__"] {
                let mut sent = serde_json::Map::new();
                for name in schema["required"].as_array().into_iter().flatten() {
                    sent.insert(name.as_str().unwrap().to_owned(), Value::from("BTCUSDT"));
                }
                sent.insert(extra.to_owned(), Value::from(true));
                let body = Value::Object(sent).to_string();
                let target = path.replace("{key}", "sources.binance.enabled");
                let id = if path.contains("/keys/") {
                    "3kTMd92x"
                } else {
                    "a7kd3mqx2tpz"
                };
                let target = target.replace("{id}", id);
                let head = format!(
                    "Content-Type: application/json\r\nContent-Length: {}\r\n",
                    body.len()
                );
                let mut client = harness.client().await;
                let method = method.to_uppercase();
                client
                    .send(format!(
                        "{method} {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{body}"
                    ))
                    .await;
                let reply = client.reply(false).await;
                assert_problem(&reply, 400, "invalid-body");
                let errors = reply.json()["errors"].to_string();
                assert!(errors.contains(&format!("/{extra}\"")), "{errors}");
            }
        }
    }
    assert!(bodies >= 3, "{bodies}");
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

/// API9: what is served is what is documented (`routes` holds the one direction, this the other),
/// there is one version, and old names are marked as such.
#[tokio::test]
async fn api9_improper_inventory_management() {
    const WORDS: [&str; 40] = [
        "admin", "audit", "backup", "candles", "config", "console", "courses", "currency", "debug",
        "docs", "dump", "env", "explain", "export", "graphql", "health", "heap", "history", "info",
        "internal", "keys", "limits", "logs", "metrics", "openapi", "pairs", "pprof", "private",
        "profile", "rates", "reload", "settings", "shutdown", "sources", "stats", "status",
        "store", "stream", "test", "tickets",
    ];
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in paths {
        let is_alias = !path.starts_with("/api/v1/");
        for operation in methods.as_object().unwrap().values() {
            let is_old = operation["tags"][0] == "aliases";
            assert_eq!(operation["deprecated"] == true, is_old, "{path}");
            assert!(is_alias || !is_old, "{path}");
        }
    }
    let is_documented = |path: &str| {
        paths.keys().any(|known| {
            let (mut left, mut right) = (known.split('/'), path.split('/'));
            loop {
                match (left.next(), right.next()) {
                    (None, None) => return true,
                    (Some(known), Some(part)) if known.starts_with('{') && !part.is_empty() => {}
                    (Some(known), Some(part)) if known == part => {}
                    _ => return false,
                }
            }
        })
    };
    let mut guesses: Vec<String> = ["/.env", "/.git/config", "/actuator/health", "/api/", "//"]
        .map(str::to_owned)
        .to_vec();
    for prefix in [
        "",
        "/api",
        "/api/v1",
        "/api/v0",
        "/api/v2",
        "/v1",
        "/api/v1/admin",
        "/docs",
    ] {
        for word in WORDS {
            guesses.extend([
                format!("{prefix}/{word}"),
                format!("{prefix}/{word}/"),
                format!("{prefix}/{word}/BTC"),
                format!("{prefix}/{word}.json"),
            ]);
        }
    }
    for path in paths.keys() {
        let path = path.replace(['{', '}'], "");
        guesses.extend([
            path.to_uppercase(),
            path.replace("/api/v1", "/api/v2"),
            path.replace("/api/v1", "/api/v0"),
            format!("{path}/all"),
            format!("{path}~"),
            format!("/.{path}"),
        ]);
    }
    guesses.retain(|path| !is_documented(path));
    assert!(guesses.len() > 1_000, "{}", guesses.len());
    let mut client = harness.client().await;
    for path in &guesses {
        for method in ["GET", "POST"] {
            let reply = client.ask(method, path, "Content-Length: 0\r\n").await;
            assert_eq!(reply.status, 404, "{method} {path}");
            assert_eq!(
                reply.json()["type"],
                "/docs/problems#unknown-route",
                "{path}"
            );
        }
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
