//! A series of candles, page by page, oldest first. Every request is for a window of at most a
//! page, so that the walk goes on whatever the answers are, and ends.
//!
//! A source may at some time give smaller pages than it once did. A page that has no fewer
//! candles than any before it, and yet none at the far end of its window, may have been cut
//! there: the rest is asked for once more. Where candles are merely missing, pages are of all
//! sizes, and little is asked in vain.

use super::candle::{ArchivedCandle, Order, in_order};
use super::codec::{BODY_BYTES_MAX, CandleCodec};
use super::compose::Composer;
use super::errand::{Ask, Errand, Haul, Series};
use super::error::{ArchiveError, Flaw};
use kurs_core::{Pair, SourceId, Wall};
use kurs_net::http::Fetch;
use kurs_store::{Candle, Interval, Origin};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// From first byte sent to last byte received.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a walk is made of.
pub struct CandleWalkParts {
    /// The language of the archive.
    pub codec: Arc<dyn CandleCodec>,
    /// URL before the path of every request.
    pub base: String,
    /// The source as rows name it.
    pub source: SourceId,
    /// The pair.
    pub pair: Pair,
    /// Length of the candles that are asked for.
    pub interval: Interval,
    /// Longer candles to be made of minutes; empty unless `interval` is a minute.
    pub compose: Vec<Interval>,
    /// Candles that begin within this; its ends are taken to the begin of a candle.
    pub span: Range<Wall>,
}

/// Fetches the candles of a span.
pub struct CandleWalk {
    codec: Arc<dyn CandleCodec>,
    base: String,
    symbol: String,
    series: Series,
    pair: Pair,
    interval: Interval,
    end: Wall,
    /// The window under way, and what of it is still to be asked.
    window: Range<Wall>,
    rest: Range<Wall>,
    held: Vec<ArchivedCandle>,
    /// The most candles that one answer had.
    largest: usize,
    composer: Composer,
}

impl CandleWalk {
    /// A walk at its beginning.
    #[must_use]
    pub fn new(parts: CandleWalkParts) -> Self {
        let CandleWalkParts {
            codec,
            base,
            source,
            pair,
            interval,
            compose,
            span,
        } = parts;
        let start = interval.start_of(span.start);
        let end = interval.start_of(span.end).max(start);
        let compose = match interval {
            Interval::Minute => compose,
            _ => Vec::new(),
        };
        let mut walk = Self {
            symbol: codec.symbol(pair),
            codec,
            base,
            series: Series {
                source,
                pair: Some(pair),
                interval: Some(interval),
            },
            pair,
            interval,
            end,
            window: start..start,
            rest: start..start,
            held: Vec::new(),
            largest: 0,
            composer: Composer::new(&compose, start),
        };
        walk.open_window(start);
        walk
    }

    fn open_window(&mut self, start: Wall) {
        let length = self
            .interval
            .length()
            .saturating_mul(self.codec.page().max(1));
        self.window = start..start.plus(length).min(self.end);
        self.rest = self.window.clone();
    }

    /// What of the window may have been cut from the page; empty when nothing.
    fn unanswered(&self, page: &[ArchivedCandle]) -> Range<Wall> {
        let nothing = self.rest.end..self.rest.end;
        let (Some(first), Some(last)) = (page.first(), page.last()) else {
            return nothing;
        };
        // An archive that gives all it has in one answer cuts nothing.
        if self.codec.reach().is_some() || page.len() < self.largest {
            return nothing;
        }
        match self.codec.order() {
            Order::OldestFirst => last.start.plus(self.interval.length())..self.rest.end,
            Order::NewestFirst => self.rest.start..first.start,
        }
    }

    fn candle(&self, interval: Interval, archived: &ArchivedCandle) -> Candle {
        Candle {
            pair: self.pair,
            source: Some(self.series.source),
            interval,
            start: archived.start,
            open: archived.open,
            high: archived.high,
            low: archived.low,
            close: archived.close,
            count: archived.count,
            origin: Origin::Backfill,
        }
    }
}

impl Errand for CandleWalk {
    fn series(&self) -> Series {
        self.series
    }

    fn ask(&mut self) -> Option<Ask> {
        if self.rest.is_empty() {
            return None;
        }
        let request = self.codec.ask(&self.symbol, self.interval, &self.rest);
        Some(Ask {
            fetch: Fetch {
                url: format!("{}{}", self.base, request.path),
                shown: None,
                headers: Vec::new(),
                validators: None,
                timeout: TIMEOUT,
                max_body_bytes: BODY_BYTES_MAX,
            },
            weight: request.weight,
        })
    }

    fn receive(&mut self, status: u16, body: &[u8], _: Wall) -> Result<Haul, ArchiveError> {
        if status != 200 {
            return Err(self.codec.refusal(status, body));
        }
        let page = self.codec.read(body, &self.rest)?;
        if page.len() > usize::try_from(self.codec.page()).unwrap_or(usize::MAX) {
            return Err(Flaw::TooMany.into());
        }
        let page = in_order(page, self.codec.order(), self.interval, &self.rest)?;
        let rest = self.unanswered(&page);
        self.largest = self.largest.max(page.len());
        self.held.extend(page);
        self.rest = rest;
        if !self.rest.is_empty() {
            return Ok(Haul::default());
        }
        let mut whole = std::mem::take(&mut self.held);
        whole.sort_by_key(|candle| candle.start);
        let through = self.window.end;
        let mut candles: Vec<Candle> = whole
            .iter()
            .map(|candle| self.candle(self.interval, candle))
            .collect();
        let longer = self.composer.take(&whole, through);
        candles.extend(
            longer
                .iter()
                .map(|(interval, candle)| self.candle(*interval, candle)),
        );
        self.open_window(through);
        Ok(Haul {
            candles,
            through: Some(through),
            ..Haul::default()
        })
    }

    fn requests_left(&self) -> u64 {
        let from = if self.rest.is_empty() {
            self.window.end
        } else {
            self.window.start
        };
        pages(&*self.codec, self.interval, &(from..self.end))
    }
}

/// How many requests a span takes at least.
#[must_use]
pub fn pages(codec: &dyn CandleCodec, interval: Interval, span: &Range<Wall>) -> u64 {
    let candles = span
        .end
        .since(span.start)
        .as_secs()
        .div_ceil(u64::from(interval.seconds()));
    candles.div_ceil(u64::from(codec.page().max(1)))
}
