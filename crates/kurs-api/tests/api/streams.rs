//! Server-sent events.

use crate::client::GUARD;
use crate::harness::{HOUR, Harness};
use serde_json::Value;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One event as a browser sees it.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) event: String,
    pub(crate) id: Option<String>,
    pub(crate) data: Value,
}

/// A client that reads an event stream.
pub(crate) struct EventSource {
    pub(crate) head: String,
    lines: BufReader<TcpStream>,
}

impl EventSource {
    pub(crate) async fn open(harness: &Harness, target: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(harness.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut source = Self {
            head: String::new(),
            lines: BufReader::new(stream),
        };
        loop {
            let line = source.line().await.unwrap();
            source.head.push_str(&line.to_ascii_lowercase());
            if line == "\r\n" {
                return source;
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(GUARD, self.lines.read_line(&mut line)).await;
        (read.unwrap().unwrap() > 0).then_some(line)
    }

    /// The next event; `None` when the stream has ended. The sizes of chunks stand on lines of
    /// their own.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        let (mut event, mut id, mut data) = (String::new(), None, String::new());
        loop {
            let line = self.line().await?;
            match line.trim_end().split_once(": ") {
                Some(("event", value)) => event = value.to_owned(),
                Some(("id", value)) => id = Some(value.to_owned()),
                Some(("data", value)) => data = value.to_owned(),
                None if line == "\n" && !data.is_empty() => {
                    let data = serde_json::from_str(&data).unwrap();
                    crate::asyncapi::assert_server_sent(&event, id.as_deref(), &data);
                    return Some(Told { event, id, data });
                }
                _ => {}
            }
        }
    }

    pub(crate) async fn of_kind(&mut self, kind: &str) -> Told {
        loop {
            let told = self.next().await.unwrap();
            if told.event == kind {
                return told;
            }
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_a_snapshot_and_tells_every_update_of_its_pairs() {
    let harness = Harness::start().await;
    let mut source = EventSource::open(&harness, "/api/v1/stream?pairs=BTC-USD,btcusdt", "").await;
    assert!(source.head.contains("content-type: text/event-stream"));
    assert!(source.head.contains("cache-control: no-store"));
    assert!(source.head.contains("x-accel-buffering: no"));
    assert_eq!(source.next().await.unwrap().event, "hello");
    let snapshot = source.next().await.unwrap();
    assert_eq!(snapshot.event, "snapshot");
    let rates = snapshot.data["rates"].as_array().unwrap();
    let pairs: Vec<&str> = rates
        .iter()
        .map(|rate| rate["pair"].as_str().unwrap())
        .collect();
    assert_eq!(pairs, ["BTC-USD", "BTC-USDT"]);
    harness.rate("USDT-RUB", "91", "coingecko", HOUR);
    harness.rate("BTC-USD", "54001", "binance", HOUR);
    let told = source.next().await.unwrap();
    assert_eq!(told.event, "rate");
    assert_eq!(told.data["topic"], "rate:BTC-USD");
    assert_eq!(told.data["rate"]["value"], "54001");
    // The document is the one that every other answer shows.
    let asked = harness.get("/api/v1/rates/BTC/USD").await;
    assert_eq!(asked.json(), told.data["rate"]);
}

#[tokio::test]
async fn a_stream_goes_on_where_the_client_had_ended() {
    let harness = Harness::start().await;
    let mut source = EventSource::open(&harness, "/api/v1/stream?pairs=BTC-USD", "").await;
    let id = source.of_kind("snapshot").await.id.unwrap();
    drop(source);
    harness.rate("BTC-USD", "54001", "binance", HOUR);
    harness.rate("BTC-USD", "54002", "binance", HOUR);
    for (target, header) in [
        (
            "/api/v1/stream?pairs=BTC-USD".to_owned(),
            format!("Last-Event-ID: {id}\r\n"),
        ),
        (
            format!("/api/v1/stream?pairs=BTC-USD&last_event_id={id}"),
            String::new(),
        ),
    ] {
        let mut source = EventSource::open(&harness, &target, &header).await;
        let hello = source.next().await.unwrap();
        assert_eq!(hello.data["resumed"], true);
        for value in ["54001", "54002"] {
            let told = source.next().await.unwrap();
            assert_eq!(told.data["rate"]["value"], value);
        }
    }
    let unknown = "Last-Event-ID: 7.7-7\r\n";
    let mut source = EventSource::open(&harness, "/api/v1/stream?pairs=BTC-USD", unknown).await;
    assert_eq!(source.next().await.unwrap().data["resumed"], false);
    assert_eq!(source.next().await.unwrap().event, "gap");
    assert_eq!(source.next().await.unwrap().event, "snapshot");
}

#[tokio::test]
async fn what_cannot_be_listened_to_is_named_in_a_problem() {
    let harness = Harness::start().await;
    for (target, header, word) in [
        ("/api/v1/stream?pairs=BTC-BTC", "", "pairs"),
        ("/api/v1/stream?topics=weather", "", "topics"),
        ("/api/v1/stream?topics=top:binance", "", "topics"),
        ("/api/v1/stream?last_event_id=x", "", "last_event_id"),
        ("/api/v1/stream", "Last-Event-ID: y\r\n", "Last-Event-ID"),
        ("/api/v1/stream?colour=red", "", "colour"),
    ] {
        let reply = harness.ask("GET", target, header).await;
        assert_eq!(reply.status, 400, "{target}");
        assert_eq!(reply.json()["errors"][0]["parameter"], word, "{target}");
    }
    let many: Vec<String> = (0..501).map(|n| format!("A{n}-USD")).collect();
    let target = format!("/api/v1/stream?pairs={}", many.join(","));
    assert_eq!(harness.get(&target).await.status, 400);
    let reply = harness.ask("HEAD", "/api/v1/stream", "").await;
    assert_eq!(reply.status, 200);
    assert_eq!(harness.streams.listeners(), 0);
}

#[tokio::test]
async fn an_address_has_no_more_streams_than_it_may_and_gets_its_places_back() {
    let harness = Harness::with_streams(|streams| streams.per_address = 2).await;
    let first = EventSource::open(&harness, "/api/v1/stream", "").await;
    let _second = EventSource::open(&harness, "/api/v1/stream", "").await;
    let reply = harness.get("/api/v1/stream").await;
    assert_eq!(reply.status, 503);
    assert!(reply.header("retry-after").is_some());
    drop(first);
    let opened = async {
        while harness.streams.listeners() > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        EventSource::open(&harness, "/api/v1/stream", "").await
    };
    let third = timeout(GUARD, opened).await.unwrap();
    assert!(third.head.starts_with("http/1.1 200"), "{}", third.head);
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut_and_others_hear_everything() {
    let harness = Harness::with_streams(|streams| streams.write_ms = 200).await;
    let mut healthy = EventSource::open(&harness, "/api/v1/stream?pairs=BTC-USD", "").await;
    let silent = EventSource::open(&harness, "/api/v1/stream", "").await;
    healthy.of_kind("snapshot").await;
    let telling = async {
        // Far more than the buffers of a socket hold.
        let mut told = 0_u64;
        while harness.metrics.streams.slow.get() == 0 {
            told += 1;
            harness.rate("BTC-USD", &format!("{}", 54_000 + told), "binance", HOUR);
            let value = format!("{}", 54_000 + told);
            assert_eq!(healthy.of_kind("rate").await.data["rate"]["value"], value);
        }
    };
    timeout(GUARD * 2, telling).await.unwrap();
    drop(silent);
}

#[tokio::test]
async fn at_the_end_every_stream_is_told_when_to_come_back() {
    let harness = Harness::start().await;
    let mut source = EventSource::open(&harness, "/api/v1/stream", "").await;
    source.of_kind("snapshot").await;
    harness.stop();
    let bye = source.of_kind("bye").await;
    assert!(bye.data["reconnect_after_ms"].as_u64().unwrap() <= 5_000);
    assert!(source.next().await.is_none());
}
