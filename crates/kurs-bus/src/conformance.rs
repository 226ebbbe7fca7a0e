//! What every [`Bus`] must do. One suite for all implementations: hand [`run`] a function that
//! opens an empty bus from two places.
//!
//! A check panics with the promise that does not hold.
//!
//! | module | what it holds |
//! |---|---|
//! | `flow` | checks of updates and last values |
//! | `commands` | checks of commands and answers |
//! | `make`, `samples` | updates to write, send and read, plain ones and full ones |
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a conformance check fails by panicking, as any test does"
)]

mod commands;
mod flow;
mod make;
mod samples;

pub use make::{rate, untrack, update, update_of};
pub use samples::{SCENE_GAP, SCENE_LINES, every_kind, full_rate, scene};

use crate::{Body, Bus, BusEvent, Subscription, Update};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for something that should happen at once.
const HANG: Duration = Duration::from_secs(60);

/// One bus as two programs see it; in one process both may be the same.
#[derive(Clone)]
pub struct Opened {
    /// Where the Writer is.
    pub writer: Arc<dyn Bus>,
    /// Where a Reader is.
    pub reader: Arc<dyn Bus>,
}

/// Runs every check, each on a bus of its own that `fresh` opens. `overflow`: more updates than
/// a subscriber of this bus may lie behind.
pub async fn run<F, Opening>(fresh: F, overflow: u64)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Opened>,
{
    flow::everyone_hears_everything_in_order(fresh().await).await;
    flow::last_values_are_the_newest_of_each_key(fresh().await).await;
    flow::a_withdrawn_pair_leaves_nothing_behind(fresh().await).await;
    flow::subscribing_first_misses_nothing(fresh().await).await;
    flow::an_ended_epoch_is_not_heard_and_a_missing_number_is_told(fresh().await).await;
    flow::a_slow_subscriber_is_told_and_recovers(fresh().await, overflow).await;
    commands::the_writer_answers_each_request(fresh().await).await;
    commands::two_writers_never_take_the_same_request(fresh().await).await;
    commands::a_request_that_was_given_up_is_never_carried_out(fresh().await).await;
    commands::a_writer_that_goes_away_is_told(fresh().await).await;
}

async fn in_time<T>(what: &str, wait: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANG, wait).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within {HANG:?}"),
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> BusEvent {
    in_time("the next event", subscription.next())
        .await
        .unwrap()
}

async fn expect(subscription: &mut Box<dyn Subscription>, update: &Arc<Update>) {
    match next(subscription).await {
        BusEvent::Update(heard) => assert_eq!(heard, *update),
        BusEvent::Gap { lost } => panic!("{lost} updates were lost"),
    }
}

/// The last values without withdrawals, by id.
async fn last_values(bus: &dyn Bus) -> Vec<Arc<Update>> {
    let mut values = bus.last_values().await.unwrap();
    values.retain(|update| !matches!(update.body, Body::Withdrawn(_)));
    values.sort_by_key(|update| update.id);
    values
}

/// Their numbers, once everything published is there.
async fn last_seqs(bus: &Opened) -> Vec<u64> {
    bus.writer.flush().await.unwrap();
    let values = last_values(&*bus.reader).await;
    values.iter().map(|update| update.id.seq.0).collect()
}
