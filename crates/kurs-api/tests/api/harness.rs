//! A server with a view fed by hand.

use crate::client::{Client, Reply};
use kurs_api::{ApiConfig, ApiParts, ApiState, Limits, serve};
use kurs_auth::{AuthConfig, Doors, KeyRing, LimitsConfig};
use kurs_bus::memory::MemoryBus;
use kurs_bus::{Body, Bus, Command, Reply as WriterReply, SourcePrice, SourceStatus, Update};
use kurs_core::{
    Choice, Clock, Epoch, ManualClock, Mono, Now, Pair, Price, Rate, RateState, Seq, SourceId,
    SourceKind, SourceState, TrackedSymbol, UpdateId, Wall,
};
use kurs_reader::{RateView, Told, ViewConfig};
use kurs_store::Store;
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_stream::{Hub, StreamConfig};
use kurs_telemetry::{Health, Metrics};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// 2026-11-21T10:00:00Z.
pub(crate) const START: Wall = Wall::from_unix_seconds(1_795_255_200);

/// A running server.
pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) view: Arc<RateView>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) api: Arc<ApiState>,
    pub(crate) streams: Arc<Hub>,
    pub(crate) doors: Arc<Doors>,
    /// Makes the handler of `/metrics` panic.
    pub(crate) metrics_panic: Arc<AtomicBool>,
    seq: AtomicU64,
    stop: watch::Sender<bool>,
    pub(crate) served: tokio::task::JoinHandle<usize>,
}

pub(crate) fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

pub(crate) fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(crate) fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

