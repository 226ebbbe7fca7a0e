//! Several ways of storing the same rows, in turns.

use super::ticks::Market;
use crate::console;
use crate::statistics::Spread;
use anyhow::{Context as _, Result};
use kurs_store::HistoryRow;
use std::time::Duration;

/// Rows of one batch.
pub(super) const BATCH_ROWS: usize = 1_000;

/// One way of storing rows.
pub(super) trait Contestant {
    fn name(&self) -> &str;

    /// Stores all of them, durable when it returns, and tells how long that took.
    fn write(&mut self, batches: Vec<Vec<HistoryRow>>) -> Result<Duration>;
}

/// Rows per second of one contestant, round by round.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) name: String,
    pub(super) rounds: Vec<f64>,
}

impl Pace {
    pub(super) fn spread(&self) -> Spread {
        Spread::of(&self.rounds)
    }
}

/// So many times another one, round by round: what both had to share the machine with is the same.
pub(super) fn ratio(paces: &[Pace], own: &str, other: &str) -> Result<Spread> {
    let find = |name: &str| {
        let found = paces.iter().find(|pace| pace.name == name);
        found.with_context(|| format!("nobody is called {name}"))
    };
    let (own, other) = (find(own)?, find(other)?);
    let ratios: Vec<f64> = own
        .rounds
        .iter()
        .zip(&other.rounds)
        .map(|(own, other)| own / other)
        .collect();
    Ok(Spread::of(&ratios))
}

/// Lets all of them store the same rows, each round beginning with another one.
pub(super) fn run(
    contestants: &mut [Box<dyn Contestant>],
    market: &mut Market,
    rounds: usize,
    batches: usize,
) -> Result<Vec<Pace>> {
    let mut paces: Vec<Pace> = contestants
        .iter()
        .map(|contestant| Pace {
            name: contestant.name().to_owned(),
            rounds: Vec::new(),
        })
        .collect();
    let count = contestants.len();
    for round in 0..=rounds {
        let work = market.batches(batches, BATCH_ROWS)?;
        for turn in 0..count {
            let index = (turn + round) % count;
            let (Some(contestant), Some(pace)) = (contestants.get_mut(index), paces.get_mut(index))
            else {
                continue;
            };
            let taken = contestant.write(work.clone())?;
            // The first round makes partitions, files and caches.
            if round > 0 {
                let rows = (batches * BATCH_ROWS) as f64;
                pace.rounds.push(rows / taken.as_secs_f64());
            }
        }
        if round > 0 {
            console::line(&format!("storing: round {round} of {rounds}"));
        }
    }
    Ok(paces)
}
