//! Builds the enabled sources from their settings. A new source gets its line here.

use crate::binance::Binance;
use crate::cbr::Cbr;
use crate::coingecko::{self, CoinGecko};
use crate::config::SourcesConfig;
use crate::ecb::{Ecb, PublicationSchedule};
use crate::openexchangerates::OpenExchangeRates;
use crate::polled::{Parts, Polled, Transport};
use crate::poller::Schedule;
use crate::protocol::Protocol;
use crate::source::Source;
use crate::timetable::{Timetable, TimetableError};
use kurs_core::{Clock, SourceId, SourceIdError, SourceKind};
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
    Timetable(&'static str, TimetableError),
    /// A name is too long.
    #[error(transparent)]
    Id(#[from] SourceIdError),
}

/// Every source of this build by its name, best first by default.
pub const NAMES: [&str; 5] = ["binance", "coingecko", "cbr", "ecb", "openexchangerates"];

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

    let binance = &config.binance;
    if binance.enabled {
        let (id, kind) = (shop.id("binance")?, SourceKind::Exchange);
        let info = SourceInfo {
            id,
            kind,
            priority: binance.priority,
            hold_ms: binance.hold_ms,
        };
        let Means {
            http,
            proxies,
            user_agent,
            clock,
        } = means.clone();
        let source = Binance::new(binance.clone(), id, &user_agent, http, clock, proxies);
        built.push(Built {
            info,
            source: Arc::new(source),
        });
    }

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
    Ok(built)
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

    fn polled<S: Schedule + 'static, P: Protocol>(
        &self,
        name: &'static str,
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
        let schedule = schedule.map_err(|error| BuildError::Timetable(name, error))?;
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
        assert_eq!(ids(&config, false), ["binance", "coingecko", "ecb", "cbr"]);
        config.openexchangerates.key = Some(Secret::new(" "));
        assert_eq!(ids(&config, false).len(), 4);
        config.openexchangerates.key = Some(Secret::new("k"));
        assert_eq!(ids(&config, false).len(), 5);
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
        config.cbr.enabled = false;
        assert_eq!(ids(&config, true), ["sim:coingecko", "sim:ecb"]);
    }
}
