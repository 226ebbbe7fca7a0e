//! Everything of a batch, in one transaction.

use super::fault::Fault;
use super::late;
use super::names::KnownNames;
use super::partitions::{KnownPartitions, Parent};
use super::transaction::{Limits, Writing};
use super::{candles, current, facts, history, kept, published};
use crate::{Batch, Interval};
use deadpool_postgres::Client;
use kurs_core::Wall;

/// How often a batch is tried when something got in its way that is over at once: a partition
/// that was dropped, or somebody who stored the same.
const ATTEMPTS: u32 = 4;

/// Stores all of it, or nothing.
pub(super) async fn write(
    client: &Client,
    names: &KnownNames,
    partitions: &KnownPartitions,
    batch: &Batch,
    limits: Limits,
) -> Result<(), Fault> {
    let mut attempt = 1;
    // Batches are repeated when their fate is unknown, which is seldom.
    let mut believed_new = true;
    loop {
        match write_once(client, names, partitions, batch, limits, believed_new).await {
            Err(fault) if attempt < ATTEMPTS && fault.misses_partition() => partitions.forget(),
            Err(fault) if attempt < ATTEMPTS && fault.is_collision() => believed_new = false,
            outcome => return outcome,
        }
        attempt += 1;
    }
}

async fn write_once(
    client: &Client,
    known: &KnownNames,
    partitions: &KnownPartitions,
    batch: &Batch,
    limits: Limits,
    believed_new: bool,
) -> Result<(), Fault> {
    let pairs = batch
        .rows
        .iter()
        .map(|row| row.pair)
        .chain(batch.published.iter().map(|event| event.pair))
        .chain(batch.states.iter().map(|state| state.pair))
        .chain(batch.candles.iter().map(|candle| candle.pair))
        .chain(batch.gaps.iter().map(|gap| gap.pair))
        .chain(batch.books.iter().map(|snapshot| snapshot.pair))
        .chain(batch.official.iter().map(|official| official.pair))
        .chain(batch.current.iter().map(|current| current.stored.rate.pair));
    let sources = batch
        .rows
        .iter()
        .map(|row| row.source)
        .chain(batch.states.iter().map(|state| state.source))
        .chain(batch.candles.iter().filter_map(|candle| candle.source))
        .chain(batch.gaps.iter().map(|gap| gap.source))
        .chain(batch.books.iter().map(|snapshot| snapshot.source))
        .chain(batch.official.iter().map(|official| official.source));
    // Names and partitions do no harm when the batch fails, and others can use them at once.
    let names = known.numbers(client, pairs, sources).await?;
    partitions.make(client, periods(batch)).await?;

    let mut transaction = Writing::on(client);
    if batch.rows.is_empty() && batch.published.is_empty() {
        transaction.begin(limits, "").await?;
    } else {
        // Both are sent before the first answers; the server takes them in this order.
        let begin = transaction.begin(limits, late::HOLD);
        let ((), horizons) = tokio::try_join!(biased; begin, late::horizons(client))?;
        let horizon = horizons.history;
        history::insert(client, &names, &batch.rows, horizon, believed_new).await?;
        published::insert(client, &names, &batch.published, horizons.published).await?;
    }
    if !batch.states.is_empty() {
        kept::insert_states(client, &names, &batch.states).await?;
    }
    if !batch.candles.is_empty() {
        candles::replace(client, &names, &batch.candles).await?;
    }
    if !batch.gaps.is_empty() {
        kept::replace_gaps(client, &names, &batch.gaps).await?;
    }
    if !batch.books.is_empty() {
        kept::insert_books(client, &names, &batch.books).await?;
    }
    if !batch.official.is_empty() {
        kept::insert_official(client, &names, &batch.official).await?;
    }
    if !batch.current.is_empty() {
        current::save(client, &names, &batch.current).await?;
    }
    if let Some(recorded) = batch.recorded_until {
        facts::record_until(client, recorded).await?;
    }
    transaction.commit().await
}

/// When and where rows of it go.
fn periods(batch: &Batch) -> impl Iterator<Item = (Parent, Wall)> {
    let candles = batch.candles.iter().filter_map(|candle| {
        let parent = match candle.interval {
            Interval::Second => Parent::Seconds,
            Interval::Minute => Parent::Minutes,
            Interval::FiveMinutes => Parent::FiveMinutes,
            Interval::Hour | Interval::Day => return None,
        };
        Some((parent, candle.start))
    });
    let rows = batch
        .rows
        .iter()
        .map(|row| (Parent::History, row.received_at));
    let events = batch
        .published
        .iter()
        .map(|event| (Parent::Published, event.published_at));
    let books = batch
        .books
        .iter()
        .map(|snapshot| (Parent::Books, snapshot.at));
    rows.chain(events).chain(books).chain(candles)
}
