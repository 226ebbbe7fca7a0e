//! (k) Streams: what a delivery costs beside bare writes, how late the last client is, all clients
//! at once, clients that never read, and what keys and limits add to a request.
//!
//! | module | what it holds |
//! |---|---|
//! | `scene` | the real kurs with one pair, whose prices are written by hand |
//! | `crowd` | many clients, and those that never read |
//! | `raw` | the bare program that writes the same bytes |
//! | `fanout`, `reconnect`, `sleepers`, `doors` | the parts |

mod crowd;
mod doors;
mod fanout;
pub(crate) mod raw;
mod reconnect;
mod scene;
mod sleepers;

use crate::options::Options;
use crate::process::Pinned;
use crate::section::Section;
use anyhow::{Result, ensure};
use clap::ValueEnum;
use tokio::runtime::Runtime;

/// Open files that any part needs.
const FILES: u64 = 7_000;

/// Part of this benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// What a delivery costs, and how late the last client is
    Fanout,
    /// All clients come back at once
    Reconnect,
    /// Clients that never read
    Sleepers,
    /// Keys and limits
    Doors,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    measure(options, Part::value_variants())
}

/// Runs parts of it.
pub(crate) fn measure(options: &Options, parts: &[Part]) -> Result<Section> {
    ensure!(
        options.server_core != options.load_core,
        "servers and clients need a core each"
    );
    scene::raise_file_limit(FILES)?;
    let mut section = Section::new("streams", "Streams", options.quick);
    let runtime = clients(options)?;
    for part in parts {
        match part {
            Part::Fanout => fanout::measure(&mut section, options, &runtime)?,
            Part::Reconnect => reconnect::measure(&mut section, options, &runtime)?,
            Part::Sleepers => sleepers::measure(&mut section, options, &runtime)?,
            Part::Doors => doors::measure(&mut section, options)?,
        }
    }
    section.figures.sort_by_key(|figure| figure.goal.is_none());
    Ok(section)
}

/// The thread of all clients, on the core of the load.
fn clients(options: &Options) -> Result<Runtime> {
    let _pinned = Pinned::to(options.load_core)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    Ok(runtime)
}
