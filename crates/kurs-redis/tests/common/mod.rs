//! What the tests of this crate share.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; each uses a part of it"
)]

use kurs_bus::conformance::Opened;
use kurs_bus::{Bus, BusEvent, Subscription, Update};
use kurs_redis::{RedisBus, RedisOptions};
use kurs_testkit::RedisServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest wait for anything.
pub const GUARD: Duration = Duration::from_secs(30);

pub fn options(url: &str) -> RedisOptions {
    static SEED: AtomicU64 = AtomicU64::new(1);
    RedisOptions {
        seed: SEED.fetch_add(1, Ordering::Relaxed),
        ..RedisOptions::new(url).unwrap()
    }
}

pub fn bus(url: &str) -> Arc<RedisBus> {
    Arc::new(RedisBus::new(options(url)))
}

/// Two buses of one server, as two programs see it.
pub fn two(server: &RedisServer) -> Opened {
    Opened {
        writer: bus(&server.url()),
        reader: bus(&server.url()),
    }
}

pub async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(GUARD, wait).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within {GUARD:?}"),
    }
}

/// Asks until the server is there.
pub async fn patient<T, E, F: Future<Output = Result<T, E>>>(ask: impl Fn() -> F) -> T {
    let ask = &ask;
    kurs_testkit::wait::until_async("an answer", GUARD, || async { ask().await.ok() }).await
}

pub async fn flushed(bus: &dyn Bus) {
    in_time("the way to the bus", bus.flush()).await.unwrap();
}

/// What was heard.
#[derive(Debug, Default)]
pub struct Heard {
    pub updates: Vec<Arc<Update>>,
    pub gaps: usize,
}

impl Heard {
    pub fn seqs(&self) -> Vec<u64> {
        self.updates.iter().map(|update| update.id.seq.0).collect()
    }
}

/// Hears until the update with this number, which is not heard before.
pub async fn hear_until(subscription: &mut Box<dyn Subscription>, last: u64) -> Heard {
    let mut heard = Heard::default();
    loop {
        match in_time("the next event", subscription.next())
            .await
            .unwrap()
        {
            BusEvent::Gap { .. } => heard.gaps += 1,
            BusEvent::Update(update) => {
                let is_last = update.id.seq.0 == last;
                heard.updates.push(update);
                if is_last {
                    return heard;
                }
            }
        }
    }
}

/// Numbers of the last values.
pub async fn last_seqs(bus: &dyn Bus) -> Vec<u64> {
    let values = patient(|| bus.last_values()).await;
    let mut seqs: Vec<u64> = values.iter().map(|update| update.id.seq.0).collect();
    seqs.sort_unstable();
    seqs
}
