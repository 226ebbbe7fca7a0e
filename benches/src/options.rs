//! Settings of all benchmarks.

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of all benchmarks.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Short rounds: to see that everything runs, not for figures that are shown to anybody
    #[arg(long, global = true)]
    pub(crate) quick: bool,
    /// The kurs binary; by default the one beside this program
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kurs: Option<PathBuf>,
    /// Core of the servers
    #[arg(long, global = true, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) server_core: usize,
    /// Core of the load
    #[arg(long, global = true, default_value_t = 1, value_name = "NUMBER")]
    pub(crate) load_core: usize,
    /// Where raw results are kept as JSON
    #[arg(
        long,
        global = true,
        default_value = "target/bench",
        value_name = "FOLDER"
    )]
    pub(crate) results: PathBuf,
}

impl Options {
    /// The first of the two in a full run, the second in a quick one.
    pub(crate) const fn pick<T: Copy>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// The same in seconds.
    pub(crate) const fn seconds(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(self.pick(full, quick))
    }

    /// The kurs binary.
    pub(crate) fn kurs_binary(&self) -> Result<PathBuf> {
        let path = match &self.kurs {
            Some(path) => path.clone(),
            None => own_binary()?.with_file_name("kurs"),
        };
        ensure!(
            path.is_file(),
            "there is no {}: `cargo build --release -p kurs` first, or name it with --kurs",
            path.display()
        );
        path.canonicalize()
            .with_context(|| format!("cannot find {}", path.display()))
    }
}

/// This program.
pub(crate) fn own_binary() -> Result<PathBuf> {
    std::env::current_exe().context("cannot find this program's own file")
}
