//! A program run for one test: in a folder of its own, its output kept, killed with the test.

use parking_lot::Mutex;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Free ports are looked for from here on: below are services of the machine.
const FIRST_PORT: u16 = 10_000;

/// Where Linux starts to take ports for outgoing connections when it says nothing else.
const FIRST_OUTGOING: u16 = 32_768;

/// The ports below those the machine takes for outgoing connections. One of them stays free while
/// its program is restarted, as a test may do: no connection takes it meanwhile.
fn ports() -> Range<u16> {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok();
    let first = told.and_then(|range| range.split_whitespace().next()?.parse().ok());
    let end = first.unwrap_or(FIRST_OUTGOING);
    // A machine that takes nearly all of them for connections leaves no better choice.
    FIRST_PORT..end.max(FIRST_PORT + 1_000)
}

/// A TCP port on the loopback address that was free a moment ago, and that no other call in this
/// process gets before all others were given. For programs that cannot be given port 0.
///
/// # Panics
/// When the machine has none.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ports = ports();
    let count = u32::from(ports.end - ports.start);
    // Test programs that run at once start far from each other.
    let start = std::process::id().wrapping_mul(379);
    (0..count)
        .find_map(|_| {
            let step = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % count;
            let port = ports.start + u16::try_from(step).ok()?;
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
        })
        .expect("a port of the loopback address is free")
}

/// Lines of output kept; older ones are dropped.
const LINES_KEPT: usize = 10_000;

/// What a program has printed so far.
#[derive(Debug, Clone, Default)]
pub struct Output(Arc<Mutex<Vec<String>>>);

impl Output {
    /// Keeps what a program prints from now on, if its output is piped.
    pub(crate) fn follow_child(&self, child: &mut Child) {
        if let Some(pipe) = child.stdout.take() {
            self.follow(pipe);
        }
        if let Some(pipe) = child.stderr.take() {
            self.follow(pipe);
        }
    }

    fn follow(&self, pipe: impl Read + Send + 'static) {
        let lines = self.0.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                let mut lines = lines.lock();
                if lines.len() >= LINES_KEPT {
                    lines.remove(0);
                }
                lines.push(String::from_utf8_lossy(&line).into_owned());
            }
        });
    }

    /// All lines so far, standard output and standard error as they came.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// The first line that contains the text.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<String> {
        self.0
            .lock()
            .iter()
            .find(|line| line.contains(text))
            .cloned()
    }
}

/// A running child process.
#[derive(Debug)]
pub struct PrivateProcess {
    child: Child,
    folder: TempDir,
    output: Output,
}

impl PrivateProcess {
    /// Starts a program with these arguments and environment additions, in a new temporary
    /// folder as its working directory.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A, K, V>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        A: AsRef<OsStr>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::start_in(folder, program, arguments, environment)
    }

    /// The same in a folder that an earlier process left, for tests of restarts.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_in<A, K, V>(
        folder: TempDir,
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self
    where
        A: AsRef<OsStr>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        let output = Output::default();
        output.follow_child(&mut child);
        Self {
            child,
            folder,
            output,
        }
    }

    /// Its working directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has printed.
    #[must_use]
    pub const fn output(&self) -> &Output {
        &self.output
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for a line that contains the text.
    ///
    /// # Panics
    /// When it does not come within the deadline; all output is shown then.
    pub async fn line(&self, text: &str, deadline: Duration) -> String {
        let seen = crate::wait::until_async("", deadline, || async { self.output.find(text) });
        match tokio::time::timeout(deadline.mul_f64(0.95), seen).await {
            Ok(line) => line,
            Err(_) => panic!(
                "no line {text:?} within {deadline:?}; it printed:\n{}",
                self.output.lines().join("\n")
            ),
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it goes on beyond the deadline.
    pub async fn end(&mut self, deadline: Duration) -> ExitStatus {
        crate::wait::until("the process ends", deadline, || self.ended()).await
    }

    /// Kills it at once (SIGKILL) and gives its folder, so that another can go on there.
    ///
    /// # Panics
    /// When it cannot be waited for.
    #[must_use]
    pub fn kill(mut self) -> TempDir {
        self.kill_and_wait();
        let empty = tempfile::tempdir().expect("a temporary folder can be made");
        std::mem::replace(&mut self.folder, empty)
    }

    fn kill_and_wait(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for PrivateProcess {
    fn drop(&mut self) {
        self.kill_and_wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_ENVIRONMENT: [(&str, &str); 0] = [];

    #[tokio::test]
    async fn a_process_has_its_own_folder_and_its_output_is_kept() {
        let script = [
            "-c",
            "echo made > file; echo here; echo there >&2; sleep 600",
        ];
        let process = PrivateProcess::start(Path::new("/bin/sh"), script, NO_ENVIRONMENT);
        process.line("here", Duration::from_secs(30)).await;
        process.line("there", Duration::from_secs(30)).await;
        assert!(process.folder().join("file").is_file());
        let folder = process.kill();
        let again = PrivateProcess::start_in(
            folder,
            Path::new("/bin/sh"),
            ["-c", "cat file; exit 3"],
            NO_ENVIRONMENT,
        );
        let mut again = again;
        again.line("made", Duration::from_secs(30)).await;
        assert_eq!(again.end(Duration::from_secs(30)).await.code(), Some(3));
    }
}
