//! Tasks of the repository, run as `cargo xtask <task>`.
//!
//! | file | what it holds |
//! |---|---|
//! | `cli` | the words of the command line |
//! | `lanes`, `lanes/` | `test`: the lanes, their order, the summary |
//! | `layers`, `layers/` | which crate may use which; read from `cargo metadata` |
//! | `promises` | every promise of `docs/promises.md` has a living test |
//! | `words`, `test_code` | texts that must not be in the tree |
//! | `documents`, `commands` | commands shown in the texts exist |
//! | `deny` | cargo-deny: licences, bans, sources, advisories |
//! | `provision` | programs the tasks need, and how they are installed |
//! | `contract` | the API against its own document, by schemathesis |
//! | `demo`, `registry` | a live server; packages of PyPI and npm |
//! | `clients`, `clients/` | generated clients: made again, compared, compiled, run |
//! | `page` | the web page in a browser |
//! | `coverage` | line coverage by cargo-llvm-cov |
//! | `bench` | starts the benchmark program |
//! | `fuzz` | runs the fuzz targets of `fuzz/` |
//! | `workspace`, `tree`, `process`, `console` | where things are, how they are started and told |
//!
//! Nothing here depends on another crate of the workspace: the checks must run
//! when the rest does not compile.

mod bench;
mod cli;
mod clients;
mod commands;
mod console;
mod contract;
mod coverage;
mod demo;
mod deny;
mod documents;
mod fuzz;
mod lanes;
mod layers;
mod page;
mod process;
mod promises;
mod provision;
mod registry;
mod test_code;
mod tree;
mod words;
mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::problem(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
