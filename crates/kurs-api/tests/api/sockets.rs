//! Streams over WebSocket.

use crate::client::GUARD;
use crate::harness::{HOUR, Harness};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(harness: &Harness) -> Self {
        let stream = TcpStream::connect(harness.address).await.unwrap();
        let url = format!("ws://{}/api/v1/ws", harness.address);
        let mut request = url.into_client_request().unwrap();
        let protocol = "kurs.v1.json".parse().unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", protocol);
        let (socket, answer) = tokio_tungstenite::client_async(request, stream)
            .await
            .unwrap();
        assert_eq!(answer.headers()["sec-websocket-protocol"], "kurs.v1.json");
        Self(socket)
    }

    async fn say(&mut self, command: Value) {
        self.0
            .send(Message::text(command.to_string()))
            .await
            .unwrap();
    }

    /// The next text, or the code and reason of the end.
    async fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match timeout(GUARD, self.0.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => {
                    let said = serde_json::from_str(&text).unwrap();
                    crate::asyncapi::assert_framed(&said);
                    return Ok(said);
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return Err((0, String::new())),
            }
        }
    }

    async fn of_kind(&mut self, kind: &str) -> Value {
        loop {
            let told = self.next().await.unwrap();
            if told["event"] == kind {
                return told;
            }
        }
    }

    async fn end(&mut self) -> (u16, String) {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }
}

#[tokio::test]
async fn topics_are_joined_left_and_listed_and_each_command_is_answered() {
    let harness = Harness::start().await;
    let mut socket = Socket::open(&harness).await;
    socket
        .say(json!({"id": 1, "op": "subscribe", "topics": ["rate:BTC-USD", "top:coingecko:BTC-USD"]}))
        .await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let told = socket.next().await.unwrap();
        let name = told["event"].as_str().map_or("reply", |event| match event {
            "hello" => "hello",
            "snapshot" => "snapshot",
            other => panic!("{other}"),
        });
        if name == "reply" {
            assert_eq!(told["id"], 1);
            assert_eq!(told["ok"], true);
        }
        seen.push(name);
    }
    seen.sort_unstable();
    assert_eq!(seen, ["hello", "reply", "snapshot"]);
    harness.rate("BTC-USD", "54001", "binance", HOUR);
    let told = socket.of_kind("rate").await;
    assert_eq!(told["data"]["rate"]["value"], "54001");
    assert!(told["id"].as_str().unwrap().starts_with("0.1-"));
    harness.source_price("coingecko", "BTC-USD", "53991", HOUR);
    let told = socket.of_kind("source").await;
    assert_eq!(told["data"]["price"]["value"], "53991");
    socket
        .say(json!({"id": "u", "op": "unsubscribe", "topics": ["rate:BTC-USD"]}))
        .await;
    let reply = socket.next().await.unwrap();
    assert_eq!(reply["topics"], json!(["top:coingecko:BTC-USD"]));
    socket.say(json!({"op": "ping"})).await;
    assert_eq!(socket.next().await.unwrap(), json!({"ok": true}));
    socket.say(json!({"id": 9, "op": "fly"})).await;
    assert_eq!(socket.next().await.unwrap()["error"]["code"], "malformed");
}

#[tokio::test]
async fn a_socket_goes_on_where_another_had_ended() {
    let harness = Harness::start().await;
    let mut socket = Socket::open(&harness).await;
    socket
        .say(json!({"op": "subscribe", "topics": ["rates"]}))
        .await;
    let id = socket.of_kind("snapshot").await["id"].clone();
    drop(socket);
    harness.rate("BTC-USD", "54001", "binance", HOUR);
    harness.rate("BTC-USD", "54002", "binance", HOUR);
    let mut socket = Socket::open(&harness).await;
    socket
        .say(json!({"op": "subscribe", "topics": ["rates"], "resume_from": id}))
        .await;
    assert_eq!(socket.of_kind("hello").await["data"]["resumed"], true);
    for value in ["54001", "54002"] {
        let told = socket.of_kind("rate").await;
        assert_eq!(told["data"]["rate"]["value"], value);
    }
}

#[tokio::test]
async fn who_breaks_the_rules_is_told_by_which_code() {
    let harness = Harness::start().await;
    let mut talker = Socket::open(&harness).await;
    for id in 0..11 {
        talker.say(json!({"id": id, "op": "ping"})).await;
    }
    assert_eq!(talker.end().await.0, 4_429);
    let mut large = Socket::open(&harness).await;
    large
        .0
        .send(Message::text("x".repeat(70_000)))
        .await
        .unwrap();
    assert_eq!(large.end().await.0, 1_009);
    let mut binary = Socket::open(&harness).await;
    binary.0.send(Message::binary(vec![1_u8, 2])).await.unwrap();
    assert_eq!(binary.end().await.0, 1_003);
    let mut silent = Socket::open(&harness).await;
    assert_eq!(
        silent.end().await,
        (1_008, "no subscribe within 5 s".into())
    );
}

#[tokio::test]
async fn at_the_end_every_socket_is_told_when_to_come_back() {
    let harness = Harness::start().await;
    let mut socket = Socket::open(&harness).await;
    socket
        .say(json!({"op": "subscribe", "topics": ["rates"]}))
        .await;
    socket.of_kind("snapshot").await;
    harness.stop();
    let bye = socket.of_kind("bye").await;
    assert!(bye["data"]["reconnect_after_ms"].as_u64().unwrap() <= 5_000);
    assert_eq!(socket.end().await.0, 1_001);
}

#[tokio::test]
async fn what_is_no_socket_is_refused_with_a_problem() {
    let harness = Harness::start().await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let version = "Sec-WebSocket-Version: 13\r\n";
    for (headers, status) in [
        (String::new(), 426),
        (format!("{upgrade}{key}"), 426),
        (format!("{upgrade}{version}"), 400),
        (
            format!("{upgrade}{version}{key}Sec-WebSocket-Protocol: chat\r\n"),
            400,
        ),
        (
            format!("{upgrade}{version}{key}Origin: https://evil.example\r\n"),
            403,
        ),
    ] {
        let reply = harness.ask("GET", "/api/v1/ws", &headers).await;
        assert_eq!(reply.status, status, "{headers}");
    }
    let reply = harness.ask("GET", "/api/v1/ws", "").await;
    assert_eq!(reply.header("upgrade"), Some("websocket"));
}
