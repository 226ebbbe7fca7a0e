//! The headers that every answer has, and what pages of other origins may do.

use crate::harness::Harness;

const SECURITY: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    (
        "content-security-policy",
        "default-src 'self'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
];

#[tokio::test]
async fn every_answer_has_the_headers_of_security() {
    let harness = Harness::with(|config| config.limits.connections = 2).await;
    let mut replies = Vec::new();
    for (method, target, headers) in [
        ("GET", "/api/v1/rates/BTC/USD", ""),
        ("HEAD", "/api/v1/rates/BTC/USD", ""),
        ("GET", "/api/v1/rates/BTC/USD", "If-None-Match: *\r\n"),
        ("GET", "/api/v1/rates", ""),
        ("GET", "/api/v1/stream", ""),
        ("GET", "/docs", ""),
        ("GET", "/livez", ""),
        ("GET", "/metrics", ""),
        ("GET", "/nowhere", ""),
        ("DELETE", "/api/v1/rates", ""),
        ("OPTIONS", "/api/v1/rates", ""),
        ("OPTIONS", "*", ""),
        ("GET", "/api/v1/rates?limit=x", ""),
        ("GET", "/api/v1/rates", "Accept: image/png\r\n"),
        ("POST", "/api/v1/currency", ""),
        ("GET", "/api/v1/ws", ""),
        ("BREW", "/api/v1/rates", ""),
        ("GET", "/api/v1/rates", "Host: twice\r\n"),
        // What hyper refuses itself.
        ("GET", "nonsense", "bad header\r\n"),
    ] {
        let reply = harness.ask(method, target, headers).await;
        replies.push((format!("{method} {target} {headers}"), reply));
    }
    // What is refused before it is read.
    let _kept = [harness.client().await, harness.client().await];
    let refused = async {
        loop {
            let mut client = harness.client().await;
            let _ = client
                .try_send("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
                .await;
            match client.maybe_reply(false).await {
                Some(reply) if reply.status == 503 => return reply,
                _ => {}
            }
        }
    };
    let refused = tokio::time::timeout(crate::client::GUARD, refused)
        .await
        .unwrap();
    replies.push(("a connection too many".to_owned(), refused));
    for (what, reply) in replies {
        for (name, value) in SECURITY {
            assert_eq!(reply.header(name), Some(value), "{what}: {reply:?}");
        }
        // There is no TLS here.
        assert_eq!(reply.header("strict-transport-security"), None);
    }
}

#[tokio::test]
async fn a_page_that_is_allowed_may_send_a_key_and_go_on_with_a_stream() {
    let origin = "https://shop.example";
    let harness = Harness::with(|config| config.cors_origins = vec![origin.into()]).await;
    for wanted in ["authorization", "x-api-key", "last-event-id"] {
        let ask = format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: GET\r\n\
             Access-Control-Request-Headers: {wanted}\r\n"
        );
        let reply = harness.ask("OPTIONS", "/api/v1/stream", &ask).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        let allowed = reply.header("access-control-allow-headers").unwrap();
        let mut allowed = allowed.split(", ");
        assert!(
            allowed.any(|name| name.eq_ignore_ascii_case(wanted)),
            "{wanted}"
        );
        assert_eq!(reply.header("access-control-allow-credentials"), None);
        assert_eq!(reply.header("vary"), Some("Origin"));
    }
    for other in [
        "https://evil.example",
        "null",
        "https://shop.example.evil.example",
        "http://shop.example",
        "*",
    ] {
        let ask = format!("Origin: {other}\r\nAccess-Control-Request-Method: GET\r\n");
        let reply = harness.ask("OPTIONS", "/api/v1/stream", &ask).await;
        for name in [
            "access-control-allow-origin",
            "access-control-allow-headers",
            "access-control-allow-methods",
            "access-control-allow-credentials",
        ] {
            assert_eq!(reply.header(name), None, "{other}");
        }
        assert_eq!(
            reply.header("vary"),
            Some("Origin"),
            "no cache mixes them up"
        );
    }
}
