//! The archives against simulated venues, over real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are tests too"
)]

use async_trait::async_trait;
use kurs_core::{Clock, ManualClock, Mono, Now, Pair, SourceId, Wall};
use kurs_net::http::HttpClient;
use kurs_sim::{Fault, FaultKind, Scope, Sim, SimConfig, SimHandle, Venue};
use kurs_sources::SourcesConfig;
use kurs_sources::archive::binance::BinanceArchive;
use kurs_sources::archive::cbr::CbrErrand;
use kurs_sources::archive::ecb::EcbErrand;
use kurs_sources::archive::openexchangerates::OxrErrand;
use kurs_sources::archive::run::Outcome;
use kurs_sources::archive::walk::CandleWalkParts;
use kurs_sources::archive::{
    CandleCodec, CandleWalk, Catalog, Ended, Errand, Haul, Kind, Progress, Runner, Series, Sink,
    SinkError, VenueErrands,
};
use kurs_store::{Candle, Interval, OfficialRate};
use kurs_telemetry::Secret;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A Sunday, at a quarter past ten.
const NOW: &str = "2026-11-22T10:15:20Z";

fn wall(text: &str) -> Wall {
    text.parse().unwrap()
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

/// A sim at [`NOW`], with the settings of sources that ask it.
async fn world(config: SimConfig) -> (SimHandle, SourcesConfig) {
    let now = Now {
        mono: Mono(0),
        wall: wall(NOW),
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let sim = Sim::start_with_clock(config, ([127, 0, 0, 1], 0).into(), clock)
        .await
        .unwrap();
    let urls = sim.urls();
    let mut sources = SourcesConfig::default();
    sources.binance.rest_url = format!("{}/api/v3", urls.binance_rest);
    sources.coinbase.rest_url = urls.coinbase_rest;
    sources.kraken.rest_url = urls.kraken_rest;
    sources.bybit.rest_url = urls.bybit_rest;
    sources.okx.rest_url = urls.okx_rest;
    sources.openexchangerates.rest_url = urls.openexchangerates_rest;
    sources.openexchangerates.key = Some(Secret::new("test-key"));
    sources.ecb.rest_url = urls.ecb_rest;
    sources.cbr.rest_url = urls.cbr_rest;
    (sim, sources)
}

/// Real time for the pace, the sim's for the dates.
#[derive(Debug)]
struct TestClock(std::time::Instant);

impl Clock for TestClock {
    fn now(&self) -> Now {
        Now {
            mono: Mono(0).plus(self.0.elapsed()),
            wall: wall(NOW),
        }
    }
}

#[derive(Default)]
struct Memory {
    candles: Mutex<Vec<Candle>>,
    official: Mutex<Vec<OfficialRate>>,
    waits: Mutex<Vec<Duration>>,
    /// Says stop after so many hauls.
    stop: Mutex<Option<(usize, watch::Sender<bool>)>>,
}

#[async_trait]
impl Sink for Memory {
    async fn keep(&self, _: Series, haul: Haul) -> Result<(), SinkError> {
        self.candles.lock().unwrap().extend(haul.candles);
        self.official.lock().unwrap().extend(haul.official);
        if let Some((left, stop)) = &mut *self.stop.lock().unwrap() {
            *left -= 1;
            if *left == 0 {
                stop.send_replace(true);
            }
        }
        Ok(())
    }

    fn progress(&self, _: SourceId, _: u64, _: u64) {}

    fn waits(&self, _: SourceId, wait: Duration, _: &str) {
        self.waits.lock().unwrap().push(wait);
    }
}

async fn run(
    venues: Vec<VenueErrands>,
    stop_after: Option<usize>,
) -> (Vec<Outcome>, Progress, Memory) {
    let (stop, stopped) = watch::channel(false);
    let sink = Arc::new(Memory::default());
    *sink.stop.lock().unwrap() = stop_after.map(|after| (after, stop.clone()));
    let runner = Runner {
        transport: Arc::new(HttpClient::new("kurs-test").unwrap()),
        clock: Arc::new(TestClock(std::time::Instant::now())),
        seed: 1,
        stop: stopped,
    };
    let ran = tokio::time::timeout(Duration::from_secs(120), runner.run(venues, sink.clone()));
    let (outcomes, progress) = ran.await.unwrap().unwrap();
    drop(stop);
    (outcomes, progress, Arc::into_inner(sink).unwrap())
}

/// The errands of one exchange, at the pace of a test.
fn at_exchange(
    sources: &SourcesConfig,
    name: &str,
    walks: &[(&str, Interval, &[Interval], Range<Wall>)],
) -> Vec<VenueErrands> {
    let catalog = Catalog::new(sources, true).unwrap();
    let archive = catalog.get(name).unwrap();
    let Kind::Candles { codec, base } = &archive.kind else {
        panic!("{name} has no candles");
    };
    let errand = |(text, interval, compose, span): &(&str, Interval, &[Interval], Range<Wall>)| {
        let parts = CandleWalkParts {
            codec: codec.clone(),
            base: base.clone(),
            source: archive.source,
            pair: pair(text),
            interval: *interval,
            compose: compose.to_vec(),
            span: span.clone(),
        };
        Box::new(CandleWalk::new(parts)) as Box<dyn Errand>
    };
    vec![VenueErrands {
        source: archive.source,
        limits: archive.limits,
        errands: walks.iter().map(errand).collect(),
    }]
}

fn of(candles: &[Candle], interval: Interval) -> Vec<Candle> {
    candles
        .iter()
        .filter(|candle| candle.interval == interval)
        .cloned()
        .collect()
}

#[tokio::test]
async fn hours_made_of_minutes_are_the_hours_of_the_venue() {
    let (_sim, sources) = world(SimConfig::seeded(7)).await;
    // Kraken goes back twelve hours; one pair of each has minutes without a trade.
    let span = wall("2026-11-21T23:00:00Z")..wall("2026-11-22T10:00:00Z");
    for (name, symbol) in [
        ("binance", "TON-USDT"),
        ("coinbase", "SOL-EUR"),
        ("kraken", "USDT-USD"),
        ("bybit", "USDC-USDT"),
        ("okx", "TON-USDT"),
    ] {
        let walks: [(&str, Interval, &[Interval], _); 2] = [
            (
                symbol,
                Interval::Minute,
                &[Interval::FiveMinutes, Interval::Hour],
                span.clone(),
            ),
            (symbol, Interval::Hour, &[], span.clone()),
        ];
        let (outcomes, _, sink) = run(at_exchange(&sources, name, &walks), None).await;
        assert!(
            outcomes.iter().all(|one| one.ended == Ended::Done),
            "{outcomes:?}"
        );
        let candles = sink.candles.into_inner().unwrap();
        let hours = of(&candles, Interval::Hour);
        assert_eq!(hours.len(), 22, "{name}");
        assert_eq!(hours[..11], hours[11..], "{name}");
        let minutes = of(&candles, Interval::Minute);
        // Coinbase has no candle where nothing was traded.
        let expect = if name == "coinbase" {
            540..650
        } else {
            660..661
        };
        assert!(expect.contains(&minutes.len()), "{name}: {}", minutes.len());
        assert!(minutes.iter().map(|one| one.start).is_sorted());
        assert_eq!(of(&candles, Interval::FiveMinutes).len(), 132, "{name}");
        assert!(candles.iter().all(|one| one.source.unwrap().is_simulated()));
    }
}

#[tokio::test]
async fn many_pages_join_without_a_gap_and_the_candle_under_way_is_left_out() {
    let (sim, sources) = world(SimConfig::seeded(7)).await;
    let span = wall("2026-11-20T00:00:00Z")..wall(NOW);
    for (name, symbol, requests) in [
        ("binance", "BTC-USDT", 4),
        ("coinbase", "BTC-USD", 12),
        ("bybit", "BTC-USDT", 4),
        ("okx", "BTC-USDT", 12),
    ] {
        let walks: [(&str, Interval, &[Interval], _); 1] =
            [(symbol, Interval::Minute, &[Interval::Day], span.clone())];
        let (outcomes, _, sink) = run(at_exchange(&sources, name, &walks), None).await;
        assert_eq!(
            (&outcomes[0].ended, outcomes[0].requests),
            (&Ended::Done, requests),
            "{name}"
        );
        let candles = sink.candles.into_inner().unwrap();
        let minutes = of(&candles, Interval::Minute);
        assert_eq!(minutes.len(), 2 * 1_440 + 10 * 60 + 15, "{name}");
        let distinct: BTreeSet<Wall> = minutes.iter().map(|one| one.start).collect();
        assert_eq!(distinct.len(), minutes.len());
        assert_eq!(distinct.last(), Some(&wall("2026-11-22T10:14:00Z")));
        assert_eq!(of(&candles, Interval::Day).len(), 2);
    }
    let total: u64 = sim
        .state()
        .venues
        .values()
        .map(|state| state.violations.total())
        .sum();
    assert_eq!(total, 0, "a limit was broken");
}

#[tokio::test]
async fn the_same_seed_has_the_same_past_and_venues_stay_near_each_other() {
    let closes = async |seed| {
        let (_sim, sources) = world(SimConfig::seeded(seed)).await;
        let span = wall("2026-11-22T09:00:00Z")..wall("2026-11-22T10:00:00Z");
        let walks: [(&str, Interval, &[Interval], _); 1] =
            [("BTC-USDT", Interval::Minute, &[], span)];
        let (_, _, sink) = run(at_exchange(&sources, "okx", &walks), None).await;
        let candles = sink.candles.into_inner().unwrap();
        candles
            .iter()
            .map(|one| one.close.to_string())
            .collect::<Vec<_>>()
    };
    let first = closes(7).await;
    assert_eq!(first, closes(7).await);
    assert_ne!(first, closes(8).await);
}

#[tokio::test]
async fn an_interrupted_run_goes_on_and_ends_with_the_same_candles() {
    let (sim, sources) = world(SimConfig::seeded(7)).await;
    let span = wall("2026-11-20T00:00:00Z")..wall("2026-11-22T00:00:00Z");
    let walks = |span: Range<Wall>| -> [(&str, Interval, &[Interval], Range<Wall>); 1] {
        [("BTC-USD", Interval::Minute, &[], span)]
    };
    let venues = at_exchange(&sources, "coinbase", &walks(span.clone()));
    let (_, _, whole) = run(venues, None).await;
    let venues = at_exchange(&sources, "coinbase", &walks(span.clone()));
    let (outcomes, progress, first) = run(venues, Some(4)).await;
    assert_eq!(outcomes[0].ended, Ended::Stopped);
    let left = progress.left_of(&outcomes[0].series, span).unwrap();
    assert_eq!(left.start, wall("2026-11-20T20:00:00Z"));
    let (outcomes, _, second) = run(at_exchange(&sources, "coinbase", &walks(left)), None).await;
    assert_eq!(outcomes[0].ended, Ended::Done);
    let mut pieces = first.candles.into_inner().unwrap();
    pieces.extend(second.candles.into_inner().unwrap());
    assert_eq!(pieces, whole.candles.into_inner().unwrap());
    let asked = sim.state().venues[&Venue::Coinbase].rest_requests_total();
    assert_eq!(asked, 20, "no page was asked for twice");
}

#[tokio::test]
async fn limits_and_broken_answers_of_a_venue_are_sat_out() {
    let (sim, sources) = world(SimConfig::seeded(7)).await;
    let fault = |kind, times| Fault {
        kind,
        scope: Scope {
            times: Some(times),
            ..Scope::default()
        },
    };
    sim.fault(
        Venue::Binance,
        fault(
            FaultKind::Status {
                status: 429,
                retry_after_seconds: Some(1),
            },
            2,
        ),
    );
    // Faults add up: after two limits comes one broken answer.
    sim.fault(
        Venue::Binance,
        fault(FaultKind::Malformed { percent: 100 }, 3),
    );
    let span = wall("2026-11-22T00:00:00Z")..wall("2026-11-22T10:00:00Z");
    let walks: [(&str, Interval, &[Interval], _); 2] = [
        ("BTC-USDT", Interval::Minute, &[], span.clone()),
        ("NO-SUCH", Interval::Minute, &[], span),
    ];
    let (outcomes, _, sink) = run(at_exchange(&sources, "binance", &walks), None).await;
    assert_eq!(
        (&outcomes[0].ended, outcomes[0].candles),
        (&Ended::Done, 600)
    );
    assert_eq!(outcomes[1].ended, Ended::NotListed);
    assert!(
        sink.waits
            .into_inner()
            .unwrap()
            .contains(&Duration::from_secs(1))
    );
}

#[tokio::test]
async fn kraken_gives_what_it_reaches_and_a_longer_span_is_no_error() {
    let (_sim, sources) = world(SimConfig::seeded(7)).await;
    let span = wall("2026-11-21T00:00:00Z")..wall("2026-11-22T10:15:00Z");
    let walks: [(&str, Interval, &[Interval], _); 2] = [
        ("BTC-USD", Interval::Minute, &[], span.clone()),
        ("BTC-USD", Interval::FiveMinutes, &[], span),
    ];
    let (outcomes, _, sink) = run(at_exchange(&sources, "kraken", &walks), None).await;
    assert!(outcomes.iter().all(|one| one.ended == Ended::Done));
    let candles = sink.candles.into_inner().unwrap();
    let minutes = of(&candles, Interval::Minute);
    assert_eq!(minutes.len(), 719);
    assert_eq!(
        minutes.last().map(|one| one.start),
        Some(wall("2026-11-22T10:14:00Z"))
    );
    assert_eq!(of(&candles, Interval::FiveMinutes).len(), 34 * 12 + 3);
}

#[tokio::test]
async fn banks_give_their_rates_of_years_and_no_day_without_one() {
    let (_sim, sources) = world(SimConfig::seeded(7)).await;
    let now = wall(NOW);
    let days = wall("2024-11-22T00:00:00Z")..now;
    let catalog = Catalog::new(&sources, true).unwrap();
    let (ecb, cbr) = (catalog.get("ecb").unwrap(), catalog.get("cbr").unwrap());
    let pairs = vec![pair("USD-RUB"), pair("IRR-RUB")];
    let venues = vec![
        VenueErrands {
            source: ecb.source,
            limits: ecb.limits,
            errands: vec![Box::new(
                EcbErrand::new(&sources.ecb, ecb.source, days.clone(), Vec::new(), now).unwrap(),
            )],
        },
        VenueErrands {
            source: cbr.source,
            limits: cbr.limits,
            errands: vec![Box::new(
                CbrErrand::new(&sources.cbr, cbr.source, days.clone(), pairs).unwrap(),
            )],
        },
    ];
    let (outcomes, _, sink) = run(venues, None).await;
    assert!(
        outcomes.iter().all(|one| one.ended == Ended::Done),
        "{outcomes:?}"
    );
    let official = sink.official.into_inner().unwrap();
    let of = |text: &str| -> Vec<Wall> {
        let wanted = official.iter().filter(|rate| rate.pair == pair(text));
        wanted.map(|rate| rate.day).collect()
    };
    let euro = of("EUR-USD");
    assert!((500..522).contains(&euro.len()), "{}", euro.len());
    assert!(euro.contains(&wall("2026-11-20T00:00:00Z")));
    assert!(!euro.contains(&wall("2026-11-21T00:00:00Z")), "a Saturday");
    let rouble = of("USD-RUB");
    assert!((470..522).contains(&rouble.len()), "{}", rouble.len());
    assert!(
        rouble.contains(&wall("2026-11-21T00:00:00Z")),
        "Friday's, for Saturday"
    );
    assert!(!rouble.contains(&wall("2026-11-22T00:00:00Z")), "a Sunday");
    assert_eq!(of("IRR-RUB").len(), rouble.len());
}

#[tokio::test]
async fn a_table_a_day_becomes_candles_of_the_currencies_in_use() {
    let (_sim, sources) = world(SimConfig::seeded(7)).await;
    let catalog = Catalog::new(&sources, true).unwrap();
    let archive = catalog.get("openexchangerates").unwrap();
    let days = ["2026-11-19", "2026-11-20"].map(|day| wall(&format!("{day}T00:00:00Z")));
    let config = sources.openexchangerates.clone();
    let errand = OxrErrand::new(config, archive.source, days.into(), Vec::new());
    let venues = vec![VenueErrands {
        source: archive.source,
        limits: archive.limits,
        errands: vec![Box::new(errand)],
    }];
    let (outcomes, _, sink) = run(venues, None).await;
    assert_eq!(
        (&outcomes[0].ended, outcomes[0].requests),
        (&Ended::Done, 2)
    );
    let candles = sink.candles.into_inner().unwrap();
    let roubles: Vec<&Candle> = candles
        .iter()
        .filter(|one| one.pair == pair("USD-RUB"))
        .collect();
    assert_eq!(roubles.len(), 2);
    assert!(
        candles
            .iter()
            .all(|one| one.interval == Interval::Day && one.count == 1)
    );
}

#[test]
fn recorded_candles_of_binance_are_read_and_make_each_other() {
    let Some(path) = kurs_testkit::fixtures::file("binance/rest_mock_spot.jsonl.gz") else {
        println!("skipped: KURS_FIXTURES is not set");
        return;
    };
    let mut pages = 0;
    for line in kurs_testkit::fixtures::lines(&path) {
        let is_candles = line
            .url
            .as_deref()
            .is_some_and(|url| url.contains("/klines"));
        if !is_candles {
            continue;
        }
        let all = Wall::MIN..Wall::MAX;
        let candles = BinanceArchive.read(line.text().as_bytes(), &all).unwrap();
        assert!(!candles.is_empty());
        assert!(candles.iter().map(|one| one.start).is_sorted());
        assert!(candles.iter().all(|one| one.traded && one.count > 0));
        pages += 1;
    }
    assert!(pages >= 3, "{pages}");
}

#[test]
fn the_recorded_90_days_of_the_ecb_give_every_day_once() {
    let Some(path) = kurs_testkit::fixtures::file("ecb/eurofxref-hist-90d_2019.xml") else {
        println!("skipped: KURS_FIXTURES is not set");
        return;
    };
    let now = wall("2019-11-30T00:00:00Z");
    let days = wall("2019-09-02T00:00:00Z")..now;
    let config = kurs_sources::ecb::Config::default();
    let source = SourceId::parse("ecb").unwrap();
    let pairs = vec![pair("EUR-USD"), pair("EUR-RUB")];
    let mut errand = EcbErrand::new(&config, source, days, pairs, now).unwrap();
    let haul = errand
        .receive(200, &kurs_testkit::fixtures::bytes(&path), now)
        .unwrap();
    assert_eq!(haul.official.len(), 2 * 65);
    let last = haul
        .official
        .iter()
        .find(|rate| rate.pair == pair("EUR-USD"))
        .unwrap();
    assert_eq!(
        (last.day, &*last.value.to_string()),
        (wall("2019-11-29T00:00:00Z"), "1.0982")
    );
}