impl Harness {
    /// A server with the rates most tests need.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        let harness = Self::empty(change).await;
        harness.status("binance", SourceKind::Exchange, 1);
        harness.status("coingecko", SourceKind::Aggregator, 6);
        harness.rate("BTC-USD", "54000.000123", "binance", Duration::from_secs(5));
        harness.rate("USDT-RUB", "90.50", "coingecko", HOUR);
        harness.source_price("coingecko", "BTC-USD", "53990.5", HOUR);
        let tracked = TrackedSymbol {
            symbol: "BTCUSDT".into(),
            pair: pair("BTC-USDT"),
            added_at: START,
        };
        harness.publish(Body::Tracked(Arc::from([tracked])));
        harness.rate("BTC-USDT", "54010.00", "binance", HOUR);
        harness
    }

    /// The same with other settings of streams.
    pub(crate) async fn with_streams(change: impl FnOnce(&mut StreamConfig)) -> Self {
        let mut streams = StreamConfig::default();
        change(&mut streams);
        let harness = Self::bare(|_| {}, streams).await;
        harness.rate("BTC-USD", "54000.000123", "binance", HOUR);
        harness
    }

    /// The same with doors of its own.
    pub(crate) async fn with_doors(
        change: impl FnOnce(&mut AuthConfig, &mut LimitsConfig, &mut ApiConfig),
    ) -> Self {
        let (mut auth, mut limits) = (AuthConfig::default(), LimitsConfig::default());
        let mut config = ApiConfig::default();
        change(&mut auth, &mut limits, &mut config);
        let doors = Doors::new(&auth, &limits);
        let harness = Self::build(|set| *set = config, StreamConfig::default(), doors).await;
        harness.status("binance", SourceKind::Exchange, 1);
        harness.rate("BTC-USD", "54000.000123", "binance", HOUR);
        harness
    }

    /// The same before its keys were read.
    pub(crate) async fn with_unread_keys() -> Self {
        let harness =
            Self::build_with(|_| {}, StreamConfig::default(), Doors::default(), None).await;
        harness.rate("BTC-USD", "54000.000123", "binance", HOUR);
        harness
    }

    /// A server that knows its directions and nothing else.
    pub(crate) async fn empty(change: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::bare(change, StreamConfig::default()).await
    }

    /// A server that has nothing yet.
    pub(crate) async fn bare(change: impl FnOnce(&mut ApiConfig), streams: StreamConfig) -> Self {
        Self::build(change, streams, Doors::default()).await
    }

    async fn build(
        change: impl FnOnce(&mut ApiConfig),
        streams: StreamConfig,
        doors: Doors,
    ) -> Self {
        // No keys, which is not the same as not knowing any.
        Self::build_with(change, streams, doors, Some(KeyRing::default())).await
    }

    async fn build_with(
        change: impl FnOnce(&mut ApiConfig),
        streams: StreamConfig,
        doors: Doors,
        keys: Option<KeyRing>,
    ) -> Self {
        let doors = Arc::new(doors);
        let store = Arc::new(SqliteStore::open(":memory:", SqliteOptions::default()).unwrap());
        store.migrate().await.unwrap();
        let now = Now {
            mono: Mono(1_000_000_000),
            wall: START,
        };
        let clock = Arc::new(ManualClock::new(now));
        let directions = ["BTC-USD", "USDTTRC-RUB"].map(pair).to_vec();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let view = Arc::new(RateView::new(shared, ViewConfig { directions }));
        view.set_loaded();
        let health = Arc::new(Health::new());
        health.mark_started();
        let metrics = Arc::new(Metrics::for_tests());
        let bus = Arc::new(MemoryBus::new());
        let stream_metrics = metrics.streams.clone();
        let streams = Hub::new(Arc::clone(&view), streams, stream_metrics, 7);
        if let Some(keys) = keys {
            doors.set_ring(keys);
        }
        let mut config = ApiConfig::default();
        change(&mut config);
        let limits: Limits = config.limits.clone();
        let text = Arc::clone(&metrics);
        let metrics_panic = Arc::new(AtomicBool::new(false));
        let panics = Arc::clone(&metrics_panic);
        let parts = ApiParts {
            view: Arc::clone(&view),
            bus: Arc::clone(&bus) as _,
            store: Arc::clone(&store) as _,
            health: Arc::clone(&health),
            metrics: Arc::clone(&metrics),
            metrics_text: Arc::new(move || {
                assert!(!panics.load(Ordering::Relaxed), "asked for by a test");
                text.encode()
            }),
            streams: Arc::clone(&streams),
            doors: Arc::clone(&doors),
            version: "0.0.0-test",
            seed: 7,
        };
        let api = Arc::new(ApiState::new(config, parts).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&streams).run(stop.subscribe()));
        let shared = Arc::clone(&api);
        let served = tokio::spawn(async move {
            serve(listener, shared, limits, async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            })
            .await
        });
        Self {
            address,
            view,
            clock,
            bus,
            store,
            health,
            metrics,
            api,
            streams,
            doors,
            metrics_panic,
            seq: AtomicU64::new(1),
            stop,
            served,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn next_id(&self) -> UpdateId {
        UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(self.seq.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn publish(&self, body: Body) {
        let update = Arc::new(Update {
            id: self.next_id(),
            body,
            cause: None,
            at: None,
        });
        let mut take = || self.view.apply(&update);
        assert!(self.streams.around(&update, &mut take));
    }

    pub(crate) fn rate(&self, name: &str, value: &str, by: &str, valid_for: Duration) {
        self.rate_in(RateState::Fresh, name, value, by, valid_for);
    }

    pub(crate) fn rate_in(
        &self,
        state: RateState,
        name: &str,
        value: &str,
        by: &str,
        valid_for: Duration,
    ) {
        let now = self.clock.now().wall;
        let choice = Choice {
            source: source(by),
            since: now,
            reason: "first by priority".into(),
            skipped: vec![],
        };
        self.publish(Body::Rate(Rate {
            pair: pair(name),
            value: price(value),
            bid: None,
            ask: None,
            confidence: None,
            source: source(by),
            state,
            legs: None,
            observed_at: now,
            published_at: now,
            valid_for,
            evidence: None,
            depeg: None,
            choice: Arc::new(choice),
        }));
    }

    pub(crate) fn source_price(&self, by: &str, name: &str, value: &str, valid_for: Duration) {
        let now = self.clock.now().wall;
        self.publish(Body::SourcePrice(SourcePrice {
            source: source(by),
            pair: pair(name),
            value: price(value),
            bid: None,
            ask: None,
            state: SourceState::Live,
            why: "".into(),
            observed_at: now,
            received_at: now,
            published_at: now,
            valid_for,
        }));
    }

    pub(crate) fn status(&self, name: &str, kind: SourceKind, priority: u16) {
        self.polled(name, kind, priority, None);
    }

    /// A source that is polled next at this moment.
    pub(crate) fn polled(
        &self,
        name: &str,
        kind: SourceKind,
        priority: u16,
        next_poll_at: Option<Wall>,
    ) {
        self.publish(Body::SourceStatus(SourceStatus {
            source: source(name),
            kind,
            priority,
            state: SourceState::Live,
            why: "".into(),
            since: START,
            mode: "rest".into(),
            pairs: 1,
            messages: 1,
            decode_errors: 0,
            reconnects: 0,
            failures: 0,
            books: kurs_bus::BookCounts::default(),
            overlaps: 0,
            last_message_at: Some(START),
            next_poll_at,
            limited_until: None,
            lag_ms: None,
        }));
    }

    /// Plays the Writer: answers every command, and publishes what is tracked then.
    pub(crate) fn writer(&self, answer: impl Fn(Command) -> WriterReply + Send + 'static) {
        self.writer_with_lag(Duration::ZERO, answer);
    }

    /// The same, with a bus that brings the change this much later than the answer.
    pub(crate) fn writer_with_lag(
        &self,
        lag: Duration,
        answer: impl Fn(Command) -> WriterReply + Send + 'static,
    ) {
        let (bus, view) = (Arc::clone(&self.bus), Arc::clone(&self.view));
        let mut id = self.next_id();
        tokio::spawn(async move {
            let mut requests = bus.requests().await.unwrap();
            while let Some(request) = requests.next().await {
                let mut tracked = view.tracked().to_vec();
                let symbol = match &request.command {
                    Command::Track { symbol, .. } | Command::Untrack { symbol, .. } => {
                        symbol.clone()
                    }
                    Command::Book { .. } | Command::Change { .. } => "".into(),
                };
                let reply = answer(request.command);
                match &reply {
                    WriterReply::Tracked { symbol, .. }
                        if tracked.iter().all(|known| known.symbol != symbol.symbol) =>
                    {
                        tracked.push(symbol.clone());
                    }
                    WriterReply::Untracked { existed: true } => {
                        tracked.retain(|known| known.symbol != symbol);
                    }
                    _ => {}
                }
                let _ = request.reply.send(reply);
                tokio::time::sleep(lag).await;
                id.epoch = Epoch(id.epoch.0 + 1);
                let body = Body::Tracked(Arc::from(tracked));
                view.apply(&Arc::new(Update {
                    id,
                    body,
                    cause: None,
                    at: None,
                }));
            }
        });
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.ask("GET", target, "").await
    }

    /// All pages from this one on, as `Link` leads.
    pub(crate) async fn pages(&self, target: &str) -> Vec<Value> {
        let mut target = target.to_owned();
        let mut pages = Vec::new();
        loop {
            let reply = self.get(&target).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let document = reply.json();
            let link = reply.header("link").map(str::to_owned);
            let next = document["next"].as_str().map(str::to_owned);
            pages.push(document);
            let Some(link) = link else {
                assert_eq!(next, None);
                return pages;
            };
            assert!(link.contains(&next.unwrap()));
            let inside = link.trim_start_matches('<').split('>').next();
            target = inside.unwrap().to_owned();
        }
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, headers: &str) -> Reply {
        self.client().await.ask(method, target, headers).await
    }

    pub(crate) async fn post(&self, target: &str, headers: &str, body: &str) -> Reply {
        let mut client = self.client().await;
        let length = body.len();
        client
            .send(format!(
                "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            ))
            .await;
        client.reply(false).await
    }
}

/// Asserts that an answer is a problem document of this kind, with everything a problem has.
#[track_caller]
pub(crate) fn assert_problem(reply: &Reply, status: u16, slug: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    let document = reply.json();
    assert_eq!(document["type"], format!("/docs/problems#{slug}"));
    assert_eq!(document["status"], status);
    assert!(
        document["title"]
            .as_str()
            .is_some_and(|title| !title.is_empty())
    );
    assert!(
        document["detail"]
            .as_str()
            .is_some_and(|detail| !detail.is_empty())
    );
    assert_eq!(document["instance"].as_str(), reply.header("x-request-id"));
    assert_eq!(reply.header("api-supported-versions"), Some("1"));
    if status == 503 {
        assert!(
            reply.header("retry-after").is_some(),
            "a 503 says when to come back"
        );
    }
}

/// Asserts that a problem names exactly these parameters or pointers.
#[track_caller]
pub(crate) fn assert_names(reply: &Reply, expect: &[&str]) {
    let document = reply.json();
    let names: Vec<&str> = document["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| {
            error["parameter"]
                .as_str()
                .or(error["pointer"].as_str())
                .unwrap()
        })
        .collect();
    assert_eq!(names, expect, "{document}");
}
