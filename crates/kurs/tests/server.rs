//! The whole program: it starts, answers, says where it is, and ends as it is told.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time anything here may take; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(30);

struct Kurs {
    child: Child,
    lines: Receiver<String>,
    folder: tempfile::TempDir,
}

impl Kurs {
    fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_kurs"))
            .args(arguments)
            .env_clear()
            .envs(coverage())
            .envs(environment.iter().copied())
            .current_dir(folder.path())
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let reader = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            folder,
        }
    }

    /// Waits for a line that holds a text.
    fn line(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with {text:?}: {error}"),
            }
        }
    }

    /// Where it serves, by its own words.
    fn server(&self) -> String {
        let line = self.line("kurs is ready: ");
        let at = line.find("http://").unwrap();
        line[at..].split_whitespace().next().unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }

    fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Kurs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(server: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kurs"))
        .args(arguments)
        .args(["--server", server])
        .env_clear()
        .envs(coverage())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (
        output.status.code(),
        text + &String::from_utf8_lossy(&output.stderr),
    )
}

/// Asks until the answer ends with this code.
fn ask_until(server: &str, arguments: &[&str], code: i32) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (found, text) = ask(server, arguments);
        if found == Some(code) {
            return text;
        }
        assert!(
            Instant::now() < deadline,
            "{arguments:?} gives {found:?}: {text}"
        );
    }
}

/// A server that can reach no venue: every URL is a port of this machine where nobody listens.
const NOWHERE: [(&str, &str); 6] = [
    ("KURS_SOURCES__BINANCE__WS_URL", "ws://127.0.0.1:9"),
    ("KURS_SOURCES__BINANCE__REST_URL", "http://127.0.0.1:9"),
    ("KURS_SOURCES__COINGECKO__REST_URL", "http://127.0.0.1:9"),
    ("KURS_SOURCES__ECB__REST_URL", "http://127.0.0.1:9"),
    ("KURS_SOURCES__CBR__REST_URL", "http://127.0.0.1:9"),
    ("KURS_HTTP__ADDR", "127.0.0.1:0"),
];

#[test]
fn the_demo_answers_every_default_direction_and_marks_it_as_simulated() {
    let mut kurs = Kurs::start(&["demo", "--http-addr", "127.0.0.1:0"], &[]);
    kurs.line("SIMULATED PRICES");
    let server = kurs.server();
    for direction in [
        "BTC-USD",
        "ETH-USD",
        "USDTTRC-USD",
        "USDTERC-USD",
        "BTC-RUB",
        "ETH-RUB",
        "USDTTRC-RUB",
        "USDTERC-RUB",
    ] {
        let text = ask_until(&server, &["get", direction, "--require", "fresh"], 0);
        assert!(text.contains("sim:"), "{text}");
    }
    assert!(ask_until(&server, &["sources"], 0).contains("sim:binance"));
    ask_until(&server, &["pairs", "add", "SOLUSDT"], 0);
    ask_until(&server, &["get", "SOL-USDT", "--require", "fresh"], 0);
    ask_until(&server, &["health"], 0);
    kurs.signal("-TERM");
    assert_eq!(kurs.ends(), Some(0));
    let left: Vec<_> = std::fs::read_dir(kurs.folder.path()).unwrap().collect();
    assert!(left.is_empty(), "a demo leaves something: {left:?}");
}

#[test]
fn without_any_venue_it_starts_and_says_so_and_invents_nothing() {
    let mut kurs = Kurs::start(&[], &NOWHERE);
    let server = kurs.server();
    ask_until(&server, &["health"], 0);
    assert_eq!(ask(&server, &["get", "BTC-USD"]).0, Some(5));
    let text = ask_until(&server, &["sources"], 0);
    assert!(text.contains("binance"), "{text}");
    kurs.signal("-INT");
    assert_eq!(kurs.ends(), Some(130));
    assert!(kurs.folder.path().join("kurs.db").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut environment = NOWHERE.to_vec();
    environment.push(("KURS_SHUTDOWN__DELAY", "60s"));
    let mut kurs = Kurs::start(&["serve"], &environment);
    let server = kurs.server();
    ask_until(&server, &["health"], 0);
    kurs.signal("-TERM");
    kurs.line("not ready any more");
    ask_until(&server, &["health"], 1);
    assert_eq!(
        ask(&server, &["health", "--live"]).0,
        Some(0),
        "it still answers while it waits"
    );
    kurs.signal("-INT");
    assert_eq!(kurs.ends(), Some(130));
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let kurs = Kurs::start(&["serve"], &NOWHERE);
    kurs.server();
    let file = kurs.folder.path().join("kurs.toml");
    std::fs::write(&file, "[log]\nlevel = \"loud\"\n").unwrap();
    kurs.signal("-HUP");
    assert!(kurs.line("the old one stays").contains("log.level"));
    std::fs::write(
        &file,
        "[log]\nlevel = \"DEBUG\"\n[metrics]\nmax_pairs = 9\n",
    )
    .unwrap();
    kurs.signal("-HUP");
    assert!(
        kurs.line("wait for a restart")
            .contains("metrics.max_pairs")
    );
}

#[test]
fn an_address_in_use_is_named_with_its_key() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let mut kurs = Kurs::start(&["serve", "--http-addr", &addr], &NOWHERE[..5]);
    assert!(kurs.line("cannot listen on").contains("http.addr"));
    assert_eq!(kurs.ends(), Some(1));
}

/// Where a measured build writes what it ran; nothing otherwise.
fn coverage() -> impl Iterator<Item = (&'static str, std::ffi::OsString)> {
    const FILE: &str = "LLVM_PROFILE_FILE";
    std::env::var_os(FILE).map(|file| (FILE, file)).into_iter()
}
