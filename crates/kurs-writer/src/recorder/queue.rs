//! What waits in memory.

use kurs_core::{Pair, SourceId, Wall};
use kurs_store::spool::pieces::join;
use kurs_store::{
    Batch, BookSnapshot, Candle, Gap, HistoryRow, OfficialRate, PriceState, Published, Recorded,
    StoredRate,
};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Order books that may wait: each is some kilobytes.
const BOOKS_MAX: usize = 4_096;
/// Candles that may wait.
const CANDLES_MAX: usize = 100_000;
/// Books in one batch.
const BATCH_BOOKS: usize = 256;
/// Who stands in the ledger for gaps in what was published.
const KURS: &str = "kurs";

/// How many things were dropped for want of room, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Received rows.
    pub rows: u64,
    /// Changes of state.
    pub states: u64,
    /// Candles.
    pub candles: u64,
    /// Order books.
    pub books: u64,
    /// Published events. Each is in the ledger of gaps.
    pub published: u64,
    /// Gaps.
    pub gaps: u64,
    /// Official rates.
    pub official: u64,
}

/// Counts of what whoever writes has in its hands, between queue and batch.
#[derive(Debug, Clone, Copy, Default)]
struct InHand {
    rows: usize,
    events: usize,
    all: usize,
}

/// Everything in the order in which it came, what is being written included.
#[derive(Debug)]
pub struct Queue {
    /// What is being written, until it is [`Self::done`].
    writing: Batch,
    /// How much [`Self::fresh`] gave out that is not yet back by [`Self::write`].
    in_hand: InHand,
    rows: VecDeque<HistoryRow>,
    states: VecDeque<PriceState>,
    books: VecDeque<BookSnapshot>,
    published: VecDeque<Published>,
    gaps: VecDeque<Gap>,
    official: VecDeque<OfficialRate>,
    until: Option<Recorded>,
    /// First and last moment of the events of a pair that were lost.
    holes: BTreeMap<Pair, (Wall, Wall)>,
    dropped: Dropped,
    rows_max: usize,
    events_max: usize,
}

impl Queue {
    /// An empty queue for so many rows, and so many events.
    #[must_use]
    pub fn new(rows_max: usize, events_max: usize) -> Self {
        Self {
            writing: Batch::default(),
            in_hand: InHand::default(),
            rows: VecDeque::new(),
            states: VecDeque::new(),
            books: VecDeque::new(),
            published: VecDeque::new(),
            gaps: VecDeque::new(),
            official: VecDeque::new(),
            until: None,
            holes: BTreeMap::new(),
            dropped: Dropped::default(),
            rows_max: rows_max.max(1),
            events_max: events_max.max(1),
        }
    }

