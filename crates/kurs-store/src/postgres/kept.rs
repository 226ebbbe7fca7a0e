//! What else is kept: changes of state, gaps, order books, official rates.

use super::fault::Fault;
use super::names::{self, Names};
use super::pool::{execute, query};
use super::types::{Number, StoredId, Time, read_id, read_price, read_time, storable};
use crate::packed::book;
use crate::{
    BookSnapshot, Gap, GapQuery, OfficialQuery, OfficialRate, OfficialVersion, PriceState,
    SnapshotQuery,
};
use deadpool_postgres::Client;
use kurs_core::{Pair, Price, SourceState, Wall};
use std::collections::BTreeMap;

/// Most things of one answer.
const LIMIT_MAX: u32 = 10_000;
const BOOKS_MAX: u32 = 1_000;

fn limit(asked: u32, most: u32) -> i64 {
    i64::from(asked.clamp(1, most))
}

/// Adds changes of state; those that are there already are passed over.
pub(super) async fn insert_states(
    transaction: &Client,
    names: &Names,
    states: &[PriceState],
) -> Result<(), Fault> {
    const INSERT: &str = "
        INSERT INTO price_states (pair, source, at, shard, epoch, seq, state, why)
        SELECT * FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::bigint[],
            $6::bigint[], $7::text[], $8::text[])
        ON CONFLICT DO NOTHING";
    let mut keyed = Vec::with_capacity(states.len());
    for state in states {
        let key = (
            names.pair(state.pair)?,
            names.source(state.source)?,
            state.at,
            state.id,
        );
        keyed.push((key, state));
    }
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let (mut pairs, mut sources, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shards, mut epochs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    let (mut words, mut reasons) = (Vec::new(), Vec::new());
    for ((pair, source, at, id), state) in keyed {
        let id = StoredId::of(id)?;
        pairs.push(pair);
        sources.push(source);
        times.push(Time(at));
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
        words.push(state.state.as_str());
        reasons.push(storable(&state.why));
    }
    execute(
        transaction,
        INSERT,
        &[
            &pairs, &sources, &times, &shards, &epochs, &seqs, &words, &reasons,
        ],
    )
    .await?;
    Ok(())
}

/// The last state of each source at or before `at`, by source.
pub(super) async fn states_at(
    client: &Client,
    pair: Pair,
    at: Wall,
) -> Result<Vec<PriceState>, Fault> {
    let sql = "
        SELECT s.name, c.shard, c.epoch, c.seq, c.at, c.state, c.why
        FROM pairs p CROSS JOIN sources s CROSS JOIN LATERAL (
            SELECT * FROM price_states WHERE pair = p.id AND source = s.id AND at <= $2
            ORDER BY at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1) c
        WHERE p.name = $1";
    let mut found = Vec::new();
    for row in query(client, sql, &[&pair.to_string(), &Time(at)]).await? {
        found.push(PriceState {
            source: names::read_source(row.try_get(0)?)?,
            id: read_id(&row, 1)?,
            pair,
            at: read_time(&row, 4)?,
            state: state_of(row.try_get(5)?)?,
            why: row.try_get::<_, &str>(6)?.into(),
        });
    }
    found.sort_by_key(|state| state.source);
    Ok(found)
}

fn state_of(word: &str) -> Result<SourceState, Fault> {
    [
        SourceState::Live,
        SourceState::Stale,
        SourceState::Syncing,
        SourceState::Down,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .ok_or_else(|| Fault::corrupt(format!("a state called {word:?}")))
}

/// Stores gaps; each replaces what is stored of the same source, pair and begin.
pub(super) async fn replace_gaps(
    transaction: &Client,
    names: &Names,
    gaps: &[Gap],
) -> Result<(), Fault> {
    const UPSERT: &str = "
        INSERT INTO gaps (pair, source, began, ended, why, is_filled)
        SELECT * FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::timestamptz[],
            $5::text[], $6::bool[])
        ON CONFLICT (pair, source, began) DO UPDATE
        SET ended = excluded.ended, why = excluded.why, is_filled = excluded.is_filled";
    // The last one of each; one statement takes it once.
    let mut newest = BTreeMap::new();
    for gap in gaps {
        newest.insert(
            (names.pair(gap.pair)?, names.source(gap.source)?, gap.began),
            gap,
        );
    }
    let (mut pairs, mut sources, mut began) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ended, mut reasons, mut filled) = (Vec::new(), Vec::new(), Vec::new());
    for ((pair, source, at), gap) in newest {
        pairs.push(pair);
        sources.push(source);
        began.push(Time(at));
        ended.push(gap.ended.map(Time));
        reasons.push(storable(&gap.why));
        filled.push(gap.is_filled);
    }
    execute(
        transaction,
        UPSERT,
        &[&pairs, &sources, &began, &ended, &reasons, &filled],
    )
    .await?;
    Ok(())
}

