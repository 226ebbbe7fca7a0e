//! What an earlier Writer left, for one that has not followed it.

use crate::ledger::Before;
use crate::shards::Shards;
use crate::terms::Terms;
use crate::writer::Parts;
use futures_util::StreamExt;
use kurs_bus::Body;
use kurs_core::{Pair, Wall};
use kurs_store::{Fence, GapQuery, Store, StoreError, StoredRate};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Open gaps that are taken up again, at most.
const OPEN_GAPS_MAX: u32 = 10_000;
/// Pairs that the store is asked about at once.
const ASKED_AT_ONCE: usize = 4;
/// How long the last values of the bus are waited for.
const BUS_PATIENCE: Duration = Duration::from_secs(3);

/// What an earlier Writer left.
pub(crate) struct Former {
    /// Pairs that it published under terms that do not hold any more.
    pub(crate) withdrawn: Vec<Pair>,
    /// Its rates of all other pairs.
    pub(crate) standing: Vec<StoredRate>,
}

/// Sorts out what an earlier Writer left of a shard. What is withdrawn is out of the store when
/// this returns.
pub(crate) async fn sort_out(
    parts: &Parts,
    shards: &Shards,
    fence: Fence,
    former: Option<&Terms>,
) -> Former {
    let is_ours = |pair: Pair| shards.of_pair(pair) == fence.shard;
    let mut rates: BTreeMap<Pair, StoredRate> = BTreeMap::new();
    match parts.store.load_current().await {
        Ok(stored) => {
            let ours = stored.into_iter().map(|current| current.stored);
            rates.extend(
                ours.filter(|one| is_ours(one.rate.pair))
                    .map(|one| (one.rate.pair, one)),
            );
        }
        Err(error) => tracing::warn!(%error, "cannot read the former rates"),
    }
    let last_values = tokio::time::timeout(BUS_PATIENCE, parts.bus.last_values()).await;
    for update in last_values.ok().and_then(Result::ok).unwrap_or_default() {
        if let Body::Rate(rate) = &update.body
            && is_ours(rate.pair)
        {
            let stored = StoredRate {
                id: update.id,
                rate: rate.clone(),
            };
            rates.insert(rate.pair, stored);
        }
    }
    let mut withdrawn: BTreeSet<Pair> = former
        .map(|former| parts.terms.changed_pairs(former))
        .unwrap_or_default();
    withdrawn.retain(|pair| is_ours(*pair));
    for (pair, stored) in &rates {
        if let Some(why) = parts.terms.objection(former, &stored.rate) {
            tracing::info!(%pair, why, "does not stand behind the former rate");
            withdrawn.insert(*pair);
        }
    }
    rates.retain(|pair, _| !withdrawn.contains(pair));
    let withdrawn: Vec<Pair> = withdrawn.into_iter().collect();
    let dropped = parts.store.drop_current(withdrawn.clone(), Some(fence));
    if let Err(error) = dropped.await {
        tracing::warn!(%error, "cannot take former rates out of the store");
    }
    Former {
        withdrawn,
        standing: rates.into_values().collect(),
    }
}

/// What the ledger goes on from.
pub(crate) async fn before(
    store: &dyn Store,
    shard: u16,
    standing: Vec<StoredRate>,
) -> Result<Before, StoreError> {
    let Some(recorded_until) = store.shard_recorded_until(shard).await? else {
        return Ok(Before {
            standing,
            ..Before::default()
        });
    };
    let pairs: Vec<Pair> = standing.iter().map(|stored| stored.rate.pair).collect();
    let asked = pairs
        .into_iter()
        .map(|pair| store.last_rows(pair, recorded_until));
    let mut asked = futures_util::stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
    let mut rows = Vec::new();
    while let Some(found) = asked.next().await {
        rows.extend(found?);
    }
    // What the last Writer received; others had been given up before it.
    let last = rows.iter().map(|row| row.id.epoch).max();
    let followed = rows
        .iter()
        .filter(|row| Some(row.id.epoch) == last)
        .map(|row| (row.source, row.pair))
        .collect();
    let gaps = store.gaps(GapQuery {
        pair: None,
        source: None,
        start: recorded_until,
        end: Wall::MAX,
        limit: OPEN_GAPS_MAX,
    });
    let mut open = gaps.await?;
    open.retain(|gap| gap.ended.is_none());
    Ok(Before {
        standing,
        recorded_until: Some(recorded_until),
        followed,
        open,
    })
}
