//! How a rate has changed within an hour and a day, and an outline of the day, from candles.

use crate::candles::{CandlesError, CandlesQuestion, Way, candles};
use crate::view::RateView;
use kurs_core::{Pair, Price, Wall};
use kurs_store::{Candle, Interval, Store};
use rust_decimal::Decimal;
use std::time::Duration;

/// Points of an outline at most.
pub const POINTS_MAX: u32 = 48;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// A price that was not told again within this time before a moment is not that moment's. Banks
/// are silent over a weekend.
const REACH: Duration = Duration::from_secs(96 * 3_600);
const PERCENT_DECIMALS: u32 = 4;

/// How a rate has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Against an hour ago, in percent; `None` when that rate is not known.
    pub hour_percent: Option<Decimal>,
    /// Against a day ago, in percent; `None` when that rate is not known.
    pub day_percent: Option<Decimal>,
    /// Closes of the last day, oldest first, at most [`POINTS_MAX`].
    pub points: Vec<Price>,
}

/// How the rate of a pair has changed until now.
///
/// # Errors
/// [`CandlesError`] says why it is not known.
pub async fn changes(
    view: &RateView,
    store: &dyn Store,
    asked: Pair,
) -> Result<Changes, CandlesError> {
    let now = view.now().wall;
    let mut reading = Reading {
        view,
        store,
        asked,
        way: None,
    };
    // An hour more than a day, so that the close before it is among them.
    let start = before(now, DAY + HOUR);
    let fives = reading.read(Interval::FiveMinutes, start, now, 400).await?;
    let last = match view.rate(asked, None) {
        Ok(answer) => Some(answer.document.value),
        Err(_) => fives.last().map(|candle| candle.close),
    };
    let Some(last) = last else {
        return Ok(Changes::default());
    };
    let hour = reading.at(&fives, before(now, HOUR)).await?;
    let day = reading.at(&fives, before(now, DAY)).await?;
    let from = before(now, DAY);
    let shown = fives.partition_point(|candle| candle.start < from);
    let shown = fives.get(shown..).unwrap_or_default();
    let begun = shown.first().map_or(now, |candle| candle.start);
    let minutes = Duration::from_secs(60) * POINTS_MAX;
    let points = if now.since(begun) <= minutes {
        let start = before(now, minutes);
        let ones = reading
            .read(Interval::Minute, start, now, POINTS_MAX)
            .await?;
        outline(&ones, start, Interval::Minute.length())
    } else if now.since(begun) <= minutes * 5 {
        outline(shown, before(now, minutes * 5), minutes * 5 / POINTS_MAX)
    } else {
        outline(shown, from, DAY / POINTS_MAX)
    };
    Ok(Changes {
        hour_percent: hour.and_then(|then| percent(then, last)),
        day_percent: day.and_then(|then| percent(then, last)),
        points,
    })
}

/// Questions for candles of one pair, all answered along the same way.
struct Reading<'a> {
    view: &'a RateView,
    store: &'a dyn Store,
    asked: Pair,
    way: Option<Way>,
}

impl Reading<'_> {
    async fn read(
        &mut self,
        interval: Interval,
        start: Wall,
        end: Wall,
        limit: u32,
    ) -> Result<Vec<Candle>, CandlesError> {
        let question = CandlesQuestion {
            asked: self.asked,
            source: None,
            interval,
            start,
            end,
            limit,
            way: self.way.clone(),
        };
        let page = candles(self.view, self.store, question).await?;
        self.way = Some(page.way);
        Ok(page.candles)
    }

    /// The last close before a moment.
    async fn at(&mut self, fives: &[Candle], moment: Wall) -> Result<Option<Price>, CandlesError> {
        if let Some(close) = close_before(fives, moment) {
            return Ok(Some(close));
        }
        let start = before(moment, REACH);
        let hours = self.read(Interval::Hour, start, moment, 100).await?;
        Ok(close_before(&hours, moment))
    }
}

/// The close of the last candle that had ended at a moment.
fn close_before(candles: &[Candle], moment: Wall) -> Option<Price> {
    let ended = |candle: &&Candle| candle.start.plus(candle.interval.length()) <= moment;
    let last = candles.iter().rev().find(ended);
    last.map(|candle| candle.close)
}

/// The last close of each step of time that has one.
fn outline(candles: &[Candle], start: Wall, step: Duration) -> Vec<Price> {
    let step = i64::try_from(step.as_micros()).unwrap_or(i64::MAX).max(1);
    let mut points: Vec<(i64, Price)> = Vec::new();
    for candle in candles {
        let most = i64::from(POINTS_MAX) - 1;
        let place = ((candle.start.0 - start.0) / step).clamp(0, most);
        match points.last_mut() {
            Some((known, close)) if *known == place => *close = candle.close,
            _ => points.push((place, candle.close)),
        }
    }
    points.into_iter().map(|(_, close)| close).collect()
}

/// By how much a price is above another one.
fn percent(then: Price, now: Price) -> Option<Decimal> {
    let ratio = now.value().checked_div(then.value())?;
    let percent = ratio
        .checked_sub(Decimal::ONE)?
        .checked_mul(Decimal::ONE_HUNDRED)?;
    Some(percent.round_dp(PERCENT_DECIMALS).normalize())
}

fn before(moment: Wall, by: Duration) -> Wall {
    let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Wall(moment.0.saturating_sub(by))
}
