//! The web page in a browser: types of its modules by the compiler of TypeScript, then
//! `crates/kurs-web/e2e/` in Debian's Chromium against the real program.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::console::{self, seconds};
use crate::demo;
use crate::process::{Ended, Program, is_on_path};
use crate::provision::install_packages;
use crate::registry::{self, Registry, Unreachable, once};
use crate::workspace::Workspace;

/// A program and the Debian package that brings it.
const NEEDS: [(&str, &str); 3] = [("node", "nodejs"), ("npm", "npm"), ("chromium", "chromium")];
/// Some minutes on two cores that do other things as well; what takes longer hangs.
const TESTS_LIMIT: Duration = Duration::from_secs(900);
/// The load is borne for some seconds, to see that it is; it is measured by hand.
const LOAD_LIMIT: Duration = Duration::from_secs(120);
const LOAD_SECONDS: &str = "5";
/// Of all rows, a second.
const LOAD_UPDATES: &str = "50000";

/// Checks the modules, then runs the tests. Where no registry of packages can be reached nothing
/// is run, which is said, and no failure.
pub(crate) fn lane(workspace: &Workspace) -> Result<()> {
    let missing = NEEDS.iter().filter(|(program, _)| !is_on_path(program));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    install_packages(&workspace.root, &missing)?;
    let sources = workspace.root.join("crates/kurs-web/e2e");
    let made = workspace.target.join("page");
    copy(&sources, &made)?;
    if let Err(error) = bring(&made) {
        let Some(unreachable) = error.downcast_ref::<Unreachable>() else {
            return Err(error);
        };
        console::notice(&format!(
            "{unreachable}: the page was not looked at in a browser"
        ));
        return Ok(());
    }
    Program::new("node", &made)
        .arguments(&["node_modules/typescript/bin/tsc", "--project"])
        .arguments(&[sources.join("tsconfig.json")])
        .run()
        .context("the modules of the page do not fit their types")?;
    let program = demo::program(workspace, None)?;
    let tests = Program::new("node", &made)
        .arguments(&["--test", "--test-reporter=spec", "page.test.mjs"])
        .variable("PAGE_PROGRAM", program);
    bounded(tests, TESTS_LIMIT)?;
    let load = Program::new("node", &made)
        .arguments(&["load.mjs", LOAD_SECONDS, LOAD_UPDATES])
        .variable("PAGE_ASSETS", workspace.root.join("crates/kurs-web/assets"));
    bounded(load, LOAD_LIMIT)
}

fn bounded(program: Program, limit: Duration) -> Result<()> {
    match program.run_bounded(limit)? {
        Ended::Well => Ok(()),
        Ended::Badly => bail!("the page does not do what it should; what failed is above"),
        Ended::TooLate => bail!("the page was not through within {}", seconds(limit)),
    }
}

/// The scripts beside their packages, outside of the repository.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Brings the packages of npm; done at once when the list has not changed.
fn bring(made: &Path) -> Result<()> {
    let list = made.join("package-lock.json");
    once(&list, &made.join("node_modules"), || {
        let install = Program::new("npm", made).arguments(&[
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]);
        registry::fetch(install, Registry::Npm)
    })
}
