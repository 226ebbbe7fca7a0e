//! Builds the enabled sources from their settings. A new source gets its line here.

use crate::binance::Binance;
use crate::bybit::Bybit;
use crate::cbr::Cbr;
use crate::coinbase::Coinbase;
use crate::coingecko::{self, CoinGecko};
use crate::config::SourcesConfig;
use crate::ecb::{Ecb, PublicationSchedule};
use crate::http_source::{self, HttpSource};
use crate::input::Machine;
use crate::kraken::Kraken;
use crate::okx::Okx;
use crate::openexchangerates::OpenExchangeRates;
use crate::polled::{Parts, Polled, Transport};
use crate::poller::Schedule;
use crate::protocol::Protocol;
use crate::source::{EventSink, Source};
use crate::timetable::{Timetable, TimetableError};
use crate::venue::codec::Codec;
use crate::venue::sites::Site;
use crate::venue::{self, Venue, VenueMeans};
use kurs_core::{Clock, Pair, SourceId, SourceIdError, SourceKind};
use kurs_net::Proxies;
use kurs_net::http::HttpClient;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What pricing needs to know of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its name in answers.
    pub id: SourceId,
    /// What it is.
    pub kind: SourceKind,
    /// Place in the order of preference; 1 is best.
    pub priority: u16,
    /// How long it must be live again before it is preferred again, milliseconds.
    pub hold_ms: u64,
}

/// A source that is ready to run, with what pricing needs to know of it.
#[derive(Clone)]
pub struct Built {
    /// For pricing.
    pub info: SourceInfo,
    /// To be run.
    pub source: Arc<dyn Source>,
}

