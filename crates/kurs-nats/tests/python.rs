//! A consumer that is no part of kurs: a Python script over the core protocol of NATS.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{HANG, connected, flushed, options};
use kurs_bus::Bus;
use kurs_bus::conformance::{SCENE_GAP, SCENE_LINES, scene};
use kurs_nats::NatsBus;
use kurs_testkit::{NatsServer, PrivateProcess};
use std::path::Path;

const LISTENING: &str = "listening";

/// What the script prints of the scene. It ends by itself when it has printed every line.
async fn heard(arguments: &[&str], bus: &NatsBus) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = root.join("examples/consumers/kurs_consumer.py");
    let count = SCENE_LINES.len().to_string();
    let all = [
        "-B",
        script.to_str().unwrap(),
        "--count",
        &count,
        "--seconds",
        "60",
    ];
    let all = all.iter().chain(arguments);
    let mut consumer = PrivateProcess::start(Path::new("python3"), all, [("PYTHONUTF8", "1")]);
    consumer.line(LISTENING, HANG).await;
    for update in scene() {
        bus.publish(update).unwrap();
    }
    flushed(bus).await;
    let status = consumer.end(HANG).await;
    // What it printed last may be seen a little after its end.
    if status.success() {
        consumer
            .line(SCENE_LINES[SCENE_LINES.len() - 1], HANG)
            .await;
    }
    let lines = consumer.output().lines();
    assert!(status.success(), "{lines:#?}");
    lines.into_iter().filter(|line| line != LISTENING).collect()
}

/// The rates, and what was said of gaps.
fn apart(lines: Vec<String>) -> (Vec<String>, Vec<String>) {
    let is_rate = |line: &String| !line.starts_with("gap");
    lines.into_iter().partition(is_rate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_reads_the_rates_once_in_order_and_exactly() {
    let server = NatsServer::start();
    let bus = connected(options(&server.url())).await;
    let lines = heard(&["--nats", &server.url()], &bus).await;
    assert_eq!(lines, SCENE_LINES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_that_listens_to_everything_notices_the_one_gap() {
    let server = NatsServer::start();
    let bus = connected(options(&server.url())).await;
    let lines = heard(&["--everything", "--nats", &server.url()], &bus).await;
    let (rates, gaps) = apart(lines);
    assert_eq!(rates, SCENE_LINES);
    assert_eq!(gaps, [SCENE_GAP]);
}
