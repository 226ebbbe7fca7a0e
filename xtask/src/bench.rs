//! Starts the benchmark program; what it measures is in `benches/`.

use anyhow::{Context as _, Result};

use crate::process::{Program, cargo};
use crate::provision::{self, Purpose};
use crate::workspace::Workspace;

/// Where the results go when no arguments say otherwise.
const DEFAULT_ARGUMENTS: [&str; 3] = ["all", "--out", "docs/benchmarks.md"];

/// Builds the binary and the benchmarks for release and runs them in the repository.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    provision::run(workspace, Purpose::Benchmarks)?;
    let build = [
        "build",
        "--release",
        "--locked",
        "-p",
        "kurs",
        "-p",
        "kurs-bench",
    ];
    cargo(&workspace.root).arguments(&build).run()?;
    let program = Program::new(workspace.target.join("release/kurs-bench"), &workspace.root);
    let program = if arguments.is_empty() {
        program.arguments(&DEFAULT_ARGUMENTS)
    } else {
        program.arguments(arguments)
    };
    program
        .run()
        .context("the benchmarks did not run to their end")
}