/// What sources are given to reach the world with.
#[derive(Debug, Clone)]
pub struct Means {
    /// For polls.
    pub http: HttpClient,
    /// For WebSockets; the HTTP client has its own.
    pub proxies: Arc<Proxies>,
    /// How WebSocket clients introduce themselves.
    pub user_agent: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The settings cannot be used; [`SourcesConfig::validate`] tells all mistakes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// A timetable cannot be.
    #[error("sources.{0}: {1}")]
    Timetable(String, TimetableError),
    /// A source that the user described cannot be understood.
    #[error("sources.http.{0}.{1}")]
    Http(String, String),
    /// A name is too long.
    #[error(transparent)]
    Id(#[from] SourceIdError),
}

/// Every source of this build by its name, best first by default.
pub const NAMES: [&str; 9] = [
    "binance",
    "coinbase",
    "kraken",
    "bybit",
    "okx",
    "coingecko",
    "cbr",
    "ecb",
    "openexchangerates",
];

/// Longest delay after passing failures of a source whose requests cost nothing. No delay goes
/// beyond the next moment of the timetable.
const BACKOFF_CAP: Duration = Duration::from_secs(30);

/// The same where a monthly quota pays for every request: twelve retries an hour on average.
const QUOTA_BACKOFF_CAP: Duration = Duration::from_secs(600);

/// A key comes with a monthly quota, in the demo plan as in the paid ones.
fn coingecko_backoff_cap(config: &coingecko::Config) -> Duration {
    match config.given_key() {
        Some(_) => QUOTA_BACKOFF_CAP,
        None => BACKOFF_CAP,
    }
}

/// Builds every enabled source. `simulated` marks the prices of all as made up: their names
/// then start with `sim:`.
///
/// # Errors
/// [`BuildError`] when the settings were not validated.
pub fn build(
    config: &SourcesConfig,
    simulated: bool,
    means: &Means,
) -> Result<Vec<Built>, BuildError> {
    let transport: Arc<dyn Transport> = Arc::new(means.http.clone());
    let shop = Shop {
        simulated,
        transport,
        clock: &means.clock,
    };
    let mut built = Vec::new();

    built.extend(shop.venue(&config.binance, Binance::new(), means)?);
    built.extend(shop.venue(&config.coinbase, Coinbase::new(), means)?);
    built.extend(shop.venue(&config.kraken, Kraken::new(), means)?);
    built.extend(shop.venue(&config.bybit, Bybit::new(), means)?);
    built.extend(shop.venue(&config.okx, Okx::new(), means)?);

    let coingecko = &config.coingecko;
    if coingecko.enabled {
        built.push(shop.polled(
            "coingecko",
            SourceKind::Aggregator,
            Common {
                priority: coingecko.priority,
                hold_ms: coingecko.hold_ms,
                max_age_ms: coingecko.max_age_ms,
                backoff_cap: coingecko_backoff_cap(coingecko),
                schedule: Timetable::new(
                    coingecko.anchor,
                    coingecko.period(),
                    coingecko.zone.as_deref(),
                ),
                protocol: CoinGecko::new(coingecko.clone()),
            },
        )?);
    }

    let rates = &config.openexchangerates;
    if rates.enabled && rates.given_key().is_none() {
        tracing::info!(
            source = "openexchangerates",
            "not used: no key is set (sources.openexchangerates.key)"
        );
    } else if rates.enabled {
        built.push(shop.polled(
            "openexchangerates",
            SourceKind::Bank,
            Common {
                priority: rates.priority,
                hold_ms: rates.hold_ms,
                max_age_ms: rates.max_age_ms,
                backoff_cap: QUOTA_BACKOFF_CAP,
                schedule: Timetable::new(rates.anchor, rates.period, rates.zone.as_deref()),
                protocol: OpenExchangeRates::new(rates.clone()),
            },
        )?);
    }

    let ecb = &config.ecb;
    if ecb.enabled {
        built.push(shop.polled(
            "ecb",
            SourceKind::Bank,
            Common {
                priority: ecb.priority,
                hold_ms: ecb.hold_ms,
                max_age_ms: ecb.max_age_ms,
                backoff_cap: BACKOFF_CAP,
                schedule: PublicationSchedule::new(ecb),
                protocol: Ecb::new(ecb.clone()),
            },
        )?);
    }

    let cbr = &config.cbr;
    if cbr.enabled {
        built.push(shop.polled(
            "cbr",
            SourceKind::Bank,
            Common {
                priority: cbr.priority,
                hold_ms: cbr.hold_ms,
                max_age_ms: cbr.max_age_ms,
                backoff_cap: BACKOFF_CAP,
                schedule: Timetable::new(cbr.anchor, cbr.period, cbr.zone.as_deref()),
                protocol: Cbr::new(cbr.clone()),
            },
        )?);
    }

    for (name, http) in &config.http {
        built.extend(shop.described(name, http)?);
    }
    Ok(built)
}

/// A source as a machine, without sockets, with what pricing needs to know of it.
pub struct BuiltMachine {
    /// For pricing.
    pub info: SourceInfo,
    /// To be driven.
    pub machine: Box<dyn Machine>,
}

/// Builds every enabled source as a machine, to be driven by recorded inputs. Nothing is sent
/// or opened. `depth`: as in [`crate::Context`].
///
/// # Errors
/// As [`build`].
pub fn machines(
    config: &SourcesConfig,
    simulated: bool,
    means: &Means,
    events: &Arc<dyn EventSink>,
    depth: &Arc<[Pair]>,
) -> Result<Vec<BuiltMachine>, BuildError> {
    let built = build(config, simulated, means)?;
    let machines = built.into_iter().filter_map(|one| {
        let machine = one.source.machine(events.clone(), depth.clone())?;
        let info = one.info;
        Some(BuiltMachine { info, machine })
    });
    Ok(machines.collect())
}

/// A key mostly comes with a quota, and who publishes once a day need not be asked every half
/// minute for a page that is wrong.
fn http_backoff_cap(config: &http_source::Config) -> Duration {
    match config.given_key() {
        Some(_) => QUOTA_BACKOFF_CAP,
        None => (config.period.0 / 4).clamp(BACKOFF_CAP, QUOTA_BACKOFF_CAP),
    }
}

/// What all sources are built with.
struct Shop<'a> {
    simulated: bool,
    transport: Arc<dyn Transport>,
    clock: &'a Arc<dyn Clock>,
}

/// What every polled source is built from.
struct Common<S, P> {
    priority: u16,
    hold_ms: u64,
    max_age_ms: Option<u64>,
    backoff_cap: Duration,
    schedule: Result<S, TimetableError>,
    protocol: P,
}

