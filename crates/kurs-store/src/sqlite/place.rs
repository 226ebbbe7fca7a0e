//! Ids and places as SQLite holds them.

use super::fault::Fault;
use kurs_core::{Clock, Epoch, Seq, SystemClock, UpdateId, Wall};
use rusqlite::{Connection, Row};

/// Where a row stands among those of its series: a time, then the parts of the id.
pub(super) type Place = (i64, i64, i64, i64);

/// Before the first row of this time.
pub(super) const fn before_all_of(time: i64) -> Place {
    (time, -1, 0, 0)
}

/// Behind the last row of this time.
pub(super) const fn behind_all_of(time: i64) -> Place {
    (time, i64::MAX, 0, 0)
}

/// The place of an id at a time.
pub(super) fn place(time: i64, id: UpdateId) -> Result<Place, Fault> {
    let (shard, epoch, seq) = stored_id(id)?;
    Ok((time, shard, epoch, seq))
}

/// The parts of an id as SQLite can hold them.
pub(super) fn stored_id(id: UpdateId) -> Result<(i64, i64, i64), Fault> {
    let part = |number: u64| {
        i64::try_from(number).map_err(|_| Fault::corrupt(format!("the id {id} is out of range")))
    };
    Ok((i64::from(id.shard), part(id.epoch.0)?, part(id.seq.0)?))
}

/// The id of a row whose columns `first..first + 3` hold its parts.
pub(super) fn read_id(row: &Row<'_>, first: usize) -> Result<UpdateId, Fault> {
    let part = |number: i64| {
        u64::try_from(number).map_err(|_| Fault::corrupt("an id has a negative part"))
    };
    Ok(UpdateId {
        shard: row.get(first)?,
        epoch: Epoch(part(row.get(first + 1)?)?),
        seq: Seq(part(row.get(first + 2)?)?),
    })
}

/// The place in the columns `first..first + 4`.
pub(super) fn read_place(row: &Row<'_>, first: usize) -> Result<Place, Fault> {
    Ok((
        row.get(first)?,
        row.get(first + 1)?,
        row.get(first + 2)?,
        row.get(first + 3)?,
    ))
}

/// The bytes in a column.
pub(super) fn read_bytes<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8], Fault> {
    row.get_ref(column)?
        .as_blob()
        .map_err(|error| Fault::corrupt(error.to_string()))
}

/// Several queries that all see the store as of one moment.
pub(super) fn as_of_one_moment<T>(
    connection: &Connection,
    queries: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    connection.execute_batch("BEGIN")?;
    let found = queries(connection);
    connection.execute_batch("ROLLBACK")?;
    found
}

/// A number as SQLite can hold it.
pub(super) fn stored_number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::corrupt(format!("{number} is out of range")))
}

/// What time it is for the store. A file is used by processes of one machine, so its clock is the
/// store's own, as a server's would be; callers hand no time in.
pub(super) fn now() -> Wall {
    SystemClock::new().now().wall
}
