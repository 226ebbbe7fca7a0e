//! `historical/YYYY-MM-DD.json`: the table of the end of a day (UTC). One value a day is a candle
//! of it. Every request is paid from the quota of the plan.

use super::candle::unreadable;
use super::errand::{Ask, Errand, Haul, Series};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::openexchangerates::{Config, decode, wire};
use crate::{iso4217, settings};
use kurs_core::{Pair, SourceId, Wall};
use kurs_net::http::Fetch;
use kurs_store::{Candle, Interval, Origin};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// A table has about 6 kB.
const BODY_BYTES_MAX: usize = 1 << 20;

/// How fast the service is asked.
pub const LIMITS: Limits = Limits {
    weight_per_minute: 60,
    used: None,
    has_quota: true,
};

/// Fetches the tables of a number of days.
#[derive(Debug)]
pub struct OxrErrand {
    config: Config,
    source: SourceId,
    /// Days left, the next one first.
    days: Vec<Wall>,
    /// Only these; empty: all current currencies.
    pairs: Vec<Pair>,
}

impl OxrErrand {
    /// The tables of these days, by their begin in UTC.
    #[must_use]
    pub fn new(config: Config, source: SourceId, days: BTreeSet<Wall>, pairs: Vec<Pair>) -> Self {
        Self {
            config,
            source,
            days: days.into_iter().collect(),
            pairs,
        }
    }

    fn day(&self) -> Option<Range<Wall>> {
        let start = *self.days.first()?;
        Some(start..start.plus(Interval::Day.length()))
    }

    fn wants(&self, pair: Pair) -> bool {
        if !self.pairs.is_empty() {
            return self.pairs.contains(&pair);
        }
        iso4217::is_current(pair.quote) || self.config.more_currencies.contains(&pair.quote)
    }
}

impl Errand for OxrErrand {
    fn series(&self) -> Series {
        Series {
            source: self.source,
            pair: None,
            interval: Some(Interval::Day),
        }
    }

    fn ask(&mut self) -> Option<Ask> {
        let day = self.day()?;
        let root = settings::with_default_path(&self.config.rest_url, "/api");
        let key = self
            .config
            .given_key()
            .map_or("", |key| key.reveal().trim());
        let mut date = day.start.to_string();
        date.truncate(10);
        let path = format!("{}/historical/{date}.json", root.trim_end_matches('/'));
        Some(Ask {
            fetch: Fetch {
                url: format!("{path}?app_id={key}&prettyprint=false"),
                shown: Some(Arc::from(path)),
                headers: Vec::new(),
                validators: None,
                timeout: self.config.timeout.0,
                max_body_bytes: BODY_BYTES_MAX,
            },
            weight: 1,
        })
    }

    fn receive(&mut self, status: u16, body: &[u8], _: Wall) -> Result<Haul, ArchiveError> {
        let Some(day) = self.day() else {
            return Err(unreadable("nothing was asked for"));
        };
        if let Some(message) = wire::refused(body) {
            return match message.as_str() {
                // Before the first day of the archive: the next one may be there.
                "not_available" => {
                    self.days.remove(0);
                    Ok(Haul {
                        through: Some(day.end),
                        rejected: vec![format!("{}: {message}", day.start)],
                        ..Haul::default()
                    })
                }
                _ => Err(ArchiveError::Refused(message)),
            };
        }
        if status != 200 {
            return Err(ArchiveError::Refused(format!("HTTP {status}")));
        }
        let table = decode(body)?;
        // The last table of the day: another day's was not asked for.
        if !day.contains(&table.published_at) && table.published_at != day.end {
            return Err(unreadable("the table is of another day"));
        }
        let wanted = table.rates.rates.iter();
        let candles = wanted
            .filter(|(pair, _)| self.wants(*pair))
            .map(|(pair, value)| Candle {
                pair: *pair,
                source: Some(self.source),
                interval: Interval::Day,
                start: day.start,
                open: *value,
                high: *value,
                low: *value,
                close: *value,
                count: 1,
                origin: Origin::Backfill,
            })
            .collect();
        self.days.remove(0);
        Ok(Haul {
            candles,
            through: Some(day.end),
            ..Haul::default()
        })
    }

    fn requests_left(&self) -> u64 {
        u64::try_from(self.days.len()).unwrap_or(u64::MAX)
    }
}
