//! The programs the tasks need, and how they get onto a fresh Debian machine.

mod servers;

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
const NEEDS: [Need; 14] = [
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
        purpose: Purpose::Tests,
        program: "initdb",
        package: POSTGRESQL,
        why: "private database servers of the store's tests",
    },
    Need {
        purpose: Purpose::Tests,
        program: "openssl",
        package: "openssl",
        why: "certificates of those servers",
    },
    Need {
        purpose: Purpose::Tests,
        program: "influxd",
        package: "influxdb",
        why: "private time series databases of the sink's tests",
    },
    Need {
        purpose: Purpose::Tests,
        program: "nats-server",
        package: "nats-server",
        why: "private brokers of the bus's tests",
    },
    Need {
        purpose: Purpose::Tests,
        program: "redis-server",
        package: "redis-server",
        why: "private brokers of the bus's tests",
    },
    Need {
        purpose: Purpose::Tests,
        program: "rabbitmq-server",
        package: "rabbitmq-server",
        why: "private brokers of the bus's tests",
    },
    Need {
        purpose: Purpose::Tests,
        program: "nginx",
        package: "nginx",
        why: "balances between Readers, and the baseline of the benchmarks",
    },
    Need {
        purpose: Purpose::Tests,
        program: "python3",
        package: "python3",
        why: "a consumer of the bus that is not ours",
    },
    Need {
        purpose: Purpose::Tests,
        program: "prometheus",
        package: "prometheus",
        why: "the dashboard's queries and the alerts, on the real Prometheus; brings promtool",
    },
    Need {
        purpose: Purpose::Tests,
        program: "tmux",
        package: "tmux",
        why: "the terminal that `kurs watch` is tested in",
    },
    Need {
        purpose: Purpose::Benchmarks,
        program: "wrk",
        package: "wrk",
        why: "an independent load generator",
    },
];

const POSTGRESQL: &str = "postgresql";
/// Where Debian keeps the programs of each version of PostgreSQL.
const POSTGRESQL_FOLDER: &str = "/usr/lib/postgresql";
/// Read when Debian's package of a server is set up, which makes and starts a cluster otherwise.
const NO_CLUSTER_FOLDER: &str = "/etc/postgresql-common/createcluster.d";
const NO_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.d/kurs-tests.conf";

/// Headers without a program of their own, so a file tells whether they are there.
const C_HEADERS: (&str, &str) = ("/usr/include/stdlib.h", "libc6-dev");

/// Brings everything the purpose needs, or says what is missing and how to get it.
pub(crate) fn run(workspace: &Workspace, purpose: Purpose) -> Result<()> {
    let mut packages = Vec::new();
    // Benchmarks start the servers of the tests as well.
    let is_needed = |need: &&Need| need.purpose == Purpose::Tests || need.purpose == purpose;
    for need in NEEDS.iter().filter(is_needed) {
        let found = is_there(need.program);
        let state = if found { "found" } else { "missing" };
        console::line(&format!(
            "{:<15} {state}: {} (package {})",
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
    let as_root = |program: &str| {
        if root {
            Program::new(program, folder)
        } else {
            Program::new("sudo", folder).arguments(&["-n", program])
        }
    };
    let apt = |arguments: &[&str]| {
        as_root("apt-get")
            .variable("DEBIAN_FRONTEND", "noninteractive")
            .arguments(arguments)
            .run()
    };
    // A fresh machine has no package list yet, or one that names versions long gone.
    apt(&["-q", "update"]).context("the list of Debian packages cannot be brought up to date")?;
    let without_cluster = packages.contains(&POSTGRESQL);
    if without_cluster {
        // The tests run servers of their own; one that starts with the machine is nobody's wish.
        let write = format!(
            "mkdir -p {NO_CLUSTER_FOLDER} && echo 'create_main_cluster = false' > {NO_CLUSTER_FILE}"
        );
        as_root("sh").arguments(&["-c", &write]).run()?;
    }
    let quiet = servers::quiet(packages, is_there);
    if let Some(quiet) = &quiet {
        as_root("sh").arguments(&["-c", &quiet.before]).run()?;
    }
    let installed = apt(&[
        &["-q", "install", "-y", "--no-install-recommends"],
        packages,
    ]
    .concat())
    .with_context(|| format!("cannot install {list}"));
    if without_cluster {
        as_root("rm").arguments(&["-f", NO_CLUSTER_FILE]).run()?;
    }
    if let Some(quiet) = &quiet {
        as_root("sh").arguments(&["-c", &quiet.after]).run()?;
    }
    installed
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

/// `nginx` lives in a folder that only root has on the search path, a PostgreSQL server in one
/// that nobody has.
fn is_there(program: &str) -> bool {
    is_on_path(program)
        || Path::new("/usr/sbin").join(program).is_file()
        || is_of_postgresql(program)
}

fn is_of_postgresql(program: &str) -> bool {
    let versions = std::fs::read_dir(POSTGRESQL_FOLDER).into_iter().flatten();
    versions
        .filter_map(Result::ok)
        .any(|version| version.path().join("bin").join(program).is_file())
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
