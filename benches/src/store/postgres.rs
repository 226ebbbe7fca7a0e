//! Storing in PostgreSQL: kurs, and what a bare client does with a plain table of the same columns
//! and key.

use super::contest::Contestant;
use super::ticks::Market;
use anyhow::{Context as _, Result, anyhow};
use bytes::{BufMut as _, BytesMut};
use kurs_core::{Pair, Price, SourceId, Wall};
use kurs_store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use kurs_store::{Batch, HistoryRow, Store as _};
use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, NoTls, Statement};

/// 2000-01-01T00:00:00Z, where times of PostgreSQL begin, in microseconds since 1970.
const BEGIN_US: i64 = 946_684_800_000_000;

/// An open store with its schema.
pub(super) fn open(runtime: &Runtime, url: &str) -> Result<PostgresStore> {
    let url = PostgresUrl::parse(url).map_err(|error| anyhow!("{error}"))?;
    let store = PostgresStore::new(url, PostgresOptions::default())?;
    runtime.block_on(store.migrate())?;
    Ok(store)
}

/// A connection without anything around it.
pub(super) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        // What goes wrong is told by the next statement.
        let _ = connection.await;
    });
    Ok(client)
}

/// kurs with some callers at once.
pub(super) struct Kurs {
    name: String,
    runtime: Arc<Runtime>,
    store: Arc<PostgresStore>,
    writers: usize,
}

impl Kurs {
    pub(super) fn new(runtime: &Arc<Runtime>, url: &str, writers: usize) -> Result<Self> {
        Ok(Self {
            name: name("kurs", writers),
            runtime: Arc::clone(runtime),
            store: Arc::new(open(runtime, url)?),
            writers,
        })
    }
}

impl Contestant for Kurs {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, batches: Vec<Vec<HistoryRow>>) -> Result<Duration> {
        let lanes = lanes(batches, self.writers).into_iter().map(|lane| {
            let store = Arc::clone(&self.store);
            async move {
                for rows in lane {
                    store.write(Batch::of_rows(rows)).await?;
                }
                Ok(())
            }
        });
        all(&self.runtime, lanes)
    }
}

/// How a bare client stores a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Copy,
    Unnest,
}

impl Way {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "bare COPY BINARY",
            Self::Unnest => "bare INSERT of unnest",
        }
    }
}

/// A contestant's name.
pub(super) fn name(what: &str, writers: usize) -> String {
    match writers {
        1 => format!("{what}, 1 connection"),
        _ => format!("{what}, {writers} connections"),
    }
}

/// A bare client, each of its connections a writer.
pub(super) struct Bare {
    name: String,
    runtime: Arc<Runtime>,
    way: Way,
    numbers: Arc<Numbers>,
    clients: Vec<Arc<(Client, Statement)>>,
}

impl Bare {
    pub(super) fn new(runtime: &Arc<Runtime>, url: &str, way: Way, writers: usize) -> Result<Self> {
        let table = match way {
            Way::Copy => format!("ticks_copy_{writers}"),
            Way::Unnest => format!("ticks_unnest_{writers}"),
        };
        let insert = match way {
            Way::Copy => format!("COPY {table} FROM STDIN BINARY"),
            Way::Unnest => format!(
                "INSERT INTO {table}
                 SELECT * FROM unnest($1::timestamptz[], $2::bigint[], $3::bigint[], $4::int[],
                     $5::int[], $6::int[], $7::numeric[], $8::numeric[], $9::numeric[],
                     $10::timestamptz[])"
            ),
        };
        let clients = runtime.block_on(async {
            let first = connect(url).await?;
            first
                .batch_execute(&format!(
                    "CREATE TABLE {table} (
                        received_at timestamptz NOT NULL, epoch bigint NOT NULL,
                        seq bigint NOT NULL, pair integer NOT NULL, source integer NOT NULL,
                        shard integer NOT NULL, value numeric NOT NULL, bid numeric, ask numeric,
                        observed_at timestamptz,
                        PRIMARY KEY (pair, source, received_at, shard, epoch, seq))"
                ))
                .await?;
            let mut clients = Vec::new();
            for _ in 0..writers {
                let client = connect(url).await?;
                let statement = client.prepare(&insert).await?;
                clients.push(Arc::new((client, statement)));
            }
            anyhow::Ok(clients)
        })?;
        Ok(Self {
            name: name(way.as_str(), writers),
            runtime: Arc::clone(runtime),
            way,
            numbers: Arc::new(Numbers::new()?),
            clients,
        })
    }
}

impl Contestant for Bare {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, batches: Vec<Vec<HistoryRow>>) -> Result<Duration> {
        let way = self.way;
        let lanes = lanes(batches, self.clients.len());
        let work = lanes.into_iter().zip(&self.clients).map(|(lane, client)| {
            let (client, numbers) = (Arc::clone(client), Arc::clone(&self.numbers));
            async move {
                for rows in lane {
                    match way {
                        Way::Copy => copy(&client, &numbers, &rows).await?,
                        Way::Unnest => unnest(&client, &numbers, &rows).await?,
                    }
                }
                Ok(())
            }
        });
        all(&self.runtime, work)
    }
}

/// The batches dealt out.
fn lanes(batches: Vec<Vec<HistoryRow>>, count: usize) -> Vec<Vec<Vec<HistoryRow>>> {
    let mut lanes: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for (index, batch) in batches.into_iter().enumerate() {
        if let Some(lane) = lanes.get_mut(index % count) {
            lane.push(batch);
        }
    }
    lanes
}

