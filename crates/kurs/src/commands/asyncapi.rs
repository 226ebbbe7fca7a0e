//! `kurs asyncapi`.

use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(output: Output) -> Result<Exit, Failure> {
    let document = kurs_api::asyncapi(env!("CARGO_PKG_VERSION"));
    output.data(&format!("{document:#}"))?;
    Ok(Exit::Ok)
}
