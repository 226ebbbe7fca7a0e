//! A writer in a process of its own: the test program starts itself again.

use super::writer::{Begin, Said, write};
use kurs_store::Store;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Where the store is that a started process writes to.
const STORE: &str = "KURS_STORE_TEST_STORE";
/// The first new row.
const FIRST: &str = "KURS_STORE_TEST_FIRST";
/// Spans to be stored again.
const REPEATS: &str = "KURS_STORE_TEST_REPEATS";

/// A started process.
pub(crate) struct Writing(Child);

/// Starts this program again with one of its tests, which calls [`be_a_process`].
pub(crate) fn start(test: &str, store: &str, begin: &Begin) -> Writing {
    let repeats: Vec<String> = begin.repeats.iter().map(ToString::to_string).collect();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(STORE, store)
        .env(FIRST, begin.first.to_string())
        .env(REPEATS, repeats.join(","))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    Writing(child)
}

impl Writing {
    /// Kills it, and gives what it said in whole lines: what was cut off by its death was never
    /// said.
    pub(crate) fn kill(mut self) -> Vec<Said> {
        assert_eq!(self.0.try_wait().unwrap(), None, "it ended by itself");
        self.0.kill().unwrap();
        let mut pipe = BufReader::new(self.0.stdout.take().unwrap());
        let (mut said, mut line) = (Vec::new(), String::new());
        while pipe.read_line(&mut line).unwrap() > 0 {
            if let Some(whole) = line.strip_suffix('\n') {
                said.extend(whole.parse::<Said>());
            }
            line.clear();
        }
        self.0.wait().unwrap();
        said
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
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
