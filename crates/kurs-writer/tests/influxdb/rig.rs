//! A sink on a bus of its own, and what is said on it.

use async_trait::async_trait;
use kurs_book::{Counters, Scheme};
use kurs_bus::memory::MemoryBus;
use kurs_bus::{Body, Bus, SourcePrice, Update};
use kurs_core::{
    Choice, Depth, Epoch, Level, Pair, Price, Rate, RateState, Seq, SourceId, SourceKind,
    SourceState, SystemClock, UpdateId, Wall,
};
use kurs_sources::{BookView, Context, ListingError, Source, SourceStats};
use kurs_telemetry::health::{Check, Health, Status};
use kurs_writer::sinks::{InfluxConfig, InfluxSink, Means, SinkMetrics};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Nothing takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A moment with microseconds in it.
pub(crate) const AT: Wall = Wall(1_790_000_000_123_456);

pub(crate) struct Rig {
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) metrics: SinkMetrics,
    pub(crate) health: Arc<Health>,
    seq: AtomicU64,
}

/// A sink that sends what comes without waiting for more, and soon again what failed.
pub(crate) fn config(url: &str) -> InfluxConfig {
    InfluxConfig {
        url: url.to_owned(),
        linger_ms: 0,
        retry_max_ms: 100,
        exact: true,
        ..InfluxConfig::default()
    }
}

pub(crate) fn pair(name: &str) -> Pair {
    Pair::parse(name).unwrap()
}

pub(crate) fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(crate) fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

pub(crate) const fn after(microseconds: i64) -> Wall {
    Wall(AT.0 + microseconds)
}

pub(crate) fn rate(name: &str, value: &str, published_at: Wall) -> Body {
    let source = source("binance");
    Body::Rate(Rate {
        pair: pair(name),
        value: price(value),
        bid: Some(price(value)),
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: published_at,
        published_at,
        valid_for: Duration::from_secs(5),
        choice: Arc::new(Choice {
            source,
            since: published_at,
            reason: "best".into(),
            skipped: Vec::new(),
        }),
        evidence: None,
        depeg: None,
    })
}

pub(crate) fn source_price(name: &str, value: &str, received_at: Wall) -> Body {
    Body::SourcePrice(SourcePrice {
        source: source("sim:kraken"),
        pair: pair(name),
        value: price(value),
        bid: Some(price("1")),
        ask: Some(price("79228162514264337593543950335")),
        state: SourceState::Live,
        why: "".into(),
        observed_at: received_at,
        received_at,
        published_at: received_at,
        valid_for: Duration::from_secs(5),
    })
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self {
            bus: Arc::new(MemoryBus::new()),
            metrics: SinkMetrics::default(),
            health: Arc::new(Health::new()),
            seq: AtomicU64::new(0),
        }
    }

    pub(crate) async fn start(&self, config: &InfluxConfig) -> InfluxSink {
        self.start_with(config, Vec::new()).await
    }

    pub(crate) async fn start_with(
        &self,
        config: &InfluxConfig,
        sources: Vec<Arc<dyn Source>>,
    ) -> InfluxSink {
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert_eq!(mistakes, [""; 0]);
        let pairs: Arc<[Pair]> = Arc::new([pair("BTC-USDT"), pair("ETH-USDT")]);
        let means = Means {
            bus: Arc::clone(&self.bus) as Arc<dyn Bus>,
            sources,
            pairs: watch::channel(pairs).1,
            clock: Arc::new(SystemClock::new()),
            influxdb: self.metrics.clone(),
            health: Arc::clone(&self.health),
            seed: 7,
        };
        InfluxSink::start(config, means).await.unwrap()
    }

    pub(crate) fn publish(&self, body: Body) {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(3),
            seq: Seq(seq),
        };
        self.bus
            .publish(Arc::new(Update {
                id,
                body,
                cause: None,
                at: None,
            }))
            .unwrap();
    }

    pub(crate) fn check(&self) -> Check {
        let checks = self.health.checks();
        let found = checks.iter().find(|check| &*check.name == "influxdb");
        found.unwrap().clone()
    }

    pub(crate) async fn written(&self, lines: u64) {
        let what = format!("{lines} written lines");
        kurs_testkit::until(&what, PATIENCE, || {
            (self.metrics.written.get() >= lines).then_some(())
        })
        .await;
        assert_eq!(self.metrics.written.get(), lines);
    }

    pub(crate) async fn status(&self, expected: Status) {
        let what = format!("status {expected:?}");
        kurs_testkit::until(&what, PATIENCE, || {
            (self.check().status == expected).then_some(())
        })
        .await;
    }
}

/// A source that only has the order book of BTC-USDT.
pub(crate) struct BookKeeper {
    stats: SourceStats,
}

impl BookKeeper {
    pub(crate) fn shared() -> Arc<dyn Source> {
        Arc::new(Self {
            stats: SourceStats::new("websocket", AT),
        })
    }
}

#[async_trait]
impl Source for BookKeeper {
    fn id(&self) -> SourceId {
        source("okx")
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Exchange
    }

    fn priority(&self) -> u16 {
        1
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn follows_pairs(&self) -> bool {
        true
    }

    async fn lists(&self, _: Pair) -> Result<bool, ListingError> {
        Ok(true)
    }

    fn book(&self, of: Pair, levels: usize) -> Option<BookView> {
        if of != pair("BTC-USDT") {
            return None;
        }
        let level = |text: &str, size: &str| Level {
            price: price(text),
            size: price(size).value(),
        };
        let bids = [level("64364.26", "0.5"), level("64364.25", "1.75")];
        let asks = [level("64364.28", "2"), level("64364.30", "0.00000001")];
        Some(BookView {
            symbol: "BTC-USDT".into(),
            depth: Some(Arc::new(Depth {
                bids: bids.into_iter().take(levels).collect(),
                asks: asks.into_iter().take(levels).collect(),
            })),
            why: "".into(),
            levels: (2, 2),
            last_id: Some(7),
            observed_at: None,
            received_at: Some(AT),
            scheme: Scheme::Chain,
            counters: Counters::default(),
        })
    }

    async fn run(self: Arc<Self>, _: Context) {}
}
