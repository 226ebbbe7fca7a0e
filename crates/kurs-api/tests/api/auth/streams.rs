//! Streams end with the key or ticket that opened them.

use super::{RATE, assert_unauthorized, bearer, closed_with, key};
use crate::harness::Harness;
use crate::streams::EventSource;
use futures_util::{SinkExt, StreamExt};
use kurs_auth::{Key, KeyRing, SecretKey};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

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
