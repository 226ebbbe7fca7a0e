//! The euro reference rates since 1999 in one XML file, and those of the last 90 days in another.

use super::candle::unreadable;
use super::errand::{Ask, Errand, Haul, Series};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::ecb::{Config, decode};
use jiff::civil::Date;
use kurs_core::{Pair, SourceId, Wall};
use kurs_net::http::Fetch;
use kurs_store::OfficialRate;
use std::ops::Range;
use std::time::Duration;

/// The whole file has about 9 MB.
const BODY_BYTES_MAX: usize = 32 << 20;
/// From first byte sent to last byte received.
const TIMEOUT: Duration = Duration::from_secs(120);
/// The small file begins 90 days ago, weekends and holidays included.
const SMALL_FILE: Duration = Duration::from_secs(85 * 86_400);
/// Name of the daily file, beside which the others stand.
const DAILY: &str = "eurofxref-daily.xml";

/// How fast the bank is asked.
pub const LIMITS: Limits = Limits {
    weight_per_minute: 6,
    used: None,
    has_quota: false,
};

/// Fetches the reference rates of a span of days.
#[derive(Debug)]
pub struct EcbErrand {
    source: SourceId,
    url: String,
    days: Range<Wall>,
    /// Only these; empty: all.
    pairs: Vec<Pair>,
    is_done: bool,
}

impl EcbErrand {
    /// The rates of the days that begin within `days`; `None` when the configured URL is not
    /// that of the daily file, so that there is no telling where the others are. `now` decides
    /// between the two files.
    #[must_use]
    pub fn new(
        config: &Config,
        source: SourceId,
        days: Range<Wall>,
        pairs: Vec<Pair>,
        now: Wall,
    ) -> Option<Self> {
        let daily = config.request_url();
        let folder = daily.strip_suffix(DAILY)?;
        let is_recent = now.since(days.start) < SMALL_FILE;
        let file = match is_recent {
            true => "eurofxref-hist-90d.xml",
            false => "eurofxref-hist.xml",
        };
        Some(Self {
            source,
            url: format!("{folder}{file}"),
            is_done: days.is_empty(),
            days,
            pairs,
        })
    }
}

/// Begin of a calendar day in UTC.
pub(super) fn midnight(date: Date) -> Wall {
    crate::zone::at(
        date,
        jiff::civil::Time::midnight(),
        &jiff::tz::TimeZone::UTC,
    )
}

impl Errand for EcbErrand {
    fn series(&self) -> Series {
        Series {
            source: self.source,
            pair: None,
            interval: None,
        }
    }

    fn ask(&mut self) -> Option<Ask> {
        let fetch = Fetch {
            url: self.url.clone(),
            shown: None,
            headers: Vec::new(),
            validators: None,
            timeout: TIMEOUT,
            max_body_bytes: BODY_BYTES_MAX,
        };
        (!self.is_done).then_some(Ask { fetch, weight: 1 })
    }

    fn receive(&mut self, status: u16, body: &[u8], now: Wall) -> Result<Haul, ArchiveError> {
        match status {
            200 => {}
            404 => return Err(ArchiveError::NotListed),
            _ => return Err(ArchiveError::Refused(format!("HTTP {status}"))),
        }
        let days = decode(body)?;
        let tomorrow = now.plus(Duration::from_secs(86_400));
        let mut haul = Haul {
            through: Some(self.days.end),
            ..Haul::default()
        };
        let mut seen = std::collections::BTreeSet::new();
        for day in &days {
            let begin = midnight(day.date);
            if !seen.insert(begin) {
                return Err(unreadable("a day comes twice"));
            }
            if begin > tomorrow {
                return Err(unreadable("dated in the future"));
            }
            if !self.days.contains(&begin) {
                continue;
            }
            for (pair, value) in &day.rates.rates {
                if self.pairs.is_empty() || self.pairs.contains(pair) {
                    haul.official.push(OfficialRate {
                        source: self.source,
                        pair: *pair,
                        day: begin,
                        value: *value,
                        seen_at: now,
                    });
                }
            }
            let name = |why: &String| format!("{}: {why}", day.date);
            haul.rejected.extend(day.rates.rejected.iter().map(name));
        }
        self.is_done = true;
        Ok(haul)
    }

    fn requests_left(&self) -> u64 {
        u64::from(!self.is_done)
    }
}
