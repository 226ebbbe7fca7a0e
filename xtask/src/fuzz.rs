//! Runs the fuzz targets of `fuzz/`, one after the other.
//!
//! The targets are built by nightly Rust in a workspace of their own. What a run finds is kept
//! under the target directory and used by the next; `--keep` adds to the corpus in the
//! repository those inputs that reach branches no other input of it reaches.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::console;
use crate::process::{Ended, Program};
use crate::provision::ensure_cargo_tool;
use crate::workspace::Workspace;

/// How long each target runs when nothing else is said, seconds.
pub(crate) const SECONDS: u64 = 60;
/// The version of cargo-fuzz built on a machine that has none.
const VERSION: &str = "0.13.2";
const TOOLCHAIN: &str = "nightly";
/// Longest input, bytes: a frame of many levels, and short enough to be tried often.
const INPUT_BYTES_MAX: usize = 16_384;
/// An input that needs more is a finding, megabytes. A program of this kind takes some 200.
const MEMORY_MB_MAX: u32 = 1_024;
/// An input that takes longer is a finding, seconds.
const INPUT_SECONDS_MAX: u32 = 5;
/// Beyond its time a target may take this long to start, to read its corpus and to end.
const GRACE: Duration = Duration::from_secs(300);

/// Where one target reads and writes.
struct Folders {
    /// In the repository.
    seeds: PathBuf,
    /// Under the target directory.
    found: PathBuf,
    /// Inputs that failed.
    failed: PathBuf,
}

/// Builds the chosen targets, or all, and runs each for so many seconds.
pub(crate) fn run(
    workspace: &Workspace,
    chosen: &[String],
    seconds: u64,
    keep: bool,
) -> Result<()> {
    let targets = targets(&workspace.root)?;
    if let Some(unknown) = chosen.iter().find(|name| !targets.contains(name)) {
        bail!(
            "no fuzz target {unknown}; there are: {}",
            targets.join(", ")
        );
    }
    let host = provide(workspace)?;
    let chosen: Vec<&String> = targets
        .iter()
        .filter(|name| chosen.is_empty() || chosen.contains(name))
        .collect();
    for name in &chosen {
        fuzz(workspace, "build").arguments(&[name]).run()?;
    }
    let programs = workspace.target.join("fuzz").join(host).join("release");
    let mut failed = Vec::new();
    for name in chosen {
        console::heading(&format!("fuzz {name}"));
        if let Err(error) = one(workspace, &programs, name, seconds, keep) {
            console::problem(&format!("{name}: {error:#}"));
            failed.push(name.as_str());
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("failed: {}", failed.join(", "))
}

/// The names of all targets, sorted.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "rs")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes sure of what fuzzing needs; returns what nightly Rust builds for.
fn provide(workspace: &Workspace) -> Result<String> {
    let nightly = Program::new("rustup", &workspace.root)
        .arguments(&["run", TOOLCHAIN, "rustc", "--version", "--verbose"])
        .output()
        .context("fuzzing needs nightly Rust: `rustup toolchain install nightly`")?;
    let mut lines = nightly.lines();
    console::line(&format!("{} found", lines.next().unwrap_or_default()));
    ensure_cargo_tool(&workspace.root, "fuzz", VERSION)?;
    lines
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("nightly Rust does not say what it builds for")
}

/// `cargo fuzz` on nightly Rust, building beside the other output. The code holds nothing
/// unsafe, so the address sanitizer would only halve the number of inputs.
fn fuzz(workspace: &Workspace, task: &str) -> Program {
    Program::new("rustup", &workspace.root)
        .variable("CARGO_TARGET_DIR", workspace.target.join("fuzz"))
        .arguments(&["run", TOOLCHAIN, "cargo", "fuzz", task])
        .arguments(&["--sanitizer", "none"])
}

/// Runs what was built, not `cargo fuzz run`: that builds again, and code that is changed during a
/// run of hours would end the targets that are still to come.
fn one(workspace: &Workspace, programs: &Path, name: &str, seconds: u64, keep: bool) -> Result<()> {
    let program = || Program::new(programs.join(name), &workspace.root);
    let folders = Folders {
        seeds: workspace.root.join("fuzz/corpus").join(name),
        found: workspace.target.join("fuzz-corpus").join(name),
        failed: workspace.root.join("fuzz/artifacts").join(name),
    };
    for folder in [&folders.seeds, &folders.found, &folders.failed] {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let limits = limits(seconds);
    // New inputs go to the first folder; those of the others are only read.
    let ended = program()
        .arguments(&[&folders.found, &folders.seeds])
        .arguments(&limits)
        .arguments(&[format!("-artifact_prefix={}/", folders.failed.display())])
        .run_bounded(Duration::from_secs(seconds).saturating_add(GRACE))?;
    match ended {
        Ended::Well => {}
        Ended::Badly => bail!("an input failed: see {}", folders.failed.display()),
        Ended::TooLate => bail!("did not end in its time"),
    }
    if keep {
        merge(program(), &folders)?;
    }
    Ok(())
}

fn limits(seconds: u64) -> Vec<String> {
    vec![
        format!("-max_total_time={seconds}"),
        format!("-max_len={INPUT_BYTES_MAX}"),
        format!("-rss_limit_mb={MEMORY_MB_MAX}"),
        format!("-timeout={INPUT_SECONDS_MAX}"),
        "-print_final_stats=1".to_owned(),
    ]
}

/// Adds to the seeds a small set of inputs that reaches every branch that was reached. How often
/// a branch was taken does not count: that would be thousands of inputs.
fn merge(program: Program, folders: &Folders) -> Result<()> {
    program
        .arguments(&[&folders.seeds, &folders.found])
        .arguments(&["-set_cover_merge=1", "-use_counters=0"])
        .run()
        .context("cannot merge what was found")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_corpus_and_is_named_in_the_manifest_and_replayed_by_a_test() {
        let root = Workspace::load().unwrap().root;
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
        let manifest = read("fuzz/Cargo.toml");
        let entries: String = fs::read_dir(root.join("fuzz/entries"))
            .unwrap()
            .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        let targets = targets(&root).unwrap();
        assert!(targets.len() >= 14, "{targets:?}");
        for name in targets {
            let seeds = root.join("fuzz/corpus").join(&name);
            assert!(
                seeds.read_dir().unwrap().next().is_some(),
                "no seeds of {name}"
            );
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(entries.contains(&format!("(\"{name}\", {name})")), "{name}");
        }
    }

    #[test]
    fn a_run_is_bounded_in_time_and_memory() {
        let limits = limits(7).join(" ");
        for limit in [
            "-max_total_time=7",
            "-rss_limit_mb=",
            "-timeout=",
            "-max_len=",
        ] {
            assert!(limits.contains(limit), "{limits}");
        }
    }
}
