//! Clients of streams: they are cut, and go on at another Reader.

use crate::support::PATIENCE;
use crate::world::{Door, World};
use kurs_bus::Body;
use kurs_core::UpdateId;
use kurs_testkit::wait::until_async;
use std::time::{Duration, Instant};

/// How long the client is cut again and again, seconds; `CLUSTER_STREAM_SECONDS` says otherwise.
const SECONDS: u64 = 12;

fn seconds() -> u64 {
    let told = std::env::var("CLUSTER_STREAM_SECONDS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

/// What one client has heard, over all its connections.
#[derive(Default)]
struct Heard {
    /// Place to go on from.
    id: Option<String>,
    updates: Vec<UpdateId>,
    gaps: usize,
    snapshots: usize,
    connections: usize,
}

impl Heard {
    /// Listens to one Reader for so long, and is cut.
    async fn listen(&mut self, door: &Door, duration: Duration) {
        let until = Instant::now() + duration;
        let header = self.id.clone().unwrap_or_default();
        let Some(mut stream) = door.stream("/api/v1/stream?topics=rates", &header).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            return;
        };
        self.connections += 1;
        let mut text = Vec::new();
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let Ok(Ok(Some(piece))) = tokio::time::timeout(left, stream.chunk()).await else {
                return;
            };
            text.extend_from_slice(&piece);
            // An event that is cut off does not count, as for every client.
            while let Some(at) = text.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = text.drain(..at + 2).collect();
                self.take(std::str::from_utf8(&event).unwrap());
            }
        }
    }

    fn take(&mut self, event: &str) {
        let field = |name: &str| {
            let mut lines = event.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let kind = field("event").unwrap_or("");
        if let Some(id) = field("id") {
            self.id = Some(id.to_owned());
        }
        match kind {
            "gap" => self.gaps += 1,
            "snapshot" => self.snapshots += 1,
            // With one shard the place after an update is the update.
            "rate" | "error" => self.updates.push(field("id").unwrap().parse().unwrap()),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_again_and_again_hears_every_update_once_on_alternating_readers() {
    let world = World::start(531).await;
    let _writer = world.writer("writer-0").await;
    let readers = [
        world.reader("reader-1").await,
        world.reader("reader-2").await,
    ];
    let consumer = world.consumer().await;
    for reader in &readers {
        reader.until_fresh("BTC-USDT").await;
        reader.until_fresh("USD-RUB").await;
    }
    let mut heard = Heard::default();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(seconds()) {
        for reader in &readers {
            let pause = Duration::from_millis(300 + (heard.connections as u64 * 137) % 900);
            heard.listen(&reader.door, pause).await;
        }
    }
    assert!(heard.connections > 8, "{}", heard.connections);
    assert_eq!(
        (heard.gaps, heard.snapshots),
        (0, 1),
        "it went on each time"
    );
    let (first, last) = (heard.updates[0], *heard.updates.last().unwrap());
    let is_told =
        |body: &Body| matches!(body, Body::Rate(_) | Body::NoRate(_) | Body::Withdrawn(_));
    let published = until_async("the consumer has heard it all", PATIENCE, || async {
        consumer.look(|all| {
            let mut ids = all.updates.iter().map(|(_, update)| update);
            let all: Vec<UpdateId> = ids
                .clone()
                .filter(|update| is_told(&update.body))
                .map(|update| update.id)
                .filter(|id| (first..=last).contains(id))
                .collect();
            ids.next_back()
                .filter(|update| update.id >= last)
                .map(|_| all)
        })
    })
    .await;
    println!(
        "{} connections, {} updates, each once",
        heard.connections,
        heard.updates.len()
    );
    let apart = heard.updates.iter().zip(&published);
    let apart = apart.enumerate().find(|(_, (heard, told))| heard != told);
    assert_eq!(
        apart,
        None,
        "{:?}",
        heard.updates.len().cmp(&published.len())
    );
    assert_eq!(heard.updates.len(), published.len());
}
