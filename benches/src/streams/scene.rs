//! The real kurs with one pair, whose prices are written by hand into the connection to its
//! exchange.

use crate::frames;
use crate::options::Options;
use crate::process::{self, Pinned, Server};
use crate::relay::{self, Relay, Rules};
use crate::steady::said;
use crate::world::SIM_NICENESS;
use crate::{beacon, client};
use anyhow::{Context as _, Result, anyhow, ensure};
use kurs_core::Pair;
use kurs_sim::{Sim, SimConfig, SimHandle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Invented symbols of the simulated Binance: the beacon's is the last of them.
const EXTRA: usize = 36;
/// Frames whose moment is remembered.
const REMEMBERED: usize = 1 << 14;
/// Until the pair has a rate.
const START_LIMIT: Duration = Duration::from_secs(30);
/// More connections than any part opens.
const MOST: &str = "30000";

/// As many open files as this program, and what it starts, may have.
pub(super) fn raise_file_limit(needed: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("cannot raise the limit of open files")?;
    ensure!(
        limit.maximum.is_none_or(|most| most >= needed),
        "{needed} open files are needed: raise the hard limit (ulimit -Hn)"
    );
    Ok(())
}

/// Everything that runs. The server ends first, then the relay, then the exchange.
pub(super) struct Scene {
    pub(super) server: Server,
    pub(super) relay: Arc<Relay>,
    pub(super) written: Arc<Written>,
    pub(super) folder: tempfile::TempDir,
    core: usize,
    binary: std::path::PathBuf,
    settings: Vec<(String, String)>,
    _sim: SimHandle,
    _runtime: Runtime,
    _pinned: Pinned,
}

/// When each price was written, by its number.
#[derive(Debug)]
pub(super) struct Written {
    begin: Instant,
    at: Vec<AtomicU64>,
    next: AtomicU64,
}

impl Written {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            at: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
            next: AtomicU64::new(1),
        })
    }

    /// Nanoseconds since this began.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// When the price of this number was written, in the same.
    pub(super) fn at(&self, number: u64) -> u64 {
        let place = usize::try_from(number).unwrap_or_default() % REMEMBERED;
        self.at
            .get(place)
            .map_or(0, |at| at.load(Ordering::Acquire))
    }

    /// The number that is written next.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }
}

impl Scene {
    /// Starts everything and waits until the pair has a rate. `settings` are further ones of kurs.
    pub(super) fn start(options: &Options, settings: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let pinned = Pinned::to(options.load_core)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(|| {
                // In its place among the others it only makes more noise.
                let _ = process::stand_back(SIM_NICENESS);
            })
            .enable_all()
            .build()?;
        let config = SimConfig {
            extra_symbols: EXTRA,
            ..SimConfig::seeded(1)
        };
        let sim = runtime.block_on(Sim::start(config, ([127, 0, 0, 1], 0).into()))?;
        let rules = Rules {
            book: "@depth",
            hidden: Some(beacon::HIDDEN),
        };
        let relay = Arc::new(Relay::open(sim.address(), rules)?);
        let urls = sim.urls();
        let path = urls.binance_ws.rsplit_once("://").map_or("", |(_, rest)| {
            rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("")
        });
        let mut all: Vec<(String, String)> = vec![
            ("KURS_PAIRS".into(), beacon::PAIR.into()),
            (
                "KURS_SOURCES__BINANCE__WS_URL".into(),
                format!("ws://{}{path}", relay.address),
            ),
            (
                "KURS_SOURCES__BINANCE__REST_URL".into(),
                urls.binance_rest.clone(),
            ),
        ];
        for source in ["COINBASE", "KRAKEN", "BYBIT", "OKX", "COINGECKO"] {
            all.push((format!("KURS_SOURCES__{source}__ENABLED"), "false".into()));
        }
        for source in ["OPENEXCHANGERATES", "ECB", "CBR"] {
            all.push((format!("KURS_SOURCES__{source}__ENABLED"), "false".into()));
        }
        for key in ["BOOKS", "TRADES"] {
            all.push((format!("KURS_SOURCES__BINANCE__{key}"), "false".into()));
        }
        for key in [
            "HTTP__LIMITS__CONNECTIONS",
            "HTTP__LIMITS__CONNECTIONS_PER_ADDRESS",
            "STREAMS__MAX",
            "STREAMS__PER_ADDRESS",
        ] {
            all.push((format!("KURS_{key}"), MOST.into()));
        }
        let own = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        all.extend(own);
        let address = process::free_address()?;
        let binary = options.kurs_binary()?;
        let server = serve(&binary, options.server_core, folder.path(), address, &all)?;
        let scene = Self {
            server,
            relay,
            written: Written::new(),
            folder,
            core: options.server_core,
            binary,
            settings: all,
            _sim: sim,
            _runtime: runtime,
            _pinned: pinned,
        };
        scene.wait_for_rate()?;
        Ok(scene)
    }

