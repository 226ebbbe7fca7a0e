//! A server with a view fed by hand.

use kurs_auth::TrustedProxies;
use kurs_bus::{Body, BookCounts, SourcePrice, SourceStatus, Update};
use kurs_core::{
    Choice, Clock, Epoch, ManualClock, Mono, Now, Pair, Price, Rate, RateState, Seq, SourceId,
    SourceKind, SourceState, UpdateId, Wall,
};
use kurs_grpc::proto::event::Told as Say;
use kurs_grpc::proto::rates_client::RatesClient;
use kurs_grpc::proto::{self, Event, SubscribeRequest};
use kurs_grpc::{Everybody, Gate, GrpcConfig, GrpcParts, serve};
use kurs_reader::{RateView, Told, ViewConfig};
use kurs_stream::{Hub, StreamConfig};
use kurs_telemetry::Health;
use kurs_telemetry::metrics::StreamMetrics;
use rustls::ServerConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// Nothing here takes this long.
pub(crate) const GUARD: Duration = Duration::from_secs(30);
/// 2026-11-21T10:00:00Z.
pub(crate) const START: Wall = Wall::from_unix_seconds(1_795_255_200);

pub(crate) struct Harness {
    pub(crate) address: SocketAddr,
    pub(crate) view: Arc<RateView>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) health: Arc<Health>,
    pub(crate) streams: Arc<Hub>,
    pub(crate) metrics: StreamMetrics,
    seq: AtomicU64,
    stop: watch::Sender<bool>,
    pub(crate) served: JoinHandle<usize>,
}

pub(crate) fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut GrpcConfig, &mut StreamConfig)) -> Self {
        Self::behind(Arc::new(Everybody), change).await
    }

    pub(crate) async fn behind(
        gate: Arc<dyn Gate>,
        change: impl FnOnce(&mut GrpcConfig, &mut StreamConfig),
    ) -> Self {
        Self::fronted(gate, None, None, change).await
    }

    pub(crate) async fn fronted(
        gate: Arc<dyn Gate>,
        proxies: Option<TrustedProxies>,
        tls: Option<Arc<ServerConfig>>,
        change: impl FnOnce(&mut GrpcConfig, &mut StreamConfig),
    ) -> Self {
        let now = Now {
            mono: Mono(1_000_000_000),
            wall: START,
        };
        let clock = Arc::new(ManualClock::new(now));
        let directions = vec![pair("BTC-USD"), pair("USDTTRC-RUB")];
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let view = Arc::new(RateView::new(shared, ViewConfig { directions }));
        view.set_loaded();
        let health = Arc::new(Health::new());
        health.mark_started();
        let (mut config, mut streams) = (GrpcConfig::default(), StreamConfig::default());
        change(&mut config, &mut streams);
        let metrics = StreamMetrics::default();
        let streams = Hub::new(Arc::clone(&view), streams, metrics.clone(), 7);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, mut stopped) = watch::channel(false);
        let parts = GrpcParts {
            view: Arc::clone(&view),
            streams: Arc::clone(&streams),
            metrics: metrics.clone(),
            health: Arc::clone(&health),
            gate,
            proxies,
            tls,
        };
        let served = tokio::spawn(serve(listener, config, parts, async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        }));
        Self {
            address,
            view,
            clock,
            health,
            streams,
            metrics,
            seq: AtomicU64::new(1),
            stop,
            served,
        }
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> RatesClient<Channel> {
        RatesClient::new(self.channel().await)
    }

    /// A client that has no room for more than 64 KiB of a stream.
    pub(crate) async fn tight_client(&self) -> RatesClient<Channel> {
        let endpoint = self.endpoint().initial_stream_window_size(65_535);
        RatesClient::new(endpoint.connect().await.unwrap())
    }

    pub(crate) async fn subscribe(&self, topics: &[&str], resume_from: &str) -> Listening {
        Listening::of(&mut self.client().await, topics, resume_from).await
    }

    pub(crate) fn publish(&self, body: Body) {
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(1),
            seq: Seq(self.seq.fetch_add(1, Ordering::Relaxed)),
        };
        let update = Arc::new(Update {
            id,
            body,
            cause: None,
            at: None,
        });
        let mut take = || self.view.apply(&update);
        assert!(self.streams.around(&update, &mut take));
    }

    pub(crate) fn rate(&self, name: &str, value: &str) {
        self.rate_for(name, value, HOUR);
    }

    pub(crate) fn rate_for(&self, name: &str, value: &str, valid_for: Duration) {
        let now = self.clock.now().wall;
        let by = source("binance");
        self.publish(Body::Rate(Rate {
            pair: pair(name),
            value: price(value),
            bid: Some(price("1.5")),
            ask: None,
            confidence: None,
            source: by,
            state: RateState::Fresh,
            legs: None,
            observed_at: now,
            published_at: now,
            valid_for,
            evidence: None,
            depeg: None,
            choice: Arc::new(Choice {
                source: by,
                since: now,
                reason: "first by priority".into(),
                skipped: vec![],
            }),
        }));
    }

    pub(crate) fn source_price(&self, by: &str, name: &str, value: &str) {
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
            valid_for: HOUR,
        }));
    }

    pub(crate) fn status(&self, name: &str) {
        self.publish(Body::SourceStatus(SourceStatus {
            source: source(name),
            kind: SourceKind::Exchange,
            priority: 1,
            state: SourceState::Live,
            why: "".into(),
            since: START,
            mode: "rest".into(),
            pairs: 1,
            messages: 1,
            decode_errors: 0,
            reconnects: 0,
            failures: 0,
            books: BookCounts::default(),
            overlaps: 0,
            last_message_at: Some(START),
            next_poll_at: None,
            limited_until: None,
            lag_ms: Some(-3),
        }));
    }

    /// Waits until so many listen.
    pub(crate) async fn listeners(&self, expect: usize) {
        until(|| self.streams.listeners() == expect).await;
    }
}

