//! Walks over the archive of one exchange. Minutes are fetched and the longer candles made of
//! them where that takes no more requests than asking for every length.

use super::super::need::{SeriesKey, joined, missing};
use super::{Asked, Plan};
use kurs_core::{Pair, Wall};
use kurs_sources::archive::walk::{CandleWalkParts, pages};
use kurs_sources::archive::{Archive, CandleCodec, CandleWalk, Errand};
use kurs_store::{Gap, Interval, Store, StoreError};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What walks are made of.
pub(super) struct Shop<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) archive: &'a Archive,
    pub(super) codec: &'a Arc<dyn CandleCodec>,
    pub(super) base: &'a str,
    pub(super) asked: &'a Asked,
}

/// What is missing of one pair, by length.
type Missing = BTreeMap<Interval, Vec<Range<Wall>>>;

/// The walks of all pairs; what they are for is put into the plan.
pub(super) async fn walks(
    shop: &Shop<'_>,
    pairs: &[Pair],
    plan: &mut Plan,
) -> Result<Vec<Box<dyn Errand>>, StoreError> {
    let source = shop.archive.source;
    let mut errands: Vec<Box<dyn Errand>> = Vec::new();
    let of_gaps: Vec<Pair> = plan.gaps.of_source(source).map(|gap| gap.pair).collect();
    let pairs: Vec<Pair> = match shop.asked.only_gaps {
        true => of_gaps,
        false => pairs.to_vec(),
    };
    let mut done = Vec::new();
    for pair in pairs {
        if done.contains(&pair) {
            continue;
        }
        done.push(pair);
        plan.gaps.cover(source, pair);
        if !shop.asked.has_all_lengths() {
            for gap in plan.gaps.of(source, pair) {
                plan.gaps.not_yet(&gap);
            }
        }
        let found = shop.missing(pair, plan).await?;
        for (interval, start, end, compose) in shop.cheapest(&found) {
            errands.push(Box::new(CandleWalk::new(CandleWalkParts {
                codec: Arc::clone(shop.codec),
                base: shop.base.to_owned(),
                source,
                pair,
                interval,
                compose,
                span: start..end,
            })));
        }
        for (interval, spans) in found {
            let key = SeriesKey {
                source,
                pair,
                interval,
            };
            plan.needs.insert(key, spans);
        }
    }
    Ok(errands)
}

/// A walk that is to be: length, first and last moment, longer candles made on the way.
type Wanted = (Interval, Wall, Wall, Vec<Interval>);

impl Shop<'_> {
    async fn missing(&self, pair: Pair, plan: &mut Plan) -> Result<Missing, StoreError> {
        let source = self.archive.source;
        let gaps = plan.gaps.of(source, pair);
        let mut found = Missing::new();
        for interval in &self.asked.intervals {
            let key = SeriesKey {
                source,
                pair,
                interval: *interval,
            };
            let mut all = Vec::new();
            for span in self.spans(*interval, &gaps, plan) {
                all.extend(missing(self.store, key, &span, &gaps).await?);
            }
            let earliest = self.earliest(*interval);
            for gap in gaps.iter().filter(|gap| !gap.is_filled) {
                // What an earlier run fetched of it is there, though the archive has it no more.
                let beyond = interval.start_of(gap.began)..earliest.min(self.stop(*interval, gap));
                if !missing(self.store, key, &beyond, &gaps).await?.is_empty() {
                    plan.gaps.leave(gap);
                }
            }
            let spans = joined(all, std::time::Duration::ZERO);
            if !spans.is_empty() {
                found.insert(*interval, spans);
            }
        }
        Ok(found)
    }

    /// Where candles of a length are looked for, as far as the archive reaches.
    fn spans(&self, interval: Interval, gaps: &[Gap], plan: &mut Plan) -> Vec<Range<Wall>> {
        let asked = self.asked;
        let end = interval.start_of(asked.span.end);
        let earliest = self.earliest(interval);
        if !asked.only_gaps {
            if earliest > asked.span.start {
                let note = format!(
                    "{}: the archive has {interval} candles since {earliest} only",
                    self.archive.source
                );
                if !plan.notes.contains(&note) {
                    plan.notes.push(note);
                }
            }
            return vec![asked.span.start.max(earliest)..end];
        }
        let mut spans = Vec::new();
        for gap in gaps.iter().filter(|gap| !gap.is_filled) {
            let stop = self.stop(interval, gap);
            if stop > end {
                plan.gaps.not_yet(gap);
            }
            spans.push(interval.start_of(gap.began).max(earliest)..stop.min(end));
        }
        spans
    }

    /// The begin of the first candle of a length that the archive has.
    fn earliest(&self, interval: Interval) -> Wall {
        let reach = self.codec.reach().map(|candles| {
            let back = interval.length().saturating_mul(candles);
            let micros = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
            Wall(interval.start_of(self.asked.now).0.saturating_sub(micros))
        });
        reach.unwrap_or(Wall::MIN)
    }

    /// The end of the last candle that a gap touches: the one in which it ended is not whole
    /// either.
    fn stop(&self, interval: Interval, gap: &Gap) -> Wall {
        let ended = gap.ended.unwrap_or(self.asked.now);
        interval.start_of(ended).plus(interval.length())
    }

    fn cheapest(&self, found: &Missing) -> Vec<Wanted> {
        let codec = &**self.codec;
        let page = |interval: Interval| interval.length().saturating_mul(codec.page());
        // Spans that one answer can hold are one span.
        let hulls = |interval: Interval, spans: Vec<Range<Wall>>| joined(spans, page(interval) / 2);
        let direct = |interval: Interval, spans: Vec<Range<Wall>>| -> Vec<Wanted> {
            let spans = hulls(interval, spans);
            let wanted = |span: Range<Wall>| (interval, span.start, span.end, Vec::new());
            spans.into_iter().map(wanted).collect()
        };
        let cost = |wanted: &[Wanted]| -> u64 {
            let one = |(interval, start, end, _): &Wanted| pages(codec, *interval, &(*start..*end));
            wanted.iter().map(one).sum()
        };
        let minutes_wanted = self.asked.intervals.contains(&Interval::Minute);
        if !minutes_wanted || codec.reach().is_some() {
            let each = found.iter();
            return each
                .flat_map(|(interval, spans)| direct(*interval, spans.clone()))
                .collect();
        }
        let all: Vec<Range<Wall>> = found.values().flatten().cloned().collect();
        let longer: Vec<Interval> = found
            .keys()
            .copied()
            .filter(|interval| *interval != Interval::Minute)
            .collect();
        let mut wanted = Vec::new();
        for cluster in hulls(Interval::Minute, all) {
            let composed = vec![(Interval::Minute, cluster.start, cluster.end, longer.clone())];
            let each: Vec<Wanted> = found
                .iter()
                .flat_map(|(interval, spans)| {
                    let inside = spans.iter().filter(|span| cluster.contains(&span.start));
                    direct(*interval, inside.cloned().collect())
                })
                .collect();
            match cost(&composed) <= cost(&each) {
                true => wanted.extend(composed),
                false => wanted.extend(each),
            }
        }
        wanted
    }
}
