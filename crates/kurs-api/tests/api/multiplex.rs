//! HTTP/2: many requests over one connection, each with the deadlines of any other.

use crate::client::GUARD;
use crate::secure::{NAME, Secure};
use http::{Request, StatusCode};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::future::poll_fn;
use std::pin::Pin;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A client that has taken in what it asks for only as far as it reads.
struct Client {
    ask: SendRequest<String>,
    ended: JoinHandle<hyper::Result<()>>,
}

impl Client {
    async fn open(secure: &Secure, window: u32) -> Self {
        let stream = secure.connect(&["h2"]).await;
        let (ask, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        Self {
            ask,
            ended: tokio::spawn(connection),
        }
    }

    async fn get(&mut self, target: &str) -> hyper::Result<http::Response<Incoming>> {
        let url = format!("https://{NAME}{target}");
        let request = Request::get(url).body(String::new()).unwrap();
        timeout(GUARD, self.ask.send_request(request))
            .await
            .expect("no answer")
    }

    async fn ends(self) {
        drop(self.ask);
        assert!(timeout(GUARD, self.ended).await.is_ok(), "still open");
    }

    /// Waits for the end without letting go of it.
    async fn is_ended(&mut self) {
        assert!(timeout(GUARD, &mut self.ended).await.is_ok(), "still open");
    }
}

async fn piece(body: &mut Incoming) -> Option<Bytes> {
    let next = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
    let frame = timeout(GUARD, next).await.expect("nothing comes")?;
    frame.ok()?.into_data().ok()
}

/// Reads until a piece holds a text.
async fn until(body: &mut Incoming, text: &str) {
    let mut all = String::new();
    while !all.contains(text) {
        let piece = piece(body)
            .await
            .unwrap_or_else(|| panic!("it ended: {all}"));
        all.push_str(std::str::from_utf8(&piece).unwrap());
    }
}

#[tokio::test]
async fn many_requests_are_answered_at_one_time() {
    let secure = Secure::start().await;
    let client = Client::open(&secure, 65_535).await;
    let asked: Vec<_> = (0..200)
        .map(|_| {
            let mut ask = client.ask.clone();
            tokio::spawn(async move {
                let url = format!("https://{NAME}/api/v1/rates/BTC/USD");
                ask.ready().await.unwrap();
                let request = Request::get(url).body(String::new()).unwrap();
                ask.send_request(request).await.unwrap().status()
            })
        })
        .collect();
    for answer in asked {
        assert_eq!(
            timeout(GUARD, answer).await.unwrap().unwrap(),
            StatusCode::OK
        );
    }
    assert_eq!(secure.harness.metrics.http.connections_open.get(), 1);
}

#[tokio::test]
async fn the_authority_is_the_host_and_two_hosts_are_refused() {
    let secure = Secure::start().await;
    let mut client = Client::open(&secure, 65_535).await;
    for (host, status) in [(NAME, 200), ("KURS.test", 200), ("other.test", 400)] {
        let request = Request::get(format!("https://{NAME}/livez"))
            .header("host", host)
            .body(String::new())
            .unwrap();
        let answer = timeout(GUARD, client.ask.send_request(request))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(answer.status(), status, "{host}");
    }
    // A socket is not part of this version.
    let answer = client.get("/api/v1/ws").await.unwrap();
    assert_eq!(answer.status(), 426);
}

#[tokio::test]
async fn an_idle_connection_is_closed_by_the_deadline_of_idleness() {
    let secure = Secure::with(|config| config.limits.idle_ms = 300, |_| {}).await;
    let mut client = Client::open(&secure, 65_535).await;
    assert_eq!(client.get("/livez").await.unwrap().status(), 200);
    client.is_ended().await;
    assert_eq!(secure.cut("idle_timeout"), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_read_closes_the_connection() {
    let secure = Secure::with(
        |config| {
            config.limits.write_ms = 300;
            config.limits.idle_ms = 3_600_000;
        },
        |_| {},
    )
    .await;
    let mut client = Client::open(&secure, 1).await;
    let unread = client.get("/openapi.json").await.unwrap();
    assert_eq!(unread.status(), 200);
    client.is_ended().await;
    assert_eq!(secure.cut("write_timeout"), 1);
    drop(unread);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_with_408() {
    let secure = Secure::with(|config| config.limits.body_ms = 200, |_| {}).await;
    let mut raw = secure.connect(&["h2"]).await;
    let block = [
        &[0x83, 0x87][..], // POST, https
        &[0x04, 16],
        b"/api/v1/currency",
        &[0x41, 9],
        b"localhost",
        &[0x0f, 0x10, 16],
        b"application/json",
    ]
    .concat();
    raw.write_all(&[PREFACE, &headers(1, 0x4, &block)].concat())
        .await
        .unwrap();
    // 408 is not in the static table: it comes as the text, Huffman coded or not.
    let mut got = Vec::new();
    let mut chunk = [0; 4_096];
    let found = async {
        loop {
            let length = raw.read(&mut chunk).await.unwrap();
            assert!(length > 0, "closed without an answer");
            got.extend_from_slice(&chunk[..length]);
            let text = String::from_utf8_lossy(&got);
            if text.contains("/docs/problems#request-timeout") {
                return;
            }
        }
    };
    timeout(GUARD, found).await.unwrap();
}

/// The start of a connection, with empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let length = u8::try_from(block.len()).unwrap();
    [&[0, 0, length, 1, flags][..], &stream.to_be_bytes(), block].concat()
}

#[tokio::test]
async fn a_flood_of_requests_that_are_taken_back_ends_the_connection() {
    let secure = Secure::start().await;
    let mut raw = secure.connect(&["h2"]).await;
    let mut flood = PREFACE.to_vec();
    for number in 0..2_000_u32 {
        let stream = 2 * number + 1;
        // GET https://a/
        flood.extend_from_slice(&headers(stream, 0x5, &[0x82, 0x87, 0x84, 0x41, 1, b'a']));
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&stream.to_be_bytes());
        flood.extend_from_slice(&8_u32.to_be_bytes());
    }
    let _ = raw.write_all(&flood).await;
    let mut answer = Vec::new();
    let ended = timeout(GUARD, raw.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "still open");
    // GOAWAY on the connection, with ENHANCE_YOUR_CALM.
    let is_calmed =
        |frame: &[u8]| frame[3] == 7 && frame[5..9] == [0; 4] && frame[13..] == [0, 0, 0, 11];
    let goaway = answer.windows(17).any(is_calmed);
    assert!(goaway || ended.unwrap().is_err(), "{answer:?}");
    let client = secure.reqwest(|builder| builder);
    assert_eq!(
        client
            .get(secure.url("/livez"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn events_come_over_http_2_and_the_end_is_told() {
    let secure = Secure::start().await;
    let mut client = Client::open(&secure, 65_535).await;
    let mut events = client.get("/api/v1/stream").await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    until(events.body_mut(), "54000.000123").await;
    secure
        .harness
        .rate("BTC-USD", "54001.5", "binance", crate::harness::HOUR);
    until(events.body_mut(), "54001.5").await;
    // Other requests are answered meanwhile.
    assert_eq!(client.get("/livez").await.unwrap().status(), 200);
    secure.stop();
    until(events.body_mut(), "bye").await;
    while piece(events.body_mut()).await.is_some() {}
    client.is_ended().await;
    let cut = timeout(GUARD, secure.served).await.unwrap().unwrap();
    assert_eq!(cut, 0);
}

#[tokio::test]
async fn who_does_not_read_events_over_http_2_is_closed() {
    let secure = Secure::with(
        |config| config.limits.idle_ms = 3_600_000,
        |streams| streams.write_ms = 300,
    )
    .await;
    let mut client = Client::open(&secure, 1).await;
    let events = client.get("/api/v1/stream").await.unwrap();
    assert_eq!(events.status(), 200);
    client.is_ended().await;
    assert_eq!(secure.harness.metrics.streams.slow.get(), 1);
    drop(events);
}

#[tokio::test]
async fn a_drain_ends_quiet_connections_without_cutting_them() {
    let secure = Secure::start().await;
    let mut quiet = Client::open(&secure, 65_535).await;
    assert_eq!(quiet.get("/livez").await.unwrap().status(), 200);
    let untouched = Client::open(&secure, 65_535).await;
    secure.stop();
    quiet.is_ended().await;
    untouched.ends().await;
    let cut = timeout(GUARD, secure.served).await.unwrap().unwrap();
    assert_eq!(cut, 0);
}
