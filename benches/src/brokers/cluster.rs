//! A store, a broker, what a Writer publishes, and Readers of the real kurs.

use super::flow::{Market, id};
use super::ours::until_reached;
use crate::client;
use crate::options::Options;
use crate::process::{self, Server};
use crate::steady::said;
use anyhow::{Context as _, Result, anyhow, ensure};
use kurs_bus::Bus;
use kurs_core::{Clock as _, SystemClock};
use kurs_nats::{NatsBus, NatsOptions};
use kurs_store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use kurs_store::{CurrentRate, Store as _, StoredRate};
use kurs_testkit::{NatsServer, Postgres};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A Reader that is not ready by then has failed.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Servers, and everything that is published.
pub(super) struct Cluster {
    pub(super) market: Arc<Market>,
    pub(super) nats: NatsServer,
    postgres: Postgres,
    runtime: Runtime,
    folder: TempDir,
}

/// What a Reader finds.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) store_url: String,
    /// Of the names on the broker.
    pub(super) prefix: String,
}

impl Cluster {
    pub(super) fn start(pairs: usize) -> Result<Self> {
        Ok(Self {
            market: Arc::new(Market::new(pairs)?),
            nats: NatsServer::start(),
            postgres: Postgres::start(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?,
            folder: tempfile::tempdir().context("no temporary folder")?,
        })
    }

    /// A store with its schema; with all current rates if they are wanted. Its address.
    pub(super) fn store(&self, is_full: bool) -> Result<String> {
        let url = self.postgres.database().url();
        let parsed = PostgresUrl::parse(&url).map_err(|error| anyhow!("{error}"))?;
        let store = PostgresStore::new(parsed, PostgresOptions::default())?;
        let now = SystemClock::new().now().wall;
        let rates = self.market.rates().zip(1..).map(|(rate, seq)| {
            let (id, rate) = (id(seq), rate.clone());
            CurrentRate::at(StoredRate { id, rate }, now)
        });
        let rates = if is_full { rates.collect() } else { Vec::new() };
        self.runtime.block_on(async {
            store.migrate().await?;
            store.save_current(rates).await
        })?;
        Ok(url)
    }

    /// The Writer's end of a bus.
    pub(super) fn bus(&self, prefix: &str) -> Result<Arc<dyn Bus>> {
        let mut options = NatsOptions::new(&self.nats.url())?;
        prefix.clone_into(&mut options.config.prefix);
        let entered = self.runtime.enter();
        let bus = NatsBus::new(options);
        drop(entered);
        until_reached(&bus)?;
        Ok(Arc::new(bus))
    }

    /// Publishes every value once. The number of the last one.
    pub(super) fn publish_all(&self, bus: &dyn Bus) -> Result<u64> {
        let count = u64::try_from(self.market.values())?;
        for seq in 1..=count {
            bus.publish(self.market.update(seq))?;
        }
        self.runtime.block_on(bus.flush())?;
        Ok(count)
    }

    /// A process of the role of a Reader; it may not be ready yet.
    pub(super) fn reader(
        &self,
        options: &Options,
        core: Option<usize>,
        place: &Place,
    ) -> Result<Server> {
        let address = process::free_address()?;
        let log = File::create(self.folder.path().join("kurs.log"));
        let mut command = process::command(core, options.kurs_binary()?);
        command
            .args(["serve", "--role", "reader"])
            .current_dir(self.folder.path())
            .env("KURS_HTTP__ADDR", address.to_string())
            .env("KURS_STORE__URL", &place.store_url)
            .env("KURS_BUS__URL", self.nats.url())
            .env("KURS_BUS__NATS__PREFIX", &place.prefix)
            .stderr(log.context("cannot write the log")?);
        Server::spawn(&mut command, address)
    }

    /// Waits until `/readyz` says so, asked every millisecond.
    pub(super) fn until_ready(&self, server: &Server) -> Result<()> {
        let begin = Instant::now();
        while !client::get(server.address, "/readyz", "").is_ok_and(|answer| answer.status == 200) {
            let said = || said(self.folder.path());
            ensure!(begin.elapsed() < START_LIMIT, "not ready: {}", said());
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// Somebody who goes on publishing, as a Writer does, until it is dropped.
pub(super) struct Stream {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Publishes so many updates a second, numbered from the one after `last`.
    pub(super) fn begin(
        market: &Arc<Market>,
        bus: Arc<dyn Bus>,
        last: u64,
        per_second: u32,
    ) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (market, end) = (Arc::clone(market), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            for (seq, number) in (last + 1..).zip(1_u32..) {
                let due = begin + Duration::from_secs(1) * number / per_second;
                if let Some(early) = due.checked_duration_since(Instant::now()) {
                    std::thread::sleep(early);
                }
                if end.load(Ordering::Relaxed) || bus.publish(market.update(seq)).is_err() {
                    return;
                }
            }
        });
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}
