//! Connections that keep the server waiting.

use crate::harness::{GUARD, Harness, Listening};
use kurs_grpc::proto::GetRateRequest;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// A head whose continuation never comes.
const HALF_A_HEAD: [u8; 10] = [0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];

/// Waits until the server closes.
async fn closed(socket: &mut TcpStream) {
    let mut bytes = [0_u8; 1_024];
    let reading = async {
        loop {
            match socket.read(&mut bytes).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(GUARD, reading).await.expect("it was not closed");
}

async fn works(server: &Harness) {
    let asked = GetRateRequest {
        pair: "BTC-USD".into(),
        allow_stale: false,
    };
    server.client().await.get_rate(asked).await.unwrap();
}

#[tokio::test]
async fn who_never_ends_what_it_begins_is_cut_and_others_are_served() {
    let server = Harness::with(|config, _| config.head_ms = 400).await;
    server.rate("BTC-USD", "100");
    let mut listening = server.subscribe(&["rate:BTC-USD"], "").await;
    listening.hear(2).await;
    let mut sockets = Vec::new();
    let settled = [PREFACE, &SETTINGS].concat();
    let half = [&*settled, &HALF_A_HEAD].concat();
    for bytes in [&b""[..], &PREFACE[..10], PREFACE, &settled[..30], &half] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        sockets.push(socket);
    }
    let dribble = tokio::spawn(async move {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        for byte in PREFACE {
            if socket.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        closed(&mut socket).await;
        server
    });
    for socket in &mut sockets {
        closed(socket).await;
    }
    let server = timeout(GUARD, dribble).await.unwrap().unwrap();
    works(&server).await;
    server.rate("BTC-USD", "101");
    assert_eq!(listening.hear(1).await, ["BTC-USD 101 fresh"]);
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_cut() {
    let server = Harness::with(|config, _| (config.ping_ms, config.pong_ms) = (200, 200)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let settled = [PREFACE, &SETTINGS, &[0, 0, 0, 4, 1, 0, 0, 0, 0]].concat();
    socket.write_all(&settled).await.unwrap();
    closed(&mut socket).await;
}

#[tokio::test]
async fn who_speaks_something_else_is_cut_at_once() {
    let server = Harness::start().await;
    for bytes in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0",
    ] {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(bytes.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        closed(&mut socket).await;
    }
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let server = Harness::with(|config, _| config.connections_per_address = 1).await;
    server.rate("BTC-USD", "100");
    let mut first = server.client().await;
    let mut listening = Listening::of(&mut first, &["rate:BTC-USD"], "").await;
    let mut second = TcpStream::connect(server.address).await.unwrap();
    closed(&mut second).await;
    assert_eq!(listening.hear(2).await[0], "hello");
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_and_its_client_comes_back() {
    let server = Harness::with(|config, _| (config.idle_ms, config.head_ms) = (200, 300)).await;
    server.rate("BTC-USD", "100");
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(&[PREFACE, &SETTINGS].concat())
        .await
        .unwrap();
    closed(&mut idle).await;
    let mut listening = server.subscribe(&["rate:BTC-USD"], "").await;
    assert_eq!(listening.hear(2).await[0], "hello");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    server.rate("BTC-USD", "101");
    assert_eq!(listening.hear(1).await, ["BTC-USD 101 fresh"]);
}
