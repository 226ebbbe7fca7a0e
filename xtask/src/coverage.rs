//! Line coverage of the tests, by cargo-llvm-cov and the LLVM tools that fit the compiler.

mod figures;
mod tools;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use figures::Figures;

use crate::console;
use crate::process::{Program, cargo};
use crate::provision::{self, Purpose, ensure_cargo_tool};
use crate::test_code::{is_test_file, product_lines};
use crate::tree;
use crate::workspace::Workspace;

/// The share of lines the project wants its tests to reach, in percent.
pub(crate) const GOAL_PERCENT: u32 = 85;
/// The version of cargo-llvm-cov built on a machine that has none.
const VERSION: &str = "0.9.1";
/// Not part of what users run, so neither built for nor counted in the figure.
const LEFT_OUT: [&str; 6] = [
    "--exclude",
    "xtask",
    "--exclude",
    "kurs-bench",
    "--exclude",
    "kurs-testkit",
];

/// The same for the report: the test kit is built as a part of other crates' tests.
const NOT_COUNTED: &str = "/(xtask|benches|crates/kurs-testkit)/";

/// Runs all tests with counters, prints the figure, writes lcov and HTML under the target directory.
pub(crate) fn run(workspace: &Workspace, goal: u32) -> Result<()> {
    console::heading("provision");
    provision::run(workspace, Purpose::Tests)?;
    ensure_cargo_tool(&workspace.root, "llvm-cov", VERSION)?;
    let tools = tools::find(workspace)?;
    let llvm_cov = |arguments: &[&str]| -> Program {
        cargo(&workspace.root)
            .variable("LLVM_COV", &tools.cov)
            .variable("LLVM_PROFDATA", &tools.profdata)
            .arguments(&["llvm-cov"])
            .arguments(arguments)
    };

    console::heading("tests with counters");
    // Counters of an earlier run would add lines that no test reaches any more.
    llvm_cov(&["clean", "--workspace"]).run()?;
    let test = ["--no-report", "--no-fail-fast", "--workspace", "--locked"];
    llvm_cov(&[test.as_slice(), &LEFT_OUT].concat()).run()?;

    console::heading("report");
    let folder = workspace.target.join("coverage");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let lcov = folder.join("lcov.info");
    let report = |kind: &str, option: &str, path: &Path| {
        let selected = [
            "report",
            "--ignore-filename-regex",
            NOT_COUNTED,
            kind,
            option,
        ];
        llvm_cov(&selected).arguments(&[path]).run()
    };
    report("--lcov", "--output-path", &lcov)?;
    report("--html", "--output-dir", &folder)?;

    let records =
        fs::read_to_string(&lcov).with_context(|| format!("cannot read {}", lcov.display()))?;
    let figures = Figures::read(&records, &workspace.root, |file| {
        if is_test_file(file) {
            return Ok(0);
        }
        let text = tree::text(&workspace.root, file)?;
        Ok(text.map_or(0, |text| product_lines(&text)))
    })?;
    for (name, lines) in &figures.crates {
        console::line(&format!("{name:<16} {lines}"));
    }
    console::line(&format!("{:<16} {}", "all", figures.all));
    console::line(&format!(
        "lcov: {}; pages: {}",
        lcov.display(),
        folder.join("html/index.html").display()
    ));
    if !figures.all.reaches(goal) {
        bail!("the goal of {goal} % of lines is missed");
    }
    console::line(&format!("the goal of {goal} % of lines is met"));
    Ok(())
}
