//! Clients that listen to everything and never read: they cost little, are told the newest alone,
//! are cut, and nobody else notices.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::SimConfig;
use kurs_testkit::wait::until_async;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// Clients that never read; `NEVER_READING_CLIENTS` says otherwise.
const SLEEPERS: usize = 200;
/// Clients that read, half of them by each way.
const READERS: usize = 8;
/// What a thousand of them may take, kilobytes.
const MEMORY_KB: usize = 64 << 10;
/// What so few of them may take that other things weigh more, kilobytes.
const LEAST_KB: usize = 40 << 10;
/// Updates that are heard again at the end.
const REPLAYED: usize = 30;
/// Only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(240);

/// What is listened to.
const TOPICS: &str = "rates";

fn sleepers() -> usize {
    let told = std::env::var("NEVER_READING_CLIENTS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(SLEEPERS)
}

/// How a client listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Sse,
    WebSocket,
}

const WAYS: [Way; 2] = [Way::Sse, Way::WebSocket];

/// Connects and subscribes.
async fn subscribe(address: SocketAddr, way: Way, window: Option<u32>, from: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = window {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    let mut socket = socket.connect(address).await.unwrap();
    match way {
        Way::Sse => {
            let head = format!(
                "GET /api/v1/stream?topics={TOPICS} HTTP/1.1\r\nHost: localhost\r\n{from}\r\n"
            );
            socket.write_all(head.as_bytes()).await.unwrap();
        }
        Way::WebSocket => {
            let head = "GET /api/v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            let command = format!(r#"{{"id":1,"op":"subscribe","topics":["{TOPICS}"]}}"#);
            let length = u8::try_from(command.len()).unwrap();
            // A mask that changes nothing.
            let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], command.as_bytes()].concat();
            let all = [head.as_bytes(), &frame].concat();
            socket.write_all(&all).await.unwrap();
        }
    }
    socket
}

/// The places of all rates that a client hears, and whether anything was left out.
#[derive(Debug, Default)]
struct Heard {
    places: Vec<String>,
    gaps: usize,
}

impl Heard {
    /// Takes in all whole events of SSE, as the lines that they are; the heads of HTTP's chunks
    /// are lines of their own.
    fn take_sse(&mut self, waiting: &mut Vec<u8>) {
        while let Some(at) = waiting.windows(2).position(|two| two == b"\n\n") {
            let event: Vec<u8> = waiting.drain(..at + 2).collect();
            let event = String::from_utf8_lossy(&event);
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            self.note(field("event"), field("id"));
        }
    }

    /// The same of a WebSocket, whose frames no server masks.
    fn take_frames(&mut self, waiting: &mut Vec<u8>, pings: &mut usize) {
        while let [first, second, ..] = waiting[..] {
            let (head, length) = match second {
                126 if waiting.len() >= 4 => {
                    (4, usize::from(u16::from_be_bytes([waiting[2], waiting[3]])))
                }
                127 if waiting.len() >= 10 => {
                    let length: [u8; 8] = waiting[2..10].try_into().unwrap();
                    (10, usize::try_from(u64::from_be_bytes(length)).unwrap())
                }
                126 | 127 => return,
                short => (2, usize::from(short)),
            };
            if waiting.len() < head + length {
                return;
            }
            let frame: Vec<u8> = waiting.drain(..head + length).collect();
            *pings += usize::from(first == 0x89);
            if let Ok(event) = serde_json::from_slice::<serde_json::Value>(&frame[head..]) {
                self.note(event["event"].as_str(), event["id"].as_str());
            }
        }
    }

    fn note(&mut self, event: Option<&str>, id: Option<&str>) {
        match event {
            Some("rate" | "error") => self.places.push(id.unwrap().to_owned()),
            Some("gap") => self.gaps += 1,
            _ => {}
        }
    }
}

/// Reads everything until it is told to end.
fn read(address: SocketAddr, way: Way, ended: Arc<AtomicBool>) -> JoinHandle<Heard> {
    tokio::spawn(async move {
        let mut socket = subscribe(address, way, None, "").await;
        let (mut heard, mut waiting, mut pings) = (Heard::default(), Vec::new(), 0);
        let mut has_head = false;
        let mut piece = vec![0; 64 << 10];
        while !ended.load(Ordering::Relaxed) {
            let count = tokio::time::timeout(PATIENCE, socket.read(&mut piece)).await;
            let count = count.unwrap().unwrap();
            assert!(count > 0, "{way:?}: a client that reads was cut");
            waiting.extend_from_slice(&piece[..count]);
            if !has_head && let Some(at) = waiting.windows(4).position(|four| four == b"\r\n\r\n") {
                waiting.drain(..at + 4);
                has_head = true;
            }
            match way {
                _ if !has_head => {}
                Way::Sse => heard.take_sse(&mut waiting),
                Way::WebSocket => {
                    heard.take_frames(&mut waiting, &mut pings);
                    for _ in 0..std::mem::take(&mut pings) {
                        let pong = [0x8a, 0x80, 0, 0, 0, 0];
                        socket.write_all(&pong).await.unwrap();
                    }
                }
            }
        }
        heard
    })
}

