//! The programs the tasks need, and how they get onto a fresh Debian machine.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::console;
use crate::process::{Program, cargo, is_on_path};
use crate::workspace::Workspace;

/// What a program is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `cargo xtask test`
    Tests,
    /// `cargo xtask bench`
    Benchmarks,
}

/// A program and the Debian package that brings it.
struct Need {
    purpose: Purpose,
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

/// One line per program. Tests never skip what is missing: it is installed, or they fail.
const NEEDS: [Need; 5] = [
    Need {
        purpose: Purpose::Tests,
        program: "cc",
        package: "gcc",
        why: "compiles the bundled SQLite, ring and zstd",
    },
    Need {
        purpose: Purpose::Tests,
        program: "ar",
        package: "binutils",
        why: "archives the compiled C parts",
    },
    Need {
        purpose: Purpose::Tests,
        program: "git",
        package: "git",
        why: "lists the files the text checks read",
    },
    Need {
        purpose: Purpose::Benchmarks,
        program: "nginx",
        package: "nginx",
        why: "the baseline to compare with",
    },
    Need {
        purpose: Purpose::Benchmarks,
        program: "wrk",
        package: "wrk",
        why: "an independent load generator",
    },
];

/// Headers without a program of their own, so a file tells whether they are there.
const C_HEADERS: (&str, &str) = ("/usr/include/stdlib.h", "libc6-dev");

/// Brings everything the purpose needs, or says what is missing and how to get it.
pub(crate) fn run(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    let mut packages = Vec::new();
    for need in NEEDS.iter().filter(|need| need.purpose == purpose) {
        let found = is_there(need.program);
        let state = if found { "found" } else { "missing" };
        console::line(&format!(
            "{:<8} {state}: {} (package {})",
            need.program, need.why, need.package
        ));
        if !found {
            packages.push(need.package);
        }
    }
    if purpose == Purpose::Tests {
        let (header, package) = C_HEADERS;
        if cfg!(target_os = "linux") && !Path::new(header).is_file() {
            packages.push(package);
        }
        check_components(&workspace.root)?;
    }
    install_packages(&workspace.root, &packages)
}

/// Installs Debian packages; an empty list is done at once.
pub(crate) fn install_packages(folder: &Path, packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !is_there("apt-get") {
        bail!(
            "not a Debian machine: install what these Debian packages bring, then run again: {list}"
        );
    }
    let root = Program::new("id", folder)
        .arguments(&["-u"])
        .output()?
        .trim()
        == "0";
    if !root && !is_there("sudo") {
        bail!("not root: run `apt-get install -y {list}` as root, then run again");
    }
    let apt = |arguments: &[&str]| {
        let program = if root {
            Program::new("apt-get", folder)
        } else {
            Program::new("sudo", folder).arguments(&["-n", "apt-get"])
        };
        program
            .variable("DEBIAN_FRONTEND", "noninteractive")
            .arguments(arguments)
            .run()
    };
    // A fresh machine has no package list yet, or one that names versions long gone.
    apt(&["-q", "update"]).context("the list of Debian packages cannot be brought up to date")?;
    apt(&[
        &["-q", "install", "-y", "--no-install-recommends"],
        packages,
    ]
    .concat())
    .with_context(|| format!("cannot install {list}"))
}

/// Makes sure that cargo subcommand `name` runs; builds it from crates.io when it is missing.
///
/// Any version already on the machine is taken: the pinned one is for fresh machines.
pub(crate) fn ensure_cargo_tool(folder: &Path, name: &str, version: &str) -> Result<()> {
    let found = cargo(folder).arguments(&[name, "--version"]).output();
    if let Ok(text) = found {
        console::line(&format!("{} found", text.trim()));
        return Ok(());
    }
    console::line(&format!(
        "cargo-{name} is missing: building {version} from crates.io, this takes some minutes"
    ));
    let package = format!("cargo-{name}");
    let install = [
        "install",
        &package,
        "--locked",
        "--version",
        version,
        "--profile",
        "dev",
    ];
    cargo(folder)
        .arguments(&install)
        // Half the build time, a third of the disk; the tools wait for cargo, not for themselves.
        .variable("CARGO_PROFILE_DEV_DEBUG", "false")
        .variable("CARGO_PROFILE_DEV_INCREMENTAL", "false")
        .run()
        .with_context(|| format!("cannot install cargo-{name} {version}"))
}

/// `nginx` lives in a folder that only root has on the search path.
fn is_there(program: &str) -> bool {
    is_on_path(program) || Path::new("/usr/sbin").join(program).is_file()
}

fn check_components(folder: &Path) -> Result<()> {
    for component in ["fmt", "clippy"] {
        cargo(folder)
            .arguments(&[component, "--version"])
            .output()
            .context(
                "a part of the toolchain is missing: run `rustup component add rustfmt clippy`",
            )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_missing_installs_nothing() {
        install_packages(Path::new("."), &[]).unwrap();
    }

    #[test]
    fn a_program_of_the_system_is_found_and_an_invented_one_is_not() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-here"));
    }

    #[test]
    fn every_need_says_why() {
        for need in &NEEDS {
            assert!(
                !need.why.is_empty() && !need.package.is_empty(),
                "{}",
                need.program
            );
        }
    }
}
