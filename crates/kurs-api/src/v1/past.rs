//! A rate as it was served at a moment of the past.

use super::missing::problem;
use super::rates::{Converted, convert};
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use kurs_core::Wall;
use kurs_reader::{Missing, Past, PastError, RateDocument};
use kurs_store::{Store, StoreError};
use rust_decimal::Decimal;
use serde::Serialize;
use std::time::Duration;

/// How long a request waits for its turn at the store.
const TURN: Duration = Duration::from_secs(2);

/// How often it is looked whether the moment is recorded, and how long between.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(150);

/// `GET /api/v1/rates/{base}/{quote}?at=`.
pub(crate) fn rate_at(call: Call) -> Work {
    Box::pin(async move {
        let asked = call.path_pair()?;
        let at = call.arguments.time("at");
        let at = at.ok_or_else(|| Problem::parameter("at", "is required"))?;
        let api = &call.api;
        if at > api.view.now().wall {
            return Err(Problem::parameter("at", "is in the future"));
        }
        let turn = tokio::time::timeout(TURN, api.history_reads.acquire());
        let Ok(Ok(_turn)) = turn.await else {
            let detail = "too many moments of the past are being asked for";
            return Err(Problem::new(Kind::TooBusy, detail));
        };
        let store = &*api.store;
        wait_until_recorded(store, at).await?;
        let seq = call.arguments.seq("seq");
        let past = match seq {
            None => Past::recall(&api.view, store, at).await,
            Some(seq) => Past::recall_numbered(&api.view, store, (at, seq), asked).await,
        };
        let past = past.map_err(|error| store_problem(&error))?;
        let allow_stale = call.arguments.flag("allow_stale");
        let amount = call.arguments.amount("amount");
        let missing = |missing: &Missing| no_rate(&past, missing);
        if call.arguments.flag("explain") {
            let told = past.explain(store, asked, allow_stale).await;
            let told = told.map_err(|error| match error {
                PastError::Missing(why) => missing(&why),
                PastError::Store(error) => store_problem(&error),
            })?;
            is_that_one(&told.rate, seq)?;
            return answer(&told, told.rate.value.value(), amount);
        }
        let document = past.rate(asked, allow_stale);
        let document = document.map_err(|why| missing(&why))?;
        is_that_one(&document, seq)?;
        answer(&*document, document.value.value(), amount)
    })
}

/// Who names an answer is told that one or none: another one would be taken for it.
fn is_that_one(rate: &RateDocument, seq: Option<u64>) -> Result<(), Problem> {
    match seq {
        Some(seq) if seq != rate.seq => {
            let detail = format!(
                "no rate of {} with seq {seq} was served then; the nearest has {}, published at {}",
                rate.pair, rate.seq, rate.published_at
            );
            Err(Problem::new(Kind::NoRateThen, detail))
        }
        _ => Ok(()),
    }
}

fn answer<T: Serialize>(document: &T, value: Decimal, amount: Option<Decimal>) -> Outcome {
    let answer = match amount {
        None => Answer::json(document),
        Some(amount) => Answer::json(&Converted {
            document,
            amount: amount.to_string(),
            result: convert(amount, value)?,
        }),
    };
    // It never changes again; how long it is kept is the client's business, by its tag.
    Ok(answer.cached(Caching::Revalidate))
}

/// What was published at this very moment may be on its way into the store.
async fn wait_until_recorded(store: &dyn Store, at: Wall) -> Result<(), Problem> {
    let end_of_millisecond = at.to_millisecond().plus(Duration::from_millis(1));
    let mut tries = 0;
    loop {
        let recorded = store.recorded_until().await;
        let recorded = recorded.map_err(|error| store_problem(&error))?;
        if recorded.is_some_and(|until| until >= end_of_millisecond) {
            return Ok(());
        }
        tries += 1;
        if tries > TRIES {
            return Err(not_recorded(recorded));
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

fn not_recorded(until: Option<Wall>) -> Problem {
    let detail = match until {
        Some(until) => format!("what was published is stored up to {until}"),
        None => "nothing that was published is stored yet".to_owned(),
    };
    Problem::new(Kind::NotRecordedYet, detail).retry_after(1)
}

/// Why there was none. That it is not there any more, or was not there yet, cannot be mended by
/// asking again, so it is no 503.
fn no_rate(past: &Past, missing: &Missing) -> Problem {
    if !past.is_known() {
        let detail = format!("nothing that was published before {} is kept", past.at());
        return Problem::new(Kind::NoRateThen, detail);
    }
    let then = problem(missing);
    match missing {
        Missing::Expired(_) | Missing::NoRateYet(_) | Missing::NoRate(..) => Problem {
            kind: Kind::NoRateThen,
            ..then
        },
        _ => then,
    }
}

fn store_problem(error: &StoreError) -> Problem {
    tracing::warn!(%error, "the past could not be read");
    let detail = "the history cannot be read at present";
    Problem::new(Kind::StoreUnavailable, detail)
}
