//! What kurs published: stored, paged, and the last of every pair at a moment. Plain rows and
//! blocks are merged by place.

use super::blocks;
use super::fault::Fault;
use super::late::{self, Kind};
use super::names::{self, Names};
use super::pool::{execute, query, query_opt};
use super::types::{StoredId, Time, read_id, read_time};
use crate::packed::events::Events;
use crate::{Published, PublishedPage, PublishedQuery};
use deadpool_postgres::{Client, Transaction};
use kurs_core::{Pair, UpdateId, Wall};
use std::collections::{HashSet, VecDeque};
use tokio_postgres::Row;

/// Most events of one page, whatever is asked for.
const PAGE_MAX: u32 = 10_000;
/// Events of one statement.
const CHUNK_ROWS: usize = 2_000;

type Key = (i32, Wall, UpdateId);

/// Adds events; those that are there already, packed or not, are passed over.
pub(super) async fn insert(
    transaction: &Client,
    names: &Names,
    events: &[Published],
    horizon: Wall,
) -> Result<(), Fault> {
    let mut keyed = Vec::with_capacity(events.len());
    for event in events {
        let at = event.published_at.to_millisecond();
        keyed.push(((names.pair(event.pair)?, at, event.id), event));
    }
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let late: Vec<Key> = keyed
        .iter()
        .map(|(key, _)| *key)
        .filter(|(_, at, _)| *at < horizon)
        .collect();
    if let (false, Some(any)) = (late.is_empty(), events.first()) {
        late::take_turn(transaction, Kind::Published).await?;
        let packed = packed_already(transaction, &late, any.pair).await?;
        keyed.retain(|(key, _)| !packed.contains(key));
    }
    for chunk in keyed.chunks(CHUNK_ROWS) {
        insert_chunk(transaction, chunk).await?;
    }
    Ok(())
}

