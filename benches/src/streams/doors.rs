//! What keys and limits add to a request.

use super::scene::Scene;
use crate::beacon;
use crate::client;
use crate::console;
use crate::http::wrk::Load;
use crate::options::Options;
use crate::process;
use crate::section::{Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, ensure};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// So many times as much as without.
const GOAL_TIMES: f64 = 1.1;
/// Prices a second: the rate stays fresh.
const PER_SECOND: u32 = 2;
const WARM_UP: Duration = Duration::from_secs(1);
/// Until a new key is known everywhere.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// Measures all of it.
pub(super) fn measure(section: &mut Section, options: &Options) -> Result<()> {
    let rounds = options.pick(9, 2);
    let window = options.seconds(4, 1);
    // As many as are asked here: the limit counts, and refuses nobody.
    let plenty = [
        ("KURS_LIMITS__KEY__REQUESTS", "1000000000"),
        ("KURS_LIMITS__ANONYMOUS__REQUESTS", "1000000000"),
    ];
    let free = Scene::start(options, &plenty)?;
    let counted = [&plenty[..], &[("KURS_LIMITS__LOOPBACK", "true")]].concat();
    let counted = Scene::start(options, &counted)?;
    let key = create_key(options, &counted)?;
    let path = format!("/api/v1/rates/{}", beacon::PAIR.replace('-', "/"));
    let load = |scene: &Scene, headers: Vec<String>| Load {
        address: scene.address(),
        path: path.clone(),
        headers,
    };
    let with_key = vec![format!("X-Api-Key: {key}")];
    let lanes = [
        ("anonymous, without a limit", &free, load(&free, Vec::new())),
        (
            "anonymous, with a limit",
            &counted,
            load(&counted, Vec::new()),
        ),
        (
            "with a key and its limit",
            &counted,
            load(&counted, with_key),
        ),
    ];
    let feeds = [free.feed(PER_SECOND), counted.feed(PER_SECOND)];
    for (_, _, load) in &lanes {
        load.run(options.load_core, WARM_UP)?;
    }
    let mut costs = vec![Vec::new(); lanes.len()];
    for round in 0..rounds {
        console::line(&format!("doors, round {} of {rounds}", round + 1));
        for turn in 0..lanes.len() {
            let at = (round + turn) % lanes.len();
            let (_, scene, load) = &lanes[at];
            let before = scene.server.cpu()?;
            let done = load.run(options.load_core, window)?;
            let used = scene.server.cpu()?.since(before).total_us();
            costs[at].push(used / done.requests as f64);
        }
    }
    for feed in feeds {
        feed.end()?;
    }
    let against = |at: usize| {
        let quotients = costs[at].iter().zip(&costs[0]);
        let quotients = quotients.map(|(own, plain)| own / plain);
        Spread::of(&quotients.collect::<Vec<_>>())
    };
    section.figure(
        "one rate over HTTP: CPU per request, key and limit / neither",
        "x",
        against(2),
        Some(Goal::AtMost(GOAL_TIMES)),
    );
    section.figure(
        "the same: a limit of the address / none",
        "x",
        against(1),
        None,
    );
    section.method(format!(
        "Doors: `GET {path}` as in [one rate over HTTP](#one-rate-over-http), of the whole `kurs serve`: from the \
         loopback interface, whose requests are not counted by default; where they are (`limits.loopback`); and there \
         with a key in `X-Api-Key`, whose requests are counted as well. {rounds} rounds of {} s each, in turns.",
        window.as_secs()
    ));
    let row = |(label, cost): (&str, &Vec<f64>)| {
        let spread = Spread::of(cost);
        vec![
            label.to_owned(),
            format!(
                "{:.2} ({:.2} to {:.2})",
                spread.median, spread.low, spread.high
            ),
        ]
    };
    section.tables.push(Table {
        caption: "CPU per request, microseconds".to_owned(),
        header: ["who asks", "CPU"].map(str::to_owned).to_vec(),
        rows: lanes
            .iter()
            .zip(&costs)
            .map(|((label, ..), cost)| row((*label, cost)))
            .collect(),
    });
    Ok(())
}

/// A key that may read, by the program's own command; known to the server when this returns.
fn create_key(options: &Options, scene: &Scene) -> Result<String> {
    let mut command = process::command(None, options.kurs_binary()?);
    let store = scene.folder.path().join("kurs.db");
    command
        .args(["keys", "create", "--name", "bench", "--scope", "read"])
        .current_dir(scene.folder.path())
        .env("KURS_STORE__URL", format!("sqlite:{}", store.display()))
        .stdout(Stdio::piped());
    let output = command.output().context("cannot create a key")?;
    ensure!(
        output.status.success(),
        "cannot create a key: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let key = String::from_utf8(output.stdout)?.trim().to_owned();
    let header = format!("X-Api-Key: {key}\r\n");
    let path = "/api/v1/sources";
    let deadline = Instant::now() + KNOWN_WITHIN;
    while client::get(scene.address(), path, &header)?.status != 200 {
        ensure!(Instant::now() < deadline, "the key never was known");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(key)
}
