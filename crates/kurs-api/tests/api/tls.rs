//! TLS: both versions of HTTP over it, another certificate while running, and clients that do not
//! shake hands.

use crate::client::GUARD;
use crate::secure::{NAME, Secure, issue};
use kurs_telemetry::Status;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const RATE: &str = "/api/v1/rates/BTC/USD";

/// Reads until the server closes, however it does.
async fn closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut rest = Vec::new();
    let ended = timeout(GUARD, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open");
}

#[tokio::test]
async fn both_versions_of_http_give_the_same_answer_over_tls() {
    let secure = Secure::start().await;
    let plain = secure.harness.get(RATE).await;
    let old = secure.reqwest(reqwest::ClientBuilder::http1_only);
    let old_tls = secure.reqwest(|builder| builder.tls_version_max(reqwest::tls::Version::TLS_1_2));
    let new = secure.reqwest(|builder| builder);
    for (client, version) in [
        (old, reqwest::Version::HTTP_11),
        (old_tls, reqwest::Version::HTTP_2),
        (new, reqwest::Version::HTTP_2),
    ] {
        for target in [
            RATE,
            "/api/v1/rates/BTC/USD?at=2026-11-21",
            "/openapi.json",
            "/nowhere",
            "/livez",
        ] {
            let answer = client.get(secure.url(target)).send().await.unwrap();
            assert_eq!(answer.version(), version);
            let headers = answer.headers().clone();
            assert_eq!(headers["strict-transport-security"], "max-age=31536000");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(!headers.contains_key("connection"));
            let status = answer.status().as_u16();
            let body = answer.bytes().await.unwrap();
            assert_eq!(headers["content-length"], body.len().to_string());
            if target == RATE {
                assert_eq!((status, &*body), (200, &*plain.body), "{version:?}");
            } else if target == "/nowhere" {
                assert_eq!(status, 404);
                assert_eq!(headers["content-type"], "application/problem+json");
            }
        }
        let head = client.head(secure.url(RATE)).send().await.unwrap();
        assert_eq!(
            head.headers()["content-length"],
            plain.body.len().to_string()
        );
        assert!(head.bytes().await.unwrap().is_empty());
        // More than one piece, compressed and not.
        let answer = client
            .get(secure.url("/openapi.json"))
            .send()
            .await
            .unwrap();
        let document: serde_json::Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
    }
    assert_eq!(plain.header("strict-transport-security"), None);
}

