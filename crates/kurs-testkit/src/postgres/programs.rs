//! Where PostgreSQL's programs are, and as whom they run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps the programs of each version, outside of the search path.
const DEBIAN_FOLDER: &str = "/usr/lib/postgresql";
const ADVICE: &str = "PostgreSQL is not installed: `cargo xtask test` installs the Debian package \
                      `postgresql`";

/// The programs of one version.
#[derive(Debug, Clone)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// Those of the newest version.
    pub(super) fn find() -> Self {
        let debian = std::fs::read_dir(DEBIAN_FOLDER).into_iter().flatten();
        let newest = debian
            .filter_map(Result::ok)
            .filter_map(|entry| {
                let version: u32 = entry.file_name().to_str()?.parse().ok()?;
                let folder = entry.path().join("bin");
                folder.join("initdb").is_file().then_some((version, folder))
            })
            .max();
        if let Some((_, folder)) = newest {
            return Self(folder);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).find(|folder| folder.join("initdb").is_file());
        Self(found.expect(ADVICE))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// As whom the server runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum RunAs {
    /// As whoever runs the tests.
    Myself,
    /// As the user `postgres`, since root may not.
    Postgres { user: u32, group: u32 },
}

impl RunAs {
    pub(super) fn find() -> Self {
        if number(&["-u"]) != Some(0) {
            return Self::Myself;
        }
        let user = number(&["-u", "postgres"]).expect(ADVICE);
        let group = number(&["-g", "postgres"]).expect(ADVICE);
        Self::Postgres { user, group }
    }

    /// Makes a file or folder the server's own.
    pub(super) fn give(self, path: &Path) {
        if let Self::Postgres { user, group } = self {
            std::os::unix::fs::chown(path, Some(user), Some(group))
                .expect("root can give a file away");
        }
    }

    /// A program to be run as that user. `ends_with_parent`: it is told to end (SIGQUIT) when
    /// the thread that started it does.
    pub(super) fn command(self, program: &Path, ends_with_parent: bool) -> Command {
        let mut command = Command::new("setpriv");
        match self {
            Self::Myself if !ends_with_parent => return Command::new(program),
            Self::Myself => {}
            Self::Postgres { user, group } => {
                command.arg(format!("--reuid={user}"));
                command.arg(format!("--regid={group}"));
                command.arg("--clear-groups");
            }
        }
        if ends_with_parent {
            command.arg("--pdeathsig=QUIT");
        }
        command.arg("--").arg(program);
        command
    }
}

fn number(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}
