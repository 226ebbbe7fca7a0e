//! Folds rows and events into candles.

mod slot;

use super::bar::Bar;
use super::config::CandlesConfig;
use super::series::{Place, Series, place_of_row, value_of_published};
use kurs_core::{Price, Wall};
use kurs_store::{Candle, HistoryRow, Interval, Published};
use slot::{Head, Slot};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Closed candles that may wait to be taken; beyond them the oldest is left to be mended.
const READY_MAX: usize = 200_000;
/// A candle that begins this much after the present was made while the clock was wrong.
const AHEAD: Duration = Duration::from_secs(5);

/// What has to be computed again from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dirty {
    /// A series that came up: what was left open before, up to this place, which is that of its
    /// first value.
    Tail(Series, Place),
    /// A closed candle that a value came too late for.
    Candle(Series, Interval, Wall),
}

type Mark = (Interval, Series, Wall);

/// One series: its open candle of each interval.
#[derive(Debug)]
struct Held {
    /// When it was last given a value, counted in values.
    used: u64,
    /// Place of the first value. What came before is not known here.
    since: Place,
    slots: [Option<Slot>; Interval::ALL.len()],
    /// Begin of the last candle that was closed.
    closed: [Option<Wall>; Interval::ALL.len()],
    /// Candles that begin up to here may hold values already that are not known here: the clock
    /// was set back since. Without end until the store was asked.
    ahead: Wall,
}

/// What is known of a series when one of its candles is closed.
#[derive(Debug, Clone, Copy)]
struct Known {
    closed: [Option<Wall>; Interval::ALL.len()],
    ahead: Wall,
}

impl Held {
    const fn known(&self) -> Known {
        Known {
            closed: self.closed,
            ahead: self.ahead,
        }
    }
}

/// Folds rows and events into candles. Give it everything that is recorded, and store what
/// [`Folder::take`] gives; what [`Folder::dirty`] names is the work of [`super::mend()`].
#[derive(Debug)]
pub struct Folder {
    config: CandlesConfig,
    series: HashMap<Series, Held>,
    /// Counts values.
    tick: u64,
    ready: VecDeque<Candle>,
    /// Named since the last take, and before.
    marked: BTreeSet<Mark>,
    due: BTreeSet<Mark>,
    new_tails: VecDeque<(Series, Place)>,
    due_tails: VecDeque<(Series, Place)>,
    taken_at: Option<Wall>,
    open_given_at: Option<Wall>,
    /// The same as [`Held::ahead`], of all series together.
    ahead: Wall,
    given_up: u64,
}

impl Folder {
    /// A folder that has seen nothing.
    #[must_use]
    pub fn new(config: CandlesConfig) -> Self {
        Self {
            config,
            series: HashMap::new(),
            tick: 0,
            ready: VecDeque::new(),
            marked: BTreeSet::new(),
            due: BTreeSet::new(),
            new_tails: VecDeque::new(),
            due_tails: VecDeque::new(),
            taken_at: None,
            open_given_at: None,
            ahead: Wall::MIN,
            given_up: 0,
        }
    }

    /// Takes a received rate.
    pub fn row(&mut self, row: &HistoryRow) {
        self.value(Series::of_row(row), place_of_row(row), row.value);
    }

    /// Takes a published event. Events without a rate give no value.
    pub fn published(&mut self, event: &Published) {
        if let Some((place, value)) = value_of_published(event) {
            self.value(Series::of_published(event), place, value);
        }
    }

