//! What the tests have in common.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "each test program uses a part of it, and fails by panicking"
)]

use kurs_bus::{Bus, BusEvent, Subscription, Update};
use kurs_nats::{NatsBus, NatsOptions};
use kurs_testkit::until;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for anything.
pub(crate) const HANG: Duration = Duration::from_secs(30);

pub(crate) fn options(url: &str) -> NatsOptions {
    NatsOptions::new(url).unwrap()
}

pub(crate) fn open(url: &str) -> Arc<NatsBus> {
    Arc::new(NatsBus::new(options(url)))
}

/// A bus that has reached its server.
pub(crate) async fn connected(options: NatsOptions) -> NatsBus {
    let bus = NatsBus::new(options);
    is_connected(&bus, true).await;
    bus
}

pub(crate) async fn is_connected(bus: &NatsBus, expected: bool) {
    until("the connection", HANG, || {
        (bus.monitor().is_connected() == expected).then_some(())
    })
    .await;
}

pub(crate) async fn next(subscription: &mut Box<dyn Subscription>) -> BusEvent {
    let next = tokio::time::timeout(HANG, subscription.next()).await;
    next.expect("the flow goes on").unwrap()
}

pub(crate) async fn flushed(bus: &NatsBus) {
    let flushed = tokio::time::timeout(HANG, bus.flush()).await;
    flushed.expect("everything arrives").unwrap();
}

/// The last values, asked again while the server is away.
pub(crate) async fn last_values(bus: &NatsBus) -> Vec<Arc<Update>> {
    let mut values = kurs_testkit::wait::until_async("the last values", HANG, || async {
        bus.last_values().await.ok()
    })
    .await;
    values.sort_by_key(|update| update.id);
    values
}

/// What was heard so far: every id once and rising, and either the next one or after a gap.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) last: u64,
    pub(crate) updates: u64,
    pub(crate) gaps: u64,
    pub(crate) lost: u64,
    told: bool,
}

impl Heard {
    pub(crate) fn take(&mut self, event: &BusEvent) {
        match event {
            BusEvent::Gap { lost } => {
                self.gaps += 1;
                self.lost += lost;
                self.told = true;
            }
            BusEvent::Update(update) => {
                let seq = update.id.seq.0;
                assert!(seq > self.last, "{seq} after {}", self.last);
                let told = std::mem::take(&mut self.told);
                assert!(
                    told || self.last == 0 || seq == self.last + 1,
                    "{seq} after {}, and no gap was told",
                    self.last
                );
                self.last = seq;
                self.updates += 1;
            }
        }
    }

    pub(crate) async fn until(&mut self, subscription: &mut Box<dyn Subscription>, seq: u64) {
        while self.last < seq {
            self.take(&next(subscription).await);
        }
    }
}
