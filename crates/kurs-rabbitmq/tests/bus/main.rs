//! The bus against a private RabbitMQ.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod broker;
mod conformance;
mod examine;
mod wire;

use kurs_bus::{Body, Bus, BusEvent, Heartbeat, Subscription, Update};
use kurs_rabbitmq::{RabbitBus, RabbitOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest wait for anything; a server that starts again takes some seconds.
const GUARD: Duration = Duration::from_secs(90);

/// A prefix that no other test uses.
fn prefix() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

fn options(url: &str, prefix: &str) -> RabbitOptions {
    let mut options = RabbitOptions::new(url).unwrap();
    options.config.prefix = prefix.to_owned();
    options.config.tuning.heartbeat_seconds = 1;
    options
}

fn open(options: &RabbitOptions) -> Arc<RabbitBus> {
    Arc::new(RabbitBus::new(options.clone()))
}

/// Waits until the bus is connected.
async fn connected(bus: &RabbitBus) {
    let mut state = bus.monitor().follow_state();
    let wait = state.wait_for(|state| state.is_connected);
    tokio::time::timeout(GUARD, wait)
        .await
        .expect("connected in time")
        .unwrap();
}

async fn flushed(bus: &RabbitBus) {
    let flush = tokio::time::timeout(GUARD, bus.flush());
    flush.await.expect("the server takes it").unwrap();
}

/// Waits until this works, trying again: the server may be away for a moment.
async fn insist<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    mut attempt: impl FnMut() -> F,
) -> T {
    let end = tokio::time::Instant::now() + GUARD;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(why) => assert!(tokio::time::Instant::now() < end, "in vain: {why:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> BusEvent {
    tokio::time::timeout(GUARD, subscription.next())
        .await
        .expect("an event in time")
        .unwrap()
}

/// Reads until this number, and sees to it that every number comes once, in order, or that a gap
/// is told. How many were lost.
async fn read_until(subscription: &mut Box<dyn Subscription>, first: u64, last: u64) -> u64 {
    let (mut expected, mut lost, mut is_told) = (first, 0, false);
    while expected <= last {
        match next(subscription).await {
            BusEvent::Gap { .. } => is_told = true,
            BusEvent::Update(update) => {
                let seq = update.id.seq.0;
                assert!(seq >= expected, "{seq} once more, or too late");
                assert!(
                    seq == expected || is_told,
                    "{expected} is missing, not told"
                );
                lost += seq - expected;
                (expected, is_told) = (seq + 1, false);
            }
        }
    }
    lost
}

/// The numbers of the last values.
async fn last_seqs(bus: &RabbitBus) -> Vec<u64> {
    let values = insist(|| bus.last_values()).await;
    let mut seqs: Vec<u64> = values.iter().map(|update| update.id.seq.0).collect();
    seqs.sort_unstable();
    seqs
}

fn beat(seq: u64) -> Arc<Update> {
    let beat = Heartbeat {
        writer: "one".into(),
        follows: None,
        ends: false,
    };
    kurs_bus::conformance::update(seq, Body::Heartbeat(beat))
}
