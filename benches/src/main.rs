//! Benchmarks of kurs, each beside a baseline that runs in the same minutes on the same cores.
//!
//! | module | what it holds |
//! |---|---|
//! | `http` | (a) CPU per request and requests per second against nginx and bare hyper |
//! | `steady` | (b) latency at a constant rate, counted from the moment a request was due |
//! | `pipeline` | (c) frames per second through decoding, pricing and the view, on one core |
//! | `latency` | (d) from the venue's write to the new body, through sockets and threads |
//! | `books` | (f) order book messages per second against cryptofeed |
//! | `footprint` | (e) time to readiness and memory with a thousand pairs |
//! | `venues` | (g) all five exchanges, 200 symbols: CPU, memory, latency |
//! | `flood` | (h) one exchange sends garbage: what the others notice |
//! | `store` | (i) writing, size, candles, export, start and answers of the store |
//! | `brokers` | (j) buses against bare clients, two Readers against one, start of a Reader |
//! | `streams` | (k) streams against bare writes, all clients at once, keys and limits |
//! | `world`, `relay`, `beacon`, `exposition` | five exchanges around the real program, for (g) and (h) |
//! | `section`, `report`, `plot` | what was measured, as JSON, Markdown and SVG |
//! | `process`, `client`, `machine`, `statistics`, `frames`, `feed`, `options`, `console` | what they share |
//!
//! Everything stays on the loopback interface and has an end; child processes die with this one.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "these are measurements, not money"
)]

mod beacon;
mod books;
mod brokers;
mod client;
mod console;
mod exposition;
mod feed;
mod flood;
mod footprint;
mod frames;
mod http;
mod latency;
mod machine;
mod options;
mod pipeline;
mod plot;
mod process;
mod relay;
mod report;
mod section;
mod statistics;
mod steady;
mod store;
mod streams;
mod venues;
mod world;

use anyhow::Result;
use clap::{Parser, Subcommand};
use options::Options;
use section::Section;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Benchmarks of kurs.
#[derive(Debug, Parser)]
#[command(name = "kurs-bench", max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// (a) One rate and its 304 against nginx and a bare hyper server
    Http,
    /// (b) 1,500 requests per second, constant
    Steady,
    /// (c) Frames per second on one core, in process
    Pipeline,
    /// The first kind of (c) alone, for a profiler
    #[command(hide = true)]
    Profile,
    /// (d) From the venue's write to the new body
    Latency,
    /// (e) Start to ready, and memory with 1,000 pairs
    Footprint,
    /// (f) Order book messages per second on one core, against cryptofeed
    Books,
    /// (g) All five exchanges, 200 symbols
    Venues,
    /// (h) One exchange sends garbage
    Flood,
    /// (i) The store: writing, size, candles, export, start, answers
    Store {
        /// Only some of it, shown and not kept for the page
        #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
        only: Vec<store::Part>,
    },
    /// (j) Buses against bare clients, two Readers against one, start of a Reader
    Brokers {
        /// Only some of it, shown and not kept for the page
        #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
        only: Vec<brokers::Part>,
    },
    /// (k) Streams against bare writes, all clients at once, clients that never read, doors
    Streams {
        /// Only some of it, shown and not kept for the page
        #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
        only: Vec<streams::Part>,
    },
    /// All of them, then the page
    All {
        /// Where the page goes; its pictures go into `images/` beside it
        #[arg(long, default_value = "docs/benchmarks.md")]
        out: PathBuf,
    },
    /// The page again, from the results that are there
    Report {
        /// Where the page goes; its pictures go into `images/` beside it
        #[arg(long, default_value = "docs/benchmarks.md")]
        out: PathBuf,
    },
    /// Serve one rate that stays, with everything the API of kurs does per request
    #[command(hide = true)]
    ServeKurs { address: SocketAddr },
    /// Serve one body as plainly as hyper can
    #[command(hide = true)]
    ServeHyper { address: SocketAddr, body: PathBuf },
    /// Write the same bytes to every connection, so many times a second
    #[command(hide = true)]
    ServeBytes {
        address: SocketAddr,
        file: PathBuf,
        per_second: u32,
        writers: streams::raw::Writers,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let options = &arguments.options;
    match arguments.command {
        Command::Http => finish(options, &http::run(options)?),
        Command::Steady => finish(options, &steady::run(options)?),
        Command::Pipeline => finish(options, &pipeline::run(options)?),
        Command::Profile => pipeline::profile(options),
        Command::Latency => finish(options, &latency::run(options)?),
        Command::Footprint => finish(options, &footprint::run(options)?),
        Command::Books => finish(options, &books::run(options)?),
        Command::Venues => finish(options, &venues::run(options)?),
        Command::Flood => finish(options, &flood::run(options)?),
        Command::Store { only } if only.is_empty() => finish(options, &store::run(options)?),
        Command::Store { only } => {
            console::line(&report::text_of(&store::measure(options, &only)?));
            Ok(())
        }
        Command::Brokers { only } if only.is_empty() => finish(options, &brokers::run(options)?),
        Command::Brokers { only } => {
            console::line(&report::text_of(&brokers::measure(options, &only)?));
            Ok(())
        }
        Command::Streams { only } if only.is_empty() => finish(options, &streams::run(options)?),
        Command::Streams { only } => {
            console::line(&report::text_of(&streams::measure(options, &only)?));
            Ok(())
        }
        Command::All { out } => {
            all(options)?;
            report::write(options, &out)
        }
        Command::Report { out } => report::write(options, &out),
        Command::ServeKurs { address } => http::kurs::serve(address),
        Command::ServeHyper { address, body } => http::hyper::serve(address, &body),
        Command::ServeBytes {
            address,
            file,
            per_second,
            writers,
        } => streams::raw::serve(address, &file, per_second, writers),
    }
}

/// Shows what was measured and keeps it for the page.
fn finish(options: &Options, section: &Section) -> Result<()> {
    console::line(&report::text_of(section));
    section.save(&options.results)
}

/// Measures one thing.
type Benchmark = fn(&Options) -> Result<Section>;

/// One after the other, so that none disturbs another. One that fails does not keep the others
/// from running, but the whole fails then.
fn all(options: &Options) -> Result<()> {
    let mut failed = Vec::new();
    let parts: [(&str, Benchmark); 11] = [
        ("http", http::run),
        ("steady", steady::run),
        ("pipeline", pipeline::run),
        ("latency", latency::run),
        ("footprint", footprint::run),
        ("books", books::run),
        ("venues", venues::run),
        ("flood", flood::run),
        ("store", store::run),
        ("brokers", brokers::run),
        ("streams", streams::run),
    ];
    for (name, run) in parts {
        console::line(&format!("== {name}"));
        if let Err(error) = run(options).and_then(|section| finish(options, &section)) {
            console::line(&format!("{name} failed: {error:#}"));
            failed.push(name);
        }
    }
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
