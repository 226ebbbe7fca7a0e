//! State and counters of the sources, told once a second.

use crate::inbox::Inbox;
use kurs_bus::{Body, SourceStatus};
use kurs_sources::Source;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the state of the sources is published.
const EVERY: Duration = Duration::from_secs(1);

/// State and counters of a source at this moment.
#[must_use]
pub fn of(source: &dyn Source) -> SourceStatus {
    let stats = source.stats();
    let condition = stats.condition();
    SourceStatus {
        source: source.id(),
        kind: source.kind(),
        priority: source.priority(),
        state: condition.state,
        why: condition.why,
        since: condition.since,
        mode: condition.mode,
        pairs: stats.pairs.load(Ordering::Relaxed),
        messages: stats.messages.load(Ordering::Relaxed),
        decode_errors: stats.decode_errors.load(Ordering::Relaxed),
        reconnects: stats.reconnects.load(Ordering::Relaxed),
        failures: stats.failures.load(Ordering::Relaxed),
        last_message_at: stats.last_message_at(),
        next_poll_at: stats.next_poll_at(),
        limited_until: stats.limited_until(),
        lag_ms: stats.lag_ms(),
    }
}

/// Publishes the state of all sources until it is dropped.
pub(crate) async fn run(sources: Vec<Arc<dyn Source>>, inbox: Arc<Inbox>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        for source in &sources {
            inbox.publish(Body::SourceStatus(of(&**source)));
        }
    }
}
