//! A live server for checks from outside: simulated venues, loopback, a free port.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::console;
use crate::process::cargo;
use crate::workspace::Workspace;

/// A debug build on a busy machine is up long before.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Said in the log once the port is open and rates are there.
const READY: &str = "kurs is ready: ";

/// Ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    url: String,
}

/// The program: the one that was named, or the one of the sources, built.
pub(crate) fn program(workspace: &Workspace, named: Option<&Path>) -> Result<PathBuf> {
    if let Some(program) = named {
        return fs::canonicalize(program)
            .with_context(|| format!("there is no {}", program.display()));
    }
    cargo(&workspace.root)
        .arguments(&["build", "-p", "kurs", "--locked"])
        .run()?;
    Ok(workspace.target.join("debug").join("kurs"))
}

/// An empty folder, made anew.
pub(crate) fn emptied(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

impl Server {
    /// Starts `kurs demo` in `folder` with further arguments and waits until it is ready.
    pub(crate) fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Result<Self> {
        let log = folder.join("log");
        let child = Command::new(program)
            .args(["demo", "--log-format", "text"])
            .args(arguments)
            .current_dir(folder)
            .env("KURS_HTTP__ADDR", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("out"))?)
            .stderr(File::create(&log)?)
            .spawn()
            .context("cannot start `kurs demo`")?;
        let mut server = Self {
            child,
            url: String::new(),
        };
        server.url = server.wait(&log)?;
        console::line(&format!("the server is ready at {}", server.url));
        Ok(server)
    }

    /// Where it answers, such as `http://127.0.0.1:34021`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn wait(&mut self, log: &PathBuf) -> Result<String> {
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            if let Some(url) = ready_at(&text) {
                return Ok(url.to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("`kurs demo` ended ({status}): {}", text.trim());
            }
            if start.elapsed() > START_LIMIT {
                bail!("`kurs demo` is not ready: {}", text.trim());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in a log whose line is complete.
fn ready_at(log: &str) -> Option<&str> {
    let (_, after) = log.split_once(READY)?;
    after
        .contains('\n')
        .then(|| after.split_whitespace().next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_complete_line() {
        let line = "INFO kurs is ready: http://127.0.0.1:34021  (docs: /docs)";
        assert_eq!(ready_at(line), None);
        assert_eq!(
            ready_at(&format!("first\n{line}\n")),
            Some("http://127.0.0.1:34021")
        );
    }
}
