//! How rates have changed within an hour and a day.

use super::history::{TURN, store_problem};
use super::missing::problem;
use super::rates::{BatchError, pair_of};
use crate::answer::Answer;
use crate::call::Call;
use crate::conditional::Caching;
use crate::parameter::VALUES_MAX;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use kurs_core::{Pair, Price};
use kurs_reader::candles::CandlesError;
use kurs_reader::changes::{Changes, changes as read};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Pairs whose changes are kept at one time.
const KEPT_MAX: usize = 4_096;
const MINUTE_US: i64 = 60_000_000;
const MINUTE: Duration = Duration::from_secs(60);

/// How several rates have changed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChangesDocument {
    /// The changes, in the order asked for.
    changes: Vec<RateChangeDocument>,
    /// The pairs that have none, each with its reason.
    errors: Vec<BatchError>,
}

/// How one rate has changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct RateChangeDocument {
    /// The pair under the name asked for.
    pair: Pair,
    /// Against an hour ago, in percent to four decimals; absent when that rate is not known.
    #[schemars(regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    change_1h_percent: Option<String>,
    /// Against a day ago, in percent to four decimals; absent when that rate is not known.
    #[schemars(regex(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    change_24h_percent: Option<String>,
    /// Closes of the last day, oldest first, at most 48: every half hour, or closer where the
    /// history is shorter. A time without a price has none.
    #[schemars(length(max = 48))]
    points: Vec<Price>,
}

/// What was computed in the present minute.
#[derive(Debug, Default)]
pub(crate) struct KeptChanges {
    kept: Mutex<HashMap<Pair, (i64, Arc<Changes>)>>,
}

impl KeptChanges {
    fn get(&self, pair: Pair, minute: i64) -> Option<Arc<Changes>> {
        let kept = self.kept.lock();
        let (of, changes) = kept.get(&pair)?;
        (*of == minute).then(|| Arc::clone(changes))
    }

    fn keep(&self, pair: Pair, minute: i64, changes: &Arc<Changes>) {
        let mut kept = self.kept.lock();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, (of, _)| *of == minute);
        }
        if kept.len() < KEPT_MAX {
            kept.insert(pair, (minute, Arc::clone(changes)));
        }
    }
}

/// `GET /api/v1/changes`.
pub(crate) fn changes(call: Call) -> Work {
    Box::pin(async move {
        let mut asked: Vec<String> = call.arguments.list(&["pairs"]).map(str::to_owned).collect();
        if asked.len() > VALUES_MAX {
            let detail = format!("holds more than {VALUES_MAX} pairs");
            return Err(Problem::parameter("pairs", detail));
        }
        if asked.is_empty() {
            let directions = call.api.view.directions();
            asked.extend(directions.iter().map(Pair::to_string));
        }
        let mut document = ChangesDocument {
            changes: Vec::with_capacity(asked.len()),
            errors: Vec::new(),
        };
        for text in &asked {
            let found = match pair_of(&call, text) {
                Ok(pair) => one(&call, pair).await.map(|changes| (pair, changes)),
                Err(problem) => Err(problem),
            };
            match found {
                Ok((pair, changes)) => document.changes.push(RateChangeDocument {
                    pair,
                    change_1h_percent: changes.hour_percent.map(|percent| percent.to_string()),
                    change_24h_percent: changes.day_percent.map(|percent| percent.to_string()),
                    points: changes.points.clone(),
                }),
                // Nothing of the store can be had: that holds for all of them.
                Err(problem) if is_of_store(&problem) => return Err(problem),
                Err(problem) => document.errors.push(BatchError::of(text, problem)),
            }
        }
        let now = call.api.view.now().wall;
        let left = MINUTE_US - now.0.rem_euclid(MINUTE_US);
        let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)).min(MINUTE);
        let caching = if document.errors.is_empty() {
            Caching::For(left)
        } else {
            Caching::NoStore
        };
        Ok(Answer::json(&document).cached(caching))
    })
}

fn is_of_store(problem: &Problem) -> bool {
    matches!(problem.kind, Kind::StoreUnavailable | Kind::TooBusy)
}

async fn one(call: &Call, pair: Pair) -> Result<Arc<Changes>, Problem> {
    let api = &call.api;
    let minute = api.view.now().wall.0.div_euclid(MINUTE_US);
    if let Some(changes) = api.changes.get(pair, minute) {
        return Ok(changes);
    }
    let turn = tokio::time::timeout(TURN, api.history_reads.acquire());
    let Ok(Ok(_turn)) = turn.await else {
        let detail = "too many candles and histories are being read";
        return Err(Problem::new(Kind::TooBusy, detail));
    };
    let changes = read(&api.view, &*api.store, pair).await;
    let changes = Arc::new(changes.map_err(|error| match error {
        CandlesError::Missing(missing) => problem(&missing),
        CandlesError::Store(error) => store_problem(&error),
    })?);
    api.changes.keep(pair, minute, &changes);
    Ok(changes)
}
