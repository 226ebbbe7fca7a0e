//! Packages of PyPI and npm, with exact versions. That a registry cannot be reached is told from
//! every other failure: a build machine without a network has no broken API.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::console;
use crate::process::{Program, is_on_path};

/// Where packages come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registry {
    /// Packages of Python.
    PyPi,
    /// Packages of Node.
    Npm,
}

/// Nobody answers where the packages should come from.
#[derive(Debug)]
pub(crate) struct Unreachable(Registry);

impl fmt::Display for Unreachable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Registry::PyPi => "PyPI is not reachable",
            Registry::Npm => "the registry of npm is not reachable",
        })
    }
}

impl std::error::Error for Unreachable {}

/// What pip, npm and the system say when there is no way to the other side.
const NO_WAY: [&str; 15] = [
    "Max retries exceeded",
    "after connection broken by",
    "NewConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ProxyError",
    "Temporary failure in name resolution",
    "Name or service not known",
    "Network is unreachable",
    "Connection refused",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ENETUNREACH",
    "ETIMEDOUT",
];

fn says_unreachable(said: &str) -> bool {
    NO_WAY.iter().any(|words| said.contains(words))
}

/// Runs what brings packages; an [`Unreachable`] when nobody answered.
pub(crate) fn fetch(program: Program, registry: Registry) -> Result<()> {
    program.output().map(drop).map_err(|error| {
        if says_unreachable(&format!("{error:#}")) {
            Unreachable(registry).into()
        } else {
            error
        }
    })
}

/// The Debian packages without which no environment of Python can be made.
pub(crate) fn missing_for_environments(folder: &Path) -> Vec<&'static str> {
    if !is_on_path("python3") {
        return vec!["python3", "python3-venv"];
    }
    let able = Program::new("python3", folder)
        .arguments(&["-c", "import ensurepip, venv"])
        .output();
    if able.is_ok() {
        Vec::new()
    } else {
        vec!["python3-venv"]
    }
}

/// A folder with packages of Python, apart from those of the machine.
#[derive(Debug)]
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The environment in this folder, which may have to be made yet.
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Its Python.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// Brings the packages of a list; done at once when it has not changed.
    pub(crate) fn bring(&self, list: &Path) -> Result<()> {
        let place = self.folder.parent().unwrap_or(&self.folder);
        if !self.python().is_file() {
            let arguments = ["-m".as_ref(), "venv".as_ref(), self.folder.as_os_str()];
            Program::new("python3", place).arguments(&arguments).run()?;
        }
        once(list, &self.folder.join(stamp_name(list)), || {
            console::line(&format!("bringing the packages of {}", list.display()));
            let install = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--requirement",
            ];
            let pip = Program::new(self.python(), place)
                .variable("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                .variable("PIP_RETRIES", "2")
                .arguments(&install)
                .arguments(&[list]);
            fetch(pip, Registry::PyPi)
        })
    }
}

/// Lists of the same name in different folders have stamps of their own.
fn stamp_name(list: &Path) -> String {
    let folder = list.parent().and_then(Path::file_name);
    let folder = folder.map(|name| name.to_string_lossy().into_owned());
    folder.unwrap_or_default() + "-installed"
}

/// Runs `install` unless it was done for this very list, which is remembered in `folder`.
pub(crate) fn once(list: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
    let stamp = folder.join(".installed");
    if fs::read(&stamp).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    install()?;
    fs::create_dir_all(folder)?;
    fs::write(&stamp, wanted)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh", Path::new(".")).arguments(&["-c", script])
    }

    #[test]
    fn a_missing_network_is_told_from_a_broken_list() {
        let away = "echo \"WARNING: Retrying after connection broken by \
                    'NewConnectionError(Temporary failure in name resolution)'\" >&2; exit 1";
        let error = fetch(shell(away), Registry::PyPi).unwrap_err();
        let unreachable = error.downcast_ref::<Unreachable>().unwrap();
        assert_eq!(unreachable.to_string(), "PyPI is not reachable");
        let away = "echo 'npm ERR! code EAI_AGAIN' >&2; exit 1";
        let error = fetch(shell(away), Registry::Npm).unwrap_err();
        assert!(error.downcast_ref::<Unreachable>().is_some());
        for broken in [
            "echo 'ERROR: No matching distribution found for schemathesis==0' >&2; exit 1",
            "echo 'ERROR: THESE PACKAGES DO NOT MATCH THE HASHES' >&2; exit 1",
        ] {
            let error = fetch(shell(broken), Registry::PyPi).unwrap_err();
            assert!(error.downcast_ref::<Unreachable>().is_none(), "{error}");
        }
        fetch(shell("exit 0"), Registry::PyPi).unwrap();
    }
}
