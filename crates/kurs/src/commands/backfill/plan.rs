//! What is fetched: errands per source, made of what is missing in the store.

mod candles;
mod gaps;

use super::need::{SeriesKey, missing};
use crate::config::Config;
use candles::walks;
pub(super) use gaps::{Filled, Gaps};
use kurs_core::{Asset, Pair, Wall};
use kurs_sources::archive::cbr::CbrErrand;
use kurs_sources::archive::ecb::EcbErrand;
use kurs_sources::archive::openexchangerates::OxrErrand;
use kurs_sources::archive::{Archive, Errand, Kind, Limits, VenueErrands};
use kurs_sources::openexchangerates;
use kurs_store::{Gap, Interval, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

/// What the user wants.
pub(super) struct Asked {
    /// Only these; empty: the usual ones.
    pub(super) pairs: Vec<Pair>,
    /// Lengths of candles, shortest first.
    pub(super) intervals: Vec<Interval>,
    /// Of candles.
    pub(super) span: Range<Wall>,
    /// Of official rates.
    pub(super) official_span: Range<Wall>,
    /// Only what the ledger of gaps names.
    pub(super) only_gaps: bool,
    /// The present.
    pub(super) now: Wall,
}

impl Asked {
    /// True when candles of every length that archives have are wanted.
    fn has_all_lengths(&self) -> bool {
        Interval::ALL
            .iter()
            .all(|one| *one == Interval::Second || self.intervals.contains(one))
    }
}

/// Candles that are wanted; what an archive gives beyond is not kept.
pub(super) type Needs = BTreeMap<SeriesKey, Vec<Range<Wall>>>;

/// What is fetched.
pub(super) struct Plan {
    /// By source.
    pub(super) venues: Vec<VenueErrands>,
    /// Candles that are wanted of the exchanges.
    pub(super) needs: Needs,
    /// Gaps that are filled by it.
    pub(super) gaps: Gaps,
    /// Sentences for people.
    pub(super) notes: Vec<String>,
    /// True when no pair was named, so that some may well be unknown to some source.
    pub(super) all_listed: bool,
}

impl Plan {
    /// Looks into the store for what is missing.
    pub(super) async fn make(
        store: &dyn Store,
        archives: &[Archive],
        config: &Config,
        asked: &Asked,
    ) -> Result<Self, StoreError> {
        let mut pairs = asked.pairs.clone();
        if pairs.is_empty() {
            let tracked = store.tracked().await?;
            let all = tracked.iter().map(|symbol| symbol.pair);
            // Before the first start the configured pairs are not tracked yet.
            let coming = config.pairs.iter().filter(|_| tracked.is_empty());
            let all: BTreeSet<Pair> = all
                .chain(coming.copied())
                .chain(config.directions.iter().copied())
                .map(Pair::canonical)
                .collect();
            pairs = all.into_iter().collect();
        }
        let mut plan = Self {
            venues: Vec::new(),
            needs: Needs::new(),
            gaps: Gaps::read(store, asked).await?,
            notes: Vec::new(),
            all_listed: asked.pairs.is_empty(),
        };
        for archive in archives {
            let errands = match &archive.kind {
                Kind::Candles { codec, base } => {
                    let shop = candles::Shop {
                        store,
                        archive,
                        codec,
                        base,
                        asked,
                    };
                    walks(&shop, &pairs, &mut plan).await?
                }
                Kind::Tables(settings) => {
                    tables(store, archive, settings, asked, &mut plan.gaps).await?
                }
                Kind::Ecb(_) | Kind::Cbr(_) => bank(archive, asked, &mut plan),
            };
            plan.venues.push(VenueErrands {
                source: archive.source,
                limits: archive.limits,
                errands,
            });
        }
        Ok(plan)
    }

    /// Requests it takes, about, at the sources whose limits are such.
    pub(super) fn requests(&self, which: impl Fn(&Limits) -> bool) -> u64 {
        let venues = self.venues.iter().filter(|venue| which(&venue.limits));
        venues.map(requests_of).sum()
    }

    /// How long the slowest source takes, about.
    pub(super) fn longest(&self) -> Duration {
        let one = |venue: &VenueErrands| {
            // Binance counts two for each.
            let weight = requests_of(venue).saturating_mul(2).saturating_mul(60);
            Duration::from_secs(weight / u64::from(venue.limits.weight_per_minute.max(1)))
        };
        self.venues.iter().map(one).max().unwrap_or_default()
    }
}

fn requests_of(venue: &VenueErrands) -> u64 {
    venue
        .errands
        .iter()
        .map(|errand| errand.requests_left())
        .sum()
}

/// The spans of one source's wants, and the pairs they are of.
fn spans(
    archive: &Archive,
    asked: &Asked,
    gaps: &mut Gaps,
    usual: &Range<Wall>,
) -> (Vec<Range<Wall>>, Vec<Pair>) {
    if !asked.only_gaps {
        return (vec![usual.clone()], asked.pairs.clone());
    }
    let mut pairs = Vec::new();
    let mut spans = Vec::new();
    let open: Vec<Gap> = gaps.of_source(archive.source).cloned().collect();
    for gap in open {
        if !pairs.contains(&gap.pair) {
            pairs.push(gap.pair);
        }
        let ended = gap.ended.unwrap_or(asked.now);
        spans.push(Interval::Day.start_of(gap.began)..ended);
        // What is told of a day may come at its end.
        if Interval::Day.start_of(ended).plus(Interval::Day.length()) > asked.now {
            gaps.not_yet(&gap);
        }
    }
    (spans, pairs)
}

/// The official rates of a bank.
fn bank(archive: &Archive, asked: &Asked, plan: &mut Plan) -> Vec<Box<dyn Errand>> {
    let (spans, pairs) = spans(archive, asked, &mut plan.gaps, &asked.official_span);
    let start = spans.iter().map(|span| span.start).min();
    let end = spans.iter().map(|span| span.end).max();
    let (Some(start), Some(end)) = (start, end) else {
        return Vec::new();
    };
    // A pair that no table of the bank can hold is not asked for.
    let has =
        |pair: &Pair, asset: &str| pair.base.as_str() == asset || pair.quote.as_str() == asset;
    let fits = |pair: &Pair| match archive.kind {
        Kind::Ecb(_) => pair.base.as_str() == "EUR",
        _ => has(pair, "RUB") && pair.quote.as_str() == "RUB",
    };
    let wanted: Vec<Pair> = pairs.iter().copied().filter(fits).collect();
    if wanted.is_empty() && !pairs.is_empty() {
        return Vec::new();
    }
    for pair in &wanted {
        plan.gaps.cover(archive.source, *pair);
    }
    // The day under way counts: its rate is set.
    let days = Interval::Day.start_of(start)..end.plus(Interval::Day.length());
    let source = archive.source;
    let errand: Option<Box<dyn Errand>> = match &archive.kind {
        Kind::Ecb(settings) => EcbErrand::new(settings, source, days, wanted, asked.now)
            .map(|errand| Box::new(errand) as Box<dyn Errand>),
        Kind::Cbr(settings) => CbrErrand::new(settings, source, days, wanted)
            .map(|errand| Box::new(errand) as Box<dyn Errand>),
        Kind::Candles { .. } | Kind::Tables(_) => None,
    };
    if errand.is_none() {
        plan.notes.push(format!(
            "{source}: its rest_url is not that of the daily file, so its archive is unknown"
        ));
    }
    errand.into_iter().collect()
}

/// The days whose table is not there yet.
async fn tables(
    store: &dyn Store,
    archive: &Archive,
    settings: &openexchangerates::Config,
    asked: &Asked,
    gaps: &mut Gaps,
) -> Result<Vec<Box<dyn Errand>>, StoreError> {
    if !asked.intervals.contains(&Interval::Day) {
        return Ok(Vec::new());
    }
    let (spans, pairs) = spans(archive, asked, gaps, &asked.span);
    let dollar = |pair: &Pair| pair.base.as_str() == "USD";
    let wanted: Vec<Pair> = pairs.iter().copied().filter(dollar).collect();
    if wanted.is_empty() && !pairs.is_empty() {
        return Ok(Vec::new());
    }
    // One of them stands for all: a table is kept whole or not at all.
    let euro = Asset::parse("USD").ok().zip(Asset::parse("EUR").ok());
    let euro = euro.and_then(|(usd, eur)| Pair::of(usd, eur).ok());
    let Some(pair) = wanted.first().copied().or(euro) else {
        return Ok(Vec::new());
    };
    let key = SeriesKey {
        source: archive.source,
        pair,
        interval: Interval::Day,
    };
    for pair in &wanted {
        gaps.cover(archive.source, *pair);
    }
    let mut days = BTreeSet::new();
    for span in &spans {
        let end = match asked.only_gaps {
            true => span.end.plus(Interval::Day.length()).min(asked.now),
            false => span.end,
        };
        for missing in missing(store, key, &(span.start..end), &[]).await? {
            let mut day = missing.start;
            while day < missing.end {
                days.insert(day);
                day = day.plus(Interval::Day.length());
            }
        }
    }
    if days.is_empty() {
        return Ok(Vec::new());
    }
    let errand = OxrErrand::new(settings.clone(), archive.source, days, wanted);
    Ok(vec![Box::new(errand)])
}
