//! One store, one simulated Telegram, and as many bots as a test wants.
//!
//! Tests whose name of the runtime says `start_paused` live in quick time: a task moves tokio's
//! clock on, step by step, while the store works at its own pace. Nothing jumps, so nothing runs
//! out that would not run out in real life.

use async_trait::async_trait;
use kurs_alert::office::{self, Office};
use kurs_alert::{AlertConfig, Seat, dispatch, watcher};
use kurs_bot::{ApiError, Bot, BotApi, Call, Means, Picture, Pictures, TelegramConfig};
use kurs_bus::{Body, Update};
use kurs_core::{
    Choice, Clock, Epoch, Mono, Now, Pair, Price, Rate, RateState, Seq, SourceId, UpdateId, Wall,
};
use kurs_reader::{RateView, ViewConfig};
use kurs_sim::Telegram;
use kurs_sim::telegram::{Params, Sent};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, Candle, Interval, Origin, Store};
use kurs_telemetry::{Health, Metrics, Secret};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// 2026-11-22, a good day.
const BEGIN: i64 = 1_795_305_600;

/// Quick time goes by steps of this length.
const STEP: Duration = Duration::from_millis(16);

/// Tokio's clock as ours.
#[derive(Debug)]
pub(crate) struct TokioClock(Instant);

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let passed = self.0.elapsed();
        Now {
            mono: Mono(1_000_000_000).plus(passed),
            wall: Wall::from_unix_seconds(BEGIN).plus(passed),
        }
    }
}

/// The simulated Bot API in the same process; each way takes a while.
#[derive(Debug)]
struct Near {
    telegram: Arc<Telegram>,
    token: String,
    one_way: Duration,
    /// The process is dead: nothing leaves it any more.
    is_dead: Arc<AtomicBool>,
}

#[async_trait]
impl BotApi for Near {
    async fn call(&self, call: &Call, timeout: Duration) -> Result<Value, ApiError> {
        let mut params = Params::of(Value::Object(call.params.clone()));
        if let Some(picture) = &call.picture {
            params = params.with_file(kurs_bot::api::PICTURE_NAME, picture.to_vec());
        }
        let asking = async {
            tokio::time::sleep(self.one_way).await;
            if self.is_dead.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            let reply = self.telegram.call(&self.token, call.method, &params).await;
            tokio::time::sleep(self.one_way).await;
            reply
        };
        let Ok(reply) = tokio::time::timeout(timeout, asking).await else {
            return Err(ApiError::Unknown("no answer in time".to_owned()));
        };
        let reply = reply.map_err(|lost| ApiError::Unknown(lost.to_string()))?;
        match reply.status {
            200 => Ok(reply.body["result"].clone()),
            status => Err(ApiError::of(status, &reply.body)),
        }
    }
}

/// Draws one white point, whatever the candles say.
#[derive(Debug)]
pub(crate) struct OnePoint;

/// The smallest PNG there is.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\nIDAT\x78\x9c\x63\xf8\x0f\x00\x01\x01\x01\x00\x1b\xb6\xee\x56\x00\x00\x00\x00IEND\xae\x42\x60\x82";

impl Pictures for OnePoint {
    fn png(&self, picture: &Picture) -> Result<Vec<u8>, String> {
        assert!(!picture.candles.is_empty());
        // Another length for each interval, so that an edit changes something.
        Ok([PNG, picture.interval.as_str().as_bytes()].concat())
    }
}

/// Everything outside of the bot.
pub(crate) struct World {
    pub(crate) telegram: Arc<Telegram>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) view: Arc<RateView>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: TelegramConfig,
    pub(crate) alerts: AlertConfig,
    pub(crate) one_way: Duration,
    seq: AtomicU64,
    passing: Option<JoinHandle<()>>,
    names: AtomicU64,
}

/// A process with the role.
pub(crate) struct Process {
    pub(crate) bot: Arc<Bot>,
    pub(crate) seat: Seat,
    pub(crate) health: Arc<Health>,
    stop: watch::Sender<bool>,
    ends: watch::Sender<bool>,
    is_dead: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    office: Option<JoinHandle<()>>,
}

