//! The API against its own document: schemathesis makes requests from `/openapi.json`, good and bad
//! ones, and judges every answer by it.
//!
//! Settings and versions are in `xtask/contract/`. Where PyPI cannot be reached, the generator of
//! requests in the tests of kurs-api takes its place; everything else that goes wrong is a failure.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::console::{self, seconds};
use crate::demo::{self, Server};
use crate::process::{Ended, Program, cargo};
use crate::provision::install_packages;
use crate::registry::{self, Environment, Unreachable};
use crate::workspace::Workspace;

/// Fewer cases prove too little: something was left out.
const CASES_LEAST: u64 = 2_000;
/// Two minutes on two cores that do nothing else; what takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(600);
const SCOPES: &str = "read,history,stream,admin";

/// Starts `kurs demo`, asks it, and judges the report.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let made = workspace.target.join("contract");
    fs::create_dir_all(&made).with_context(|| format!("cannot make {}", made.display()))?;
    let settings = workspace.root.join("xtask/contract");
    install_packages(
        &workspace.root,
        &registry::missing_for_environments(&workspace.root),
    )?;
    let environment = Environment::at(made.join("environment"));
    if let Err(error) = environment.bring(&settings.join("requirements.txt")) {
        let Some(unreachable) = error.downcast_ref::<Unreachable>() else {
            return Err(error);
        };
        console::notice(&format!(
            "{unreachable}: instead of schemathesis, the generator of kurs-api makes the requests"
        ));
        return generator_of_ours(workspace);
    }
    let program = demo::program(workspace, None)?;
    let folder = made.join("server");
    demo::emptied(&folder)?;
    let key = key(&program, &folder)?;
    let server = Server::start(&program, &folder, &["--store-url", "sqlite:kurs.db"])?;
    let began = Instant::now();
    let report = ask(&environment, &settings, &folder, server.url(), &key)?;
    drop(server);
    judge(&report, began.elapsed())
}

fn generator_of_ours(workspace: &Workspace) -> Result<()> {
    cargo(&workspace.root)
        .arguments(&[
            "test", "-p", "kurs-api", "--test", "api", "--locked", "fuzz::",
        ])
        .run()
}

/// A key that opens every route.
fn key(program: &Path, folder: &Path) -> Result<String> {
    let made = Program::new(program, folder)
        .variable("KURS_STORE__URL", "sqlite:kurs.db")
        .arguments(&["keys", "create", "--name", "contract", "--scope", SCOPES])
        .output()?;
    Ok(made.trim().to_owned())
}

/// Runs schemathesis; its report.
fn ask(
    environment: &Environment,
    settings: &Path,
    folder: &Path,
    url: &str,
    key: &str,
) -> Result<String> {
    for name in ["schemathesis.toml", "hooks.py"] {
        fs::copy(settings.join(name), folder.join(name))
            .with_context(|| format!("cannot copy {name}"))?;
    }
    let ended = Program::new(environment.python(), folder)
        .variable("CONTRACT_KEY", key)
        .variable("PYTHONDONTWRITEBYTECODE", "1")
        .arguments(&["-m", "schemathesis.cli", "--no-color"])
        .arguments(&["run", &format!("{url}/openapi.json"), "--url", url])
        .arguments(&["--report", "json", "--report-json-path", "report.json"])
        .run_bounded(LIMIT)?;
    if ended == Ended::TooLate {
        bail!("schemathesis did not end within {}", seconds(LIMIT));
    }
    fs::read_to_string(folder.join("report.json"))
        .context("schemathesis left no report; what it said is above")
}

/// Passes when enough cases were made, of every operation, and all checks of all of them passed.
fn judge(report: &str, took: Duration) -> Result<()> {
    let report: Value = serde_json::from_str(report).context("the report is no JSON")?;
    let number = |place: &str| {
        let number = report.pointer(place).and_then(Value::as_u64);
        number.with_context(|| format!("the report has no {place}"))
    };
    let (cases, operations) = (
        number("/test_cases/generated")?,
        number("/operations/total")?,
    );
    let tested = number("/operations/tested")?;
    let errors = report["errors"].as_array().map_or(0, Vec::len);
    if report["complete"] != true || errors > 0 || number("/operations/errored")? > 0 {
        bail!("{errors} errors, or it did not come to its end");
    }
    let failures = number("/test_cases/unique_failures")?;
    if failures > 0 || report["exit_code"] != 0 {
        bail!("{failures} failures in {cases} cases; they are told above");
    }
    if tested < operations {
        bail!("{tested} of {operations} operations were asked");
    }
    if cases < CASES_LEAST {
        bail!("{cases} cases alone, where {CASES_LEAST} are wanted");
    }
    console::line(&format!(
        "{cases} cases on {operations} operations, 0 failures, {}",
        seconds(took)
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut report = json!({
            "complete": true, "exit_code": 0, "errors": [],
            "operations": {"total": 51, "tested": 51, "errored": 0},
            "test_cases": {"generated": 2_000, "unique_failures": 0},
        });
        change(&mut report);
        judge(&report.to_string(), Duration::ZERO)
    }

    #[test]
    fn a_report_passes_only_when_all_was_asked_and_nothing_failed() {
        judged(|_| {}).unwrap();
        for (place, value) in [
            ("/complete", json!(false)),
            ("/exit_code", json!(1)),
            ("/errors", json!(["one"])),
            ("/operations/tested", json!(50)),
            ("/operations/errored", json!(1)),
            ("/test_cases/generated", json!(1_999)),
            ("/test_cases/unique_failures", json!(1)),
        ] {
            let judged = judged(|report| *report.pointer_mut(place).unwrap() = value);
            assert!(judged.is_err(), "{place}");
        }
        assert!(judge("{}", Duration::ZERO).is_err());
    }
}