#[tokio::test]
async fn a_body_is_read_and_a_wrong_one_refused_over_http_2() {
    let secure = Secure::start().await;
    let client = secure.reqwest(|builder| builder);
    let post = |body: String| {
        client
            .post(secure.url("/api/v1/currency").replace(NAME, "localhost"))
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    assert_eq!(post("{".to_owned()).await.unwrap().status(), 400);
    let long = post("x".repeat(100_000)).await;
    // The answer, or the reset that ends the rest of the body.
    assert!(long.is_err() || long.is_ok_and(|answer| answer.status() == 413));
}

#[tokio::test]
async fn new_connections_get_the_certificate_that_is_in_the_files() {
    let secure = Secure::start().await;
    let health = &secure.harness.health;
    assert!(!secure.tls.renew(health, false), "nothing has changed");
    let mut open = secure.connect(&["http/1.1"]).await;
    let next = issue();
    std::fs::write(&secure.cert, format!("{}\n", next.cert_pem)).unwrap();
    std::fs::write(&secure.key, &next.key_pem).unwrap();
    assert!(secure.tls.renew(health, false));
    assert!(!secure.tls.renew(health, false), "once is enough");
    assert!(secure.shake(&["h2"], &[&next]).await.is_ok());
    assert!(secure.shake(&["h2"], &[&secure.issued]).await.is_err());
    // What is open stays.
    open.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    timeout(GUARD, open.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // Told to, it reads what looks as before.
    assert!(secure.tls.renew(health, true));
}

#[tokio::test]
async fn what_cannot_be_served_leaves_the_old_certificate_and_is_told() {
    let secure = Secure::start().await;
    let health = &secure.harness.health;
    let other = issue();
    let half = secure.issued.cert_pem.split_at(200).0.to_owned();
    let junk = secure.issued.cert_pem.replacen("MII", "AAA", 1);
    let own = secure.issued.key_pem.clone();
    let chain = secure.issued.cert_pem.clone();
    for (cert, key) in [
        ("", &*own),
        ("no certificate", &*own),
        (&*half, &*own),
        (&*junk, &*own),
        (&*other.cert_pem, &*own),
        (&*chain, ""),
        (&*chain, "no key"),
        (&*chain, &*other.key_pem),
        (&*own, &*chain),
    ] {
        std::fs::write(&secure.cert, cert).unwrap();
        std::fs::write(&secure.key, key).unwrap();
        assert!(!secure.tls.renew(health, true), "{cert} {key}");
        let (is_ready, checks) = health.ready();
        assert!(is_ready, "it serves still");
        let check = checks.iter().find(|check| &*check.name == "tls").unwrap();
        assert_eq!(check.status, Status::Degraded);
        assert!(check.detail.contains(".pem"), "{}", check.detail);
        assert!(!check.detail.contains("PRIVATE"), "{}", check.detail);
        secure.connect(&["h2"]).await;
    }
    std::fs::remove_file(&secure.cert).unwrap();
    assert!(!secure.tls.renew(health, false));
    secure.connect(&["h2"]).await;
    // Mended, it is taken without being told.
    std::fs::write(&secure.cert, &other.cert_pem).unwrap();
    std::fs::write(&secure.key, &other.key_pem).unwrap();
    assert!(secure.tls.renew(health, false));
    let (_, checks) = health.ready();
    let check = checks.iter().find(|check| &*check.name == "tls").unwrap();
    assert_eq!((check.status, &*check.detail), (Status::Ok, ""));
    assert!(secure.shake(&["http/1.1"], &[&other]).await.is_ok());
}

#[tokio::test]
async fn who_does_not_shake_hands_is_closed_and_harms_nobody() {
    let secure = Secure::with(
        |config| {
            config.limits.handshake_ms = 1_000;
            config.limits.head_ms = 3_600_000;
            config.limits.idle_ms = 3_600_000;
        },
        |_| {},
    )
    .await;
    let connect = || TcpStream::connect(secure.address);
    let mut silent = connect().await.unwrap();
    let mut half = connect().await.unwrap();
    // The beginning of a ClientHello that would be 512 bytes long.
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])
        .await
        .unwrap();
    let (mut dripped, mut drips) = connect().await.unwrap().into_split();
    let drip = tokio::spawn(async move {
        let mut pause = tokio::time::interval(Duration::from_millis(20));
        let _ = drips.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await;
        while drips.write_all(&[0]).await.is_ok() {
            pause.tick().await;
        }
    });
    let client = secure.reqwest(|builder| builder);
    assert_eq!(
        client.get(secure.url(RATE)).send().await.unwrap().status(),
        200
    );
    for stream in [&mut silent, &mut half] {
        closed(stream).await;
    }
    closed(&mut dripped).await;
    drip.abort();
    assert_eq!(secure.cut("handshake_timeout"), 3);
    assert_eq!(
        client.get(secure.url(RATE)).send().await.unwrap().status(),
        200
    );
}

#[tokio::test]
async fn who_speaks_no_tls_is_closed_at_once() {
    let secure = Secure::start().await;
    let mut plain = TcpStream::connect(secure.address).await.unwrap();
    plain
        .write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    closed(&mut plain).await;
    let mut unknown = secure.shake(&["spdy/3"], &[&secure.issued]).await;
    assert!(unknown.is_err() || unknown.as_mut().unwrap().write_all(b"x").await.is_ok());
    assert_eq!(secure.cut("handshake_timeout"), 0);
}

#[tokio::test]
async fn after_the_handshake_a_head_has_its_own_deadline_in_both_versions() {
    let secure = Secure::with(
        |config| {
            config.limits.head_ms = 500;
            config.limits.handshake_ms = 3_600_000;
            config.limits.idle_ms = 3_600_000;
        },
        |_| {},
    )
    .await;
    let mut old = secure.connect(&["http/1.1"]).await;
    old.write_all(b"GET /livez HTT").await.unwrap();
    closed(&mut old).await;
    let mut new = secure.connect(&["h2"]).await;
    new.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    closed(&mut new).await;
    let mut silent = secure.connect(&["h2"]).await;
    closed(&mut silent).await;
    assert_eq!(secure.cut("head_timeout"), 3);
}

#[tokio::test]
async fn refused_heads_over_tls_have_all_headers_too() {
    let secure = Secure::start().await;
    let mut client = secure.connect(&[]).await;
    client.write_all(b"nonsense\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = timeout(GUARD, client.read_to_string(&mut answer))
        .await
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    for header in [
        "strict-transport-security: max-age=31536000\r\n",
        "content-security-policy: default-src 'self'; frame-ancestors 'none'\r\n",
        "x-content-type-options: nosniff\r\n",
        "referrer-policy: no-referrer\r\n",
    ] {
        assert!(answer.contains(header), "{header} in {answer}");
    }
}

#[tokio::test]
async fn a_websocket_goes_over_tls() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let secure = Secure::start().await;
    let stream = secure.connect(&["http/1.1"]).await;
    let url = format!("wss://{}/api/v1/ws", NAME);
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let ask = r#"{"id":1,"op":"subscribe","topics":["rate:BTC-USD"]}"#;
    socket.send(Message::text(ask)).await.unwrap();
    let said = timeout(GUARD, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(said.into_text().unwrap().contains("\"ok\""));
}
