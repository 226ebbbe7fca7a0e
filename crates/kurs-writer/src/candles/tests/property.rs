//! Whatever the order in which values come, and whenever candles are taken, mended or the process
//! begins anew: in the end the store holds the candles of the values in their order.

use super::*;
use crate::candles::bar::Bar;
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, CandleQuery, Store};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Step {
    /// A received rate at this time, or a published one.
    Value {
        milliseconds: i64,
        value: u32,
        is_published: bool,
    },
    /// Candles are taken and everything is stored.
    Take { milliseconds: i64 },
    /// What is named is computed again.
    Mend,
    /// The process ends without a word, and begins anew.
    Restart,
}

/// Times crowd around some moments, so that candles hold several values.
fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        0..5_000_i64,
        55_000..65_000_i64,
        295_000..305_000_i64,
        3_590_000..3_610_000_i64,
        0..100_000_000_i64,
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (time(), 1_u32..50, any::<bool>()).prop_map(|(milliseconds, value, is_published)| {
            Step::Value { milliseconds, value, is_published }
        }),
        3 => time().prop_map(|milliseconds| Step::Take { milliseconds }),
        1 => Just(Step::Mend),
        1 => Just(Step::Restart),
    ]
}

struct World {
    store: SqliteStore,
    folder: Mutex<Folder>,
    waiting: Batch,
    values: BTreeMap<(Option<SourceId>, series::Place), Price>,
    seq: u64,
}

impl World {
    async fn new() -> Self {
        let store = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
        store.migrate().await.unwrap();
        Self {
            store,
            folder: Mutex::new(Folder::new(CandlesConfig::default())),
            waiting: Batch::default(),
            values: BTreeMap::new(),
            seq: 0,
        }
    }

    async fn take(&mut self, now: Wall) {
        let mut batch = std::mem::take(&mut self.waiting);
        batch.candles = self.folder.lock().take(now);
        self.store.write(batch).await.unwrap();
    }

    async fn mend(&self) {
        loop {
            let dirty = self.folder.lock().dirty(100);
            if dirty.is_empty() {
                return;
            }
            mend(&self.folder, &self.store, dirty).await.unwrap();
        }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Value {
                milliseconds,
                value,
                is_published,
            } => {
                self.seq += 1;
                if is_published {
                    let event = published(self.seq, milliseconds, value, RateState::Fresh);
                    let (place, value) = series::value_of_published(&event).unwrap();
                    self.values.insert((None, place), value);
                    self.folder.lock().published(&event);
                    self.waiting.published.push(event);
                } else {
                    let row = row(self.seq, milliseconds, value);
                    let place = series::place_of_row(&row);
                    self.values.insert((Some(row.source), place), row.value);
                    self.folder.lock().row(&row);
                    self.waiting.rows.push(row);
                }
            }
            Step::Take { milliseconds } => self.take(after(milliseconds)).await,
            Step::Mend => self.mend().await,
            Step::Restart => {
                // What is named is lost with the process, so it must be mended by then.
                let now = self.values.keys().map(|(_, (at, _))| *at).max();
                self.take(now.unwrap_or(START)).await;
                self.mend().await;
                *self.folder.lock() = Folder::new(CandlesConfig::default());
                for source in [None, Some(row(0, 0, 1).source)] {
                    let pair = pair("BTC-USDT");
                    let series = Series { pair, source };
                    let now = now.unwrap_or(START);
                    mend::take_up(&self.store, series, now).await.unwrap();
                }
            }
        }
    }

    async fn check(&mut self) -> Result<(), TestCaseError> {
        self.take(after(1_000_000_000)).await;
        self.mend().await;
        prop_assert!(self.folder.lock().is_clean());
        for source in [None, Some(row(0, 0, 1).source)] {
            let series = Series {
                pair: pair("BTC-USDT"),
                source,
            };
            for interval in series.intervals() {
                let mut expect: BTreeMap<Wall, Bar> = BTreeMap::new();
                for ((_, (at, _)), value) in self.values.iter().filter(|((of, _), _)| *of == source)
                {
                    let value = Bar::of(*value);
                    expect
                        .entry(interval.start_of(*at))
                        .and_modify(|bar| *bar = bar.then(value))
                        .or_insert(value);
                }
                let expect: Vec<Candle> = (expect.into_iter())
                    .map(|(start, bar)| bar.candle(series, *interval, start))
                    .collect();
                let query = CandleQuery {
                    pair: series.pair,
                    source,
                    interval: *interval,
                    start: Wall::MIN,
                    end: Wall::MAX,
                    limit: 10_000,
                };
                let stored = self.store.candles(query).await.unwrap();
                prop_assert_eq!(stored, expect, "{:?} {}", source, interval);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_store_ends_with_the_candles_of_the_values_in_order(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.run(step).await;
            }
            world.check().await
        })?;
    }
}
