//! `kurs backfill` against simulated venues: the real binary, a store of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use kurs_core::{Pair, Price, SourceId, Wall};
use kurs_sim::{Fault, FaultKind, Scope, Sim, SimConfig, SimHandle, Venue};
use kurs_store::{
    Batch, Candle, CandleQuery, Gap, GapQuery, Interval, OfficialQuery, Origin, Store, StoreConfig,
};
use serde_json::Value;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Longest time anything here may take; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Simulated venues, and a folder with a store.
struct World {
    sim: SimHandle,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let sim = Sim::start(SimConfig::seeded(7), ([127, 0, 0, 1], 0).into());
        Self {
            sim: sim.await.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let urls = self.sim.urls();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
        command
            .current_dir(self.folder.path())
            .env_clear()
            .args(["--json", "backfill"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, venue) in [
            ("BINANCE", Venue::Binance),
            ("COINBASE", Venue::Coinbase),
            ("KRAKEN", Venue::Kraken),
            ("BYBIT", Venue::Bybit),
            ("OKX", Venue::Okx),
            ("OPENEXCHANGERATES", Venue::OpenExchangeRates),
            ("ECB", Venue::Ecb),
            ("CBR", Venue::Cbr),
        ] {
            let mut url = urls.rest(venue).to_owned();
            if venue == Venue::Binance && !url.ends_with("/api/v3") {
                url.push_str("/api/v3");
            }
            command.env(format!("KURS_SOURCES__{name}__REST_URL"), url);
        }
        command.env("KURS_SOURCES__OPENEXCHANGERATES__KEY", "test-key");
        command
    }

    /// Runs to the end; gives the exit code and what was said.
    async fn run(&self, arguments: &[&str]) -> (i32, Value, String) {
        let child = self.command(arguments).spawn().unwrap();
        ended(child).await
    }

    async fn store(&self) -> Arc<dyn Store> {
        let path = self.folder.path().join("kurs.db");
        let config = StoreConfig {
            url: format!("sqlite:{}", path.display()),
            ..StoreConfig::default()
        };
        let store = kurs_store::config::open(&config).unwrap();
        store.migrate().await.unwrap();
        store
    }

    fn requests(&self, venue: Venue) -> u64 {
        let state = self.sim.state();
        state
            .venues
            .get(&venue)
            .map_or(0, |state| state.rest_requests_total())
    }
}

async fn ended(child: Child) -> (i32, Value, String) {
    let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    let output: Output = tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let document = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap_or(-1), document, said)
}

fn now() -> Wall {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    Wall(i64::try_from(since.as_micros()).unwrap())
}

