//! The ledger of gaps: which are to be filled, and which were.

use super::Asked;
use kurs_core::{Pair, SourceId, Wall};
use kurs_sources::archive::Ended;
use kurs_sources::archive::run::Outcome;
use kurs_store::{Gap, GapQuery, Store, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;

/// The ledger is read in pieces of this length, so that none has more gaps than an answer.
const PIECE: Duration = Duration::from_secs(86_400);
/// Gaps of one answer.
const PAGE: u32 = 10_000;

/// The gaps of the span.
#[derive(Debug, Default)]
pub(in super::super) struct Gaps {
    all: Vec<Gap>,
    only_gaps: bool,
    /// Sources with the pairs that were looked after.
    covered: BTreeSet<(SourceId, Pair)>,
    /// Gaps that no archive reaches whole.
    out_of_reach: BTreeSet<(SourceId, Pair, Wall)>,
    /// Gaps in candles that are not over, or of lengths that were not asked for.
    unfinished: BTreeSet<(SourceId, Pair, Wall)>,
}

/// The gaps that were looked after, by what became of them.
#[derive(Debug, Default)]
pub(in super::super) struct Filled {
    /// All their candles are there; marked so.
    pub(in super::super) whole: Vec<Gap>,
    /// Some of their candles are to be fetched another time.
    pub(in super::super) unfinished: usize,
}

impl Gaps {
    /// Reads those that lie in the span of the candles.
    pub(super) async fn read(store: &dyn Store, asked: &Asked) -> Result<Self, StoreError> {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        let mut start = asked.span.start;
        while start < asked.span.end {
            let end = start.plus(PIECE).min(asked.span.end);
            let query = GapQuery {
                pair: None,
                source: None,
                start,
                end,
                limit: PAGE,
            };
            for gap in store.gaps(query).await? {
                let wanted = asked.pairs.is_empty() || asked.pairs.contains(&gap.pair);
                if wanted && seen.insert((gap.source, gap.pair, gap.began)) {
                    all.push(gap);
                }
            }
            start = end;
        }
        Ok(Self {
            all,
            only_gaps: asked.only_gaps,
            covered: BTreeSet::new(),
            out_of_reach: BTreeSet::new(),
            unfinished: BTreeSet::new(),
        })
    }

    /// All gaps of a source and pair, filled ones too.
    pub(super) fn of(&self, source: SourceId, pair: Pair) -> Vec<Gap> {
        let of = self.all.iter();
        of.filter(|gap| gap.source == source && gap.pair == pair)
            .cloned()
            .collect()
    }

    /// Those of a source that are not filled.
    pub(super) fn of_source(&self, source: SourceId) -> impl Iterator<Item = &Gap> {
        self.all
            .iter()
            .filter(move |gap| gap.source == source && !gap.is_filled)
    }

    /// What is missing of this pair is fetched, if anything is.
    pub(super) fn cover(&mut self, source: SourceId, pair: Pair) {
        self.covered.insert((source, pair));
    }

    /// The archive does not reach the whole of this gap.
    pub(super) fn leave(&mut self, gap: &Gap) {
        self.out_of_reach.insert((gap.source, gap.pair, gap.began));
    }

    /// Some candle that this gap touches is not fetched by this plan.
    pub(super) fn not_yet(&mut self, gap: &Gap) {
        self.unfinished.insert((gap.source, gap.pair, gap.began));
    }

    /// The gaps that are filled once all of these ended well, marked so. One that is still open
    /// is not, nor one whose longest candle is.
    pub(in super::super) fn filled(&self, outcomes: &[Outcome]) -> Filled {
        if !self.only_gaps {
            return Filled::default();
        }
        // A gap whose candles were all there already needs no errand.
        let is_done = |gap: &Gap| {
            let mut concerned = outcomes.iter().filter(|one| {
                one.series.source == gap.source
                    && one.series.pair.is_none_or(|pair| pair == gap.pair)
            });
            self.covered.contains(&(gap.source, gap.pair))
                && concerned.all(|one| one.ended == Ended::Done)
        };
        let is_in = |set: &BTreeSet<(SourceId, Pair, Wall)>, gap: &Gap| {
            set.contains(&(gap.source, gap.pair, gap.began))
        };
        let mut filled = Filled::default();
        for gap in &self.all {
            let is_over = !gap.is_filled && gap.ended.is_some();
            if !is_over || is_in(&self.out_of_reach, gap) || !is_done(gap) {
                continue;
            }
            if is_in(&self.unfinished, gap) {
                filled.unfinished += 1;
                continue;
            }
            filled.whole.push(Gap {
                is_filled: true,
                ..gap.clone()
            });
        }
        filled
    }
}