pub(crate) fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn open() -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(":memory:", SqliteOptions::default()).unwrap())
}

fn rate(market: &str, value: &str, by: &str, at: Wall) -> Rate {
    let source = SourceId::parse(by).unwrap();
    Rate {
        pair: pair(market),
        value: Price::parse(value).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: at,
        published_at: at,
        valid_for: Duration::from_secs(3_600),
        evidence: None,
        depeg: None,
        choice: Arc::new(Choice {
            source,
            since: at,
            reason: "first".into(),
            skipped: Vec::new(),
        }),
    }
}

impl World {
    /// A world in quick time: the runtime must be paused.
    pub(crate) async fn quick() -> Self {
        let store = open();
        let kept = Arc::clone(&store);
        let passing = tokio::spawn(async move {
            // While a blocking task runs, tokio does not let the time jump by itself.
            let (keep, kept_back) = std::sync::mpsc::channel::<()>();
            tokio::task::spawn_blocking(move || kept_back.recv());
            loop {
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                // The store does one thing after the other: what was asked before is done now.
                let _ = kept.ping().await;
                tokio::time::advance(STEP).await;
                let _ = &keep;
            }
        });
        let mut world = Self::on(store).await;
        world.passing = Some(passing);
        world
    }

    pub(crate) async fn at_its_pace() -> Self {
        Self::on(open()).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        store.migrate().await.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock(Instant::now()));
        let directions = ["BTC-USD", "ETH-USD", "BTC-RUB"].map(pair).to_vec();
        let view = RateView::new(Arc::clone(&clock), ViewConfig { directions });
        let telegram = kurs_sim::TelegramConfig::default();
        let world = Self {
            config: TelegramConfig {
                token: Some(Secret::new(&telegram.token)),
                ..TelegramConfig::default()
            },
            telegram: Telegram::new(telegram),
            store,
            view: Arc::new(view),
            clock,
            alerts: AlertConfig::default(),
            one_way: Duration::from_millis(40),
            seq: AtomicU64::new(0),
            passing: None,
            names: AtomicU64::new(0),
        };
        world.publish("BTC-USD", "64000.50", "binance");
        world.publish("USD-RUB", "80", "cbr");
        world.view.set_loaded();
        world
    }

    pub(crate) fn publish(&self, market: &str, value: &str, by: &str) {
        self.publish_rate(rate(market, value, by, self.clock.now().wall));
    }

    pub(crate) fn publish_for(&self, market: &str, value: &str, by: &str, valid_for: Duration) {
        let made = rate(market, value, by, self.clock.now().wall);
        self.publish_rate(Rate { valid_for, ..made });
    }

    fn publish_rate(&self, rate: Rate) {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        self.view.apply(&Arc::new(Update {
            id: UpdateId {
                shard: 0,
                epoch: Epoch(1),
                seq: Seq(seq),
            },
            body: Body::Rate(rate),
            cause: None,
            at: None,
        }));
    }

    /// Candles of the last hours, five minutes each, as published.
    pub(crate) async fn store_candles(&self, market: &str, interval: Interval, count: u32) {
        let now = interval.start_of(self.clock.now().wall);
        let candles = (0..count).map(|number| {
            let back = i64::from(count - number) * i64::from(interval.seconds()) * 1_000_000;
            let price = |value: u32| Price::parse(&(60_000 + value).to_string()).unwrap();
            Candle {
                pair: pair(market),
                source: None,
                interval,
                start: Wall(now.0 - back),
                open: price(number),
                high: price(number + 20),
                low: price(number),
                close: price(number + 10),
                count: 3,
                origin: Origin::Live,
            }
        });
        let batch = Batch {
            candles: candles.collect(),
            ..Batch::default()
        };
        self.store.write(batch).await.unwrap();
    }

    /// A process with the role; it takes the lease when it is free.
    pub(crate) fn start(&self) -> Process {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let is_dead = Arc::new(AtomicBool::new(false));
        let api = Near {
            telegram: Arc::clone(&self.telegram),
            token: self.config.token.clone().unwrap().reveal().to_owned(),
            one_way: self.one_way,
            is_dead: Arc::clone(&is_dead),
        };
        self.start_over(Arc::new(api), is_dead, number)
    }

    pub(crate) fn start_over(
        &self,
        api: Arc<dyn BotApi>,
        is_dead: Arc<AtomicBool>,
        number: u64,
    ) -> Process {
        let metrics = Metrics::for_tests();
        let health = Arc::new(Health::new());
        let office = Office::new(office::Means {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            name: format!("bot-{number}").into(),
            metrics: metrics.alerts.clone(),
            health: Arc::clone(&health),
        });
        let seat = office.seat();
        let bot = Arc::new(Bot::over(
            api,
            Means {
                config: self.config.clone(),
                view: Arc::clone(&self.view),
                store: Arc::clone(&self.store),
                clock: Arc::clone(&self.clock),
                pictures: Arc::new(OnePoint),
                health: Arc::clone(&health),
                seat: seat.clone(),
                metrics: metrics.telegram.clone(),
                alerts: self.alerts.clone(),
                seed: number,
            },
        ));
        let fired = Arc::new(Notify::new());
        let watcher = watcher::Means {
            view: Arc::clone(&self.view),
            store: Arc::clone(&self.store),
            seat: seat.clone(),
            metrics: metrics.alerts.clone(),
            fired: Arc::clone(&fired),
        };
        let dispatcher = dispatch::Means {
            store: Arc::clone(&self.store),
            seat: seat.clone(),
            clock: Arc::clone(&self.clock),
            couriers: vec![bot.courier()],
            config: self.alerts.clone(),
            metrics: metrics.alerts.clone(),
            fired,
            seed: number,
        };
        let (stop, stopped) = watch::channel(false);
        let (ends, ended) = watch::channel(false);
        let talking = {
            let (bot, stopped) = (Arc::clone(&bot), stopped.clone());
            async move { bot.run(stopped).await }
        };
        Process {
            seat,
            health,
            tasks: vec![
                tokio::spawn(watcher::run(watcher, stopped.clone())),
                tokio::spawn(dispatch::run(dispatcher, stopped)),
                tokio::spawn(talking),
            ],
            office: Some(tokio::spawn(office.run(ended))),
            bot,
            stop,
            ends,
            is_dead,
        }
    }

    /// What a chat reads, oldest first.
    pub(crate) fn read(&self, chat: i64) -> Vec<Sent> {
        self.telegram.sent(chat)
    }

    /// A person writes; gives the answer.
    pub(crate) async fn ask(&self, chat: i64, language: &str, text: &str) -> Sent {
        let before = self.read(chat).len();
        self.telegram.say(chat, language, text);
        self.answer_after(chat, before, text).await
    }

    /// A person presses a button; gives the answer.
    pub(crate) async fn press(&self, chat: i64, message: i64, data: &str) -> Sent {
        let before = self.read(chat).len();
        self.telegram.press(chat, "en", message, data);
        self.answer_after(chat, before, data).await
    }

    async fn answer_after(&self, chat: i64, before: usize, asked: &str) -> Sent {
        let what = format!("an answer to {asked}");
        until(&what, || self.read(chat).get(before).cloned()).await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(passing) = &self.passing {
            passing.abort();
        }
    }
}

/// Waits in the time of the test, two hours at most.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(7_200),
            "waited in vain for {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Process {
    /// Ends in order: what is on its way lands, then the lease is given back.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        self.ends.send_replace(true);
        if let Some(office) = self.office.take() {
            office.await.unwrap();
        }
    }

    /// Dies: no goodbye, nothing leaves any more, nothing is written any more.
    pub(crate) fn kill(mut self) {
        self.is_dead.store(true, Ordering::Release);
        for task in self.tasks.drain(..).chain(self.office.take()) {
            task.abort();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for task in self.tasks.drain(..).chain(self.office.take()) {
            task.abort();
        }
    }
}
