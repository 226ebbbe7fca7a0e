//! The clients of `clients/`: generated again, compared, compiled, and run against a live server.
//!
//! | file | what it holds |
//! |---|---|
//! | `document` | the OpenAPI document as the generators can stand it |
//! | `tools` | generators and compilers, with exact versions |
//! | `published` | comparing and replacing what is in the repository |
//!
//! Everything is made in folders under the target directory; the repository is written to only
//! when asked.

mod document;
mod published;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use published::Folder;

use crate::console::{self, seconds};
use crate::demo::{self, Server};
use crate::process::{Ended, Program};
use crate::registry;
use crate::workspace::Workspace;

/// The tests of one client take some seconds; one that hangs ends here.
const TESTS_LIMIT: Duration = Duration::from_secs(120);
/// Tells the tests of a client where the live server is.
const URL_VARIABLE: &str = "KURS_URL";

/// What to do beyond the checks.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    /// Replace the published clients by what the document of now gives.
    pub(crate) write: bool,
    /// This program instead of the one that is built.
    pub(crate) program: Option<PathBuf>,
}

/// Where things are while the task runs.
struct Places {
    /// `clients/` in the repository.
    published: PathBuf,
    /// Everything made here.
    made: PathBuf,
}

/// The same as a lane: where no registry of packages can be reached nothing is generated or run,
/// which is said, and no failure.
pub(crate) fn lane(workspace: &Workspace) -> Result<()> {
    match run(workspace, &Choices::default()) {
        Err(error) => match error.downcast_ref::<registry::Unreachable>() {
            Some(unreachable) => {
                console::notice(&format!(
                    "{unreachable}: the clients were not generated, compiled or run"
                ));
                Ok(())
            }
            None => Err(error),
        },
        Ok(()) => Ok(()),
    }
}

/// Regenerates and compares (or writes), then compiles every client and runs its tests.
pub(crate) fn run(workspace: &Workspace, choices: &Choices) -> Result<()> {
    let places = Places {
        published: workspace.root.join("clients"),
        made: workspace.target.join("clients"),
    };
    fs::create_dir_all(&places.made)
        .with_context(|| format!("cannot make {}", places.made.display()))?;
    tools::provide(&workspace.root)?;
    tools::bring(&places)?;
    let program = demo::program(workspace, choices.program.as_deref())?;

    let folders = generate(&places, &program)?;
    let mut different = Vec::new();
    for folder in &folders {
        if choices.write {
            folder.publish()?;
        } else {
            different.extend(folder.differences()?);
        }
    }
    for difference in &different {
        console::problem(difference);
    }

    // Told together: what differs, and whether what is published works.
    let mut failed = Vec::new();
    let folder = places.made.join("server");
    demo::emptied(&folder)?;
    let server = Server::start(&program, &folder, &[])?;
    for (name, test) in [
        ("typescript", typescript as Test),
        ("python", python),
        ("csharp", csharp),
    ] {
        let start = Instant::now();
        match test(&places, server.url()) {
            Ok(()) => console::line(&format!("{name} passed in {}", seconds(start.elapsed()))),
            Err(error) => {
                console::problem(&format!("{name}: {error:#}"));
                failed.push(name);
            }
        }
    }
    drop(server);

    if !different.is_empty() {
        bail!(
            "{} generated files are not what the document gives: `cargo xtask clients --write`",
            different.len()
        );
    }
    if !failed.is_empty() {
        bail!("clients that fail: {}", failed.join(", "));
    }
    Ok(())
}

type Test = fn(&Places, &str) -> Result<()>;

/// Makes every generated file anew, beside the published ones.
fn generate(places: &Places, program: &Path) -> Result<Vec<Folder>> {
    let openapi = Program::new(program, &places.made)
        .arguments(&["openapi"])
        .output()?;
    let whole = places.made.join("typescript.json");
    let weaker = places.made.join("openapi-generator.json");
    fs::write(&whole, document::for_typescript(&openapi)?)?;
    fs::write(&weaker, document::for_openapi_generator(&openapi)?)?;

    let made = places.made.join("generated");
    if made.exists() {
        fs::remove_dir_all(&made)?;
    }
    let typescript = made.join("typescript");
    fs::create_dir_all(&typescript)?;
    tools::openapi_typescript(places, &whole, &typescript.join("schema.ts"))?;
    let python = made.join("python");
    tools::openapi_generator(places, &weaker, "python", &python)?;
    let csharp = made.join("csharp");
    tools::openapi_generator(places, &weaker, "csharp", &csharp)?;

    let folder = |made: PathBuf, published: &str| Folder {
        made,
        published: places.published.join(published),
        name: format!("clients/{published}"),
    };
    Ok(vec![
        folder(typescript, "typescript/src/generated"),
        folder(
            python.join("kurs_client/generated"),
            "python/kurs_client/generated",
        ),
        folder(
            csharp.join("src/Kurs.Client"),
            "csharp/src/Kurs.Client/Generated",
        ),
    ])
}

/// Compiles with all checks of the compiler, then runs what came out.
fn typescript(places: &Places, url: &str) -> Result<()> {
    let folder = places.made.join("typescript");
    published::copy(&places.published.join("typescript"), &folder)?;
    node(
        &folder,
        "node_modules/typescript/bin/tsc",
        &["--project", "tsconfig.json"],
    )
    .run()?;
    node(
        &folder,
        "node_modules/typescript/bin/tsc",
        &["--project", "tsconfig.test.json"],
    )
    .run()?;
    bounded(
        Program::new("node", &folder)
            .arguments(&["--test", "--test-reporter=spec"])
            .arguments(&["build/test/live.test.js", "build/test/pieces.test.js"])
            .variable(URL_VARIABLE, url),
    )
}

fn node(folder: &Path, script: &str, arguments: &[&str]) -> Program {
    Program::new("node", folder)
        .arguments(&[script])
        .arguments(arguments)
}

fn python(places: &Places, url: &str) -> Result<()> {
    let folder = places.made.join("python");
    published::copy(&places.published.join("python"), &folder)?;
    bounded(
        Program::new(tools::python(places), &folder)
            .arguments(&[
                "-W", "error", "-m", "unittest", "discover", "-v", "-s", "tests", "-t", ".",
            ])
            .variable("PYTHONDONTWRITEBYTECODE", "1")
            .variable(URL_VARIABLE, url),
    )
}

fn csharp(places: &Places, url: &str) -> Result<()> {
    let folder = places.made.join("csharp");
    published::copy(&places.published.join("csharp"), &folder)?;
    tools::compile_csharp(&folder)?;
    bounded(
        Program::new("mono", &folder)
            .arguments(&["build/tests.exe"])
            .variable(URL_VARIABLE, url),
    )
}

fn bounded(program: Program) -> Result<()> {
    match program.run_bounded(TESTS_LIMIT)? {
        Ended::Well => Ok(()),
        Ended::Badly => bail!("its tests fail"),
        Ended::TooLate => bail!("its tests did not end within {}", seconds(TESTS_LIMIT)),
    }
}