/// Gaps that overlap a span, by begin, source and pair.
pub(super) async fn gaps(client: &Client, wanted: &GapQuery) -> Result<Vec<Gap>, Fault> {
    let sql = "
        SELECT s.name, p.name, g.began, g.ended, g.why, g.is_filled
        FROM gaps g JOIN pairs p ON p.id = g.pair JOIN sources s ON s.id = g.source
        WHERE g.began < $1 AND (g.ended IS NULL OR g.ended >= $2)
            AND ($3::text IS NULL OR p.name = $3) AND ($4::text IS NULL OR s.name = $4)
        ORDER BY g.began, s.name, p.name LIMIT $5";
    let pair = wanted.pair.map(|pair| pair.to_string());
    let source = wanted.source.map(|source| source.to_string());
    let (end, start) = (Time(wanted.end), Time(wanted.start));
    let limit = limit(wanted.limit, LIMIT_MAX);
    let mut found = Vec::new();
    for row in query(client, sql, &[&end, &start, &pair, &source, &limit]).await? {
        found.push(Gap {
            source: names::read_source(row.try_get(0)?)?,
            pair: names::read_pair(row.try_get(1)?)?,
            began: read_time(&row, 2)?,
            ended: row.try_get::<_, Option<Time>>(3)?.map(|time| time.0),
            why: row.try_get::<_, &str>(4)?.into(),
            is_filled: row.try_get(5)?,
        });
    }
    Ok(found)
}

/// Adds books; those that are there already are passed over.
pub(super) async fn insert_books(
    transaction: &Client,
    names: &Names,
    books: &[BookSnapshot],
) -> Result<(), Fault> {
    const INSERT: &str = "
        INSERT INTO books (pair, source, at, levels)
        SELECT * FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::bytea[])
        ON CONFLICT DO NOTHING";
    let mut keyed = Vec::with_capacity(books.len());
    for snapshot in books {
        keyed.push((
            names.pair(snapshot.pair)?,
            names.source(snapshot.source)?,
            snapshot,
        ));
    }
    keyed.sort_by_key(|(pair, source, snapshot)| (*pair, *source, snapshot.at));
    let (mut pairs, mut sources, mut times, mut levels) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (pair, source, snapshot) in keyed {
        let bytes = book::encode(&snapshot.bids, &snapshot.asks).ok_or_else(|| {
            Fault::corrupt(format!(
                "the book of {} by {} has too many levels",
                snapshot.pair, snapshot.source
            ))
        })?;
        pairs.push(pair);
        sources.push(source);
        times.push(Time(snapshot.at));
        levels.push(bytes);
    }
    execute(transaction, INSERT, &[&pairs, &sources, &times, &levels]).await?;
    Ok(())
}

/// Books of one source and pair, oldest first.
pub(super) async fn books(
    client: &Client,
    wanted: &SnapshotQuery,
) -> Result<Vec<BookSnapshot>, Fault> {
    let sql = "
        SELECT b.at, b.levels FROM books b
        WHERE b.pair = (SELECT id FROM pairs WHERE name = $1)
            AND b.source = (SELECT id FROM sources WHERE name = $2)
            AND b.at >= $3 AND b.at < $4
        ORDER BY b.at LIMIT $5";
    let (pair, source) = (wanted.pair.to_string(), wanted.source.as_str());
    let (start, end) = (Time(wanted.start), Time(wanted.end));
    let limit = limit(wanted.limit, BOOKS_MAX);
    let mut found = Vec::new();
    for row in query(client, sql, &[&pair, &source, &start, &end, &limit]).await? {
        let (bids, asks) = book::decode(row.try_get(1)?).ok_or_else(|| {
            Fault::corrupt(format!("a book of {} by {}", wanted.pair, wanted.source))
        })?;
        found.push(BookSnapshot {
            source: wanted.source,
            pair: wanted.pair,
            at: read_time(&row, 0)?,
            bids,
            asks,
        });
    }
    Ok(found)
}

