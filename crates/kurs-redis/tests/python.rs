//! A consumer that is no part of kurs: a Python script over the stream of Redis.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{GUARD, bus, flushed};
use kurs_bus::Bus;
use kurs_bus::conformance::{SCENE_GAP, SCENE_LINES, scene};
use kurs_redis::RedisBus;
use kurs_testkit::{PrivateProcess, RedisServer};
use std::path::Path;

const LISTENING: &str = "listening";

/// What the script prints of the scene. It ends by itself when it has printed every line.
async fn heard(arguments: &[&str], bus: &RedisBus) -> Vec<String> {
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
    consumer.line(LISTENING, GUARD).await;
    for update in scene() {
        bus.publish(update).unwrap();
    }
    flushed(bus).await;
    let status = consumer.end(GUARD).await;
    // What it printed last may be seen a little after its end.
    if status.success() {
        consumer
            .line(SCENE_LINES[SCENE_LINES.len() - 1], GUARD)
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
async fn a_python_script_reads_the_stream_once_in_order_and_exactly_and_notices_the_one_gap() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    flushed(&*bus).await;
    let lines = heard(&["--redis", &server.url()], &bus).await;
    let (rates, gaps) = apart(lines);
    assert_eq!(rates, SCENE_LINES);
    assert_eq!(gaps, [SCENE_GAP]);
}
