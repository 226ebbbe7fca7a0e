//! Official rates to the rouble, one currency an answer: `XML_dynamic.asp`. The bank's ids of the
//! currencies come from the daily table.

use super::candle::unreadable;
use super::ecb::midnight;
use super::errand::{Ask, Errand, Haul, Series};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::cbr::{Config, decode, decode_dynamic};
use crate::decode::{DecodeError, excerpt};
use crate::zone;
use encoding_rs::WINDOWS_1251;
use jiff::civil::Date;
use kurs_core::{Asset, Pair, SourceId, Wall};
use kurs_net::http::Fetch;
use kurs_store::OfficialRate;
use quick_xml::Reader;
use quick_xml::events::Event;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

/// Thirty years of one currency have about 1 MB.
const BODY_BYTES_MAX: usize = 8 << 20;
/// From first byte sent to last byte received.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Names of the two pages.
const DAILY: &str = "XML_daily.asp";
const DYNAMIC: &str = "XML_dynamic.asp";
/// Currencies of the daily table, about: their number is known after the first answer.
const USUAL_CURRENCIES: u64 = 55;
/// More currencies than this are nobody's table.
const CURRENCIES_MAX: usize = 300;

/// How fast the bank is asked.
pub const LIMITS: Limits = Limits {
    weight_per_minute: 60,
    used: None,
    has_quota: false,
};

/// Fetches the rates of a span of days, currency by currency.
#[derive(Debug)]
pub struct CbrErrand {
    source: SourceId,
    /// URL of the daily table, and of the other page.
    daily: String,
    dynamic: String,
    days: Range<Wall>,
    /// Only these; empty: all.
    pairs: Vec<Pair>,
    /// Bank's ids with their pairs, the next one first; `None` before they are known.
    left: Option<VecDeque<(String, Pair)>>,
}

impl CbrErrand {
    /// The rates of the days that begin within `days`; `None` when the configured URL is not
    /// that of the daily table, or nothing is asked for.
    #[must_use]
    pub fn new(
        config: &Config,
        source: SourceId,
        days: Range<Wall>,
        pairs: Vec<Pair>,
    ) -> Option<Self> {
        let daily = config.request_url(None);
        let dynamic = format!("{}{DYNAMIC}", daily.strip_suffix(DAILY)?);
        (!days.is_empty()).then_some(Self {
            source,
            daily,
            dynamic,
            days,
            pairs,
            left: None,
        })
    }

    fn ids(&self, body: &[u8]) -> Result<VecDeque<(String, Pair)>, ArchiveError> {
        // The table must be one before its ids are believed.
        let table = decode(body)?;
        let rouble = Asset::parse("RUB").map_err(|error| unreadable(&error.to_string()))?;
        let mut ids = VecDeque::new();
        for (id, code) in currencies(body)? {
            let pair = Asset::parse(&code)
                .ok()
                .and_then(|asset| Pair::of(asset, rouble).ok());
            let wanted = pair.filter(|pair| {
                table.rates.get(*pair).is_some()
                    && (self.pairs.is_empty() || self.pairs.contains(pair))
            });
            if let Some(pair) = wanted
                && ids.len() < CURRENCIES_MAX
            {
                ids.push_back((id, pair));
            }
        }
        Ok(ids)
    }

    fn rates(&mut self, body: &[u8], now: Wall) -> Result<Haul, ArchiveError> {
        let Some((id, pair)) = self.left.as_ref().and_then(|left| left.front().cloned()) else {
            return Err(unreadable("nothing was asked for"));
        };
        let dynamic = decode_dynamic(body)?;
        if dynamic.id != id {
            return Err(unreadable("the rates are of another currency"));
        }
        let mut haul = Haul::default();
        let mut last = None;
        for (date, value) in dynamic.records {
            let day = midnight(date);
            if last.is_some_and(|last| last >= day) {
                return Err(unreadable("days come twice or out of order"));
            }
            last = Some(day);
            if self.days.contains(&day) {
                haul.official.push(OfficialRate {
                    source: self.source,
                    pair,
                    day,
                    value,
                    seen_at: now,
                });
            }
        }
        if let Some(left) = &mut self.left {
            left.pop_front();
        }
        haul.through = self.is_done().then_some(self.days.end);
        Ok(haul)
    }

    fn is_done(&self) -> bool {
        self.left.as_ref().is_some_and(VecDeque::is_empty)
    }
}

impl Errand for CbrErrand {
    fn series(&self) -> Series {
        Series {
            source: self.source,
            pair: None,
            interval: None,
        }
    }

    fn ask(&mut self) -> Option<Ask> {
        let url = match &self.left {
            None => self.daily.clone(),
            Some(left) => {
                let (id, _) = left.front()?;
                let from = date_text(self.days.start);
                // The last day counts.
                let to = date_text(Wall(self.days.end.0.saturating_sub(1)));
                format!(
                    "{}?date_req1={from}&date_req2={to}&VAL_NM_RQ={id}",
                    self.dynamic
                )
            }
        };
        Some(Ask {
            fetch: Fetch {
                url,
                shown: None,
                headers: Vec::new(),
                validators: None,
                timeout: TIMEOUT,
                max_body_bytes: BODY_BYTES_MAX,
            },
            weight: 1,
        })
    }

    fn receive(&mut self, status: u16, body: &[u8], now: Wall) -> Result<Haul, ArchiveError> {
        match status {
            200 => {}
            404 => return Err(ArchiveError::NotListed),
            _ => return Err(ArchiveError::Refused(format!("HTTP {status}"))),
        }
        if self.left.is_some() {
            return self.rates(body, now);
        }
        let ids = self.ids(body)?;
        if ids.is_empty() {
            return Err(ArchiveError::NotListed);
        }
        self.left = Some(ids);
        Ok(Haul::default())
    }

    fn requests_left(&self) -> u64 {
        let named = u64::try_from(self.pairs.len()).unwrap_or(u64::MAX);
        match &self.left {
            Some(left) => u64::try_from(left.len()).unwrap_or(u64::MAX),
            None if named > 0 => named.saturating_add(1),
            None => USUAL_CURRENCIES,
        }
    }
}

/// `25/04/2026`.
fn date_text(day: Wall) -> String {
    let date: Date = zone::civil(day, &jiff::tz::TimeZone::UTC).date();
    date.strftime("%d/%m/%Y").to_string()
}

/// Ids and codes of the daily table, in its order.
fn currencies(body: &[u8]) -> Result<Vec<(String, String)>, ArchiveError> {
    // Ids and codes are ASCII in any encoding that the bank might use one day.
    let (text, _) = WINDOWS_1251.decode_without_bom_handling(body);
    let mut reader = Reader::from_str(&text);
    let mut found = Vec::new();
    let mut id = None;
    let mut is_code = false;
    loop {
        let event = reader.read_event().map_err(|error| {
            ArchiveError::from(DecodeError::Format(excerpt(&error.to_string(), 160)))
        })?;
        match event {
            Event::Start(element) => match element.name().as_ref() {
                "Valute" => {
                    let attribute = element.attributes().flatten().find_map(|attribute| {
                        (attribute.key.as_ref() == "ID").then(|| attribute.value.to_string())
                    });
                    // It becomes a part of a URL.
                    id = attribute.filter(|id| {
                        (1..=16).contains(&id.len())
                            && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
                    });
                }
                "CharCode" => is_code = true,
                _ => {}
            },
            Event::Text(content) if is_code => {
                is_code = false;
                if let Some(id) = id.take() {
                    found.push((id, content.xml10_content().trim().to_owned()));
                }
            }
            Event::End(_) => is_code = false,
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}
