//! A venue and its book at every moment.

use kurs_book::{BookUpdate, Change, Ids, Kind, Side, SyncedBook, Verdict};
use kurs_core::{Level, Mono, Price};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Size by price, in ticks and lots.
pub(crate) type Levels = BTreeMap<i64, i64>;

/// One side at one moment, and what led there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Step {
    pub(crate) bids: Levels,
    pub(crate) asks: Levels,
    /// Levels that this step set or removed.
    pub(crate) touched: BTreeSet<(Side, i64)>,
}

/// The true book after every step; step 0 is the first.
pub(crate) struct Venue {
    pub(crate) steps: Vec<Step>,
}

pub(crate) fn price(tick: i64) -> Decimal {
    Decimal::new(tick, 2)
}

pub(crate) fn size(lots: i64) -> Decimal {
    Decimal::new(lots, 3)
}

impl Step {
    pub(crate) fn side(&self, side: Side) -> &Levels {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    /// Best first, no more than `depth`.
    pub(crate) fn best(&self, side: Side, depth: usize) -> Vec<(i64, i64)> {
        let pairs = self.side(side).iter().map(|(tick, lots)| (*tick, *lots));
        match side {
            Side::Bid => pairs.rev().take(depth).collect(),
            Side::Ask => pairs.take(depth).collect(),
        }
    }

    fn set(&mut self, side: Side, tick: i64, lots: i64) {
        let levels = match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        };
        if lots == 0 {
            levels.remove(&tick);
        } else {
            levels.insert(tick, lots);
        }
        self.touched.insert((side, tick));
    }
}

impl Venue {
    /// A market that wanders, with about `width` levels per side.
    pub(crate) fn new(random: &mut fastrand::Rng, steps: usize, width: i64) -> Self {
        let mut middle = 10_000;
        let mut step = Step::default();
        for away in 1..=width {
            step.set(Side::Bid, middle - away, random.i64(1..50));
            step.set(Side::Ask, middle + away, random.i64(1..50));
        }
        let mut all = vec![step.clone()];
        for _ in 1..steps {
            step.touched.clear();
            for _ in 0..random.usize(1..4) {
                // Now and then the price moves, through all levels in its way.
                if random.u8(0..4) == 0 {
                    middle += random.i64(-3..=3);
                    let bids: Vec<_> = step.bids.range(middle..).map(|at| *at.0).collect();
                    let asks: Vec<_> = step.asks.range(..=middle).map(|at| *at.0).collect();
                    for tick in bids {
                        step.set(Side::Bid, tick, 0);
                    }
                    for tick in asks {
                        step.set(Side::Ask, tick, 0);
                    }
                    step.set(Side::Bid, middle - 1, random.i64(1..50));
                    step.set(Side::Ask, middle + 1, random.i64(1..50));
                }
                let away = random.i64(1..=width);
                let lots = if random.bool() { random.i64(1..50) } else { 0 };
                match random.bool() {
                    true if away > 1 || lots > 0 => step.set(Side::Bid, middle - away, lots),
                    false if away > 1 || lots > 0 => step.set(Side::Ask, middle + away, lots),
                    _ => {}
                }
            }
            all.push(step.clone());
        }
        Self { steps: all }
    }

    /// The whole book at a step.
    pub(crate) fn snapshot(&self, step: usize, depth: usize) -> Vec<Change> {
        let sides = [Side::Bid, Side::Ask].into_iter();
        let levels = sides.flat_map(|side| {
            let best = self.steps[step].best(side, depth);
            best.into_iter().map(move |(tick, lots)| (side, tick, lots))
        });
        levels.map(change).collect()
    }

    /// What the steps `after + 1 ..= to` changed, as it is at the end.
    pub(crate) fn diff(&self, after: usize, to: usize) -> Vec<Change> {
        let touched: BTreeSet<_> = self.steps[after + 1..=to]
            .iter()
            .flat_map(|step| step.touched.iter().copied())
            .collect();
        let end = &self.steps[to];
        let levels = touched.into_iter().map(|(side, tick)| {
            let lots = end.side(side).get(&tick).copied().unwrap_or(0);
            (side, tick, lots)
        });
        levels.map(change).collect()
    }

    /// What a client sees that is shown the best `depth` levels and told of no level that is
    /// only pushed out.
    pub(crate) fn diff_of_best(&self, after: usize, to: usize, depth: usize) -> Vec<Change> {
        let (start, end) = (&self.steps[after], &self.steps[to]);
        let mut changes = Vec::new();
        for side in [Side::Bid, Side::Ask] {
            let (old, new) = (start.best(side, depth), end.best(side, depth));
            for (tick, _) in &old {
                if !end.side(side).contains_key(tick) {
                    changes.push(change((side, *tick, 0)));
                }
            }
            for (tick, lots) in &new {
                if !old.contains(&(*tick, *lots)) {
                    changes.push(change((side, *tick, *lots)));
                }
            }
        }
        changes
    }
}

fn change((side, tick, lots): (Side, i64, i64)) -> Change {
    Change {
        side,
        price: Price::new(price(tick)).unwrap(),
        size: size(lots),
    }
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// The step that it leads to.
    pub(crate) step: usize,
    pub(crate) kind: Kind,
    pub(crate) ids: Ids,
    pub(crate) checksum: Option<u32>,
    pub(crate) changes: Vec<Change>,
}

impl Sent {
    pub(crate) fn give(&self, book: &mut SyncedBook) -> Verdict {
        let update = BookUpdate {
            kind: self.kind,
            ids: self.ids,
            checksum: self.checksum,
            changes: &self.changes,
        };
        book.take(Mono(0), update)
    }
}

/// A readable book is the true one of this step, to the last digit, and not crossed.
pub(crate) fn assert_true(book: &SyncedBook, truth: &Step, depth: usize, story: &str) {
    let Some(book) = book.book() else {
        return;
    };
    assert!(!book.is_crossed(), "{story}");
    let sides: [(Side, Vec<Level>); 2] = [
        (Side::Bid, book.bids().collect()),
        (Side::Ask, book.asks().collect()),
    ];
    for (side, levels) in sides {
        let have: Vec<_> = levels
            .iter()
            .map(|level| (level.price.to_string(), level.size.to_string()))
            .collect();
        let expect: Vec<_> = truth
            .best(side, depth)
            .into_iter()
            .map(|(tick, lots)| (price(tick).to_string(), size(lots).to_string()))
            .collect();
        assert_eq!(have, expect, "{side:?} {story}");
    }
}