/// What a client hears that comes back to `from`, up to `to`.
async fn replayed(address: SocketAddr, from: &str, to: &str) -> Heard {
    let header = format!("Last-Event-ID: {from}\r\n");
    let mut socket = subscribe(address, Way::Sse, None, &header).await;
    let (mut heard, mut waiting) = (Heard::default(), Vec::new());
    let mut piece = vec![0; 64 << 10];
    while !heard.places.iter().any(|place| place == to) {
        let count = tokio::time::timeout(PATIENCE, socket.read(&mut piece)).await;
        let count = count.unwrap().unwrap();
        waiting.extend_from_slice(&piece[..count]);
        heard.take_sse(&mut waiting);
        assert_eq!(heard.gaps, 0, "it is not known any more");
    }
    let end = heard.places.iter().position(|place| place == to);
    // What came after it is another's.
    heard.places.truncate(end.unwrap() + 1);
    heard
}

async fn metric(world: &World, name: &str) -> u64 {
    let text = reqwest::get(world.kurs.url("/metrics")).await.unwrap();
    let text = text.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap().parse().unwrap()
}

fn kilobytes(world: &World, name: &str) -> usize {
    let path = format!("/proc/{}/status", world.kurs.process.id());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_read_cost_little_and_are_cut_and_others_hear_every_state() {
    let count = sleepers();
    let many = (2 * count + 100).to_string();
    let settings = [
        ("KURS_PAIRS", "BTC-USDT,ETH-USDT,SOL-USDT,XRP-USDT,BNB-USDT"),
        ("KURS_HTTP__LIMITS__CONNECTIONS_PER_ADDRESS", &many),
        ("KURS_STREAMS__PER_ADDRESS", &many),
        ("KURS_STREAMS__WRITE_MS", "4000"),
        // What is kept for others must not grow while memory is looked at.
        ("KURS_STREAMS__RING_MS", "10000"),
    ];
    let sim = SimConfig {
        activity_percent: 200,
        ..SimConfig::seeded(61)
    };
    let world = World::start(sim, &settings).await;
    world.served_by("BTC-USDT", "binance").await;
    let address: SocketAddr = world.kurs.url("")["http://".len()..].parse().unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READERS)
        .map(|number| read(address, WAYS[number % 2], Arc::clone(&ended)))
        .collect();
    let open = || async {
        let open = metric(&world, "kurs_streams_open").await;
        (open >= READERS as u64).then_some(())
    };
    until_async("all that read listen", PATIENCE, open).await;

    let before = kilobytes(&world, "VmRSS");
    let mut asleep = Vec::with_capacity(count);
    for number in 0..count {
        // A small window, so that it does not take long.
        asleep.push(subscribe(address, WAYS[number % 2], Some(4_096), "").await);
    }
    until_async("all that never read are cut", PATIENCE, || async {
        let slow = metric(&world, "kurs_stream_slow_clients_total").await;
        (slow == count as u64).then_some(())
    })
    .await;
    let greatest = kilobytes(&world, "VmHWM");
    until_async("their places are free", PATIENCE, || async {
        let open = metric(&world, "kurs_streams_open").await;
        (open == READERS as u64).then_some(())
    })
    .await;
    let conflations = metric(&world, "kurs_stream_conflations_total").await;
    println!(
        "{count} clients: {before} kB before, {greatest} kB at most; {conflations} conflations"
    );
    assert!(conflations >= count as u64, "{conflations}");
    let most = (MEMORY_KB * count / 1_000).max(LEAST_KB);
    assert!(
        greatest < before + most,
        "{before} kB before, {greatest} kB"
    );
    let slow = metric(&world, "kurs_stream_slow_clients_total").await;
    assert_eq!(slow, count as u64, "nobody who reads was cut");

    ended.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for reader in readers {
        all.push(reader.await.unwrap());
    }
    // From where all listened to where the first of them ended.
    let first = all.iter().map(|heard| heard.places[0].clone());
    let first = first.max_by_key(|place| sequence(place)).unwrap();
    let last = all.iter().map(|heard| heard.places.last().unwrap().clone());
    let last = last.min_by_key(|place| sequence(place)).unwrap();
    let (from, to) = (sequence(&first), sequence(&last));
    let between = |heard: &Heard| -> Vec<String> {
        let places = heard.places.iter();
        let between = places.filter(|place| (from..=to).contains(&sequence(place)));
        between.cloned().collect()
    };
    // On a machine that is too busy for those who read they are told less as well, and that they
    // are; what all of them together heard is everything.
    let mut told: Vec<String> = all.iter().flat_map(&between).collect();
    told.sort_by_key(|place| sequence(place));
    told.dedup();
    let gaps: usize = all.iter().map(|heard| heard.gaps).sum();
    println!("{} updates, {gaps} gaps of those who read", told.len());
    for heard in all.iter().filter(|heard| heard.gaps == 0) {
        assert!(between(heard) == told, "all have heard the same");
    }
    // And that is what there was to hear.
    let begin = &told[told.len() - REPLAYED];
    let again = replayed(address, begin, &last).await;
    assert_eq!(again.gaps, 0);
    assert_eq!(again.places, told[told.len() - REPLAYED + 1..]);
    drop(asleep);
}

/// The number in a place of the only shard and its first epoch.
fn sequence(place: &str) -> u64 {
    place.rsplit_once('-').unwrap().1.parse().unwrap()
}