    /// Where kurs answers.
    pub(super) const fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Kills kurs and starts it again at the same address, without waiting for it.
    pub(super) fn restart(&mut self) -> Result<()> {
        let address = self.server.address;
        self.server.kill();
        self.server = serve(
            &self.binary,
            self.core,
            self.folder.path(),
            address,
            &self.settings,
        )?;
        Ok(())
    }

    /// Writes so many prices a second until it is dropped.
    pub(super) fn feed(&self, per_second: u32) -> Feed {
        let over = Arc::new(AtomicBool::new(false));
        let (relay, written) = (Arc::clone(&self.relay), Arc::clone(&self.written));
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || feed(&relay, &written, per_second, &ended));
        Feed {
            over,
            thread: Some(thread),
        }
    }

    /// The pair has a rate: of the first price that is written here.
    fn wait_for_rate(&self) -> Result<()> {
        let _feed = self.feed(10);
        let path = format!("/api/v1/rates/{}", beacon::PAIR.replace('-', "/"));
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let answer = client::get(self.address(), &path, "");
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "no rate after {START_LIMIT:?}: {}",
                said(self.folder.path())
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn serve(
    binary: &Path,
    core: usize,
    folder: &Path,
    address: SocketAddr,
    settings: &[(String, String)],
) -> Result<Server> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("kurs.log"))
        .context("cannot write the log")?;
    let store = folder.join("kurs.db");
    let mut command = process::command(Some(core), binary);
    command
        .arg("serve")
        .current_dir(folder)
        .env("KURS_HTTP__ADDR", address.to_string())
        .env("KURS_STORE__URL", format!("sqlite:{}", store.display()))
        .envs(settings.iter().map(|(key, value)| (key, value)))
        .stderr(log);
    Server::spawn(&mut command, address)
}

/// Prices that are written as long as this is there.
pub(super) struct Feed {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Feed {
    /// Ends it; an error of the writing is told.
    pub(super) fn end(mut self) -> Result<()> {
        self.over.store(true, Ordering::Release);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().map_err(|_| anyhow!("the feed ended badly"))?
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Whoever wants to know asks `end`.
            let _ = thread.join();
        }
    }
}

fn feed(relay: &Relay, written: &Written, per_second: u32, over: &AtomicBool) -> Result<()> {
    let pair = Pair::parse(beacon::PAIR)?;
    let pause = Duration::from_secs(1) / per_second;
    let mut due = Instant::now();
    while !over.load(Ordering::Acquire) {
        let number = written.next.load(Ordering::Acquire);
        let text = frames::numbered(pair, number, number);
        let place = usize::try_from(number)? % REMEMBERED;
        if let Some(at) = written.at.get(place) {
            at.store(written.now(), Ordering::Release);
        }
        // While kurs is away nothing is written; the price counts as none.
        let _ = relay.write(&relay::text(&text));
        written.next.store(number + 1, Ordering::Release);
        due += pause;
        let wait = due.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            // Late: what was missed is not made up for.
            due = Instant::now();
        }
        std::thread::sleep(wait);
    }
    Ok(())
}
