//! Programs the tasks start: shown before they run, judged by their exit status.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::console;

/// How often a bounded program is asked whether it has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// How long output is awaited after the program itself has ended: a background process
/// left behind by a test may keep the pipe open for ever.
const LEFTOVER_OUTPUT_WAIT: Duration = Duration::from_secs(3);

/// One program with its arguments, ready to start.
#[derive(Debug)]
pub(crate) struct Program {
    command: Command,
}

/// How a program with a time limit ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Exit status zero.
    Well,
    /// Any other exit status.
    Badly,
    /// Still running at the limit; it was killed.
    TooLate,
}

impl Program {
    /// A program started in `folder` without a terminal to ask questions on.
    pub(crate) fn new(name: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(name);
        command.current_dir(folder).stdin(Stdio::null());
        Self { command }
    }

    /// Adds arguments.
    #[must_use]
    pub(crate) fn arguments(mut self, arguments: &[impl AsRef<OsStr>]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs to the end with its output shown; fails unless the exit status is zero.
    pub(crate) fn run(mut self) -> Result<()> {
        self.announce();
        let status = self.command.status().with_context(|| self.cannot_start())?;
        self.judge(status)
    }

    /// Runs to the end and gives its standard output; the error carries what it said instead.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self.command.output().with_context(|| self.cannot_start())?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`{}` failed ({}): {}",
                self.text(),
                output.status,
                said.trim()
            );
        }
        String::from_utf8(output.stdout)
            .with_context(|| format!("`{}` did not print UTF-8", self.text()))
    }

    /// Runs for at most `limit` without showing anything.
    pub(crate) fn run_silently(mut self, limit: Duration) -> Result<Ended> {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = self.command.spawn().with_context(|| self.cannot_start())?;
        wait_bounded(&mut child, limit)
    }

    /// Runs for at most `limit` with its output shown.
    pub(crate) fn run_bounded(mut self, limit: Duration) -> Result<Ended> {
        self.announce();
        let mut child = self.command.spawn().with_context(|| self.cannot_start())?;
        wait_bounded(&mut child, limit)
    }

    /// Runs to the end, shows every line of standard output and hands it to `see`.
    pub(crate) fn run_watched(mut self, mut see: impl FnMut(&str)) -> Result<()> {
        self.announce();
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| self.cannot_start())?;
        let (sender, lines) = mpsc::sync_channel::<String>(1024);
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || {
                let mut reader = BufReader::new(output);
                let mut bytes = Vec::new();
                // Bytes, not a `lines()` iterator: a test may print what is not UTF-8.
                while reader
                    .read_until(b'\n', &mut bytes)
                    .is_ok_and(|count| count > 0)
                {
                    if sender
                        .send(String::from_utf8_lossy(&bytes).trim_end().to_owned())
                        .is_err()
                    {
                        return;
                    }
                    bytes.clear();
                }
            });
        }
        let mut ended: Option<(ExitStatus, Instant)> = None;
        loop {
            match lines.recv_timeout(POLL_INTERVAL) {
                Ok(line) => {
                    console::line(&line);
                    see(&line);
                    continue;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
            match ended {
                Some((_, since)) if since.elapsed() > LEFTOVER_OUTPUT_WAIT => {
                    console::notice(
                        "a process started by the program is still running and holds its output open",
                    );
                    break;
                }
                Some(_) => {}
                None => ended = child.try_wait()?.map(|status| (status, Instant::now())),
            }
        }
        let status = child.wait()?;
        self.judge(status)
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        bail!("`{}` failed ({status})", self.text())
    }

    fn announce(&self) {
        console::line(&format!("$ {}", self.text()));
    }

    fn cannot_start(&self) -> String {
        format!("cannot start `{}`", self.text())
    }

    /// The command line as a person would type it; the program by its name, not its path.
    fn text(&self) -> String {
        let program = Path::new(self.command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        let words = [name].into_iter().chain(self.command.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// The cargo that started this program.
///
/// `cargo run` tells its child about the package being run (`CARGO_PKG_NAME`, ...). Build
/// scripts watch these variables: handed on, every crate with such a script would be built
/// again each time a person and a task take turns.
pub(crate) fn cargo(folder: &Path) -> Program {
    let mut program = Program::new(
        env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
        folder,
    );
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(describes_the_running_package) {
            program.command.env_remove(name);
        }
    }
    program
}

fn describes_the_running_package(variable: &str) -> bool {
    const EXACT: [&str; 3] = [
        "CARGO_BIN_NAME",
        "CARGO_CRATE_NAME",
        "CARGO_PRIMARY_PACKAGE",
    ];
    variable.starts_with("CARGO_PKG_")
        || variable.starts_with("CARGO_MANIFEST_")
        || EXACT.contains(&variable)
}

/// Whether a program of this name is on the search path.
pub(crate) fn is_on_path(name: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(name).is_file()))
}

fn wait_bounded(child: &mut Child, limit: Duration) -> Result<Ended> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() {
                Ended::Well
            } else {
                Ended::Badly
            });
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(Ended::TooLate);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh", Path::new(".")).arguments(&["-c", script])
    }

    #[test]
    fn a_failing_program_is_named_with_its_arguments() {
        let error = shell("exit 3").run().unwrap_err().to_string();
        assert!(
            error.contains("sh -c exit 3") && error.contains('3'),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_an_error_not_a_panic() {
        let error = Program::new("no-such-program-here", Path::new("."))
            .run()
            .unwrap_err();
        assert!(format!("{error:#}").contains("cannot start `no-such-program-here`"));
    }

    #[test]
    fn a_program_over_its_limit_is_killed() {
        assert_eq!(
            shell("exec sleep 60")
                .run_bounded(Duration::from_millis(100))
                .unwrap(),
            Ended::TooLate
        );
        assert_eq!(
            shell("exit 0")
                .run_bounded(Duration::from_secs(30))
                .unwrap(),
            Ended::Well
        );
        assert_eq!(
            shell("exit 1")
                .run_bounded(Duration::from_secs(30))
                .unwrap(),
            Ended::Badly
        );
    }

    #[test]
    fn every_line_is_seen_even_one_that_is_not_utf8() {
        let mut seen = Vec::new();
        shell("printf 'one\\n\\377two\\nthree'")
            .run_watched(|line| seen.push(line.to_owned()))
            .unwrap();
        assert_eq!(seen, ["one", "\u{fffd}two", "three"]);
    }

    #[test]
    fn a_process_left_behind_does_not_hold_the_task() {
        let start = Instant::now();
        let mut left = String::new();
        shell("sleep 120 2>&- & echo $!")
            .run_watched(|line| line.clone_into(&mut left))
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(60));
        Program::new("kill", Path::new("."))
            .arguments(&[left])
            .run()
            .unwrap();
    }

    #[test]
    fn the_running_package_is_not_handed_on() {
        assert!(describes_the_running_package("CARGO_PKG_VERSION"));
        assert!(describes_the_running_package("CARGO_MANIFEST_DIR"));
        assert!(!describes_the_running_package("CARGO_TARGET_DIR"));
        assert!(!describes_the_running_package("CARGO_HOME"));
    }
}