async fn insert_chunk(transaction: &Client, chunk: &[(Key, &Published)]) -> Result<(), Fault> {
    const INSERT: &str = "
        INSERT INTO published (pair, published_at, shard, epoch, seq, event)
        SELECT u.pair, u.at, u.shard, u.epoch, u.seq, u.event::json
        FROM unnest($1::int[], $2::timestamptz[], $3::int[], $4::bigint[], $5::bigint[],
            $6::text[]) AS u (pair, at, shard, epoch, seq, event)
        ON CONFLICT DO NOTHING";
    let (mut pairs, mut times, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shards, mut epochs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    for ((pair, at, id), published) in chunk {
        let id = StoredId::of(*id)?;
        pairs.push(*pair);
        times.push(Time(*at));
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
        texts
            .push(serde_json::to_string(&published.event).map_err(|error| {
                Fault::corrupt(format!("event of {}: {error}", published.pair))
            })?);
    }
    execute(
        transaction,
        INSERT,
        &[&pairs, &times, &shards, &epochs, &seqs, &texts],
    )
    .await?;
    Ok(())
}

/// Which of these events lie in blocks.
async fn packed_already(
    transaction: &Client,
    late: &[Key],
    any: Pair,
) -> Result<HashSet<Key>, Fault> {
    const COVERING: &str = "
        SELECT pair, block FROM published_packed
        WHERE (pair, last_at, number) IN (
            SELECT b.pair, b.last_at, b.number
            FROM unnest($1::int[], $2::timestamptz[]) AS l (pair, at)
            JOIN published_packed b
                ON b.pair = l.pair AND b.last_at >= l.at AND b.first_at <= l.at)";
    let wanted: HashSet<&Key> = late.iter().collect();
    let mut found = HashSet::new();
    for chunk in late.chunks(CHUNK_ROWS) {
        let pairs: Vec<i32> = chunk.iter().map(|(pair, _, _)| *pair).collect();
        let times: Vec<Time> = chunk.iter().map(|(_, at, _)| Time(*at)).collect();
        for row in query(transaction, COVERING, &[&pairs, &times]).await? {
            let pair: i32 = row.try_get(0)?;
            for (at, id) in blocks::open_events(any, row.try_get(1)?)?.places() {
                let key = (pair, *at, *id);
                if wanted.contains(&key) {
                    found.insert(key);
                }
            }
        }
    }
    Ok(found)
}

/// One page, as of one moment: `transaction` sees one state of the database.
pub(super) async fn page(
    transaction: &Transaction<'_>,
    wanted: &PublishedQuery,
) -> Result<PublishedPage, Fault> {
    const PLAIN: &str = "
        SELECT published_at, shard, epoch, seq, event::text FROM published
        WHERE pair = $1 AND published_at >= $2 AND published_at < $6
            AND (published_at, shard, epoch, seq) > ($2, $3, $4, $5)
        ORDER BY published_at, shard, epoch, seq LIMIT $7";
    let limit = usize::try_from(wanted.limit.clamp(1, PAGE_MAX)).unwrap_or(usize::MAX);
    let mut events: Vec<Published> = Vec::new();
    let Some(pair) = names::find_pair(transaction, wanted.pair).await? else {
        return Ok(PublishedPage { events, next: None });
    };
    let after = wanted.after.filter(|(at, _)| *at >= wanted.start);
    let (at, id) = match after {
        Some((at, id)) => (at, StoredId::of(id)?),
        None => (wanted.start, StoredId::FIRST),
    };
    let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let end = Time(wanted.end);
    let plain = query(
        transaction,
        PLAIN,
        &[
            &pair,
            &Time(at),
            &id.shard,
            &id.epoch,
            &id.seq,
            &end,
            &one_more,
        ],
    )
    .await?;
    let mut plain: VecDeque<Row> = plain.into();
    let mut scan = BlockScan {
        pair: wanted.pair,
        number: pair,
        after: after.unwrap_or((at, UpdateId::default())),
        is_after_excluded: after.is_some(),
        end: wanted.end,
        events: None,
        last_block: Some((at, -1)),
    };
    loop {
        let packed = scan.peek(transaction).await?;
        let plain_place = match plain.front() {
            Some(row) => Some((read_time(row, 0)?, read_id(row, 1)?)),
            None => None,
        };
        let is_packed = match (packed, plain_place) {
            (Some(packed), Some(plain)) => packed < plain,
            (packed, _) => packed.is_some(),
        };
        if !is_packed && plain_place.is_none() {
            return Ok(PublishedPage { events, next: None });
        }
        if events.len() == limit {
            let next = events.last().map(|last| (last.published_at, last.id));
            return Ok(PublishedPage { events, next });
        }
        if is_packed {
            events.extend(scan.take()?);
        } else if let Some(row) = plain.pop_front() {
            events.push(read(&row, wanted.pair)?);
        }
    }
}

/// An event whose columns are `published_at, shard, epoch, seq, event`.
pub(super) fn read(row: &Row, pair: Pair) -> Result<Published, Fault> {
    let event = serde_json::from_str(row.try_get(4)?)
        .map_err(|error| Fault::corrupt(format!("an event of {pair}: {error}")))?;
    Ok(Published {
        id: read_id(row, 1)?,
        pair,
        published_at: read_time(row, 0)?,
        event,
    })
}

/// Packed events of one pair, block by block.
struct BlockScan {
    pair: Pair,
    number: i32,
    after: (Wall, UpdateId),
    is_after_excluded: bool,
    end: Wall,
    /// The open block, and the next event in it.
    events: Option<(Events, usize)>,
    /// The last block that was read; `None` at the end.
    last_block: Option<(Wall, i64)>,
}

impl BlockScan {
    fn is_wanted(&self, place: (Wall, UpdateId)) -> bool {
        let is_behind = if self.is_after_excluded {
            place > self.after
        } else {
            place.0 >= self.after.0
        };
        is_behind && place.0 < self.end
    }

    /// The place of the next event.
    async fn peek(
        &mut self,
        transaction: &Transaction<'_>,
    ) -> Result<Option<(Wall, UpdateId)>, Fault> {
        const NEXT: &str = "
            SELECT first_at, last_at, number, block FROM published_packed
            WHERE pair = $1 AND last_at >= $2 AND (last_at, number) > ($2, $3)
            ORDER BY last_at, number LIMIT 1";
        loop {
            if let Some((events, index)) = &self.events {
                let places = events.places().get(*index..).unwrap_or_default();
                if let Some(skipped) = places.iter().position(|place| self.is_wanted(*place)) {
                    let place = places.get(skipped).copied();
                    if let Some((_, index)) = &mut self.events {
                        *index += skipped;
                    }
                    return Ok(place);
                }
                self.events = None;
            }
            let Some((last_at, number)) = self.last_block else {
                return Ok(None);
            };
            let parameters = (Time(last_at), number);
            let found = query_opt(
                transaction,
                NEXT,
                &[&self.number, &parameters.0, &parameters.1],
            )
            .await?;
            self.last_block = None;
            let Some(block) = found else {
                return Ok(None);
            };
            if read_time(&block, 0)? >= self.end {
                return Ok(None);
            }
            self.last_block = Some((read_time(&block, 1)?, block.try_get(2)?));
            self.events = Some((blocks::open_events(self.pair, block.try_get(3)?)?, 0));
        }
    }

    /// The event that was peeked at.
    fn take(&mut self) -> Result<Option<Published>, Fault> {
        let Some((events, index)) = &mut self.events else {
            return Ok(None);
        };
        let event = blocks::event(events, *index)?;
        *index += 1;
        Ok(Some(event))
    }
}

/// The last event of every pair at or before `at`, by pair.
pub(super) async fn at(transaction: &Transaction<'_>, at: Wall) -> Result<Vec<Published>, Fault> {
    const PLAIN: &str = "
        SELECT e.published_at, e.shard, e.epoch, e.seq, e.event::text, p.name, p.id, t.last_at
        FROM pairs p
        LEFT JOIN published_packed_to t ON t.pair = p.id
        LEFT JOIN LATERAL (
            SELECT * FROM published WHERE pair = p.id AND published_at <= $1
            ORDER BY published_at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1) e ON true
        WHERE e.pair IS NOT NULL OR t.pair IS NOT NULL";
    const BLOCKS: &str = "
        SELECT p.place, b.block
        FROM unnest($1::int[]) WITH ORDINALITY AS p (id, place)
        CROSS JOIN LATERAL (
            SELECT block FROM published_packed WHERE pair = p.id AND first_at <= $2
            ORDER BY first_at DESC, number DESC LIMIT 1) b";
    let moment = Time(at.to_millisecond());
    let mut found: Vec<(Pair, Option<Published>)> = Vec::new();
    let (mut packed, mut packed_numbers) = (Vec::new(), Vec::new());
    for row in query(transaction, PLAIN, &[&moment]).await? {
        let pair = names::read_pair(row.try_get(5)?)?;
        let is_plain = row.try_get::<_, Option<Time>>(0)?.is_some();
        let plain = if is_plain {
            Some(read(&row, pair)?)
        } else {
            None
        };
        let packed_to = row.try_get::<_, Option<Time>>(7)?.map(|time| time.0);
        if packed_to.is_some_and(|to| plain.as_ref().is_none_or(|last| last.published_at <= to)) {
            packed.push(found.len());
            packed_numbers.push(row.try_get::<_, i32>(6)?);
        }
        found.push((pair, plain));
    }
    if !packed_numbers.is_empty() {
        for row in query(transaction, BLOCKS, &[&packed_numbers, &moment]).await? {
            let place: i64 = row.try_get(0)?;
            let index = usize::try_from(place - 1)
                .ok()
                .and_then(|place| packed.get(place));
            let Some((pair, last)) = index.and_then(|index| found.get_mut(*index)) else {
                return Err(Fault::corrupt("a block of no pair"));
            };
            let events = blocks::open_events(*pair, row.try_get(1)?)?;
            let Some(index) = events.places().iter().rposition(|(at, _)| *at <= moment.0) else {
                continue;
            };
            let newest = last.as_ref().map(|last| (last.published_at, last.id));
            if newest < events.places().get(index).copied() {
                *last = Some(blocks::event(&events, index)?);
            }
        }
    }
    let mut found: Vec<Published> = found.into_iter().filter_map(|(_, last)| last).collect();
    found.sort_by_key(|published| published.pair);
    Ok(found)
}
