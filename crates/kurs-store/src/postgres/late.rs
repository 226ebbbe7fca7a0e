//! What may be packed already, and what is stored behind that: see the table `packing`.

use super::fault::Fault;
use super::pool::{execute, query};
use super::types::Time;
use deadpool_postgres::{Client, GenericClient};
use kurs_core::Wall;

/// What is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    History,
    Published,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Published => "published",
        }
    }
}

/// From when on nothing is packed, for as long as the transaction lasts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizons {
    pub(super) history: Wall,
    pub(super) published: Wall,
}

/// Keeps the horizons where they are until the end of the transaction. For the message that
/// begins it.
pub(super) const HOLD: &str = "LOCK TABLE packing IN ROW SHARE MODE;";

/// The horizons, which must be held.
pub(super) async fn horizons(client: &Client) -> Result<Horizons, Fault> {
    let rows = query(client, "SELECT kind, horizon FROM packing", &[]).await?;
    let mut horizons = Horizons {
        // A row that is missing means that it is not known what is packed.
        history: Wall(i64::MAX),
        published: Wall(i64::MAX),
    };
    for row in rows {
        let horizon = row.try_get::<_, Time>(1)?.0;
        match row.try_get(0)? {
            "history" => horizons.history = horizon,
            "published" => horizons.published = horizon,
            _ => {}
        }
    }
    Ok(horizons)
}

/// Allows packing of what is before `before`, once everybody who stores is done who was told an
/// earlier horizon. It never goes back.
pub(super) async fn move_horizon(
    client: &mut Client,
    kind: Kind,
    before: Wall,
) -> Result<(), Fault> {
    let transaction = client.transaction().await?;
    // Who stores waits behind this, so it does not wait long itself.
    transaction
        .batch_execute("SET LOCAL lock_timeout = '1s'; LOCK TABLE packing IN EXCLUSIVE MODE")
        .await?;
    let sql = "UPDATE packing SET horizon = $2 WHERE kind = $1 AND horizon < $2";
    execute(&transaction, sql, &[&kind.as_str(), &Time(before)]).await?;
    Ok(transaction.commit().await?)
}

/// Takes turns until the end of the transaction: between those who pack, and those who store
/// what may be packed already.
pub(super) async fn take_turn(transaction: &impl GenericClient, kind: Kind) -> Result<(), Fault> {
    let sql = "SELECT kind FROM packing_turns WHERE kind = $1 FOR UPDATE";
    query(transaction, sql, &[&kind.as_str()]).await?;
    Ok(())
}