fn minutes_ago(minutes: i64) -> Wall {
    Wall(Interval::Minute.start_of(now()).0 - minutes * 60_000_000)
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

async fn candles(store: &dyn Store, name: &str, text: &str, interval: Interval) -> Vec<Candle> {
    let query = CandleQuery {
        pair: pair(text),
        source: Some(source(name)),
        interval,
        start: Wall(0),
        end: Wall::MAX,
        limit: 10_000,
    };
    store.candles(query).await.unwrap()
}

#[tokio::test]
async fn five_exchanges_fill_a_day_and_the_next_run_asks_for_little() {
    let world = World::start().await;
    let start = Interval::Hour.start_of(minutes_ago(660)).to_string();
    let arguments = [
        "--start",
        &start,
        "--source",
        "binance,coinbase,kraken,bybit,okx",
    ];
    let (code, document, said) = world.run(&arguments).await;
    assert_eq!(code, 0, "{said}\n{document}");
    let store = world.store().await;
    for (name, text) in [
        ("binance", "BTC-USDT"),
        ("coinbase", "BTC-USD"),
        ("kraken", "ETH-USD"),
        ("bybit", "ETH-USDT"),
        ("okx", "BTC-USDT"),
    ] {
        let minutes = candles(&*store, name, text, Interval::Minute).await;
        assert!(minutes.len() >= 659, "{name}: {}", minutes.len());
        assert!(minutes.iter().all(|one| one.origin == Origin::Backfill));
        let hours = candles(&*store, name, text, Interval::Hour).await;
        assert!((10..=12).contains(&hours.len()), "{name}: {}", hours.len());
        let first: Vec<&Candle> = minutes
            .iter()
            .filter(|one| Interval::Hour.start_of(one.start) == hours[0].start)
            .collect();
        assert_eq!(hours[0].open, first[0].open, "{name}");
        assert_eq!(hours[0].close, first[first.len() - 1].close, "{name}");
    }
    let before = world.requests(Venue::Okx);
    let (code, _, said) = world.run(&arguments).await;
    assert_eq!(code, 0, "{said}");
    // A minute may have passed; the pairs that are not listed are asked for again.
    let again = world.requests(Venue::Okx) - before;
    assert!(again <= before / 2 + 4, "{again} after {before}");
    let violations: u64 = world
        .sim
        .state()
        .venues
        .values()
        .map(|state| state.violations.total())
        .sum();
    assert_eq!(violations, 0, "a limit was broken");
}

#[tokio::test]
async fn only_what_the_ledger_names_is_filled_and_then_marked() {
    let world = World::start().await;
    let store = world.store().await;
    let live = |start: Wall| Candle {
        pair: pair("BTC-USDT"),
        source: Some(source("binance")),
        interval: Interval::Minute,
        start,
        open: Price::parse("7").unwrap(),
        high: Price::parse("7").unwrap(),
        low: Price::parse("7").unwrap(),
        close: Price::parse("7").unwrap(),
        count: 9,
        origin: Origin::Live,
    };
    let gap = |name: &str, began: Wall, ended: Option<Wall>| Gap {
        source: source(name),
        pair: pair("BTC-USDT"),
        began,
        ended,
        why: "kurs did not run".into(),
        is_filled: false,
    };
    // Days before today, so that every candle of it is over; and counted
    // from one moment, whichever minute the clock comes to meanwhile.
    let first = Interval::Day.start_of(minutes_ago(2 * 1_440));
    let minute = |number: i64| Wall(first.0 + number * 60_000_000);
    let just_now = minutes_ago(10);
    let half = 30_000_000;
    let batch = Batch {
        candles: (0..40).map(|number| live(minute(number))).collect(),
        gaps: vec![
            gap(
                "binance",
                Wall(minute(10).0 + half),
                Some(Wall(minute(13).0 + half)),
            ),
            gap("binance", minute(290), None),
            // Its day is under way.
            gap("binance", just_now, Some(minutes_ago(-60))),
            gap("coingecko", minute(10), Some(minute(12))),
        ],
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    // The longer candles of it are missing still.
    let (code, document, said) = world.run(&["--gaps", "--interval", "1m"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(document["gaps_filled"], 0, "{document}");
    assert_eq!(document["gaps_unfinished"], 2, "{document}");
    let (code, document, said) = world.run(&["--gaps"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(document["gaps_filled"], 1, "{document}");
    assert_eq!(document["gaps_unfinished"], 1, "{document}");
    let minutes = candles(&*store, "binance", "BTC-USDT", Interval::Minute).await;
    let filled: Vec<i64> = minutes
        .iter()
        .filter(|one| one.origin == Origin::Backfill && one.start < minute(280))
        .map(|one| (one.start.0 - minute(0).0) / 60_000_000)
        .collect();
    assert_eq!(filled, [10, 11, 12, 13]);
    let query = GapQuery {
        pair: None,
        source: None,
        start: Wall(0),
        end: Wall::MAX,
        limit: 100,
    };
    let gaps = store.gaps(query).await.unwrap();
    let marks: Vec<(String, bool)> = gaps
        .iter()
        .map(|gap| (gap.source.to_string(), gap.is_filled))
        .collect();
    assert_eq!(
        marks,
        [
            ("coingecko".to_owned(), false),
            ("binance".to_owned(), true),
            ("binance".to_owned(), false),
            ("binance".to_owned(), false)
        ]
    );
}

#[tokio::test]
async fn what_was_interrupted_goes_on_from_there() {
    let world = World::start().await;
    // The venue is slow enough to be interrupted in the middle.
    let start = Interval::Day.start_of(minutes_ago(4 * 1_440)).to_string();
    let arguments = [
        "--start",
        &start,
        "--source",
        "coinbase",
        "--pair",
        "BTC-USD",
        "--interval",
        "1m",
    ];
    let child = world.command(&arguments).spawn().unwrap();
    let begun = Instant::now();
    while world.requests(Venue::Coinbase) < 4 {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let (code, document, said) = ended(child).await;
    assert_eq!(code, 130, "{said}");
    assert_eq!(document["series"][0]["ended"], "stopped");
    let store = world.store().await;
    let kept = candles(&*store, "coinbase", "BTC-USD", Interval::Minute)
        .await
        .len();
    assert!(kept >= 3 * 300 && kept.is_multiple_of(300), "{kept}");
    let before = world.requests(Venue::Coinbase);
    let (code, _, said) = world.run(&arguments).await;
    assert_eq!(code, 0, "{said}");
    let all = candles(&*store, "coinbase", "BTC-USD", Interval::Minute).await;
    let expect = minutes_ago(0).since(start.parse().unwrap()).as_secs() / 60;
    assert!(
        u64::try_from(all.len()).unwrap() >= expect - 2,
        "{} of {expect}",
        all.len()
    );
    let needed = (expect - u64::try_from(kept).unwrap()).div_ceil(300);
    let again = world.requests(Venue::Coinbase) - before;
    assert!(
        again <= needed + 1,
        "{again} requests, {needed} were needed"
    );
}

#[tokio::test]
async fn banks_and_tables_are_filled_too_and_a_second_run_changes_nothing() {
    let world = World::start().await;
    let start = Interval::Day.start_of(minutes_ago(20 * 1_440)).to_string();
    let arguments = [
        "--start",
        &start,
        "--source",
        "ecb,cbr,openexchangerates",
        "--pair",
        "USD-RUB,EUR-USD",
    ];
    for _ in 0..2 {
        let (code, _, said) = world.run(&arguments).await;
        assert_eq!(code, 0, "{said}");
    }
    let store = world.store().await;
    for (name, text) in [("ecb", "EUR-USD"), ("cbr", "USD-RUB")] {
        let query = OfficialQuery {
            source: source(name),
            pair: pair(text),
            start: Wall(0),
            end: Wall::MAX,
            limit: 100,
        };
        let rates = store.official(query).await.unwrap();
        assert!((10..=16).contains(&rates.len()), "{name}: {}", rates.len());
        assert!(rates.iter().all(|one| one.version == 1));
    }
    let days = candles(&*store, "openexchangerates", "USD-RUB", Interval::Day).await;
    assert_eq!(days.len(), 20);
    assert_eq!(
        world.requests(Venue::OpenExchangeRates),
        20,
        "the quota is spent once"
    );
}

#[tokio::test]
async fn the_exit_code_says_what_went_wrong() {
    let world = World::start().await;
    let start = Interval::Hour.start_of(minutes_ago(120)).to_string();
    let (code, _, said) = world.run(&["--source", "nowhere"]).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nowhere"), "{said}");
    let (code, ..) = world.run(&["--start", "2126-01-01"]).await;
    assert_eq!(code, 2);
    let unknown = [
        "--start", &start, "--source", "binance", "--pair", "NO-SUCH",
    ];
    let (code, _, said) = world.run(&unknown).await;
    assert_eq!(code, 3, "{said}");
    let fault = Fault {
        kind: FaultKind::Status {
            status: 451,
            retry_after_seconds: None,
        },
        scope: Scope::default(),
    };
    assert!(world.sim.fault(Venue::Binance, fault));
    let blocked = [
        "--start", &start, "--source", "binance", "--pair", "BTC-USDT",
    ];
    let (code, _, said) = world.run(&blocked).await;
    assert_eq!(code, 5, "{said}");
    // Ten years of minutes are not fetched by mistake.
    let much = ["--start", "2017-08-01", "--source", "okx"];
    let (code, _, said) = world.run(&much).await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--yes"), "{said}");
}
