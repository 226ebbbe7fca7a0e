//! A server of a test program, which the system ends with the program, also when that is killed.

use crate::process::Output;
use parking_lot::Mutex;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Time between two looks at a server that starts or ends.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A running server. It has to be ended by [`Held::kill`] or [`Held::end`].
#[derive(Debug)]
pub(crate) struct Held {
    child: Child,
    /// The thread that started it stays as long as this is there.
    hold: mpsc::Sender<()>,
}

/// The command for a program that gets this signal, such as `KILL`, when the thread that has
/// started it ends.
pub(crate) fn command(signal: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .arg(format!("--pdeathsig={signal}"))
        .arg("--")
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Held {
    /// Runs what [`command`] has made, from a thread that stays, and keeps what it prints.
    pub(crate) fn start(mut command: Command, output: &Output) -> Self {
        let (tell, told) = mpsc::channel();
        let (hold, held) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let _ = tell.send(command.spawn());
            // Nothing is ever sent: this ends when the other end is gone.
            let _ = held.recv();
        });
        let spawned = told.recv().expect("the thread tells how it went");
        let mut child = spawned.expect("setpriv of Debian's util-linux can be started");
        output.follow_child(&mut child);
        Self { child, hold }
    }

    /// Sends it a signal, such as `TERM`, by the shell's own `kill`: a program of that name may be
    /// missing.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &line]).status();
        sent.expect("a shell can be started");
    }

    /// True when it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; false when it goes on.
    pub(crate) fn ends_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while !self.has_ended() {
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// Kills it at once (SIGKILL).
    pub(crate) fn kill(mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("a child can be waited for");
    }

    /// Lets it have its signal, and kills it when it goes on after that.
    pub(crate) fn end(mut self, patience: Duration) {
        let (unheld, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.hold, unheld));
        self.ends_within(patience);
        self.kill();
    }
}

/// Starts a server, again whenever it ends instead of answering: the port of a killed one may be
/// free only after a moment. Panics when it does not answer in time.
pub(crate) fn bring_up(
    name: &str,
    patience: Duration,
    output: &Output,
    running: &Mutex<Option<Held>>,
    launch: impl Fn() -> Held,
    answers: impl Fn() -> bool,
) {
    let end = Instant::now() + patience;
    *running.lock() = Some(launch());
    while !answers() {
        let mut running = running.lock();
        if running.as_mut().is_some_and(Held::has_ended) {
            *running = Some(launch());
        }
        drop(running);
        assert!(
            Instant::now() < end,
            "{name} does not come up; it printed:\n{}",
            output.lines().join("\n")
        );
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A program in the search path or in one of these folders.
pub(crate) fn find(program: &str, more: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(more.iter().map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}

/// A temporary folder whose name begins so.
pub(crate) fn new_folder(prefix: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .expect("a temporary folder can be made")
}

/// What others hold at the moment, or a new one.
pub(crate) fn share<T>(shared: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut shared = shared.lock();
    if let Some(there) = shared.upgrade() {
        return there;
    }
    let new = Arc::new(start());
    *shared = Arc::downgrade(&new);
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn sleeper(signal: &str) -> Held {
        let mut command = command(signal, "sleep");
        command.arg("600");
        Held::start(command, &Output::default())
    }

    #[test]
    fn a_server_ends_with_the_thread_that_holds_it() {
        let mut server = sleeper("TERM");
        assert!(!server.has_ended());
        let process = format!("/proc/{}", server.child.id());
        // Only from then on it has its signal.
        let name = format!("{process}/comm");
        let end = Instant::now() + PATIENCE;
        while std::fs::read_to_string(&name).unwrap().trim() != "sleep" {
            assert!(Instant::now() < end, "it has not begun");
            std::thread::sleep(LOOK_EVERY);
        }
        let (unheld, _) = mpsc::channel();
        server.hold = unheld;
        assert!(server.ends_within(PATIENCE), "nobody has killed it");
        server.kill();
        assert!(!std::path::Path::new(&process).exists());
    }

    #[test]
    fn a_server_that_ends_before_it_answers_is_started_again() {
        let running = Mutex::new(None);
        let starts = std::cell::Cell::new(0);
        let launch = || {
            starts.set(starts.get() + 1);
            Held::start(command("KILL", "true"), &Output::default())
        };
        bring_up("it", PATIENCE, &Output::default(), &running, launch, || {
            starts.get() == 3
        });
        running.lock().take().unwrap().kill();
    }
}
