//! `cargo xtask test`: what the tests need, every check, then every test.
//!
//! All chosen lanes run even when one fails, so that one run tells everything. The tests
//! come last: their results end the output, followed by the verdict alone.

mod results;

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use results::Totals;

use crate::console::{self, seconds};
use crate::process::cargo;
use crate::provision::{self, Purpose};
use crate::workspace::Workspace;
use crate::{clients, commands, contract, deny, layers, page, promises, words};

/// One check. The order here is the order of the run: quick ones first, the tests last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lane {
    /// Install the programs the tests need
    Provision,
    /// The sources are formatted
    Format,
    /// Crates use lower levels only
    Layers,
    /// No machine paths, switched-off tests or unfinished code
    Words,
    /// Every promise of docs/promises.md is held by a test
    Promises,
    /// Licences, banned crates, sources, advisories
    Deny,
    /// Lints, warnings denied
    Clippy,
    /// Documentation builds, warnings denied
    Docs,
    /// Commands shown in the texts exist
    Commands,
    /// Every answer is as the OpenAPI document says, by schemathesis
    Contract,
    /// Clients are what the document gives, compile, and work against a live server
    Clients,
    /// The web page in a browser, against a live server
    Page,
    /// All tests of the workspace, documentation tests included
    Tests,
}

/// Many tests wait for sockets and timers most of their time: more run at once than there are cores.
const TEST_THREADS: &str = "8";
const TEST_THREADS_VARIABLE: &str = "RUST_TEST_THREADS";
/// Names the folder of recorded answers that lies outside the repository.
const FIXTURES_VARIABLE: &str = "KURS_FIXTURES";

struct Outcome {
    lane: Lane,
    took: Duration,
    passed: bool,
}

/// Runs the chosen lanes, or all when none is named.
pub(crate) fn run(workspace: &Workspace, only: &[Lane]) -> Result<()> {
    let start = Instant::now();
    let chosen: Vec<Lane> = Lane::value_variants()
        .iter()
        .copied()
        .filter(|lane| only.contains(lane) || only.is_empty())
        .collect();
    let mut outcomes = Vec::new();
    let mut totals = Totals::default();
    for lane in chosen {
        if lane == Lane::Tests && !outcomes.is_empty() {
            summarise(&outcomes);
        }
        console::heading(name(lane));
        let lane_start = Instant::now();
        let result = run_lane(workspace, lane, &mut totals);
        if let Err(error) = &result {
            console::problem(&format!("{}: {error:#}", name(lane)));
        }
        outcomes.push(Outcome {
            lane,
            took: lane_start.elapsed(),
            passed: result.is_ok(),
        });
    }
    verdict(&outcomes, &totals, start.elapsed())
}

fn run_lane(workspace: &Workspace, lane: Lane, totals: &mut Totals) -> Result<()> {
    let cargo = || cargo(&workspace.root);
    match lane {
        Lane::Provision => provision::run(workspace, Purpose::Tests),
        Lane::Format => {
            let list = ["fmt", "--all", "--check", "--", "--files-with-diff"];
            let format = cargo().arguments(&list).run();
            format.context("`cargo xtask fix` formats the files above")
        }
        Lane::Layers => layers::run(workspace),
        Lane::Words => words::run(workspace),
        Lane::Promises => promises::run(workspace),
        Lane::Deny => deny::run(workspace),
        Lane::Clippy => {
            let clippy = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--keep-going",
                "--",
                "-D",
                "warnings",
            ];
            cargo().arguments(&clippy).run()
        }
        Lane::Docs => {
            let doc = [
                "doc",
                "--workspace",
                "--no-deps",
                "--locked",
                "--keep-going",
            ];
            cargo()
                .arguments(&doc)
                .variable("RUSTDOCFLAGS", "-D warnings")
                .run()
        }
        Lane::Commands => commands::run(workspace),
        Lane::Contract => contract::run(workspace),
        Lane::Clients => clients::lane(workspace),
        Lane::Page => page::lane(workspace),
        Lane::Tests => {
            if env::var_os(FIXTURES_VARIABLE).is_none() {
                console::notice(
                    "KURS_FIXTURES is not set: recorded answers are looked for beside the repository",
                );
            }
            let test = cargo().arguments(&["test", "--workspace", "--locked", "--no-fail-fast"]);
            let threads =
                env::var(TEST_THREADS_VARIABLE).unwrap_or_else(|_| TEST_THREADS.to_owned());
            test.variable(TEST_THREADS_VARIABLE, threads)
                .run_watched(|line| totals.see(line))
        }
    }
}

fn summarise(outcomes: &[Outcome]) {
    console::heading("checks so far");
    for outcome in outcomes {
        let word = if outcome.passed { "ok" } else { "FAILED" };
        console::line(&format!(
            "{:<10} {word:<6} {:>9}",
            name(outcome.lane),
            seconds(outcome.took)
        ));
    }
}

fn verdict(outcomes: &[Outcome], totals: &Totals, took: Duration) -> Result<()> {
    console::line("");
    if let Some(tests) = outcomes.iter().find(|outcome| outcome.lane == Lane::Tests) {
        console::line(&format!("{totals}, {}", seconds(tests.took)));
    }
    let failed: Vec<&str> = outcomes
        .iter()
        .filter(|outcome| !outcome.passed)
        .map(|outcome| name(outcome.lane))
        .collect();
    if !failed.is_empty() {
        bail!(
            "{} of {} lanes after {}: {}",
            failed.len(),
            outcomes.len(),
            seconds(took),
            failed.join(", ")
        );
    }
    console::line(&format!(
        "all {} lanes passed in {}",
        outcomes.len(),
        seconds(took)
    ));
    Ok(())
}

fn name(lane: Lane) -> &'static str {
    match lane {
        Lane::Provision => "provision",
        Lane::Format => "format",
        Lane::Layers => "layers",
        Lane::Words => "words",
        Lane::Promises => "promises",
        Lane::Deny => "deny",
        Lane::Clippy => "clippy",
        Lane::Docs => "docs",
        Lane::Commands => "commands",
        Lane::Contract => "contract",
        Lane::Clients => "clients",
        Lane::Page => "page",
        Lane::Tests => "tests",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lane: Lane, passed: bool) -> Outcome {
        Outcome {
            lane,
            took: Duration::from_secs(1),
            passed,
        }
    }

    #[test]
    fn one_failed_lane_fails_the_run_and_is_named() {
        let outcomes = [
            outcome(Lane::Format, true),
            outcome(Lane::Docs, false),
            outcome(Lane::Tests, true),
        ];
        let error = verdict(&outcomes, &Totals::default(), Duration::from_secs(3)).unwrap_err();
        assert_eq!(error.to_string(), "1 of 3 lanes after 3.0 s: docs");
    }

    #[test]
    fn the_run_passes_when_every_lane_passes() {
        let outcomes = [outcome(Lane::Format, true), outcome(Lane::Tests, true)];
        assert!(verdict(&outcomes, &Totals::default(), Duration::ZERO).is_ok());
    }

    #[test]
    fn lanes_are_called_on_the_command_line_as_in_the_output() {
        for lane in Lane::value_variants() {
            assert_eq!(lane.to_possible_value().unwrap().get_name(), name(*lane));
        }
    }

    #[test]
    fn the_tests_are_the_last_lane() {
        assert_eq!(Lane::value_variants().last(), Some(&Lane::Tests));
    }
}
