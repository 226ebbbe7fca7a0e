//! `kurs demo`: the server on simulated venues in the same process.

use super::serve::serve;
use super::settings::SettingsArgs;
use super::sim::{VenueArgs, source_urls};
use crate::cli::Global;
use crate::config::{FlagValue, Inputs};
use crate::exit::{Exit, Failure};
use clap::Args;
use kurs_sim::market::past::Past;
use kurs_sim::{Sim, VenueUrls};
use std::net::{Ipv4Addr, SocketAddr};

const EXAMPLES: &str = "\
Examples:
  kurs demo
  kurs demo --fault binance:stall       the next source serves from the start
  kurs demo --http-addr 127.0.0.1:8090 --store-url sqlite:demo.db
";

const BANNER: &str = "\
*** SIMULATED PRICES: every rate here is invented. Sources are marked sim:... ***";

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct DemoArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    venues: VenueArgs,
}

pub(super) async fn run(arguments: DemoArgs, global: &Global) -> Result<Exit, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sim = Sim::start(arguments.venues.config(), address)
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    let mut inputs = arguments.settings.inputs(Some(global))?;
    point_at(&mut inputs, &source_urls(&sim));
    if arguments.settings.store_url.is_none() {
        // Invented prices are not kept, least of all beside real ones.
        put(&mut inputs, "store.url", "sqlite::memory:");
    }
    let loaded = inputs.load()?;
    let past = Past::new(arguments.venues.seed);
    crate::output::complain(BANNER);
    crate::output::complain(&format!(
        "faults on demand: POST {}/faults",
        sim.urls().control
    ));
    let ended = serve(inputs, loaded, Some(past)).await;
    sim.stop().await;
    ended
}

fn put(inputs: &mut Inputs, key: &str, value: &str) {
    inputs.flags.push(FlagValue {
        flag: "kurs demo".to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    });
}

/// All sources are pointed at the simulated venues, whatever the configuration says: a demo
/// never mixes real and invented prices, and never sends a real key anywhere.
pub(super) fn point_at(inputs: &mut Inputs, urls: &VenueUrls) {
    let keys = [
        ("binance.ws_url", &urls.binance_ws),
        ("binance.rest_url", &urls.binance_rest),
        ("coinbase.ws_url", &urls.coinbase_ws),
        ("coinbase.rest_url", &urls.coinbase_rest),
        ("kraken.ws_url", &urls.kraken_ws),
        ("kraken.rest_url", &urls.kraken_rest),
        ("bybit.ws_url", &urls.bybit_ws),
        ("bybit.rest_url", &urls.bybit_rest),
        ("okx.ws_url", &urls.okx_ws),
        ("okx.rest_url", &urls.okx_rest),
        ("coingecko.rest_url", &urls.coingecko_rest),
        ("openexchangerates.rest_url", &urls.openexchangerates_rest),
        ("ecb.rest_url", &urls.ecb_rest),
        ("cbr.rest_url", &urls.cbr_rest),
    ];
    for (key, url) in keys {
        put(inputs, &format!("sources.{key}"), url);
    }
    // Nor does anybody in Telegram hear of invented prices.
    put(inputs, "telegram.api_url", &urls.telegram_api);
    inputs.environment.retain(|(name, _)| {
        !name
            .to_ascii_uppercase()
            .starts_with("KURS_TELEGRAM__TOKEN")
    });
    let token = "KURS_TELEGRAM__TOKEN".to_owned();
    inputs
        .environment
        .push((token, kurs_sim::TelegramConfig::default().token));
    // Any key will do there.
    inputs.environment.retain(|(name, _)| {
        !name
            .to_ascii_uppercase()
            .starts_with("KURS_SOURCES__OPENEXCHANGERATES__KEY")
    });
    let key = "KURS_SOURCES__OPENEXCHANGERATES__KEY".to_owned();
    inputs.environment.push((key, "simulated".to_owned()));
}
