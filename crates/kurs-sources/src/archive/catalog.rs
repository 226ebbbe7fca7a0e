//! The archives of the configured sources.

use super::binance::BinanceArchive;
use super::bybit::BybitArchive;
use super::codec::CandleCodec;
use super::coinbase::CoinbaseArchive;
use super::kraken::KrakenArchive;
use super::okx::OkxArchive;
use super::pace::Limits;
use super::{cbr, ecb, openexchangerates};
use crate::config::SourcesConfig;
use kurs_core::{SourceId, SourceIdError};
use std::sync::Arc;

/// The archive of one source.
#[derive(Clone)]
pub struct Archive {
    /// The source as rows name it.
    pub source: SourceId,
    /// What it holds.
    pub kind: Kind,
    /// How fast it may be asked.
    pub limits: Limits,
}

/// What an archive holds.
#[derive(Clone)]
pub enum Kind {
    /// Candles of pairs.
    Candles {
        /// Its language.
        codec: Arc<dyn CandleCodec>,
        /// URL before the path of every request.
        base: String,
    },
    /// A table of rates for every day.
    Tables(crate::openexchangerates::Config),
    /// Euro reference rates.
    Ecb(crate::ecb::Config),
    /// Official rates to the rouble.
    Cbr(crate::cbr::Config),
}

impl Kind {
    /// True for a bank, whose rates are official.
    #[must_use]
    pub const fn is_official(&self) -> bool {
        matches!(self, Self::Ecb(_) | Self::Cbr(_))
    }
}

/// Every archive there is, by the names of the sources. CoinGecko has none here, and neither have
/// the sources that the user describes.
pub const NAMES: [&str; 8] = [
    "binance",
    "coinbase",
    "kraken",
    "bybit",
    "okx",
    "openexchangerates",
    "ecb",
    "cbr",
];

/// The archives of the sources that are in use.
#[derive(Clone)]
pub struct Catalog {
    archives: Vec<Archive>,
}

impl Catalog {
    /// The archives of the enabled sources. `simulated` marks all prices as made up.
    ///
    /// # Errors
    /// When a name is too long, which no built-in one is.
    pub fn new(config: &SourcesConfig, simulated: bool) -> Result<Self, SourceIdError> {
        let mut catalog = Self {
            archives: Vec::new(),
        };
        let mut venue = |is_enabled: bool, codec: Arc<dyn CandleCodec>, base: String| {
            if is_enabled {
                let (name, limits) = (codec.name(), codec.limits());
                let kind = Kind::Candles { codec, base };
                catalog.add(name, simulated, kind, limits)?;
            }
            Ok(())
        };
        let c = config;
        venue(
            c.binance.enabled,
            Arc::new(BinanceArchive),
            c.binance.rest_base(),
        )?;
        venue(
            c.coinbase.enabled,
            Arc::new(CoinbaseArchive),
            c.coinbase.rest_base(),
        )?;
        venue(
            c.kraken.enabled,
            Arc::new(KrakenArchive),
            c.kraken.rest_base(),
        )?;
        venue(c.bybit.enabled, Arc::new(BybitArchive), c.bybit.rest_base())?;
        venue(c.okx.enabled, Arc::new(OkxArchive), c.okx.rest_base())?;
        let rates = &config.openexchangerates;
        if rates.enabled && rates.given_key().is_some() {
            let kind = Kind::Tables(rates.clone());
            catalog.add(
                "openexchangerates",
                simulated,
                kind,
                openexchangerates::LIMITS,
            )?;
        }
        if config.ecb.enabled {
            catalog.add("ecb", simulated, Kind::Ecb(config.ecb.clone()), ecb::LIMITS)?;
        }
        if config.cbr.enabled {
            catalog.add("cbr", simulated, Kind::Cbr(config.cbr.clone()), cbr::LIMITS)?;
        }
        Ok(catalog)
    }

    fn add(
        &mut self,
        name: &str,
        simulated: bool,
        kind: Kind,
        limits: Limits,
    ) -> Result<(), SourceIdError> {
        let plain = SourceId::parse(name)?;
        let source = if simulated { plain.simulated() } else { plain };
        self.archives.push(Archive {
            source,
            kind,
            limits,
        });
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Archive> {
        self.archives.iter()
    }

    /// The archive of a source, by its plain name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Archive> {
        self.archives
            .iter()
            .find(|archive| archive.source.plain() == name)
    }
}
