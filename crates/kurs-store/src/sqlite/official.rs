//! A bank's rate of a day, in all its versions.

use super::fault::Fault;
use super::names::{self, Names};
use crate::{OfficialQuery, OfficialRate, OfficialVersion};
use kurs_core::{Price, Wall};
use rusqlite::{Connection, params};

/// Most versions of one answer.
const LIMIT_MAX: u32 = 10_000;

/// Adds what is new: a rate that differs from the last version of its day. One that is handed
/// over again after a later version came is known by when it was seen, and is passed over.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    rates: &[OfficialRate],
) -> Result<(), Fault> {
    if rates.is_empty() {
        return Ok(());
    }
    let mut known = connection.prepare_cached(
        "SELECT value, seen_at FROM official_rates
         WHERE pair = ?1 AND source = ?2 AND day = ?3 ORDER BY version",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO official_rates (pair, source, day, version, value, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for rate in rates {
        let pair = names.pair(connection, rate.pair)?;
        let source = names.source(connection, rate.source)?;
        let mut versions = Vec::new();
        let mut rows = known.query(params![pair, source, rate.day.0])?;
        while let Some(row) = rows.next()? {
            let value: String = row.get(0)?;
            versions.push((read_value(&value)?, Wall(row.get(1)?)));
        }
        if is_news(rate, &versions) {
            let version = i64::try_from(versions.len())
                .unwrap_or(i64::MAX)
                .saturating_add(1);
            insert.execute(params![
                pair,
                source,
                rate.day.0,
                version,
                rate.value.to_string(),
                rate.seen_at.0
            ])?;
        }
    }
    Ok(())
}

/// Versions of days in a span, by day and version.
pub(super) fn find(
    connection: &Connection,
    query: &OfficialQuery,
) -> Result<Vec<OfficialVersion>, Fault> {
    let mut found = Vec::new();
    let series = names::find_pair(connection, query.pair)?
        .zip(names::find_source(connection, query.source)?);
    let Some((pair, source)) = series else {
        return Ok(found);
    };
    let mut statement = connection.prepare_cached(
        "SELECT day, version, value, seen_at FROM official_rates
         WHERE pair = ?1 AND source = ?2 AND day >= ?3 AND day < ?4
         ORDER BY day, version LIMIT ?5",
    )?;
    let limit = query.limit.clamp(1, LIMIT_MAX);
    let mut rows = statement.query(params![pair, source, query.start.0, query.end.0, limit])?;
    while let Some(row) = rows.next()? {
        let value: String = row.get(2)?;
        found.push(OfficialVersion {
            rate: OfficialRate {
                source: query.source,
                pair: query.pair,
                day: Wall(row.get(0)?),
                value: read_value(&value)?,
                seen_at: Wall(row.get(3)?),
            },
            version: row.get(1)?,
        });
    }
    Ok(found)
}

/// Whether a rate becomes a new version after `versions` (value, and when it was seen; in their
/// order). It does not when it says what the last one says, nor when it was handed over before:
/// when the version of its own time says the same.
fn is_news(rate: &OfficialRate, versions: &[(Price, Wall)]) -> bool {
    let is_same = |(value, _): &(Price, Wall)| *value == rate.value;
    let is_known = versions
        .iter()
        .any(|version| is_same(version) && version.1 == rate.seen_at);
    let of_its_time = versions.iter().rfind(|(_, at)| *at <= rate.seen_at);
    !is_known && !versions.last().is_some_and(is_same) && !of_its_time.is_some_and(is_same)
}

fn read_value(text: &str) -> Result<Price, Fault> {
    Price::parse(text).map_err(|error| Fault::corrupt(format!("official rate {text:?}: {error}")))
}
