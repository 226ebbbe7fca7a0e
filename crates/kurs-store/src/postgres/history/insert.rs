//! The two ways of a row into its table.

use super::Key;
use crate::HistoryRow;
use crate::postgres::fault::Fault;
use crate::postgres::pool::execute;
use crate::postgres::types::{Number, StoredId, Time};
use deadpool_postgres::Client;
use std::pin::pin;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

/// Adds rows of which none is there; one that is there is a collision.
pub(super) async fn copy(transaction: &Client, rows: &[(Key, &HistoryRow)]) -> Result<(), Fault> {
    const COPY: &str = "
        COPY history
            (pair, source, received_at, shard, epoch, seq, value, bid, ask, observed_at)
        FROM STDIN BINARY";
    const TYPES: [Type; 10] = [
        Type::INT4,
        Type::INT4,
        Type::TIMESTAMPTZ,
        Type::INT4,
        Type::INT8,
        Type::INT8,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::NUMERIC,
        Type::TIMESTAMPTZ,
    ];
    if rows.is_empty() {
        return Ok(());
    }
    let statement = transaction.prepare_cached(COPY).await?;
    let sink = transaction.copy_in(&statement).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for ((pair, source, received_at, id), row) in rows {
        let id = StoredId::of(*id)?;
        writer
            .as_mut()
            .write(&[
                pair,
                source,
                &Time(*received_at),
                &id.shard,
                &id.epoch,
                &id.seq,
                &Number::from(row.value),
                &row.bid.map(Number::from),
                &row.ask.map(Number::from),
                &row.observed_at.map(Time),
            ])
            .await?;
    }
    writer.finish().await?;
    Ok(())
}

/// Adds rows; those that are there are passed over.
pub(super) async fn pass_over(
    transaction: &Client,
    rows: &[(Key, &HistoryRow)],
) -> Result<(), Fault> {
    const INSERT: &str = "
        INSERT INTO history
            (pair, source, received_at, shard, epoch, seq, value, bid, ask, observed_at)
        SELECT * FROM unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::bigint[],
            $6::bigint[], $7::numeric[], $8::numeric[], $9::numeric[], $10::timestamptz[])
        ON CONFLICT DO NOTHING";
    let (mut pairs, mut sources) = (Vec::with_capacity(rows.len()), Vec::new());
    let (mut times, mut shards, mut epochs, mut seqs) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut values, mut bids, mut asks) = (Vec::new(), Vec::new(), Vec::new());
    let mut observed = Vec::new();
    for ((pair, source, received_at, id), row) in rows {
        let id = StoredId::of(*id)?;
        pairs.push(*pair);
        sources.push(*source);
        times.push(Time(*received_at));
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
        values.push(Number::from(row.value));
        bids.push(row.bid.map(Number::from));
        asks.push(row.ask.map(Number::from));
        observed.push(row.observed_at.map(Time));
    }
    execute(
        transaction,
        INSERT,
        &[
            &pairs, &sources, &times, &shards, &epochs, &seqs, &values, &bids, &asks, &observed,
        ],
    )
    .await?;
    Ok(())
}
