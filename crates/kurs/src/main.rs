//! The kurs binary: one executable, roles as flags, everything else as subcommands.

use clap::Parser;
use kurs::cli::{Cli, with_default_command};
use kurs::commands;
use kurs::exit::{Exit, Failure};
use kurs::output::complain;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = match start() {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() {
                complain(&format!("kurs: {failure}"));
            }
            failure.exit
        }
    };
    ExitCode::from(exit.code())
}

fn start() -> Result<Exit, Failure> {
    let arguments = std::env::args_os().map(|text| text.to_string_lossy().into_owned());
    let cli = match Cli::try_parse_from(with_default_command(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are data; everything else is a mistake in usage.
            let _ = error.print();
            return Ok(if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            });
        }
    };
    // One TLS provider for the whole process, set before anything asks for it.
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        return Err(Failure::new(Exit::Failure, "TLS is set up twice"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(commands::run(cli));
    // What still runs was given its time already.
    runtime.shutdown_background();
    ended
}