    /// Rows that are not known to be durable.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.writing.rows.len() + self.in_hand.rows + self.rows.len()
    }

    /// Published events that are not known to be durable.
    #[must_use]
    pub fn events(&self) -> usize {
        self.writing.published.len() + self.in_hand.events + self.published.len()
    }

    /// Everything that is not known to be durable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writing.len()
            + self.in_hand.all
            + self.rows.len()
            + self.states.len()
            + self.books.len()
            + self.published.len()
            + self.gaps.len()
            + self.official.len()
            + self.holes.len()
    }

    /// True when everything is durable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was dropped so far.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Adds a row; the oldest one that is not being written goes for it if need be.
    pub fn push_row(&mut self, row: HistoryRow) {
        if self.rows() >= self.rows_max && self.rows.pop_front().is_some() {
            self.dropped.rows += 1;
        }
        self.rows.push_back(row);
    }

    /// Adds a change of state, likewise.
    pub fn push_state(&mut self, state: PriceState) {
        if self.states.len() >= self.rows_max && self.states.pop_front().is_some() {
            self.dropped.states += 1;
        }
        self.states.push_back(state);
    }

    /// Adds an order book, likewise.
    pub fn push_book(&mut self, book: BookSnapshot) {
        if self.books.len() >= BOOKS_MAX && self.books.pop_front().is_some() {
            self.dropped.books += 1;
        }
        self.books.push_back(book);
    }

    /// Adds a published event. When neither store nor spool took any for so long that there is no
    /// room, the oldest is lost: the newest, which hold now, are worth more, and one hole with a
    /// begin and an end can be told. It is written into the ledger of gaps.
    pub fn push_published(&mut self, event: Published) {
        self.until(Recorded {
            shard: event.id.shard,
            until: event.published_at,
        });
        if self.events() >= self.events_max
            && let Some(lost) = self.published.pop_front()
        {
            self.dropped.published += 1;
            let at = lost.published_at;
            let hole = self.holes.entry(lost.pair).or_insert((at, at));
            hole.1 = hole.1.max(at);
        }
        self.published.push_back(event);
    }

    /// Adds a gap.
    pub fn push_gap(&mut self, gap: Gap) {
        if self.gaps.len() >= self.events_max && self.gaps.pop_front().is_some() {
            self.dropped.gaps += 1;
        }
        self.gaps.push_back(gap);
    }

    /// Adds an official rate.
    pub fn push_official(&mut self, rate: OfficialRate) {
        if self.official.len() >= self.events_max && self.official.pop_front().is_some() {
            self.dropped.official += 1;
        }
        self.official.push_back(rate);
    }

    /// Everything that was published before this moment is in here, or was.
    pub fn until(&mut self, recorded: Recorded) {
        if self.until.is_none_or(|known| known.until < recorded.until) {
            self.until = Some(recorded);
        }
    }

    /// Takes out what came meanwhile and finds place in the batch, up to `most` of each kind. It
    /// counts as waiting until [`Self::write`] gives it back.
    pub fn fresh(&mut self, most: usize) -> Batch {
        let writing = &self.writing;
        let room = |there: usize| most.saturating_sub(there);
        let mut fresh = Batch {
            rows: front(&mut self.rows, room(writing.rows.len())),
            states: front(&mut self.states, room(writing.states.len())),
            books: front(
                &mut self.books,
                BATCH_BOOKS.saturating_sub(writing.books.len()),
            ),
            published: front(&mut self.published, room(writing.published.len())),
            gaps: front(&mut self.gaps, room(writing.gaps.len())),
            official: front(&mut self.official, room(writing.official.len())),
            ..Batch::default()
        };
        fresh.recorded_until = self.until.map(|told| Recorded {
            shard: told.shard,
            until: match self.published.front() {
                Some(next) => told.until.min(next.published_at),
                None => told.until,
            },
        });
        if let Ok(source) = SourceId::parse(KURS) {
            let holes = std::mem::take(&mut self.holes);
            fresh
                .gaps
                .extend(holes.into_iter().map(|(pair, (began, last))| Gap {
                    source,
                    pair,
                    began,
                    ended: Some(Wall(last.0.saturating_add(1_000))),
                    why: "what was published is lost: neither store nor spool took it".into(),
                    is_filled: false,
                }));
        }
        self.in_hand = InHand {
            rows: fresh.rows.len(),
            events: fresh.published.len(),
            all: fresh.len(),
        };
        fresh
    }

    /// Puts more into the batch that is being written.
    pub fn write(&mut self, more: Batch) {
        self.in_hand = InHand::default();
        let candles_came_before = !self.writing.candles.is_empty() && !more.candles.is_empty();
        join(&mut self.writing, more);
        if candles_came_before {
            let candles = newest(std::mem::take(&mut self.writing.candles));
            let too_many = candles.len().saturating_sub(CANDLES_MAX);
            self.dropped.candles += u64::try_from(too_many).unwrap_or(u64::MAX);
            self.writing.candles = candles.into_iter().skip(too_many).collect();
        }
    }

    /// The batch to write.
    #[must_use]
    pub const fn writing(&self) -> &Batch {
        &self.writing
    }

    /// The batch needs no more care, but for this of it.
    pub fn done(&mut self, but_for: Batch) {
        self.writing = but_for;
    }
}

/// The first `most` of a queue.
fn front<T>(queue: &mut VecDeque<T>, most: usize) -> Vec<T> {
    let count = most.min(queue.len());
    queue.drain(..count).collect()
}

/// The last version of each candle, in the order of the first ones.
fn newest(candles: Vec<Candle>) -> Vec<Candle> {
    let mut places = HashMap::new();
    let mut kept: Vec<Candle> = Vec::with_capacity(candles.len());
    for candle in candles {
        let key = (
            candle.pair,
            candle.source,
            candle.interval,
            candle.start,
            candle.origin,
        );
        match places.get(&key).and_then(|place| kept.get_mut(*place)) {
            Some(older) => *older = candle,
            None => {
                places.insert(key, kept.len());
                kept.push(candle);
            }
        }
    }
    kept
}

/// The newest rate of each pair that the store does not have yet.
#[derive(Debug, Default)]
pub struct Rates {
    newest: HashMap<Pair, StoredRate>,
}

impl Rates {
    /// Keeps a rate unless a newer one of its pair waits. Returns how many pairs wait.
    pub fn put(&mut self, rate: StoredRate) -> usize {
        let waiting = self
            .newest
            .entry(rate.rate.pair)
            .or_insert_with(|| rate.clone());
        if rate.id > waiting.id {
            *waiting = rate;
        }
        self.newest.len()
    }

    /// Takes all of them out.
    pub fn take(&mut self) -> Vec<StoredRate> {
        self.newest.drain().map(|(_, rate)| rate).collect()
    }

    /// Pairs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }
}

#[cfg(test)]
mod tests;
