//! Starting, ending and killing a private server.

use super::Postgres;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a start, recovery included, or an end may take.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The server's process, as the thread that started it tells.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: u32,
    /// Ends with the process.
    keeper: JoinHandle<()>,
}

impl Postgres {
    /// Kills it at once (SIGKILL), as a crash does. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill(&self) {
        self.end("KILL");
    }

    /// Kills it at once, and all its processes with it, as the end of a container does: none of
    /// them can put anything in order. Does nothing when it does not run.
    ///
    /// # Panics
    /// When it does not end.
    pub fn kill_all(&self) {
        let id = self.running.lock().as_ref().map(|running| running.id);
        if let Some(id) = id {
            // Stopped, it starts no further ones.
            send("STOP", id);
            for child in children(id) {
                send("KILL", child);
            }
        }
        self.end("KILL");
    }

    /// Stops it as an administrator does: sessions are ended, the disk is brought up to date.
    /// Does nothing when it does not run.
    ///
    /// # Panics
    /// When it does not end.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Stops it, if it runs, and starts it again: same port, same data. Returns when it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn restart(&self) {
        self.stop();
        let end = Instant::now() + PATIENCE;
        *self.running.lock() = Some(self.launch());
        while self.try_sql("postgres", "SELECT 1").is_err() {
            // The sessions of a killed server take a moment to notice; until then a new one
            // refuses the folder.
            let mut running = self.running.lock();
            if running.as_ref().is_some_and(|now| now.keeper.is_finished()) {
                *running = Some(self.launch());
            }
            drop(running);
            assert!(
                Instant::now() < end,
                "PostgreSQL does not come up; it printed:\n{}",
                self.output.lines().join("\n")
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The server is told to end with the thread that started it, which therefore stays with it:
    /// so it is gone even when the test program is killed.
    fn launch(&self) -> Running {
        let mut command = self.run_as.command(&self.programs.path("postgres"), true);
        command
            .arg("-D")
            .arg(self.data())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = self.output.clone();
        let (tell, told) = mpsc::channel();
        let keeper = std::thread::spawn(move || {
            let mut child = command.spawn().expect("postgres can be started");
            output.follow_child(&mut child);
            let _ = tell.send(child.id());
            let _ = child.wait();
        });
        let id = told.recv().expect("postgres can be started");
        Running { id, keeper }
    }

    pub(super) fn end(&self, signal: &str) {
        let Some(running) = self.running.lock().take() else {
            return;
        };
        let end = Instant::now() + PATIENCE;
        send(signal, running.id);
        while !running.keeper.is_finished() {
            if Instant::now() > end {
                send("KILL", running.id);
                assert!(
                    std::thread::panicking(),
                    "PostgreSQL does not end by SIG{signal}"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// The processes that a process has started and that still run.
fn children(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|id: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything, come the state and the parent.
            let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
            behind_name.split_whitespace().nth(1) == Some(parent.as_str())
        })
        .collect()
}

/// The shell's own `kill`: a program of that name may be missing.
fn send(signal: &str, process: u32) {
    let _ = Command::new("sh")
        .args(["-c", &format!("kill -{signal} {process}")])
        .stderr(Stdio::null())
        .status();
}
