//! Everything of a batch, in the transaction of its job.

use super::fault::Fault;
use super::names::Names;
use super::{books, candles, current, facts, gaps, history, lease, official, published, states};
use crate::Batch;
use rusqlite::Connection;

/// Stores all of it. A failure undoes the whole job, so nothing of a batch is stored alone.
pub(super) fn write(
    connection: &Connection,
    names: &mut Names,
    batch: &Batch,
) -> Result<(), Fault> {
    lease::check(connection, batch.fence)?;
    history::append(connection, names, &batch.rows)?;
    published::append(connection, names, &batch.published)?;
    states::append(connection, names, &batch.states)?;
    candles::replace(connection, names, &batch.candles)?;
    gaps::replace(connection, names, &batch.gaps)?;
    books::append(connection, names, &batch.books)?;
    official::append(connection, names, &batch.official)?;
    current::save(connection, names, &batch.current)?;
    match batch.recorded_until {
        Some(recorded) => facts::save_recorded(connection, recorded),
        None => Ok(()),
    }
}
