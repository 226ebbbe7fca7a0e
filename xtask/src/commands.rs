//! The commands shown in the texts exist: each is asked for its help, with the very
//! arguments shown, so an unknown subcommand or option fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::cli::Cli;
use crate::documents::{Place, Shown, commands};
use crate::process::{Ended, Program, cargo};
use crate::workspace::Workspace;
use crate::{console, tree};

/// The text a newcomer reads first, and the command it must show.
const README: &str = "README.md";
const TEST_COMMAND: &str = "cargo xtask test";
/// How long a program may take to print its help.
const HELP_LIMIT: Duration = Duration::from_secs(10);

/// The lane: every Markdown text of the repository.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut shown = Vec::new();
    for file in tree::files(&workspace.root)?
        .into_iter()
        .filter(|file| is_judged(file))
    {
        if let Some(text) = tree::text(&workspace.root, &file)? {
            shown.extend(
                commands(&text)
                    .into_iter()
                    .map(|place| (file.clone(), place)),
            );
        }
    }
    check_readme(&shown)?;
    // The same selection as the tests, so that nothing is compiled twice.
    let build = ["build", "--workspace", "--bins", "--tests", "--locked"];
    cargo(&workspace.root).arguments(&build).run()?;
    let mut unknown = 0_usize;
    for (file, place) in &shown {
        if let Err(error) = ask_for_help(workspace, &place.shown) {
            unknown += 1;
            console::problem(&format!("{}:{}: {error:#}", file.display(), place.line));
        }
    }
    if unknown > 0 {
        bail!("{unknown} commands in the texts do not exist");
    }
    console::line(&format!("{} commands in the texts, all known", shown.len()));
    Ok(())
}

/// The changelog tells of commands that once were.
fn is_judged(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "md") && file != Path::new("CHANGELOG.md")
}

fn check_readme(shown: &[(PathBuf, Place)]) -> Result<()> {
    let test = Shown::Task(vec!["test".to_owned()]);
    if shown
        .iter()
        .any(|(file, place)| file == Path::new(README) && place.shown == test)
    {
        return Ok(());
    }
    bail!("{README} does not show `{TEST_COMMAND}` in a block of commands")
}

fn ask_for_help(workspace: &Workspace, shown: &Shown) -> Result<()> {
    match shown {
        Shown::Task(arguments) if Cli::knows(arguments) => Ok(()),
        Shown::Task(arguments) => bail!("`cargo xtask {}` is not known", arguments.join(" ")),
        Shown::Binary(arguments) => {
            let command = format!("`kurs {}`", arguments.join(" "));
            let asked = Program::new(workspace.target.join("debug/kurs"), &workspace.root)
                .arguments(arguments)
                .arguments(&["--help"]);
            match asked.run_silently(HELP_LIMIT)? {
                Ended::Well => Ok(()),
                Ended::Badly => bail!("{command} is not known"),
                Ended::TooLate => bail!("{command} runs instead of printing its help"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_readme_without_the_test_command_fails() {
        let place = |words: &str| Place {
            line: 1,
            shown: Shown::Task(vec![words.to_owned()]),
        };
        assert!(check_readme(&[(README.into(), place("test"))]).is_ok());
        assert!(check_readme(&[(README.into(), place("bench"))]).is_err());
        assert!(check_readme(&[("docs/development.md".into(), place("test"))]).is_err());
    }

    #[test]
    fn old_commands_in_the_changelog_are_not_judged() {
        assert!(!is_judged(Path::new("CHANGELOG.md")));
        assert!(is_judged(Path::new("docs/development.md")));
        assert!(!is_judged(Path::new("kurs.example.toml")));
    }
}