    fn value(&mut self, series: Series, place: Place, value: Price) {
        self.tick += 1;
        if !self.series.contains_key(&series) {
            self.make_room();
            self.new_tails.push_back((series, place));
        }
        let mut is_first = false;
        let held = self.series.entry(series).or_insert_with(|| {
            is_first = true;
            Held {
                used: 0,
                since: place,
                slots: Default::default(),
                closed: [None; Interval::ALL.len()],
                ahead: Wall::MAX,
            }
        });
        held.used = self.tick;
        let mut finished: [Option<(Interval, Slot)>; Interval::ALL.len()] = Default::default();
        let mut late: [Option<Mark>; Interval::ALL.len()] = [None; Interval::ALL.len()];
        let places = held.slots.iter_mut().zip(&mut held.closed);
        for (number, (interval, (slot, closed))) in
            series.intervals().iter().copied().zip(places).enumerate()
        {
            let start = interval.start_of(place.0);
            let is_behind = closed.is_some_and(|closed| start <= closed)
                || slot.as_ref().is_some_and(|slot| start < slot.start);
            if is_behind {
                late[number] = Some((interval, series, start));
                continue;
            }
            match slot {
                Some(open) if open.start == start => open.add(place, value, held.since),
                _ => {
                    let head = if is_first { Head::Awaited } else { Head::None };
                    let before = slot.replace(Slot::new(start, place, value, head));
                    if let Some(before) = before {
                        *closed = Some(before.start);
                        finished[number] = Some((interval, before));
                    }
                }
            }
        }
        let known = held.known();
        for (interval, slot) in finished.into_iter().flatten() {
            self.finish(series, interval, &slot, known);
        }
        for mark in late.into_iter().flatten() {
            self.mark(mark);
        }
    }

    /// The candles that are to be stored: every closed one once, and from time to time those
    /// still open that have changed.
    pub fn take(&mut self, now: Wall) -> Vec<Candle> {
        self.taken_at = Some(now);
        self.drop_ahead(now);
        self.close_until(now);
        let every = Duration::from_millis(self.config.open_every_ms);
        let is_due = |at: Wall| now < at || now.since(at) >= every;
        if self.open_given_at.is_none_or(is_due) {
            self.open_given_at = Some(now);
            self.give_open();
        }
        self.hand_over()
    }

    /// Everything that is known, open candles too: for the end of the program.
    pub fn drain(&mut self) -> Vec<Candle> {
        self.give_open();
        self.hand_over()
    }

    fn hand_over(&mut self) -> Vec<Candle> {
        self.due.append(&mut self.marked);
        self.due_tails.append(&mut self.new_tails);
        self.ready.drain(..).collect()
    }

    /// At most this many things that have to be computed again from the store; each is named
    /// once. Only what was marked before the last [`Folder::take`] is named: it must not be
    /// mended before everything that was recorded and taken until then is stored.
    pub fn dirty(&mut self, most: usize) -> Vec<Dirty> {
        let mut named = Vec::new();
        while named.len() < most
            && let Some((series, before)) = self.due_tails.pop_front()
        {
            // One that made room meanwhile comes up again with its next value.
            if (self.series.get(&series)).is_some_and(|held| held.since == before) {
                named.push(Dirty::Tail(series, before));
            }
        }
        // Shortest intervals first: the longer ones are made of them.
        while named.len() < most
            && let Some((interval, series, start)) = self.due.pop_first()
        {
            named.push(Dirty::Candle(series, interval, start));
        }
        named
    }

    /// Takes back what could not be mended.
    pub fn again(&mut self, dirty: impl IntoIterator<Item = Dirty>) {
        for one in dirty {
            match one {
                Dirty::Tail(series, before) => self.due_tails.push_back((series, before)),
                Dirty::Candle(series, interval, start) => {
                    self.due.insert((interval, series, start));
                }
            }
        }
    }

