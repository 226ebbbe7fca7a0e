//! Bad requests: problem documents on everything.

use crate::harness::{Harness, assert_problem};

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let harness = Harness::start().await;
    for target in [
        "/nope",
        "/api/v1",
        "/api/v1/",
        "/api/v1/rates/",
        "/api/v1/rates/BTC/USD/X",
        "//",
        "/api/v1/courses/",
    ] {
        assert_problem(&harness.get(target).await, 404, "unknown-route");
    }
    for (method, target, allow) in [
        ("POST", "/api/v1/rates/BTC/USD", "GET, HEAD, OPTIONS"),
        ("TRACE", "/api/v1/courses", "GET, HEAD, OPTIONS"),
        ("BREW", "/livez", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/currency", "POST, OPTIONS"),
        (
            "PUT",
            "/api/v1/currency/BTCUSDT",
            "GET, HEAD, DELETE, OPTIONS",
        ),
    ] {
        let reply = harness.ask(method, target, "").await;
        assert_problem(&reply, 405, "method-not-allowed");
        assert_eq!(reply.header("allow"), Some(allow), "{method} {target}");
    }
    let reply = harness.ask("OPTIONS", "/api/v1/currency/BTCUSDT", "").await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (204, Some("GET, HEAD, DELETE, OPTIONS"))
    );
    assert_eq!(harness.ask("OPTIONS", "*", "").await.status, 204);
}

#[tokio::test]
async fn what_is_too_long_is_a_problem_of_its_own() {
    let harness = Harness::start().await;
    for length in [8_193, 20_000, 100_000] {
        let reply = harness
            .get(&format!("/api/v1/rates?pairs={}", "A".repeat(length)))
            .await;
        assert_problem(&reply, 414, "uri-too-long");
        // What no length could mend is told first.
        let target = format!("/api/v1/rates?pairs={}", "A".repeat(length));
        if length < 30_000 {
            let reply = harness.ask("TRACE", &target, "").await;
            assert_problem(&reply, 405, "method-not-allowed");
        }
    }
    let field = format!("X-Long: {}\r\n", "a".repeat(40_000));
    assert_problem(
        &harness.ask("GET", "/livez", &field).await,
        431,
        "head-too-large",
    );
    let many = "A: b\r\n".repeat(200);
    assert_problem(
        &harness.ask("GET", "/livez", &many).await,
        431,
        "head-too-large",
    );
    let reply = harness.ask("GET", "/livez", &"A: b\r\n".repeat(90)).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_answered_with_a_problem_and_closed() {
    let harness = Harness::start().await;
    for bytes in [
        "GET / HTTP/3.9\r\n\r\n",
        "GET\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "POST /api/v1/currency HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /api/v1/currency HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /api/v1/currency HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ] {
        let mut client = harness.client().await;
        client.send(bytes).await;
        let reply = client
            .maybe_reply(false)
            .await
            .unwrap_or_else(|| panic!("no answer to {bytes:?}"));
        assert_problem(&reply, 400, "malformed-request");
        client.closed().await;
    }
    // Behind a good request in the same packet, too.
    let mut client = harness.client().await;
    client
        .send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\nGARBAGE\r\n\r\n")
        .await;
    assert_eq!(client.reply(false).await.status, 200);
    assert_problem(&client.reply(false).await, 400, "malformed-request");
    client.closed().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let harness = Harness::start().await;
    let mut client = harness.client().await;
    let targets = [
        "/livez",
        "/api/v1/rates/BTC/USD",
        "/nope",
        "/api/v1/history/BTC/USDT",
        "/api/v1/rates/BTC/USD",
    ];
    let requests: String = targets
        .iter()
        .map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(requests).await;
    for expect in [200, 200, 404, 200, 200] {
        assert_eq!(client.reply(false).await.status, expect);
    }
}

#[tokio::test]
async fn what_accept_excludes_is_406() {
    let harness = Harness::start().await;
    for target in ["/api/v1/rates/BTC/USD", "/api/v1/courses", "/docs"] {
        let reply = harness.ask("GET", target, "Accept: image/png\r\n").await;
        assert_problem(&reply, 406, "not-acceptable");
    }
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.1"] {
        let reply = harness
            .ask(
                "GET",
                "/api/v1/rates/BTC/USD",
                &format!("Accept: {accept}\r\n"),
            )
            .await;
        assert_eq!(reply.status, 200, "{accept}");
    }
}

#[tokio::test]
async fn request_ids_are_kept_when_well_formed_and_made_otherwise() {
    let harness = Harness::start().await;
    for target in ["/api/v1/rates/BTC/USD", "/livez", "/nope"] {
        let kept = harness
            .ask("GET", target, "X-Request-Id: abc-DEF-123\r\n")
            .await;
        assert_eq!(kept.header("x-request-id"), Some("abc-DEF-123"), "{target}");
        let made = harness
            .ask("GET", target, "X-Request-Id: no good\r\n")
            .await;
        let id = made.header("x-request-id").unwrap();
        assert!(id.len() == 24 && id != "no good", "{target} {id}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let harness = Harness::start().await;
    for target in [
        "/api/v1/rates/BTC/USD",
        "/nope",
        "/docs",
        "/metrics",
        "/api/v1/rates/BTC/USD?x=1",
    ] {
        let reply = harness.get(target).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            (
                "content-security-policy",
                "default-src 'self'; frame-ancestors 'none'",
            ),
            ("referrer-policy", "no-referrer"),
            ("api-supported-versions", "1"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{target}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_read_and_others_not() {
    let harness =
        Harness::with(|config| config.cors_origins = vec!["https://shop.example".into()]).await;
    let allowed = harness
        .ask(
            "GET",
            "/api/v1/rates/BTC/USD",
            "Origin: https://shop.example\r\n",
        )
        .await;
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("https://shop.example")
    );
    assert_eq!(allowed.header("vary"), Some("Origin"));
    let other = harness
        .ask(
            "GET",
            "/api/v1/rates/BTC/USD",
            "Origin: https://evil.example\r\n",
        )
        .await;
    assert_eq!(other.header("access-control-allow-origin"), None);
    let ask = "Origin: https://shop.example\r\nAccess-Control-Request-Method: GET\r\n";
    let preflight = harness
        .ask("OPTIONS", "/api/v1/currency/BTCUSDT", ask)
        .await;
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS")
    );
}

#[tokio::test]
async fn a_request_says_which_host_it_is_for_exactly_once() {
    let harness = Harness::start().await;
    for target in ["/api/v1/rates/BTC/USD", "/livez", "/nope"] {
        for fields in [
            "",
            "Host: a\r\nHost: a\r\n",
            "Host: a b\r\n",
            "Host: user@a\r\n",
            "Host: a:port\r\n",
            "Host: \u{e4}\r\n",
        ] {
            let mut client = harness.client().await;
            client
                .send(format!("GET {target} HTTP/1.1\r\n{fields}\r\n"))
                .await;
            let reply = client.reply(false).await;
            assert_problem(&reply, 400, "malformed-request");
        }
    }
    for (version, fields, status) in [
        ("1.0", "", 200),
        ("1.0", "Host: a\r\n", 200),
        ("1.0", "Host: a\r\nHost: a\r\n", 400),
        ("1.1", "Host: [::1]:80\r\n", 200),
        ("1.1", "Host: a.example:\r\n", 200),
    ] {
        let mut client = harness.client().await;
        client
            .send(format!(
                "GET /api/v1/rates/BTC/USD HTTP/{version}\r\n{fields}\r\n"
            ))
            .await;
        assert_eq!(
            client.reply(false).await.status,
            status,
            "{version} {fields}"
        );
    }
}
