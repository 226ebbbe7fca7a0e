//! (d) From the venue's write of a frame to the new body, through the real client, threads, bus
//! and store.

mod probe;
mod venue;

use crate::frames;
use crate::options::Options;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use anyhow::{Context as _, Result, anyhow};
use kurs_bus::Bus;
use kurs_core::{Clock, SourceId, SourceKind, SystemClock};
use kurs_net::Proxies;
use kurs_net::http::HttpClient;
use kurs_pricing::{EngineConfig, SourceInfo};
use kurs_reader::{RateView, ViewConfig, follow};
use kurs_sim::{Sim, SimConfig};
use kurs_sources::binance::{Binance, Config};
use kurs_sources::venue::{Venue as Source, VenueMeans};
use kurs_store::StoreConfig;
use kurs_stream::{Hub, StreamConfig};
use kurs_telemetry::{Health, Metrics};
use kurs_writer::{Parts, Writer};
use probe::{Probe, Trace};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use venue::Venue;

/// Frames per second.
pub(crate) const RATE: u64 = 10_000;
/// Nothing is measured before the machine has found its pace.
const WARM_UP: Duration = Duration::from_secs(1);
/// The Writer may take this long to end.
const END_LIMIT: Duration = Duration::from_secs(20);
/// On a quiet machine the venue is never later than this, microseconds.
const QUIET_US: f64 = 500.0;
/// Until the last frame has come through.
const SETTLE: Duration = Duration::from_millis(500);

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let duration = options.seconds(20, 3);
    let warm_up = usize::try_from(RATE * WARM_UP.as_secs())?;
    let total = usize::try_from(RATE * (WARM_UP + duration).as_secs())?;
    let mut section = Section::new("latency", "From the venue to the body", options.quick);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let trace = Arc::new(Trace::new(total));
    let venue = Venue::open(frames::pairs()?, Arc::clone(&trace))?;
    let superseded = runtime.block_on(measure(venue, &trace, folder.path()))?;
    runtime.shutdown_timeout(END_LIMIT);
    describe(&mut section, &trace, superseded, warm_up, duration);
    Ok(section)
}

/// Runs Writer and Reader on the venue until it has sent everything.
async fn measure(venue: Venue, trace: &Arc<Trace>, folder: &std::path::Path) -> Result<u64> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let pairs = frames::pairs()?;
    // It answers only what is asked over REST: which symbols there are.
    let sim = Sim::start(SimConfig::seeded(1), ([127, 0, 0, 1], 0).into()).await?;
    let store_config = StoreConfig {
        url: format!("sqlite:{}", folder.join("kurs.db").display()),
        ..StoreConfig::default()
    };
    let opening = store_config.clone();
    let store = tokio::task::spawn_blocking(move || kurs_store::open(&opening)).await??;
    kurs_store::prepare(&*store, &store_config).await?;
    let metrics = Metrics::for_tests();
    let id = SourceId::parse("binance")?;
    let config = Config {
        ws_url: venue.url(),
        rest_url: sim.urls().binance_rest,
        trades: false,
        books: false,
        ..Config::default()
    };
    let http = HttpClient::new("kurs-bench")?;
    let means = VenueMeans {
        http,
        proxies: Arc::new(Proxies::none()),
        user_agent: "kurs-bench".to_owned(),
        clock: clock.clone(),
    };
    let source = Source::new(&config, Arc::new(Binance::new()), id, means);
    let info = SourceInfo {
        id,
        kind: SourceKind::Exchange,
        priority: 1,
        hold: Duration::from_secs(10),
    };
    let view = Arc::new(RateView::new(clock.clone(), ViewConfig::default()));
    let bus: Arc<dyn Bus> = Arc::new(Probe::new(Arc::clone(&view), Arc::clone(trace)));
    let (stop, stopped) = watch::channel(false);
    let writer = Writer::new(Parts {
        bus: Arc::clone(&bus),
        store: Arc::clone(&store),
        clock,
        sources: vec![Arc::new(source)],
        engine: EngineConfig::new(vec![info], Vec::new()),
        pairs,
        seed: 1,
        metrics: metrics.writer.clone(),
        source_panics: metrics.process.panics("source"),
        health: Arc::new(Health::new()),
        recorder: kurs_writer::recorder::RecorderConfig::default(),
        retention: kurs_store::Retention::default(),
        pack_after: None,
        spool: None,
        candles: kurs_writer::candles::CandlesConfig::default(),
        snapshots: None,
        sinks: kurs_writer::sinks::SinksConfig::default(),
        sink_metrics: metrics.sinks.sink("influxdb"),
        depth: Arc::from([]),
        tap: None,
        named: Vec::new(),
        terms: kurs_writer::Terms::default(),
        begun: watch::Sender::new(false),
        sharing: kurs_writer::WriterConfig::default(),
        name: "bench".into(),
        is_alone: true,
    });
    let streams = Hub::new(
        Arc::clone(&view),
        StreamConfig::default(),
        metrics.streams.clone(),
        1,
    );
    let means = follow::Means {
        view,
        store,
        bus,
        metrics: metrics.reader.clone(),
        health: Arc::new(Health::new()),
        told: streams,
    };
    let reader = tokio::spawn(follow::run(means, stopped.clone()));
    let writer = tokio::spawn(writer.run(stopped));
    let sending = std::thread::spawn(move || venue.run());
    let sent = tokio::task::spawn_blocking(move || sending.join()).await?;
    tokio::time::sleep(SETTLE).await;
    stop.send_replace(true);
    tokio::time::timeout(END_LIMIT, writer)
        .await
        .context("the Writer did not end")??;
    reader.await?;
    sent.map_err(|_| anyhow!("the venue's thread ended badly"))??;
    Ok(metrics.writer.events_superseded.get())
}