    /// True when nothing waits to be named.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.marked.is_empty()
            && self.due.is_empty()
            && self.new_tails.is_empty()
            && self.due_tails.is_empty()
    }

    /// Series that are folded at present.
    #[must_use]
    pub fn held(&self) -> usize {
        self.series.len()
    }

    /// True when a series is folded at present.
    #[must_use]
    pub fn holds(&self, series: Series) -> bool {
        self.series.contains_key(&series)
    }

    /// When candles were last taken.
    #[must_use]
    pub const fn taken_at(&self) -> Option<Wall> {
        self.taken_at
    }

    /// Candles that needed to be computed again and were given up, because too many waited.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    /// Takes what the candles held before a series came up: of each interval the begin of the
    /// candle, and what was in it before that place; and up to where there are candles already
    /// that begin after it.
    pub(super) fn complete(
        &mut self,
        series: Series,
        before: Place,
        heads: &[(Interval, Wall, Option<Bar>)],
        ahead: Option<Wall>,
    ) {
        let Some(held) = self.series.get_mut(&series) else {
            return;
        };
        if held.since != before {
            return;
        }
        held.ahead = ahead.unwrap_or(Wall::MIN);
        for (slot, (_, start, head)) in held.slots.iter_mut().zip(heads) {
            if let Some(slot) = slot
                && slot.start == *start
            {
                slot.join(*head);
            }
        }
    }

    /// Closes what has been over for a while.
    fn close_until(&mut self, now: Wall) {
        let settle = Duration::from_millis(self.config.settle_ms);
        let mut finished = Vec::new();
        for (series, held) in &mut self.series {
            let mut over = Vec::new();
            let places = held.slots.iter_mut().zip(&mut held.closed);
            for (interval, (slot, closed)) in series.intervals().iter().zip(places) {
                let is_over = |slot: &mut Slot| slot.start.plus(interval.length() + settle) <= now;
                if let Some(slot) = slot.take_if(is_over) {
                    *closed = Some(slot.start);
                    over.push((*interval, slot));
                }
            }
            if !over.is_empty() {
                finished.push((*series, held.known(), over));
            }
        }
        for (series, known, over) in finished {
            for (interval, slot) in over {
                self.finish(series, interval, &slot, known);
            }
        }
    }

    /// A clock that was ahead and came back would leave candles of the future open, and make
    /// everything of the present late. Such series begin anew.
    fn drop_ahead(&mut self, now: Wall) {
        let limit = now.plus(AHEAD);
        let furthest = |held: &Held| {
            let open = held.slots.iter().flatten().map(|slot| slot.start);
            open.chain(held.closed.iter().flatten().copied()).max()
        };
        let ahead: Vec<(Series, Wall)> = (self.series.iter())
            .filter_map(|(series, held)| Some((*series, furthest(held)?)))
            .filter(|(_, furthest)| *furthest > limit)
            .collect();
        for (series, furthest) in ahead {
            self.ahead = self.ahead.max(furthest);
            self.put_away(series);
        }
    }

    /// Lets the series go that have been silent longest, a sixteenth at a time, so that the
    /// search for them is rare.
    fn make_room(&mut self) {
        let most = self.config.series_max.max(1);
        if self.series.len() < most {
            return;
        }
        let mut by_use: Vec<(u64, Series)> = (self.series.iter())
            .map(|(series, held)| (held.used, *series))
            .collect();
        by_use.sort_unstable();
        for (_, series) in by_use.into_iter().take((most / 16).max(1)) {
            self.put_away(series);
        }
    }

    /// Hands out what a series has, and forgets it.
    fn put_away(&mut self, series: Series) {
        let Some(held) = self.series.remove(&series) else {
            return;
        };
        let known = held.known();
        for (interval, slot) in series.intervals().iter().zip(held.slots) {
            if let Some(slot) = slot {
                self.finish(series, *interval, &slot, known);
            }
        }
    }

    fn finish(&mut self, series: Series, interval: Interval, slot: &Slot, known: Known) {
        let bar = slot.bar();
        if let Some(bar) = bar {
            self.ready
                .push_back(bar.candle(series, interval, slot.start));
        }
        if bar.is_none() || slot.is_blemished || slot.start <= known.ahead.max(self.ahead) {
            self.mark((interval, series, slot.start));
            // Longer ones that are closed may be composed of it.
            let longer = series.intervals().iter().copied().zip(known.closed);
            for (longer, closed) in longer.filter(|(longer, _)| *longer > interval) {
                let start = longer.start_of(slot.start);
                if closed.is_some_and(|closed| start <= closed) {
                    self.mark((longer, series, start));
                }
            }
        }
        if self.ready.len() > READY_MAX
            && let Some(oldest) = self.ready.pop_front()
        {
            let series = Series {
                pair: oldest.pair,
                source: oldest.source,
            };
            self.mark((oldest.interval, series, oldest.start));
        }
    }

    fn give_open(&mut self) {
        for (series, held) in &mut self.series {
            for (interval, slot) in series.intervals().iter().zip(&mut held.slots) {
                if let Some(slot) = slot
                    && slot.has_changed
                    && let Some(bar) = slot.bar()
                {
                    slot.has_changed = false;
                    self.ready
                        .push_back(bar.candle(*series, *interval, slot.start));
                }
            }
        }
    }

    fn mark(&mut self, mark: Mark) {
        if self.marked.len() + self.due.len() >= self.config.repairs_max {
            self.given_up += 1;
        } else {
            self.marked.insert(mark);
        }
    }
}
