//! Metrics of the Reader: its picture of all rates.

use super::histogram::{DurationHistogram, INTERNAL_BOUNDS_NS};
use super::source::SecondsGauge;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PairLabels {
    pair: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// States of a rate, as they are shown.
const STATES: [&str; 4] = ["fresh", "stale", "suspect", "halted"];

/// Metrics of the Reader.
#[derive(Debug, Clone)]
pub struct ReaderMetrics {
    /// Time from publishing on the bus to being readable in the view.
    pub publish_to_reader: DurationHistogram,
    /// Gaps on the bus, each followed by taking the last values again.
    pub broker_gaps: Counter,
    /// Updates refused because their epoch or sequence was not greater.
    pub updates_refused: Counter,
    /// Pairs in the view.
    pub cache_pairs: Gauge,
    rate_age: Family<PairLabels, SecondsGauge>,
    rate_state: Family<StateLabels, Gauge>,
    pairs_max: usize,
}

/// One rate as measured for `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateReading {
    /// The pair, as shown.
    pub pair: String,
    /// Time since it was observed.
    pub age: Duration,
    /// `fresh`, `stale`, `suspect` or `halted`.
    pub state: &'static str,
}

impl ReaderMetrics {
    pub(super) fn register(registry: &mut Registry, pairs_max: usize) -> Self {
        let metrics = Self {
            publish_to_reader: DurationHistogram::new(&INTERNAL_BOUNDS_NS),
            broker_gaps: Counter::default(),
            updates_refused: Counter::default(),
            cache_pairs: Gauge::default(),
            rate_age: Family::default(),
            rate_state: Family::default(),
            pairs_max,
        };
        registry.register(
            "publish_to_reader_seconds",
            "Time from publishing on the bus to being readable",
            metrics.publish_to_reader.clone(),
        );
        registry.register(
            "broker_gaps",
            "Gaps on the bus, each followed by taking the last values again",
            metrics.broker_gaps.clone(),
        );
        registry.register(
            "reader_updates_refused",
            "Updates refused because their epoch or sequence was not greater",
            metrics.updates_refused.clone(),
        );
        registry.register(
            "cache_pairs",
            "Pairs in the view",
            metrics.cache_pairs.clone(),
        );
        registry.register(
            "rate_age_seconds",
            "Age of a published rate, for the first metrics.max_pairs pairs",
            metrics.rate_age.clone(),
        );
        registry.register("rate_state", "Pairs by state", metrics.rate_state.clone());
        for state in STATES {
            let _ = metrics.rate_state.get_or_create(&StateLabels { state });
        }
        metrics
    }

    /// Takes over the ages and states of all published rates; call it before encoding. Pairs
    /// that are gone lose their series; beyond `metrics.max_pairs` only the states are counted.
    pub fn observe_rates(&self, readings: &[RateReading]) {
        self.rate_age.clear();
        for reading in readings.iter().take(self.pairs_max) {
            let labels = PairLabels {
                pair: reading.pair.clone(),
            };
            self.rate_age
                .get_or_create_owned(&labels)
                .set(reading.age.as_secs_f64());
        }
        for state in STATES {
            let count = readings
                .iter()
                .filter(|reading| reading.state == state)
                .count();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.rate_state
                .get_or_create_owned(&StateLabels { state })
                .set(count);
        }
        self.cache_pairs
            .set(i64::try_from(readings.len()).unwrap_or(i64::MAX));
    }
}
