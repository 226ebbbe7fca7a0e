//! `kurs sim`: simulated venues alone.

use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Form, color_wanted};
use crate::server::Signals;
use clap::Args;
use kurs_sim::{CaptureConfig, FaultWord, Sim, SimConfig, SimHandle, Speed, VenueUrls};
use kurs_telemetry::logs::{self, Output as LogOutput};
use kurs_telemetry::{Level, LogConfig};
use std::net::SocketAddr;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kurs sim
  kurs sim --addr 127.0.0.1:9100 --seed 7
  kurs sim --fault binance:stall --fault coingecko:429:retry_after=30
  kurs sim --capture spot_btcusdt.jsonl.gz --speed 10
";

/// Arguments of `sim`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct SimArgs {
    /// Address and port of all venues
    #[arg(long, default_value = "127.0.0.1:9100", value_name = "ADDRESS")]
    addr: SocketAddr,
    /// How the venues behave
    #[command(flatten)]
    venues: VenueArgs,
    /// A recorded capture to play as Binance
    #[arg(long, value_name = "FILE")]
    capture: Option<PathBuf>,
    /// How many times faster the capture is played; 0 is as fast as it is read
    #[arg(long, default_value_t = 1, value_name = "TIMES", requires = "capture")]
    speed: u32,
}

/// How the simulated venues behave, for `sim` and `demo`.
#[derive(Debug, Clone, Args)]
pub struct VenueArgs {
    /// Same seed, same market
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How lively the market is, in percent
    #[arg(long, default_value_t = 100, value_name = "PERCENT")]
    pub activity: u32,
    /// What goes wrong, as VENUE:FAULT[:KEY=VALUE]..., such as binance:stall; repeatable
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<FaultWord>,
}

impl VenueArgs {
    /// The settings of a sim.
    #[must_use]
    pub fn config(&self) -> SimConfig {
        SimConfig {
            seed: self.seed,
            activity_percent: self.activity,
            faults: self.fault.clone(),
            ..SimConfig::default()
        }
    }
}

/// The URLs as `sources.*` take them. A URL with a path is used as it is, so Binance's REST URL
/// must carry the whole of it.
pub(super) fn source_urls(sim: &SimHandle) -> VenueUrls {
    const PATH: &str = "/api/v3";
    let mut urls = sim.urls();
    if !urls.binance_rest.ends_with(PATH) {
        urls.binance_rest.push_str(PATH);
    }
    urls
}

pub(super) async fn run(arguments: SimArgs, global: &Global) -> Result<Exit, Failure> {
    let level = match (global.verbose, global.quiet) {
        (true, _) => Level::Debug,
        (_, true) => Level::Warning,
        _ => Level::Info,
    };
    let log = LogConfig {
        level,
        ..LogConfig::default()
    };
    logs::install(&log, LogOutput::stderr(color_wanted()));
    let mut config = arguments.venues.config();
    config.capture = arguments.capture.map(|path| {
        let speed = match arguments.speed {
            0 => Speed::AsFastAsRead,
            1 => Speed::RealTime,
            times => Speed::Times(times),
        };
        CaptureConfig::new(path, speed)
    });
    let mut signals = Signals::new()?;
    let sim = Sim::start(config, arguments.addr)
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    let output = global.output();
    let urls = source_urls(&sim);
    let lines = [
        ("KURS_SOURCES__BINANCE__WS_URL", &urls.binance_ws),
        ("KURS_SOURCES__BINANCE__REST_URL", &urls.binance_rest),
        ("KURS_SOURCES__COINBASE__WS_URL", &urls.coinbase_ws),
        ("KURS_SOURCES__COINBASE__REST_URL", &urls.coinbase_rest),
        ("KURS_SOURCES__KRAKEN__WS_URL", &urls.kraken_ws),
        ("KURS_SOURCES__KRAKEN__REST_URL", &urls.kraken_rest),
        ("KURS_SOURCES__BYBIT__WS_URL", &urls.bybit_ws),
        ("KURS_SOURCES__BYBIT__REST_URL", &urls.bybit_rest),
        ("KURS_SOURCES__OKX__WS_URL", &urls.okx_ws),
        ("KURS_SOURCES__OKX__REST_URL", &urls.okx_rest),
        ("KURS_SOURCES__COINGECKO__REST_URL", &urls.coingecko_rest),
        (
            "KURS_SOURCES__OPENEXCHANGERATES__REST_URL",
            &urls.openexchangerates_rest,
        ),
        ("KURS_SOURCES__ECB__REST_URL", &urls.ecb_rest),
        ("KURS_SOURCES__CBR__REST_URL", &urls.cbr_rest),
        ("KURS_TELEGRAM__API_URL", &urls.telegram_api),
    ];
    if output.form == Form::Json {
        let document = serde_json::to_string(&urls)
            .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
        output.data(&document)?;
    } else {
        let lines: Vec<String> = lines
            .iter()
            .map(|(name, url)| format!("{name}={url}\n"))
            .collect();
        output.data(&lines.concat())?;
    }
    output.say(&format!(
        "simulated venues are ready; faults on demand: {}",
        urls.control
    ));
    let ended = signals.next().await;
    sim.stop().await;
    Ok(ended)
}
