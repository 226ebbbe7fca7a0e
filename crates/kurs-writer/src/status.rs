//! State and counters of the sources, told once a second.

use crate::inbox::Inbox;
use kurs_bus::{Body, BookCounts, SourceStatus};
use kurs_core::{SourceId, SourceKind, SourceState};
use kurs_pricing::SourceInfo;
use kurs_sources::{Machine, Source, SourceStats};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often the state of the sources is published.
const EVERY: Duration = Duration::from_secs(1);

/// Looks in a row without any live source after which that is said.
const DEAD_AFTER: u32 = 3;

/// State and counters of a source at this moment.
#[must_use]
pub fn of(source: &dyn Source) -> SourceStatus {
    of_stats(
        source.id(),
        source.kind(),
        source.priority(),
        source.stats(),
    )
}

/// The same of a machine that is replayed.
#[must_use]
pub fn of_machine(machine: &dyn Machine, info: &SourceInfo) -> SourceStatus {
    of_stats(info.id, info.kind, info.priority, machine.stats())
}

fn of_stats(
    source: SourceId,
    kind: SourceKind,
    priority: u16,
    stats: &SourceStats,
) -> SourceStatus {
    let condition = stats.condition();
    let books = &stats.books;
    SourceStatus {
        books: BookCounts {
            synced: books.synced.load(Ordering::Relaxed).into(),
            gaps: books.gaps.load(Ordering::Relaxed),
            checksum_failures: books.checksum_failures.load(Ordering::Relaxed),
            resyncs: books.resyncs.load(Ordering::Relaxed),
            snapshots: books.snapshots.load(Ordering::Relaxed),
        },
        overlaps: stats.overlaps.load(Ordering::Relaxed),
        source,
        kind,
        priority,
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
    let mut dead_for = 0_u32;
    loop {
        ticks.tick().await;
        let mut any_usable = sources.is_empty();
        for source in &sources {
            let status = of(&**source);
            any_usable |= matches!(status.state, SourceState::Live | SourceState::Syncing);
            inbox.publish(Body::SourceStatus(status));
        }
        if any_usable {
            if dead_for >= DEAD_AFTER {
                tracing::warn!("some source is live again");
            }
            dead_for = 0;
        } else {
            dead_for = dead_for.saturating_add(1);
            if dead_for == DEAD_AFTER {
                kurs_telemetry::critical!("no source is live: rates run out one after the other");
            }
        }
    }
}
