//! A past for the demo, so that charts and changes are not empty in its first day: invented like
//! all its prices, and ending at the first rate of each pair.

use super::Built;
use kurs_core::{Pair, Price, RateState, Wall};
use kurs_sim::market::past::Past;
use kurs_store::{Batch, Candle, CandleQuery, Interval, Origin, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many candles of each length a pair gets.
const SPANS: [(Interval, u32); 4] = [
    (Interval::Minute, 180),
    (Interval::FiveMinutes, 300),
    (Interval::Hour, 200),
    (Interval::Day, 120),
];
/// Digits of an invented price.
const DIGITS: u32 = 8;
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Pairs that have no rate after so long have no past either.
const PATIENCE: Duration = Duration::from_secs(30);
/// The demo says that it is ready after so long at the latest.
const READY: Duration = Duration::from_secs(5);

/// Writes the past of each pair as soon as it has a rate. Says `is_there` once the configured
/// directions have theirs: whoever asks then finds charts.
pub(crate) async fn invent(
    built: Arc<Built>,
    past: Past,
    is_there: watch::Sender<bool>,
    mut stopped: watch::Receiver<bool>,
) {
    let began = built.clock.now();
    let mut done = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let passed = built.clock.now().mono.since(began.mono);
        // Before the rates are looked at: what comes meanwhile belongs to the next look.
        let directions = built.view.directions();
        let has_all = directions.iter().all(|pair| fresh(&built, *pair).is_some());
        let new = built.view.pairs().into_iter();
        let new = new.filter(|pair| !done.contains(pair));
        let new = new.filter_map(|pair| Some((pair, fresh(&built, pair)?)));
        let new: Vec<(Pair, Price)> = new.collect();
        done.extend(new.iter().map(|(pair, _)| *pair));
        if let Err(error) = write(&built, past, new, began.wall).await {
            tracing::warn!(%error, "the demo has no past");
            is_there.send_replace(true);
            return;
        }
        if has_all || passed > READY {
            is_there.send_replace(true);
        }
        if passed > PATIENCE {
            return;
        }
    }
}

fn fresh(built: &Built, pair: Pair) -> Option<Price> {
    let rate = built.view.rate(pair, None).ok()?.document;
    (rate.state == RateState::Fresh).then_some(rate.value)
}

async fn write(
    built: &Built,
    past: Past,
    new: Vec<(Pair, Price)>,
    until: Wall,
) -> Result<(), StoreError> {
    for (pair, value) in new {
        let known = CandleQuery {
            pair,
            source: None,
            interval: Interval::Day,
            start: Wall(0),
            end: Interval::Day.start_of(until),
            limit: 1,
        };
        if !built.store.candles(known).await?.is_empty() {
            // A store that was used before has a past.
            continue;
        }
        let made = tokio::task::spawn_blocking(move || candles(past, pair, value, until));
        let batch = Batch {
            candles: made.await.unwrap_or_default(),
            ..Batch::default()
        };
        built.store.write(batch).await?;
    }
    Ok(())
}

/// Candles of every length that had ended when the demo began.
fn candles(past: Past, pair: Pair, value: Price, until: Wall) -> Vec<Candle> {
    let Some(scale) = past
        .shape(pair, until)
        .and_then(|shape| value.value().checked_div(shape))
    else {
        return Vec::new();
    };
    let price = |at: Wall| {
        let price = past.shape(pair, at)?.checked_mul(scale)?;
        Price::new(price.round_sf(DIGITS)?.normalize()).ok()
    };
    // What banks set moves by the hour at most.
    let shortest = if Past::is_fiat(pair) {
        Interval::Hour
    } else {
        Interval::Minute
    };
    let spans = SPANS.into_iter().filter(|(length, _)| *length >= shortest);
    let all = spans.flat_map(|(interval, count)| {
        let length = i64::from(interval.seconds()) * 1_000_000;
        let end = interval.start_of(until);
        let mut open = price(Wall(end.0 - i64::from(count) * length));
        let starts = (1..=i64::from(count)).rev();
        let starts = starts.map(move |back| Wall(end.0 - back * length));
        starts.filter_map(move |start| {
            let middle = price(Wall(start.0 + length / 2));
            let close = price(Wall(start.0 + length));
            let looks = [std::mem::replace(&mut open, close)?, middle?, close?];
            Some(Candle {
                pair,
                source: None,
                interval,
                start,
                open: looks[0],
                high: looks.into_iter().max()?,
                low: looks.into_iter().min()?,
                close: looks[2],
                count: u64::from(interval.seconds()),
                origin: Origin::Backfill,
            })
        })
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    #[test]
    fn what_banks_set_has_no_minutes() {
        let until = Wall::from_unix_seconds(1_795_305_600);
        let (pair, value) = (
            Pair::parse("EUR-RUB").unwrap(),
            Price::parse("100").unwrap(),
        );
        let candles = candles(Past::new(1), pair, value, until);
        assert_eq!(candles.len(), 320);
    }

    #[test]
    fn the_past_ends_at_the_present_and_its_candles_follow_each_other() {
        let until = Wall::from_unix_seconds(1_795_305_600 + 1_234);
        let pair = Pair::parse("BTC-RUB").unwrap();
        let value = Price::parse("5120040.5").unwrap();
        let candles = candles(Past::new(1), pair, value, until);
        let wanted: u32 = SPANS.iter().map(|(_, count)| count).sum();
        assert_eq!(u32::try_from(candles.len()).unwrap(), wanted);
        for (interval, count) in SPANS {
            let own: Vec<&Candle> = candles
                .iter()
                .filter(|candle| candle.interval == interval)
                .collect();
            assert_eq!(u32::try_from(own.len()).unwrap(), count);
            for (one, next) in own.iter().zip(&own[1..]) {
                assert_eq!(one.close, next.open, "{interval} at {}", next.start);
                assert!(one.low <= one.open && one.open <= one.high);
            }
            let last = own[own.len() - 1];
            let end = last.start.plus(interval.length());
            assert!(end <= until && until.0 - end.0 < i64::from(interval.seconds()) * 1_000_000);
        }
        let minutes = candles
            .iter()
            .filter(|one| one.interval == Interval::Minute);
        let close = minutes.max_by_key(|one| one.start).unwrap().close.value();
        let off = (close - value.value()).abs() / value.value();
        assert!(off < Decimal::new(2, 2), "the present is {off} away");
    }
}
