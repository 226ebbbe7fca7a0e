//! Who is believed about whose requests it hands on.

use crate::client::{Client, Reply};
use crate::harness::Harness;
use kurs_auth::ProxyHeader;
use kurs_stream::StreamConfig;
use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// The only proxy that is trusted here; all others on the loopback network are not.
const PROXY: &str = "127.0.0.2";
const STRANGER: &str = "127.0.0.3";

async fn harness(header: ProxyHeader) -> Harness {
    let streams = StreamConfig {
        per_address: 1,
        ..StreamConfig::default()
    };
    let harness = Harness::bare(
        |config| {
            config.trusted_proxies = vec![PROXY.to_owned(), "10.0.0.0/8".to_owned()];
            config.proxy_header = header;
            config.limits.connections_per_address = 8;
        },
        streams,
    )
    .await;
    harness.rate("BTC-USD", "54000.000123", "binance", crate::harness::HOUR);
    harness
}

/// A connection from this address.
async fn connect(harness: &Harness, from: &str) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind(SocketAddr::new(from.parse().unwrap(), 0))
        .unwrap();
    let stream = socket.connect(harness.address).await.unwrap();
    Client::over(stream.into_std().unwrap())
}

/// Opens a stream and keeps it: one address may have one.
async fn listen(harness: &Harness, from: &str, headers: &str) -> (u16, tokio::net::TcpStream) {
    let mut client = connect(harness, from).await;
    let request = format!("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
    client.send(request).await;
    let mut head = vec![0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut head)
        .await
        .unwrap();
    let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
    (status, client.stream)
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_nobody_else() {
    for (header, said) in [
        (ProxyHeader::XForwardedFor, ["X-Forwarded-For: ", ""]),
        (ProxyHeader::Forwarded, ["Forwarded: proto=https;for=", ""]),
    ] {
        let harness = harness(header).await;
        let told = |address: &str| format!("{}{address}{}\r\n", said[0], said[1]);
        let one = listen(&harness, PROXY, &told("203.0.113.1")).await;
        let other = listen(&harness, PROXY, &told("203.0.113.2")).await;
        assert_eq!(
            (one.0, other.0),
            (200, 200),
            "each client has its own count"
        );
        let again = listen(&harness, PROXY, &told("203.0.113.1")).await;
        assert_eq!(again.0, 503, "the same client");
        // The client writes what it likes before what the proxy appends.
        let forged = listen(
            &harness,
            PROXY,
            &format!("{}{}", told("198.51.100.9"), told("203.0.113.1")),
        )
        .await;
        assert_eq!(
            forged.0, 503,
            "the same client, though it says it is another"
        );
        // A stranger is itself whatever it says.
        let stranger = listen(&harness, STRANGER, &told("203.0.113.3")).await;
        assert_eq!(stranger.0, 200);
        let forged = listen(&harness, STRANGER, &told("203.0.113.4")).await;
        assert_eq!(forged.0, 503, "a stranger says it is another");
        // What is malformed is ignored: the proxy asks for itself.
        let itself = listen(&harness, PROXY, &told("nonsense")).await;
        assert_eq!(itself.0, 200);
        let itself = listen(&harness, PROXY, "").await;
        assert_eq!(itself.0, 503);
    }
}

#[tokio::test]
async fn the_cap_of_one_address_is_not_for_a_proxy_and_no_header_escapes_it() {
    let harness = harness(ProxyHeader::XForwardedFor).await;
    let mut kept = Vec::new();
    for _ in 0..20 {
        let mut client = connect(&harness, PROXY).await;
        assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
        kept.push(client);
    }
    let mut answers: Vec<Option<Reply>> = Vec::new();
    for number in 0..10 {
        let mut client = connect(&harness, STRANGER).await;
        let forged = format!(
            "GET /livez HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.{number}\r\n\r\n"
        );
        let _ = client.try_send(&forged).await;
        answers.push(client.maybe_reply(false).await);
        kept.push(client);
    }
    let well = answers
        .iter()
        .flatten()
        .filter(|reply| reply.status == 200)
        .count();
    assert_eq!(well, 8);
    assert_eq!(harness.metrics.http.cut("address_capacity").get(), 2);
}

#[tokio::test]
async fn no_header_makes_anybody_local() {
    let harness = harness(ProxyHeader::XForwardedFor).await;
    let body = r#"{"currency":"BTC/USDT"}"#;
    let mut statuses = Vec::new();
    for (from, said) in [
        (PROXY, "X-Forwarded-For: 127.0.0.1\r\n"),
        (PROXY, "X-Forwarded-For: 203.0.113.1\r\n"),
        (PROXY, "X-Forwarded-For: 203.0.113.1, 127.0.0.1\r\n"),
        (PROXY, "Forwarded: for=127.0.0.1\r\n"),
        (STRANGER, "X-Forwarded-For: 127.0.0.1\r\n"),
    ] {
        let mut client = connect(&harness, from).await;
        let request = format!(
            "POST /api/v1/currency HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{said}\r\n{body}",
            body.len()
        );
        client.send(request).await;
        statuses.push(client.reply(false).await.status);
    }
    assert_eq!(statuses, [403; 5]);
}

#[tokio::test]
async fn the_short_way_answers_a_proxy_as_anybody() {
    let harness = harness(ProxyHeader::XForwardedFor).await;
    let mut direct = connect(&harness, STRANGER).await;
    let expect = direct.ask("GET", "/api/v1/rates/BTC/USD", "").await;
    let mut through = connect(&harness, PROXY).await;
    let said = "X-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\n";
    let reply = through.ask("GET", "/api/v1/rates/BTC/USD", said).await;
    assert_eq!((reply.status, reply.body), (200, expect.body));
}