impl Shop<'_> {
    fn id(&self, name: &str) -> Result<SourceId, SourceIdError> {
        let plain = SourceId::parse(name)?;
        Ok(if self.simulated {
            plain.simulated()
        } else {
            plain
        })
    }

    fn venue<S: Site>(
        &self,
        config: &venue::Config<S>,
        codec: impl Codec,
        means: &Means,
    ) -> Result<Option<Built>, BuildError> {
        if !config.enabled {
            return Ok(None);
        }
        let id = self.id(S::NAME)?;
        let info = SourceInfo {
            id,
            kind: SourceKind::Exchange,
            priority: config.priority,
            hold_ms: config.hold_ms,
        };
        let means = VenueMeans {
            http: means.http.clone(),
            proxies: means.proxies.clone(),
            user_agent: means.user_agent.clone(),
            clock: means.clock.clone(),
        };
        let source = Arc::new(Venue::new(config, Arc::new(codec), id, means));
        Ok(Some(Built { info, source }))
    }

    /// A source of the user's own. Where all venues are simulated it is used only if it is on
    /// this machine: real prices must not get among invented ones.
    fn described(
        &self,
        name: &str,
        config: &http_source::Config,
    ) -> Result<Option<Built>, BuildError> {
        if !config.enabled {
            return Ok(None);
        }
        if self.simulated && !config.is_loopback() {
            tracing::info!(
                source = name,
                "not used: its prices are real, all others are simulated"
            );
            return Ok(None);
        }
        let protocol = HttpSource::new(config)
            .map_err(|mistakes| BuildError::Http(name.to_owned(), mistakes.join("; ")))?;
        let common = Common {
            priority: config.priority,
            hold_ms: config.hold_ms,
            max_age_ms: config.max_age_ms,
            backoff_cap: http_backoff_cap(config),
            schedule: Timetable::new(config.anchor, config.period, config.zone.as_deref()),
            protocol,
        };
        self.polled(name, config.kind, common).map(Some)
    }

    fn polled<S: Schedule + 'static, P: Protocol>(
        &self,
        name: &str,
        kind: SourceKind,
        common: Common<S, P>,
    ) -> Result<Built, BuildError> {
        let id = self.id(name)?;
        let Common {
            priority,
            hold_ms,
            max_age_ms,
            backoff_cap,
            schedule,
            protocol,
        } = common;
        let schedule = schedule.map_err(|error| BuildError::Timetable(name.to_owned(), error))?;
        let parts = Parts {
            id,
            kind,
            priority,
            schedule: Arc::new(schedule),
            backoff_cap,
            max_age: max_age_ms.map(Duration::from_millis),
            protocol,
        };
        let source = Polled::new(parts, self.transport.clone(), self.clock.now().wall);
        let info = SourceInfo {
            id,
            kind,
            priority,
            hold_ms,
        };
        Ok(Built {
            info,
            source: Arc::new(source),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{ManualClock, Now};
    use kurs_telemetry::Secret;

    fn ids(config: &SourcesConfig, simulated: bool) -> Vec<String> {
        let means = Means {
            http: HttpClient::new("kurs-test").unwrap(),
            proxies: Arc::default(),
            user_agent: "kurs-test".into(),
            clock: Arc::new(ManualClock::new(Now::default())),
        };
        let built = build(config, simulated, &means).unwrap();
        for one in &built {
            assert_eq!(
                (one.info.id, one.info.kind),
                (one.source.id(), one.source.kind())
            );
            assert_eq!(one.info.priority, one.source.priority());
        }
        built.iter().map(|one| one.info.id.to_string()).collect()
    }

    #[test]
    fn without_a_key_open_exchange_rates_is_left_out() {
        let mut config = SourcesConfig::default();
        let usual = [
            "binance",
            "coinbase",
            "kraken",
            "bybit",
            "okx",
            "coingecko",
            "ecb",
            "cbr",
        ];
        assert_eq!(ids(&config, false), usual);
        config.openexchangerates.key = Some(Secret::new(" "));
        assert_eq!(ids(&config, false).len(), 8);
        config.openexchangerates.key = Some(Secret::new("k"));
        assert_eq!(ids(&config, false).len(), 9);
    }

    #[test]
    fn only_where_a_quota_pays_for_requests_are_retries_rarer_than_every_half_minute() {
        let mut config = SourcesConfig::default().coingecko;
        assert_eq!(coingecko_backoff_cap(&config), Duration::from_secs(30));
        config.key = Some(Secret::new("k"));
        assert_eq!(coingecko_backoff_cap(&config), QUOTA_BACKOFF_CAP);
    }

    #[test]
    fn simulated_sources_are_marked_and_disabled_ones_absent() {
        let mut config = SourcesConfig::default();
        config.binance.enabled = false;
        config.kraken.enabled = false;
        config.okx.enabled = false;
        config.cbr.enabled = false;
        assert_eq!(
            ids(&config, true),
            ["sim:coinbase", "sim:bybit", "sim:coingecko", "sim:ecb"]
        );
    }
}
