//! `examples/consumers/kurs_consumer.py`, a consumer that is no part of kurs, run for a test.

use crate::PrivateProcess;
use std::path::Path;
use std::time::Duration;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// What it says when it hears everything from then on.
const LISTENING: &str = "listening";

/// What a consumer printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Consumed {
    /// A line for each rate, in order.
    pub rates: Vec<String>,
    /// A line for each gap.
    pub gaps: Vec<String>,
}

/// Runs the consumer with these further arguments, such as `["--nats", URL]`, until it has printed
/// this many rates. `publish` is called when it listens.
///
/// # Panics
/// When Python cannot be started, or the rates do not come.
pub async fn consume(arguments: &[&str], rates: usize, publish: impl AsyncFnOnce()) -> Consumed {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = root.join("examples/consumers/kurs_consumer.py");
    let script = script.to_str().expect("the path is text");
    let (count, seconds) = (rates.to_string(), PATIENCE.as_secs().to_string());
    let all = ["-B", script, "--count", &count, "--seconds", &seconds];
    let all = all.iter().chain(arguments);
    let mut consumer = PrivateProcess::start(Path::new("python3"), all, [("PYTHONUTF8", "1")]);
    consumer.line(LISTENING, PATIENCE).await;
    publish().await;
    let status = consumer.end(PATIENCE).await;
    let printed = || {
        let lines = consumer.output().lines().into_iter();
        let lines = lines.filter(|line| line != LISTENING);
        let (gaps, rates) = lines.partition(|line| line.starts_with("gap"));
        Consumed { rates, gaps }
    };
    assert!(status.success(), "{:#?}", consumer.output().lines());
    // What it printed last may be seen a little after its end.
    crate::until("all of its lines", PATIENCE, || {
        Some(printed()).filter(|printed| printed.rates.len() >= rates)
    })
    .await
}