fn describe(
    section: &mut Section,
    trace: &Trace,
    superseded: u64,
    warm_up: usize,
    duration: Duration,
) {
    section.method(format!(
        "A WebSocket server in a thread of its own writes {RATE} best prices a second of {} markets, one system call \
         each, for {} s after {} s of warm-up, to the real client. From there on everything runs as in `kurs serve`: \
         source, inbox, engine thread, bus, recorder with a SQLite file, follower, view; two runtime threads on the \
         same cores as the venue. The time counts from just before the venue's write to the moment when the body with \
         this price has been rendered and read from the view.",
        frames::MARKETS.len(),
        duration.as_secs(),
        WARM_UP.as_secs()
    ));
    let seen = trace.steps(warm_up);
    let sent = trace.len() - warm_up;
    let of = |step: fn(&probe::Steps) -> u64| Latencies::new(seen.iter().map(step).collect());
    let whole = of(|steps| steps.whole);
    section.number(
        "p50",
        "us",
        whole.microseconds(500),
        Some(Goal::AtMost(100.0)),
    );
    section.number(
        "p99",
        "us",
        whole.microseconds(990),
        Some(Goal::AtMost(1_000.0)),
    );
    section.number("p99.9", "us", whole.microseconds(999), None);
    section.number("greatest", "us", whole.microseconds(1_000), None);
    section.number("frames sent", "frames", sent as f64, None);
    section.number(
        "frames whose body was read",
        "frames",
        whole.len() as f64,
        None,
    );
    section.number(
        "prices replaced in the inbox by newer ones",
        "frames",
        superseded as f64,
        None,
    );
    let late = Latencies::new(trace.lateness(warm_up, RATE));
    section.number(
        "venue later than its pace by, p99",
        "us",
        late.microseconds(990),
        None,
    );
    if late.microseconds(990) > QUIET_US {
        section.note(
            "The venue could not keep its pace: other programs had the cores, and the greater percentiles tell of \
             them rather than of kurs.",
        );
    }
    let row = |label: &str, step: fn(&probe::Steps) -> u64| {
        let latencies = of(step);
        let cell = |per_mille| format!("{:.0}", latencies.microseconds(per_mille));
        vec![label.to_owned(), cell(500), cell(900), cell(990), cell(999)]
    };
    section.tables.push(Table {
        caption: "Where the time goes, by the wall clock that all steps share (microseconds)"
            .to_owned(),
        header: ["step", "p50", "p90", "p99", "p99.9"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![
            row("venue's write to the client's read", |steps| {
                steps.to_received
            }),
            row(
                "read to the engine's turn: decoding, inbox, waking a thread",
                |steps| steps.to_priced,
            ),
            row(
                "engine's turn to the body: pricing, bus, waking the follower, rendering",
                |steps| steps.to_readable,
            ),
            row("all", |steps| steps.whole),
        ],
    });
    let bars = [
        ("p50", 500, Some(100.0)),
        ("p90", 900, None),
        ("p99", 990, Some(1_000.0)),
        ("p99.9", 999, None),
    ];
    let bar = |(label, per_mille, goal): (&str, usize, Option<f64>)| {
        Bar::new(
            label,
            Spread::of(&[whole.microseconds(per_mille)]),
            true,
            goal,
        )
    };
    section.charts.push(Chart {
        file: "bench-latency.svg".to_owned(),
        title: format!("From the venue's write to the new body, {RATE} frames per second"),
        unit: "us".to_owned(),
        grey: None,
        bars: bars.map(bar).to_vec(),
    });
}
