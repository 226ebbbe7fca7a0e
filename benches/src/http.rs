//! (a) One rate and its 304: CPU time per request and requests per second, beside nginx and a
//! bare hyper server that send the same body.
//!
//! All servers run on one core, the load on another. Rounds are interleaved, and every round
//! begins with another server, so that a slow minute of the machine falls on all of them.

mod contender;
pub(crate) mod hyper;
pub(crate) mod kurs;
mod nginx;
pub(crate) mod wrk;

use crate::client;
use crate::console;
use crate::options::{Options, own_binary};
use crate::process::{self, Server};
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, ensure};
use contender::{Ask, Contender, measure};
use std::path::Path;
use std::time::Duration;
use wrk::Load;

/// The route that is measured, of kurs and of every baseline.
pub(crate) const PATH: &str = "/api/v1/rates/BTC/USD";
/// What every baseline says about caching.
const CACHE_CONTROL: &str = "public, max-age=3600";
/// The tag of the baselines that make none themselves.
const ETAG: &str = "\"0.1-1\"";
/// Load before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// How long the demo is left alone to see what it uses without requests.
const IDLE: Duration = Duration::from_secs(3);

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    ensure!(
        options.server_core != options.load_core,
        "servers and load need a core each"
    );
    process::need("wrk", "wrk")?;
    process::need("nginx", "nginx-light")?;
    // Needed last; told first.
    options.kurs_binary()?;
    let rounds = options.pick(9, 2);
    let duration = options.seconds(4, 1);
    let mut section = Section::new("http", "One rate over HTTP", options.quick);

    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut contenders = start(options, folder.path())?;
    let body_bytes = client::get(contenders[0].server.address, PATH, "")?
        .body
        .len();
    for contender in &contenders {
        contender.load(Ask::Body).run(options.load_core, WARM_UP)?;
    }
    let count = contenders.len();
    for round in 0..rounds {
        console::line(&format!("round {} of {rounds}", round + 1));
        for turn in 0..count {
            for ask in Ask::ALL {
                contenders[(round + turn) % count].measure(options, ask, duration)?;
            }
        }
    }
    describe(
        &mut section,
        options,
        &contenders,
        body_bytes,
        (rounds, duration),
    );
    drop(contenders);
    let demo = demo(options, folder.path(), options.pick(5, 1), duration)?;
    add_demo(&mut section, &demo);
    Ok(section)
}

/// kurs first; the goals are quotients against the others in this order.
fn start(options: &Options, folder: &Path) -> Result<Vec<Contender>> {
    let core = Some(options.server_core);
    let own = own_binary()?;
    let address = process::free_address()?;
    let mut command = process::command(core, &own);
    command.arg("serve-kurs").arg(address.to_string());
    let kurs = Server::start(command, address, PATH)?;
    let answer = client::get(address, PATH, "")?;
    let body = answer.body;
    let file = folder.join("body.json");
    std::fs::write(&file, &body).context("cannot write the body")?;

    let address = process::free_address()?;
    let mut command = process::command(core, &own);
    command
        .arg("serve-hyper")
        .arg(address.to_string())
        .arg(&file);
    let hyper = Server::start(command, address, PATH)?;
    let from_file = nginx::start(core, folder, "file", &nginx::file(folder, &body)?)?;
    let from_memory = nginx::start(core, folder, "memory", &nginx::memory(&body, "")?)?;
    let headers = nginx::headers_of(&answer.head);
    let with_headers = nginx::start(core, folder, "headers", &nginx::memory(&body, &headers)?)?;
    [
        ("kurs", kurs),
        ("nginx, static file", from_file),
        ("nginx, return", from_memory),
        ("bare hyper", hyper),
        ("nginx, return, headers of kurs", with_headers),
    ]
    .into_iter()
    .map(|(label, server)| Contender::check(label, server, &body))
    .collect()
}

