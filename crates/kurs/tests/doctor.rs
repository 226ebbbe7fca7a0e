//! What `kurs doctor` says of the broker.
#![allow(clippy::unwrap_used, reason = "a test")]

use kurs_testkit::NatsServer;
use std::path::Path;
use std::process::Command;

/// What it says of `bus.url`, and whether all is well.
fn doctor(folder: &Path, url: &str, settings: &[&str]) -> (Vec<String>, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kurs"));
    command
        .args(["doctor", "--offline", "--plain"])
        .args(["--set", "http.addr=127.0.0.1:0"])
        .args(["--set", "store.url=sqlite:kurs.db"])
        .env("KURS_BUS__URL", url)
        .current_dir(folder);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!all.contains("geheim"), "{all}");
    let lines = said.lines().filter(|line| line.contains("bus.url"));
    let lines = lines.map(str::to_owned).collect();
    (lines, output.status.success())
}

#[test]
fn the_doctor_asks_the_broker_and_says_how_to_mend_it_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let server = NatsServer::start_with(&["--user", "anna", "--pass", "geheim"]);
    let url = format!("nats://anna:geheim@{}", server.address());
    let said = |settings: &[&str]| doctor(folder.path(), &url, settings);

    let (lines, is_well) = said(&[]);
    assert!(is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].starts_with("ok"), "{lines:?}");
    let address = server.address().to_string();
    for word in [&*address, "NATS 2.", "can be made"] {
        assert!(lines[0].contains(word), "{word} in {lines:?}");
    }

    let (lines, is_well) = said(&["bus.nats.replicas=3"]);
    assert!(!is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].starts_with("PROBLEM"), "{lines:?}");
    assert!(lines[0].contains("bus.nats.replicas"), "{lines:?}");

    server.kill();
    let (lines, is_well) = said(&[]);
    assert!(!is_well && lines.len() == 1, "{lines:?}");
    assert!(lines[0].contains("does the server run"), "{lines:?}");

    // A bus that does not leave the process is nobody's to ask.
    let (lines, is_well) = doctor(folder.path(), "memory:", &[]);
    assert!(is_well && lines.is_empty(), "{lines:?}");
}
