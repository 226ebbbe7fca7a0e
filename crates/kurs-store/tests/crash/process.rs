//! A writer in a process of its own: the test program starts itself again.

use super::writer::{Begin, Said, write};
use kurs_store::Store;
use parking_lot::Mutex;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where the store is that a started process writes to.
const STORE: &str = "KURS_STORE_TEST_STORE";
/// The first new row.
const FIRST: &str = "KURS_STORE_TEST_FIRST";
/// Spans to be stored again.
const REPEATS: &str = "KURS_STORE_TEST_REPEATS";

/// Longest wait for a process to store something; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A started process.
pub(crate) struct Writing {
    child: Child,
    said: Arc<Mutex<Vec<Said>>>,
    /// Ends with the process.
    ear: Option<JoinHandle<()>>,
}

/// Starts this program again with one of its tests, which calls [`be_a_process`].
pub(crate) fn start(test: &str, store: &str, begin: &Begin) -> Writing {
    let repeats: Vec<String> = begin.repeats.iter().map(ToString::to_string).collect();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(STORE, store)
        .env(FIRST, begin.first.to_string())
        .env(REPEATS, repeats.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut pipe = BufReader::new(child.stdout.take().unwrap());
    let heard = Arc::clone(&said);
    let ear = std::thread::spawn(move || {
        let mut line = String::new();
        while pipe.read_line(&mut line).unwrap() > 0 {
            // What was cut off by its death was never said.
            if let Some(whole) = line.strip_suffix('\n') {
                heard.lock().extend(whole.parse::<Said>());
            }
            line.clear();
        }
    });
    Writing {
        child,
        said,
        ear: Some(ear),
    }
}

impl Writing {
    /// Kills it at any moment, those of opening and migrating included; or at any moment after it
    /// has stored so many rows. Gives what it said.
    pub(crate) fn kill(mut self, after_rows: u64, random: &mut fastrand::Rng) -> Vec<Said> {
        let end = Instant::now() + PATIENCE;
        while self.rows_or_failure() < after_rows {
            assert!(Instant::now() < end, "it does not store {after_rows} rows");
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(random.u64(10..600)));
        assert_eq!(self.child.try_wait().unwrap(), None, "it ended by itself");
        self.child.kill().unwrap();
        if let Some(ear) = self.ear.take() {
            ear.join().unwrap();
        }
        self.child.wait().unwrap();
        std::mem::take(&mut *self.said.lock())
    }

    /// How many rows it has stored; more than anybody waits for when it failed.
    fn rows_or_failure(&self) -> u64 {
        let rows = |said: &Said| match said {
            Said::Stored(span) => span.end - span.first,
            Said::Failed(_) => u64::from(u32::MAX),
            _ => 0,
        };
        self.said.lock().iter().map(rows).sum()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a started process; does nothing in any other.
pub(crate) fn be_a_process(open: impl FnOnce(&str) -> Arc<dyn Store>) {
    let Ok(store) = std::env::var(STORE) else {
        return;
    };
    let repeats = std::env::var(REPEATS).unwrap();
    let begin = Begin {
        first: std::env::var(FIRST).unwrap().parse().unwrap(),
        repeats: repeats
            .split_terminator(',')
            .map(|span| span.parse().unwrap())
            .collect(),
    };
    // The name of the test stands on a line that is not ended yet.
    say_line("");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let never = Arc::new(AtomicBool::new(false));
        write(open(&store), begin, never, |said| {
            say_line(&said.to_string());
        })
        .await;
    });
}

fn say_line(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