/// Waits for a condition.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let looking = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(GUARD, looking).await.expect("it never came true");
}

/// A client of a stream.
pub(crate) struct Listening {
    pub(crate) events: Streaming<Event>,
    /// The last position that was heard.
    pub(crate) position: String,
}

impl Listening {
    pub(crate) async fn of(
        client: &mut RatesClient<Channel>,
        topics: &[&str],
        resume_from: &str,
    ) -> Self {
        Self::try_of(client, topics, resume_from).await.unwrap()
    }

    pub(crate) async fn try_of(
        client: &mut RatesClient<Channel>,
        topics: &[&str],
        resume_from: &str,
    ) -> Result<Self, Status> {
        let asked = SubscribeRequest {
            topics: topics.iter().map(ToString::to_string).collect(),
            resume_from: resume_from.to_owned(),
        };
        let answer = timeout(GUARD, client.subscribe(asked)).await.unwrap()?;
        Ok(Self {
            events: answer.into_inner(),
            position: resume_from.to_owned(),
        })
    }

    /// What comes next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Say>, Status> {
        let event = timeout(GUARD, self.events.message()).await.unwrap()?;
        let Some(event) = event else { return Ok(None) };
        if !event.position.is_empty() {
            self.position = event.position;
        }
        Ok(Some(event.told.expect("every event tells something")))
    }

    /// The next so many, in short.
    pub(crate) async fn hear(&mut self, count: usize) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let say = self.next().await.unwrap().expect("it ended early");
            heard.push(short(&say));
        }
        heard
    }
}

fn rate(rate: &proto::Rate) -> String {
    let state = format!("{:?}", rate.state()).to_lowercase();
    format!("{} {} {state}", rate.pair, rate.value)
}

/// An event in short.
pub(crate) fn short(say: &Say) -> String {
    match say {
        Say::Hello(hello) if hello.resumed => "hello again".into(),
        Say::Hello(_) => "hello".into(),
        Say::Snapshot(snapshot) => {
            let rates: Vec<String> = snapshot.rates.iter().map(rate).collect();
            format!("snapshot {}", rates.join(", "))
        }
        Say::Rate(changed) => rate(changed.rate.as_ref().unwrap()),
        Say::Source(changed) => format!("source {}", changed.topic),
        Say::Gap(gap) => format!("gap {}", gap.reason),
        Say::Heartbeat(_) => "heartbeat".into(),
        Say::Bye(bye) => format!("bye {}", bye.reason),
        Say::Error(error) => format!("error {}", error.code),
    }
}
