//! What a running process takes over of a new configuration.

use super::{Built, Plan};
use crate::config::Config;
use kurs_bus::{Actor, Bus, Command, Reply};
use kurs_core::Pair;
use std::sync::Arc;
use std::time::Duration;

/// How long the Writer may take to track a pair of a new configuration, its own start included.
const TRACK_PATIENCE: Duration = Duration::from_secs(30);

/// Keys that a running process takes over, by their beginnings.
pub(crate) const TAKEN_OVER: [&str; 16] = [
    "candles",
    "directions",
    "limits",
    "pairs",
    "policy",
    "recorder",
    "sinks",
    "sources",
    "store.audit_days",
    "store.book_days",
    "store.gap_days",
    "store.history_days",
    "store.minute_candles_days",
    "store.pack_after_minutes",
    "store.published_days",
    "store.second_candles_days",
];

/// Takes over what a new configuration changes about sources, policies, directions and pairs.
/// Returns the beginnings of the keys it took over.
pub fn take_over(built: &Arc<Built>, old: &Config, new: &Config) -> Vec<String> {
    let plan = match Plan::new(new, built.simulated, &built.clock) {
        Ok(plan) => plan,
        Err(failure) => {
            tracing::error!(error = %failure, "the sources stay as they were");
            return Vec::new();
        }
    };
    let is_same = (
        &old.directions,
        &old.pairs,
        &old.policy,
        &old.recorder,
        &old.sources,
    ) == (
        &new.directions,
        &new.pairs,
        &new.policy,
        &new.recorder,
        &new.sources,
    ) && old.candles == new.candles
        && old.sinks == new.sinks
        && old.store.retention() == new.store.retention()
        && old.store.pack_after() == new.store.pack_after();
    if old.limits != new.limits {
        built.doors.set_limits(&new.limits);
    }
    if !is_same {
        built.view.set_directions(new.directions.clone());
        built.plan.send_replace(Arc::new(plan));
        let added = new.pairs.iter().filter(|pair| !old.pairs.contains(pair));
        for pair in added.copied().collect::<Vec<_>>() {
            tokio::spawn(track(Arc::clone(&built.bus), pair));
        }
    }
    TAKEN_OVER.map(str::to_owned).to_vec()
}

/// Tracks a pair that was added to the configuration, on the way every symbol is tracked.
async fn track(bus: Arc<dyn Bus>, pair: Pair) {
    let symbol = format!("{}{}", pair.base, pair.quote).into();
    let by = Some(Box::new(Actor {
        who: "configuration".into(),
        address: None,
        why: None,
    }));
    match bus
        .request(Command::Track { symbol, pair, by }, TRACK_PATIENCE)
        .await
    {
        Ok(Reply::Tracked { .. }) => {}
        Ok(reply) => tracing::error!(%pair, ?reply, "cannot track a pair of the new configuration"),
        Err(error) => {
            tracing::error!(%pair, %error, "cannot track a pair of the new configuration")
        }
    }
}
