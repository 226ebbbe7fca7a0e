//! Two Writers, three Readers, a store, a bus and a venue in virtual time: the real lease keeper,
//! engine, standby, numbering and view, with everything around them played. A seed decides what
//! happens when, and the same seed gives the same events.
//!
//! `KURS_SIMULATION_SEEDS=100000` runs more seeds, `KURS_SIMULATION_SEED=7` one with its story.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "this file is only tests, and tells the story of a seed"
)]

mod broker;
mod clock;
mod consumer;
mod plan;
mod reader;
mod store;
mod world;
mod writer;

use plan::Plan;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// Seeds of each plan in one run: a thousand together.
const SEEDS: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs seeds on all cores; tells those that broke a promise.
fn run(seeds: u64, plan: fn(u64) -> Plan) -> Vec<(u64, String)> {
    let next = AtomicU64::new(0);
    let broken = std::sync::Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    let outcome = World::new(plan(seed)).run();
                    if let Some(broke) = outcome.broken.first() {
                        broken.lock().unwrap().push((seed, broke.clone()));
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap();
    broken.sort();
    broken
}

fn check(name: &str, plan: fn(u64) -> Plan) {
    if let Some(seed) = number("KURS_SIMULATION_SEED") {
        let outcome = World::new(Plan {
            tells: true,
            ..plan(seed)
        })
        .run();
        assert!(outcome.broken.is_empty(), "{:#?}", outcome.broken);
        return;
    }
    let seeds = number("KURS_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let broken = run(seeds, plan);
    assert!(
        broken.is_empty(),
        "{} of {seeds} seeds of {name} broke a promise, first: {:#?}",
        broken.len(),
        &broken[..broken.len().min(3)]
    );
}

#[test]
fn writers_that_die_stop_and_leave_lose_and_double_nothing() {
    check("kills", Plan::kills);
}

#[test]
fn whatever_breaks_no_epoch_goes_back_and_nothing_stale_is_served_as_fresh() {
    check("everything", Plan::everything);
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..20 {
        let hash = || World::new(Plan::everything(seed)).run().hash;
        assert_eq!(hash(), hash(), "seed {seed}");
    }
    let other = World::new(Plan::everything(1_000_001)).run().hash;
    assert_ne!(World::new(Plan::everything(0)).run().hash, other);
}
