//! All five exchanges, 200 of their symbols, and the real kurs that follows them.

use crate::beacon;
use crate::client::{self, Connection};
use crate::options::Options;
use crate::process::{self, Pinned, Server};
use crate::relay::{Passed, Relay, Rules};
use crate::steady::said;
use anyhow::{Context as _, Result, ensure};
use kurs_sim::{Sim, SimConfig, SimHandle, Venue};
use serde_json::Value;
use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Symbols on each exchange.
pub(crate) const SYMBOLS: usize = 40;
/// What Binance, Bybit and OKX list all three.
const IN_USDT: [&str; 8] = ["BTC", "ETH", "BNB", "SOL", "XRP", "TON", "TRX", "USDC"];
/// What Coinbase and Kraken list both.
const IN_USD: [&str; 5] = ["BTC", "ETH", "SOL", "XRP", "USDT"];
/// Invented symbols of the simulated Binance: one more than are followed elsewhere is the
/// beacon's.
const EXTRA: usize = 36;
/// The same of the others.
const EXTRA_ELSEWHERE: usize = 35;
/// The simulated exchanges stand behind who measures on their core.
pub(crate) const SIM_NICENESS: u8 = 5;
/// Until everything is in step: the request weight that Binance allows in a minute is enough for
/// some 20 snapshots.
const START_LIMIT: Duration = Duration::from_secs(240);

/// The exchanges: name, and what marks a message of an order book.
pub(crate) const EXCHANGES: [(&str, Venue, &str); 5] = [
    ("binance", Venue::Binance, "@depth"),
    ("coinbase", Venue::Coinbase, "\"l2update\""),
    ("kraken", Venue::Kraken, "{\"channel\":\"book\""),
    ("bybit", Venue::Bybit, "\"orderbook.50."),
    ("okx", Venue::Okx, "\"channel\":\"books\""),
];

/// Everything that runs. The server ends first, then the relays, then the exchanges.
pub(crate) struct World {
    pub(crate) server: Server,
    relays: Vec<Relay>,
    sim: SimHandle,
    _runtime: Runtime,
    _pinned: Pinned,
    folder: tempfile::TempDir,
    /// From the start of the process until all books were in step.
    pub(crate) in_step_after: Duration,
}

