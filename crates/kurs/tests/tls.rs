//! The whole program over TLS: it says so, takes a new certificate over by itself and when told,
//! and does not start with files that cannot be served.

#![expect(clippy::unwrap_used, clippy::panic, reason = "this file is only tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest time anything here may take; only a hang comes near it.
const PATIENCE: Duration = Duration::from_secs(30);

struct Kurs {
    child: Child,
    lines: Receiver<String>,
}

impl Drop for Kurs {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Kurs {
    /// Starts in a folder with `cert.pem` and `key.pem`, without any source.
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
        command.args(["serve", "--store-url", "sqlite::memory:"]);
        for setting in [
            "http.addr=127.0.0.1:0",
            "http.tls.cert_file=cert.pem",
            "http.tls.key_file=key.pem",
            "log.format=json",
        ] {
            command.args(["--set", setting]);
        }
        for source in [
            "binance",
            "coinbase",
            "kraken",
            "bybit",
            "okx",
            "coingecko",
            "cbr",
            "ecb",
        ] {
            command.args(["--set", &format!("sources.{source}.enabled=false")]);
        }
        let variables = std::env::vars().filter(|(name, _)| name.starts_with("LLVM_PROFILE"));
        let mut child = command
            .env_clear()
            .envs(variables)
            .current_dir(folder)
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
        Self { child, lines }
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

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status();
        assert!(sent.unwrap().success());
    }
}

/// Writes a new certificate and its key.
fn issue(folder: &Path) {
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), issued.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), issued.signing_key.serialize_pem()).unwrap();
}

#[test]
fn a_new_certificate_is_taken_over_and_a_wrong_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    let kurs = Kurs::start(folder.path());
    kurs.line("listening on https://127.0.0.1:");
    kurs.line("kurs is ready: https://127.0.0.1:");
    kurs.hang_up();
    kurs.line("serving the certificate that is in the files now");
    std::fs::write(folder.path().join("cert.pem"), "nonsense").unwrap();
    let told = kurs.line("the new certificate cannot be served");
    assert!(told.contains("cert.pem"), "{told}");
    issue(folder.path());
    kurs.line("serving the certificate that is in the files now");
}

#[test]
fn without_a_certificate_that_can_be_served_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path());
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    let mut kurs = Kurs::start(folder.path());
    let told = kurs.line("key.pem");
    assert!(told.contains("http.tls.key_file"), "{told}");
    assert_eq!(kurs.child.wait().unwrap().code(), Some(1));
}
