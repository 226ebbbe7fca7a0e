//! What a store is put under when something is killed: 2,000 rows a second with published events
//! and states, packing and deletion all the while, and a tally of what was acknowledged.
//!
//! | module | what it holds |
//! |---|---|
//! | `load` | `Span`: rows and events that are the same in whichever process they are made |
//! | `writer` | [`write`]: stores them, and tells what is acknowledged |
//! | `process` | the same in a process of its own, to be killed |
//! | `tally` | [`Tally`]: what was acknowledged, and whether the store has it once |

#![allow(
    dead_code,
    unused_imports,
    reason = "every test program uses a part of this"
)]
#![expect(
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it did"
)]

mod load;
mod process;
mod tally;
mod writer;

pub(crate) use process::{be_a_process, start};
pub(crate) use tally::Tally;
pub(crate) use writer::{Begin, Said, write};

/// How often something is killed, instead of the few times of a usual run.
const KILLS: &str = "KURS_KILLS";
/// Changes the moments of the kills.
const SEED: &str = "KURS_STORE_TEST_SEED";

/// How often to kill: as the environment says, else so many times.
pub(crate) fn kills(usual: u32) -> u32 {
    number(KILLS).map_or(usual, |kills| u32::try_from(kills).unwrap())
}

/// Draws the moments. The seed is printed, so that a failure can be repeated.
pub(crate) fn random() -> fastrand::Rng {
    let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..));
    println!("{SEED}={seed}");
    fastrand::Rng::with_seed(seed)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap())
}
