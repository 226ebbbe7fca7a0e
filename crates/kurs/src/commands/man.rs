//! `kurs man`.

use crate::cli::Cli;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::CommandFactory;

pub(super) fn run(output: Output) -> Result<Exit, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    output.data(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Ok)
}
