//! The API of kurs over one rate that stays: everything that happens per request, and nothing
//! that happens beside it.

use anyhow::{Context as _, Result};
use kurs_api::{ApiConfig, ApiParts, ApiState};
use kurs_bus::memory::MemoryBus;
use kurs_bus::{Body, Update};
use kurs_core::{
    Choice, Clock, Epoch, Leg, Now, Pair, Price, Rate, RateState, Seq, SourceId, SystemClock,
    UpdateId,
};
use kurs_reader::{RateView, ViewConfig};
use kurs_store::StoreConfig;
use kurs_stream::{Hub, StreamConfig};
use kurs_telemetry::{Health, Metrics};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Longer than any run.
const VALID_FOR: Duration = Duration::from_secs(24 * 3_600);

/// The runtime of both servers: what the kurs binary gets when it is bound to one core.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .context("no runtime")
}

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr) -> Result<()> {
    runtime()?.block_on(async move {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let pair = Pair::parse("BTC-USD")?;
        let view = Arc::new(RateView::new(
            clock.clone(),
            ViewConfig {
                directions: vec![pair],
            },
        ));
        let body = Body::Rate(rate(pair, clock.now())?);
        let id = UpdateId {
            shard: 0,
            epoch: Epoch(7),
            seq: Seq(1_234_567),
        };
        view.apply(&Arc::new(Update {
            id,
            body,
            cause: None,
            at: None,
        }));
        view.set_loaded();
        let store = StoreConfig {
            url: "sqlite::memory:".to_owned(),
            ..StoreConfig::default()
        };
        let store_config = store.clone();
        let store = tokio::task::spawn_blocking(move || kurs_store::open(&store)).await??;
        kurs_store::prepare(&*store, &store_config).await?;
        let health = Arc::new(Health::new());
        health.mark_started();
        let metrics = Arc::new(Metrics::for_tests());
        let text = Arc::clone(&metrics);
        let streams = Hub::new(
            Arc::clone(&view),
            StreamConfig::default(),
            metrics.streams.clone(),
            1,
        );
        let config = ApiConfig::default();
        let limits = config.limits.clone();
        let parts = ApiParts {
            view,
            bus: Arc::new(MemoryBus::new()),
            store,
            health,
            metrics,
            metrics_text: Arc::new(move || text.encode()),
            streams,
            doors: Arc::default(),
            version: "benchmark",
            seed: 1,
        };
        let api = Arc::new(ApiState::new(config, parts)?);
        let listener = TcpListener::bind(address).await.context("cannot listen")?;
        kurs_api::serve(listener, api, limits, std::future::pending()).await;
        Ok(())
    })
}

/// A rate as the default configuration has it: an exchange's price in USDT, carried on to USD.
fn rate(pair: Pair, now: Now) -> Result<Rate> {
    let binance = SourceId::parse("binance")?;
    let leg = |pair: &str, source: &str, value: &str| -> Result<Leg> {
        Ok(Leg {
            pair: Pair::parse(pair)?,
            source: SourceId::parse(source)?,
            value: Price::parse(value)?,
            inverted: false,
            observed_at: now.wall,
            expires_at: now.wall.plus(VALID_FOR),
        })
    };
    let legs = [
        leg("BTC-USDT", "binance", "60001.335")?,
        leg("USDT-USD", "coingecko", "0.999871")?,
    ];
    Ok(Rate {
        pair,
        value: Price::parse("59993.5948278")?,
        bid: Some(Price::parse("59993.5898284")?),
        ask: Some(Price::parse("59993.5998271")?),
        confidence: None,
        source: binance,
        state: RateState::Fresh,
        legs: Some(Arc::from(legs)),
        observed_at: now.wall,
        published_at: now.wall,
        valid_for: VALID_FOR,
        evidence: None,
        depeg: None,
        choice: Arc::new(Choice {
            source: binance,
            since: now.wall,
            reason: "binance: first in order of preference".into(),
            skipped: Vec::new(),
        }),
    })
}
