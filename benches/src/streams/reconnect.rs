//! All clients come back at once.

use super::crowd::{Crowd, Way};
use super::scene::Scene;
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::section::{Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Result, ensure};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const CLIENTS: usize = 5_000;
/// Prices a second.
const PER_SECOND: u32 = 5;
const GOAL_SECONDS: f64 = 10.0;
/// After this nobody comes back any more.
const LIMIT: Duration = Duration::from_secs(60);
/// From one round to the next.
const PAUSE: Duration = Duration::from_secs(1);

/// What happens to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blow {
    /// Their connections are cut.
    Cut,
    /// The server is killed and started again.
    Killed,
}

/// Measures all of it.
pub(super) fn measure(section: &mut Section, options: &Options, runtime: &Runtime) -> Result<()> {
    let rounds = options.pick(5, 1);
    let mut scene = Scene::start(options, &[])?;
    let mut rows = Vec::new();
    let mut server_errors = 0;
    for (blow, label) in [
        (Blow::Cut, "connections cut"),
        (Blow::Killed, "server killed and started again"),
    ] {
        for (way, name) in [(Way::Sse, "SSE"), (Way::WebSocket, "WebSocket")] {
            let feed = scene.feed(PER_SECOND);
            let crowd = Crowd::open(runtime, way, scene.address(), CLIENTS, &scene.written)?;
            let mut took = Vec::new();
            for _ in 0..rounds {
                std::thread::sleep(PAUSE);
                let begin = Instant::now();
                match blow {
                    Blow::Cut => crowd.cut(),
                    Blow::Killed => scene.restart()?,
                }
                crowd.want_news();
                let back = crowd.wait_for_news(LIMIT);
                ensure!(
                    back == CLIENTS,
                    "only {back} of {CLIENTS} {name} clients were back after {LIMIT:?}"
                );
                took.push(begin.elapsed().as_secs_f64());
                console::line(&format!(
                    "{label}, {name}: all back after {:.2} s",
                    begin.elapsed().as_secs_f64()
                ));
            }
            feed.end()?;
            let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(Ordering::Relaxed);
            let (errors, refused) = (count(&crowd.seen.server_errors), count(&crowd.seen.refused));
            server_errors += errors;
            section.figure(
                format!(
                    "{label}: until all of {} {name} clients hear again",
                    number(CLIENTS as f64)
                ),
                "s",
                Spread::of(&took),
                Some(Goal::AtMost(GOAL_SECONDS)),
            );
            rows.push(vec![
                format!("{label}, {name}"),
                format!("{:.2}", Spread::of(&took).median),
                format!("{:.2}", Spread::of(&took).high),
                errors.to_string(),
                refused.to_string(),
                count(&crowd.seen.lost).to_string(),
            ]);
        }
    }
    section.number(
        "answers of 500 and more while all come back",
        "",
        server_errors as f64,
        Some(Goal::AtMost(0.0)),
    );
    section.method(format!(
        "Coming back: {} clients listen to all rates, at {PER_SECOND} prices a second. All are cut at the same moment, \
         or the server is killed (SIGKILL) and started again at the same address, {rounds} times each. Every client \
         connects again at once, 50 ms after an attempt that failed, SSE with `Last-Event-ID`. It counts until the \
         last of them has heard a price that was written after the blow.",
        number(CLIENTS as f64)
    ));
    section.tables.push(Table {
        caption: "All clients come back at once".to_owned(),
        header: [
            "blow",
            "all hear again, s",
            "worst, s",
            "answers of 500 and more",
            "other refusals",
            "connections lost or not made",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    });
    Ok(())
}