fn describe(
    section: &mut Section,
    options: &Options,
    contenders: &[Contender],
    body_bytes: usize,
    (rounds, duration): (usize, Duration),
) {
    section.method(format!(
        "`GET {PATH}` over 64 kept connections, a body of {body_bytes} bytes, the same from every server. One core for \
         the server, another for the load (`taskset`, `wrk -t1 -c64`). {rounds} rounds of {} s for each server and \
         status, interleaved, every round beginning with another server. CPU per request is the growth of user and \
         system time of the server process in `/proc/PID/stat`, divided by the requests that wrk counted. Quotients \
         are taken within a round; the median of the rounds is shown, with the least and the greatest.",
        duration.as_secs()
    ));
    section.method(
        "kurs runs its API with one worker thread on a rate that stays, so that pricing does not count; limits, \
         deadlines, request ids, security headers and metrics are on. Bare hyper has the same runtime and answers with \
         `Content-Type`, `ETag` and `Cache-Control` only; it compares `If-None-Match` and does nothing else. nginx: one \
         process, `access_log off`, `open_file_cache`, `sendfile`, no limit of requests per connection; `return` has \
         the body in its configuration, once with `Content-Type`, `ETag` and `Cache-Control`, once with every header of \
         kurs, a request id included.",
    );
    let [kurs, others @ ..] = contenders else {
        return;
    };
    let goals = [Some(0.70), Some(1.05), Some(1.10), None];
    for ask in Ask::ALL {
        for (other, limit) in others.iter().zip(goals) {
            let name = format!("{}: CPU per request, kurs / {}", ask.status(), other.label);
            section.figure(name, "x", kurs.against(other, ask), limit.map(Goal::AtMost));
        }
    }
    let header = [
        "server",
        "head, bytes",
        "200: CPU us",
        "kernel's part",
        "200: requests/s",
        "304: CPU us",
        "kernel's part",
        "304: requests/s",
    ];
    let cell = |spread: Spread, digits: usize| {
        format!(
            "{:.digits$} ({:.digits$} to {:.digits$})",
            spread.median, spread.low, spread.high
        )
    };
    let row = |contender: &Contender| {
        vec![
            contender.label.to_owned(),
            contender.head_bytes.to_string(),
            cell(contender.cpu(Ask::Body), 2),
            format!("{:.2}", contender.kernel(Ask::Body).median),
            cell(contender.per_second(Ask::Body), 0),
            cell(contender.cpu(Ask::NotModified), 2),
            format!("{:.2}", contender.kernel(Ask::NotModified).median),
            cell(contender.per_second(Ask::NotModified), 0),
        ]
    };
    section.tables.push(Table {
        caption: format!(
            "Server on core {}, load on core {}",
            options.server_core, options.load_core
        ),
        header: header.map(str::to_owned).to_vec(),
        rows: contenders.iter().map(row).collect(),
    });
    let bars = |spread: fn(&Contender, Ask) -> Spread| {
        let both = Ask::ALL
            .into_iter()
            .flat_map(|ask| contenders.iter().map(move |one| (ask, one)));
        let bar = |(ask, one): (Ask, &Contender)| {
            let label = format!("{} {}", ask.status(), one.label);
            Bar::new(label, spread(one, ask), one.label == "kurs", None)
        };
        both.map(bar).collect::<Vec<_>>()
    };
    section.charts.push(Chart {
        file: "bench-http-cpu.svg".to_owned(),
        title: "CPU time per request (less is better)".to_owned(),
        unit: "us".to_owned(),
        grey: Some("compared with".to_owned()),
        bars: bars(Contender::cpu),
    });
    section.charts.push(Chart {
        file: "bench-http-rate.svg".to_owned(),
        title: "Requests per second on one core (more is better)".to_owned(),
        unit: "1/s".to_owned(),
        grey: Some("compared with".to_owned()),
        bars: bars(Contender::per_second),
    });
    section.note(
        "The load tool has one core as well and comes near its limit with the quickest servers: requests per second \
         understate differences, CPU per request does not.",
    );
}

/// The whole program: simulated venues, pricing, store and API in one process on the same core.
struct Demo {
    with_idle: Spread,
    without_idle: Spread,
    per_second: Spread,
    idle_percent: f64,
}

fn demo(options: &Options, folder: &Path, rounds: usize, duration: Duration) -> Result<Demo> {
    let server = crate::steady::start_demo(options, folder, Some(options.server_core))?;
    let load = Load {
        address: server.address,
        path: PATH.to_owned(),
        headers: Vec::new(),
    };
    load.run(options.load_core, WARM_UP)?;
    let before = server.cpu()?;
    std::thread::sleep(IDLE);
    let idle = server.cpu()?.since(before).total_us() / IDLE.as_secs_f64();
    let (mut with_idle, mut without_idle, mut per_second) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let round = measure(options, &server, &load, duration)?;
        with_idle.push(round.cpu_us);
        without_idle.push(round.cpu_us - idle / round.per_second);
        per_second.push(round.per_second);
    }
    Ok(Demo {
        with_idle: Spread::of(&with_idle),
        without_idle: Spread::of(&without_idle),
        per_second: Spread::of(&per_second),
        idle_percent: idle / 1e4,
    })
}

fn add_demo(section: &mut Section, demo: &Demo) {
    section.figure(
        "200 from the whole `kurs demo`: CPU per request",
        "us",
        demo.with_idle,
        None,
    );
    let name = "the same without what it uses when nobody asks";
    section.figure(name, "us", demo.without_idle, None);
    section.figure(
        "200 from the whole `kurs demo`: requests",
        "1/s",
        demo.per_second,
        None,
    );
    section.note(format!(
        "The whole `kurs demo` on the server's core also simulates the venues, prices and stores: {:.1} % of the core \
         when nobody asks. Its rates change many times a second, so bodies are rendered anew.",
        demo.idle_percent
    ));
}