/// Adds what is new: a rate that differs from the last version of its day.
pub(super) async fn insert_official(
    transaction: &Client,
    names: &Names,
    rates: &[OfficialRate],
) -> Result<(), Fault> {
    const KNOWN: &str = "
        SELECT u.place, o.value, o.seen_at
        FROM unnest($1::int[], $2::int[], $3::timestamptz[]) WITH ORDINALITY
            AS u (pair, source, day, place)
        JOIN official_rates o ON o.pair = u.pair AND o.source = u.source AND o.day = u.day
        ORDER BY u.place, o.version";
    const INSERT: &str = "
        INSERT INTO official_rates (pair, source, day, version, value, seen_at)
        SELECT * FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::numeric[],
            $6::timestamptz[])";
    let mut days: BTreeMap<(i32, i32, Wall), Vec<&OfficialRate>> = BTreeMap::new();
    for rate in rates {
        let key = (names.pair(rate.pair)?, names.source(rate.source)?, rate.day);
        days.entry(key).or_default().push(rate);
    }
    let keys: Vec<(i32, i32, Wall)> = days.keys().copied().collect();
    let pairs: Vec<i32> = keys.iter().map(|(pair, _, _)| *pair).collect();
    let sources: Vec<i32> = keys.iter().map(|(_, source, _)| *source).collect();
    let times: Vec<Time> = keys.iter().map(|(_, _, day)| Time(*day)).collect();
    let mut known: Vec<Vec<(Price, Wall)>> = vec![Vec::new(); keys.len()];
    for row in query(transaction, KNOWN, &[&pairs, &sources, &times]).await? {
        let place: i64 = row.try_get(0)?;
        let versions = usize::try_from(place - 1)
            .ok()
            .and_then(|place| known.get_mut(place));
        if let Some(versions) = versions {
            versions.push((read_price(&row, 1)?, read_time(&row, 2)?));
        }
    }
    let (mut pairs, mut sources, mut times) = (Vec::new(), Vec::new(), Vec::new());
    let (mut numbers, mut values, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (((pair, source, day), rates), mut versions) in days.into_iter().zip(known) {
        for rate in rates {
            if !is_news(rate, &versions) {
                continue;
            }
            versions.push((rate.value, rate.seen_at));
            pairs.push(pair);
            sources.push(source);
            times.push(Time(day));
            numbers.push(i32::try_from(versions.len()).unwrap_or(i32::MAX));
            values.push(Number::from(rate.value));
            seen.push(Time(rate.seen_at));
        }
    }
    if !pairs.is_empty() {
        let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&pairs, &sources, &times, &numbers, &values, &seen];
        execute(transaction, INSERT, &columns).await?;
    }
    Ok(())
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

/// Versions of days in a span, by day and version.
pub(super) async fn official(
    client: &Client,
    wanted: &OfficialQuery,
) -> Result<Vec<OfficialVersion>, Fault> {
    let sql = "
        SELECT o.day, o.version, o.value, o.seen_at FROM official_rates o
        WHERE o.pair = (SELECT id FROM pairs WHERE name = $1)
            AND o.source = (SELECT id FROM sources WHERE name = $2)
            AND o.day >= $3 AND o.day < $4
        ORDER BY o.day, o.version LIMIT $5";
    let (pair, source) = (wanted.pair.to_string(), wanted.source.as_str());
    let (start, end) = (Time(wanted.start), Time(wanted.end));
    let limit = limit(wanted.limit, LIMIT_MAX);
    let mut found = Vec::new();
    for row in query(client, sql, &[&pair, &source, &start, &end, &limit]).await? {
        let version: i32 = row.try_get(1)?;
        found.push(OfficialVersion {
            rate: OfficialRate {
                source: wanted.source,
                pair: wanted.pair,
                day: read_time(&row, 0)?,
                value: read_price(&row, 2)?,
                seen_at: read_time(&row, 3)?,
            },
            version: u32::try_from(version).map_err(|_| Fault::corrupt("a negative version"))?,
        });
    }
    Ok(found)
}
