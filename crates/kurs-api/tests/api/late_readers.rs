//! Clients that stop reading for a while: their own task and the one that writes for many take
//! turns at the same socket, and every byte comes once and in its place.

use crate::client::GUARD;
use crate::harness::{HOUR, Harness};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Far more than the buffers of a socket hold.
const UPDATES: u64 = 25_000;
/// So many times it stops and goes on.
const TIMES: u64 = 2;

/// A connection with a small window.
async fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(address).await.unwrap()
}

/// So many rates that the snapshot of all is longer than what is handed to a socket at a time.
const CROWD: usize = 300;

fn crowd(harness: &Harness) {
    for number in 0..CROWD {
        harness.rate(&format!("A{number}-USD"), "1.5", "binance", HOUR);
    }
}

/// Tells so many updates; the last of them has this value.
async fn tell(harness: &Harness, times: u64) -> String {
    let mut value = String::new();
    for number in 0..UPDATES {
        value = (54_000 + times * UPDATES + number).to_string();
        harness.rate("BTC-USD", &value, "binance", HOUR);
        // Whoever writes gets a turn.
        tokio::task::yield_now().await;
    }
    value
}

/// Reads HTTP's chunks as strictly as they are written.
struct Chunks {
    socket: TcpStream,
    waiting: Vec<u8>,
}

impl Chunks {
    async fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            let at = self.waiting.windows(end.len()).position(|part| part == end);
            if let Some(at) = at {
                let taken = self.waiting.drain(..at + end.len()).collect();
                return taken;
            }
            let mut piece = [0; 4_096];
            let count = timeout(GUARD, self.socket.read(&mut piece)).await;
            let count = count.unwrap().unwrap();
            assert!(count > 0, "the stream was cut");
            self.waiting.extend_from_slice(&piece[..count]);
        }
    }

    /// The text of the next chunk.
    async fn next(&mut self) -> String {
        let size = String::from_utf8(self.until(b"\r\n").await).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut text = Vec::new();
        while text.len() < size + 2 {
            text.extend(self.until(b"\n").await);
        }
        assert_eq!(text.split_off(size), b"\r\n", "where the chunk ends");
        String::from_utf8(text).unwrap()
    }
}

/// What a client has heard of an event: its kind, and the value of a rate or the reason of a gap.
fn summary(kind: &str, data: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let said = match kind {
        "rate" => text(&data["rate"]["value"]),
        _ => text(&data["reason"]),
    };
    (kind.to_owned(), said)
}

/// It goes on from the newest, knows that it missed something, and hears what comes later.
fn check(heard: &[(String, String)], last: &str) -> bool {
    let is_last = heard
        .last()
        .is_some_and(|(kind, said)| kind == "rate" && said == last);
    if is_last {
        let values = heard.iter().filter(|(kind, _)| kind == "rate");
        let values: Vec<u64> = values.map(|(_, value)| value.parse().unwrap()).collect();
        assert!(values.is_sorted(), "in order");
        assert!(heard.contains(&("gap".to_owned(), "slow".to_owned())));
    }
    is_last
}

#[tokio::test]
async fn a_stream_that_is_read_late_comes_whole() {
    let harness = Harness::start().await;
    crowd(&harness);
    let mut socket = connect(harness.address).await;
    let head = "GET /api/v1/stream?topics=rates HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let waiting = Vec::new();
    let mut chunks = Chunks { socket, waiting };
    chunks.until(b"\r\n\r\n").await;
    // An event may come in several chunks.
    let mut text = String::new();
    let mut snapshots = 0;
    for times in 0..TIMES {
        let last = tell(&harness, times).await;
        let mut heard = Vec::new();
        while !check(&heard, &last) {
            text.push_str(&chunks.next().await);
            while let Some(end) = text.find("\n\n") {
                let event: String = text.drain(..end + 2).collect();
                let field = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                };
                if let Some(kind) = field("event") {
                    let data: Value = serde_json::from_str(field("data").unwrap()).unwrap();
                    if kind == "snapshot" {
                        snapshots += 1;
                        assert!(data["rates"].as_array().unwrap().len() > CROWD);
                    }
                    heard.push(summary(kind, &data));
                }
            }
        }
    }
    assert_eq!((snapshots, &*text), (1, ""));
}

#[tokio::test]
async fn a_socket_that_is_read_late_comes_whole_and_is_answered_meanwhile() {
    let harness = Harness::start().await;
    crowd(&harness);
    let stream = connect(harness.address).await;
    let url = format!("ws://{}/api/v1/ws", harness.address);
    let request = url.into_client_request().unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream)
        .await
        .unwrap();
    let command = r#"{"id":1,"op":"subscribe","topics":["rates"]}"#;
    socket.send(Message::text(command)).await.unwrap();
    for times in 0..TIMES {
        let last = tell(&harness, times).await;
        // Answers go between events, from another task than theirs.
        socket.send(Message::Ping("p".into())).await.unwrap();
        let command = r#"{"id":2,"op":"ping"}"#;
        socket.send(Message::text(command)).await.unwrap();
        let (mut heard, mut answers, mut pongs) = (Vec::new(), 0, 0);
        while !check(&heard, &last) || answers == 0 || pongs == 0 {
            match timeout(GUARD, socket.next()).await.unwrap().unwrap() {
                Ok(Message::Text(text)) => {
                    let told: Value = serde_json::from_str(&text).unwrap();
                    match told["event"].as_str() {
                        Some(kind) => heard.push(summary(kind, &told["data"])),
                        None => answers += usize::from(told["id"] == 2),
                    }
                }
                Ok(Message::Pong(_)) => pongs += 1,
                // On a machine that does much else it takes longer than the server's patience.
                Ok(Message::Ping(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}