impl World {
    /// Starts everything and waits until all books are in step. `settings` are further ones of
    /// kurs.
    pub(crate) fn start(
        options: &Options,
        activity_percent: u32,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
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
            activity_percent,
            extra_symbols: EXTRA,
            extra_symbols_elsewhere: EXTRA_ELSEWHERE,
            ..SimConfig::seeded(1)
        };
        let sim = runtime.block_on(Sim::start(config, ([127, 0, 0, 1], 0).into()))?;
        let relays = EXCHANGES
            .iter()
            .map(|(name, _, book)| {
                let hidden = (*name == "binance").then_some(beacon::HIDDEN);
                Relay::open(sim.address(), Rules { book, hidden })
            })
            .collect::<Result<Vec<_>>>()?;
        let address = process::free_address()?;
        let mut command = process::command(Some(options.server_core), options.kurs_binary()?);
        let log = File::create(folder.path().join("kurs.log")).context("cannot write the log")?;
        let store = folder.path().join("kurs.db");
        let urls = sim.urls();
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("KURS_HTTP__ADDR", address.to_string())
            .env("KURS_STORE__URL", format!("sqlite:{}", store.display()))
            .env("KURS_PAIRS", pairs().join(","))
            .env("KURS_SOURCES__COINGECKO__REST_URL", &urls.coingecko_rest)
            .env("KURS_SOURCES__OPENEXCHANGERATES__ENABLED", "false")
            .env("KURS_SOURCES__ECB__REST_URL", &urls.ecb_rest)
            .env("KURS_SOURCES__CBR__REST_URL", &urls.cbr_rest)
            .stderr(log);
        for ((name, venue, _), relay) in EXCHANGES.iter().zip(&relays) {
            let key = name.to_uppercase();
            let path = path_of(urls.ws(*venue).unwrap_or_default());
            command
                .env(
                    format!("KURS_SOURCES__{key}__WS_URL"),
                    format!("ws://{}{path}", relay.address),
                )
                .env(format!("KURS_SOURCES__{key}__REST_URL"), urls.rest(*venue));
        }
        command.envs(settings.iter().copied());
        let begin = Instant::now();
        let server =
            Server::start(command, address, "/livez").with_context(|| said(folder.path()))?;
        let mut world = Self {
            server,
            relays,
            sim,
            _runtime: runtime,
            _pinned: pinned,
            folder,
            in_step_after: Duration::ZERO,
        };
        world.wait_until_in_step()?;
        world.in_step_after = begin.elapsed();
        Ok(world)
    }

    /// Where kurs answers.
    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// Who stands between kurs and this exchange.
    pub(crate) fn relay(&self, name: &str) -> Result<&Relay> {
        let at = EXCHANGES.iter().position(|(known, _, _)| *known == name);
        at.and_then(|at| self.relays.get(at))
            .with_context(|| format!("no exchange {name}"))
    }

    /// What passed from each exchange.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.relays.iter().map(Relay::passed).collect()
    }

    /// Symbols that are subscribed on an exchange, by what it was asked for.
    pub(crate) fn symbols(&self, venue: Venue) -> usize {
        let state = self.sim.state();
        let streams = state.venues.get(&venue).map(|state| &state.ws_streams);
        let names = self.sim.symbols_of(venue);
        let is_subscribed = |name: &&String| {
            let lower = name.to_lowercase();
            streams.is_some_and(|streams| {
                streams.keys().any(|stream| {
                    let mut words = stream.split(['@', '.', ':', '|', ' ']);
                    words.any(|word| word == name.as_str() || word == lower)
                })
            })
        };
        names.iter().filter(is_subscribed).count()
    }

    /// What kurs says about its sources.
    pub(crate) fn sources(&self, connection: &mut Connection) -> Result<Vec<Value>> {
        let answer = connection.ask(&client::request("/api/v1/sources", ""))?;
        let document: Value = serde_json::from_slice(&answer.body)?;
        let sources = document["sources"].as_array().cloned();
        sources.context("no list of sources")
    }

    /// What kurs says about one source.
    pub(crate) fn source(&self, connection: &mut Connection, name: &str) -> Result<Value> {
        let sources = self.sources(connection)?;
        let found = sources.into_iter().find(|source| source["source"] == name);
        found.with_context(|| format!("no source {name}"))
    }

    /// The last messages of kurs.
    pub(crate) fn said(&self) -> String {
        said(self.folder.path())
    }

    fn wait_until_in_step(&self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        let mut connection = Connection::open(self.address())?;
        loop {
            let sources = self.sources(&mut connection)?;
            let synced = |name: &str| {
                let source = sources.iter().find(|source| source["source"] == name);
                source.map_or(0, |source| source["books"]["synced"].as_u64().unwrap_or(0))
            };
            let counts: Vec<u64> = EXCHANGES.iter().map(|(name, _, _)| synced(name)).collect();
            let wanted = u64::try_from(SYMBOLS)?;
            if counts.iter().all(|count| *count >= wanted) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "books in step after {START_LIMIT:?}: {counts:?}; {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// 40 pairs in USDT, which Binance, Bybit and OKX list, 40 in USD, which Coinbase and Kraken
/// list, and the beacon's.
fn pairs() -> Vec<String> {
    let invented = |count: usize, quote: &'static str| {
        (1..=count).map(move |number| format!("S{number:04}-{quote}"))
    };
    let named = |bases: &[&str], quote: &str| -> Vec<String> {
        bases.iter().map(|base| format!("{base}-{quote}")).collect()
    };
    let mut pairs = named(&IN_USDT, "USDT");
    pairs.extend(invented(SYMBOLS - IN_USDT.len(), "USDT"));
    pairs.extend(named(&IN_USD, "USD"));
    pairs.extend(invented(SYMBOLS - IN_USD.len(), "USD"));
    pairs.push(beacon::PAIR.to_owned());
    pairs
}

/// What follows the address in a URL.
fn path_of(url: &str) -> &str {
    let after = url.split_once("://").map_or(url, |(_, rest)| rest);
    after
        .find('/')
        .map_or("", |at| after.get(at..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_hundred_symbols_and_one() {
        let pairs = pairs();
        let of = |quote: &str| pairs.iter().filter(|pair| pair.ends_with(quote)).count();
        assert_eq!((of("-USDT"), of("-USD")), (SYMBOLS + 1, SYMBOLS));
        assert_eq!(3 * SYMBOLS + 2 * SYMBOLS, 200);
    }

    #[test]
    fn a_url_has_its_path() {
        assert_eq!(path_of("ws://127.0.0.1:9/kraken/v2"), "/kraken/v2");
        assert_eq!(path_of("ws://127.0.0.1:9"), "");
    }
}