fn all<F>(runtime: &Runtime, work: impl Iterator<Item = F>) -> Result<Duration>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let work: Vec<F> = work.collect();
    let begin = Instant::now();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for lane in work {
            tasks.spawn(lane);
        }
        while let Some(done) = tasks.join_next().await {
            done.context("a writer ended badly")??;
        }
        anyhow::Ok(())
    })?;
    Ok(begin.elapsed())
}

/// Names as numbers.
#[derive(Debug)]
struct Numbers {
    pairs: HashMap<Pair, i32>,
    sources: HashMap<SourceId, i32>,
}

impl Numbers {
    fn new() -> Result<Self> {
        let mut pairs = HashMap::new();
        for (number, name) in (1..).zip(Market::pairs()) {
            pairs.insert(Pair::parse(name)?, number);
        }
        let mut sources = HashMap::new();
        for (number, name) in (1..).zip(Market::sources()) {
            sources.insert(SourceId::parse(name)?, number);
        }
        Ok(Self { pairs, sources })
    }

    fn of(&self, row: &HistoryRow) -> Result<(i32, i32)> {
        let pair = self.pairs.get(&row.pair).context("an unknown pair")?;
        let source = self.sources.get(&row.source).context("an unknown source")?;
        Ok((*pair, *source))
    }
}

async fn copy(
    (client, statement): &(Client, Statement),
    numbers: &Numbers,
    rows: &[HistoryRow],
) -> Result<()> {
    const TYPES: [Type; 10] = [
        Type::TIMESTAMPTZ,
        Type::INT8,
        Type::INT8,
        Type::INT4,
        Type::INT4,
        Type::INT4,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::TIMESTAMPTZ,
    ];
    let mut writer = pin!(BinaryCopyInWriter::new(
        client.copy_in(statement).await?,
        &TYPES
    ));
    for row in rows {
        let (pair, source) = numbers.of(row)?;
        writer
            .as_mut()
            .write(&[
                &At(row.received_at),
                &i64::try_from(row.id.epoch.0)?,
                &i64::try_from(row.id.seq.0)?,
                &pair,
                &source,
                &i32::from(row.id.shard),
                &Numeric(row.value),
                &row.bid.map(Numeric),
                &row.ask.map(Numeric),
                &row.observed_at.map(At),
            ])
            .await?;
    }
    writer.finish().await?;
    Ok(())
}

async fn unnest(
    (client, statement): &(Client, Statement),
    numbers: &Numbers,
    rows: &[HistoryRow],
) -> Result<()> {
    let (mut pairs, mut sources) = (Vec::with_capacity(rows.len()), Vec::new());
    let (mut epochs, mut seqs) = (Vec::new(), Vec::new());
    for row in rows {
        let (pair, source) = numbers.of(row)?;
        pairs.push(pair);
        sources.push(source);
        epochs.push(i64::try_from(row.id.epoch.0)?);
        seqs.push(i64::try_from(row.id.seq.0)?);
    }
    let times: Vec<At> = rows.iter().map(|row| At(row.received_at)).collect();
    let shards: Vec<i32> = rows.iter().map(|row| i32::from(row.id.shard)).collect();
    let values: Vec<Numeric> = rows.iter().map(|row| Numeric(row.value)).collect();
    let bids: Vec<_> = rows.iter().map(|row| row.bid.map(Numeric)).collect();
    let asks: Vec<_> = rows.iter().map(|row| row.ask.map(Numeric)).collect();
    let observed: Vec<_> = rows.iter().map(|row| row.observed_at.map(At)).collect();
    client
        .execute(
            statement,
            &[
                &times, &epochs, &seqs, &pairs, &sources, &shards, &values, &bids, &asks, &observed,
            ],
        )
        .await?;
    Ok(())
}

type Refused = Box<dyn Error + Sync + Send>;

/// A time.
#[derive(Debug, Clone, Copy)]
pub(super) struct At(pub(super) Wall);

impl ToSql for At {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        out.put_i64(self.0.0 - BEGIN_US);
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// A price with at most four digits behind the point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numeric(pub(super) Price);

impl ToSql for Numeric {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Refused> {
        let value = self.0.value();
        let scale = value.scale();
        let missing = 4_u32.checked_sub(scale).ok_or("too many digits")?;
        let ten_thousandths = value.mantissa() * 10_i128.pow(missing);
        // Groups of four digits; the last one is what stands behind the point.
        let mut groups = [0_i16; 10];
        let (mut rest, mut count) = (ten_thousandths, 0);
        while rest > 0 {
            *groups.get_mut(count).ok_or("too many digits")? = i16::try_from(rest % 10_000)?;
            rest /= 10_000;
            count += 1;
        }
        let used = groups.get(..count).unwrap_or_default();
        let zeros = used.iter().take_while(|group| **group == 0).count();
        let used = used.get(zeros..).unwrap_or_default();
        out.put_i16(i16::try_from(used.len())?);
        out.put_i16(i16::try_from(count)? - 2);
        out.put_i16(0);
        out.put_i16(i16::try_from(scale)?);
        for group in used.iter().rev() {
            out.put_i16(*group);
        }
        Ok(IsNull::No)
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::NUMERIC
    }

    to_sql_checked!();
}

/// Any value, left as it came.
#[derive(Debug)]
pub(super) struct Raw(pub(super) usize);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Refused> {
        Ok(Self(raw.len()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Size of the history with everything that belongs to it.
pub(super) const HISTORY_BYTES: &str = "
    SELECT sum(pg_total_relation_size(relid))
    FROM (SELECT relid FROM pg_partition_tree('history')
          UNION ALL SELECT relid FROM pg_partition_tree('history_packed')
          UNION ALL SELECT 'history_packed_to'::regclass) AS parts";
