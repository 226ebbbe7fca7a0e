//! The command line: tasks and their options.

use std::path::PathBuf;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::lanes::{self, Lane};
use crate::process::cargo;
use crate::workspace::Workspace;
use crate::{bench, clients, coverage, fuzz};

/// Tasks of the repository.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring what the tests need, run every check and every test; writes no source file
    #[command(visible_alias = "verify")]
    Test {
        /// Run these lanes only (may be repeated or comma-separated)
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<Lane>,
    },
    /// Format the sources and apply what clippy can repair by itself
    Fix,
    /// Measure the line coverage of the tests; report under the target directory
    Coverage {
        /// Fail below this share of lines, in percent
        #[arg(long, default_value_t = coverage::GOAL_PERCENT, value_parser = clap::value_parser!(u32).range(0..=100))]
        goal: u32,
    },
    /// Run the benchmarks and rewrite docs/benchmarks.md
    Bench {
        /// Arguments for the benchmark program instead of `all --out docs/benchmarks.md`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Generate the clients again, compare, compile, and run them against a live server
    Clients {
        /// Replace the published files by the generated ones
        #[arg(long)]
        write: bool,
        /// This program instead of building the server
        #[arg(long, value_name = "FILE")]
        server: Option<PathBuf>,
    },
    /// Run the fuzz targets one after the other, on nightly Rust
    Fuzz {
        /// How long each target runs
        #[arg(long, default_value_t = fuzz::SECONDS, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Add what reaches new code to fuzz/corpus
        #[arg(long)]
        keep: bool,
        /// Targets to run instead of all
        targets: Vec<String>,
    },
}

impl Cli {
    /// Whether these arguments mean something here. Nothing is run: help is asked for.
    pub(crate) fn knows(arguments: &[String]) -> bool {
        let words = arguments.iter().map(String::as_str);
        let asked = ["cargo xtask"].into_iter().chain(words).chain(["--help"]);
        Self::try_parse_from(asked).is_err_and(|answer| answer.kind() == ErrorKind::DisplayHelp)
    }
}

/// Runs the chosen task; the error says what failed and what to do about it.
pub(crate) fn run(cli: Cli) -> Result<()> {
    let workspace = Workspace::load()?;
    match cli.task {
        Task::Test { only } => lanes::run(&workspace, &only),
        Task::Fix => fix(&workspace),
        Task::Coverage { goal } => coverage::run(&workspace, goal),
        Task::Bench { arguments } => bench::run(&workspace, &arguments),
        Task::Clients { write, server } => {
            let program = server;
            clients::run(&workspace, &clients::Choices { write, program })
        }
        Task::Fuzz {
            seconds,
            keep,
            targets,
        } => fuzz::run(&workspace, &targets, seconds, keep),
    }
}

fn fix(workspace: &Workspace) -> Result<()> {
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--fix",
        "--allow-dirty",
        "--allow-staged",
    ];
    cargo(&workspace.root).arguments(&clippy).run()?;
    cargo(&workspace.root).arguments(&["fmt", "--all"]).run()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn known_and_unknown_arguments_are_told_apart() {
        let knows = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Cli::knows(&words)
        };
        for known in [
            "",
            "test",
            "verify",
            "test --only layers",
            "coverage --goal 80",
            "bench",
            "clients",
            "clients --write",
            "fuzz",
            "fuzz --seconds 600 --keep ecb cbr",
        ] {
            assert!(knows(known), "{known}");
        }
        for unknown in [
            "tset",
            "test --never",
            "test --only nothing",
            "coverage --goal much",
            "fuzz --seconds 0",
        ] {
            assert!(!knows(unknown), "{unknown}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
