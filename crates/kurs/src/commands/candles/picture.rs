//! `kurs candles --chart`.

use super::CandlesArgs;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// How candles become a picture.
#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
pub(super) struct PictureArgs {
    /// Write a picture into this file: its name ends with .png or .svg
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "plain", "csv"])]
    chart: Option<PathBuf>,
    /// Colours of the picture
    #[arg(long, value_name = "THEME", requires = "chart")]
    theme: Option<Theme>,
    /// A line through the closes instead of candles
    #[arg(long, requires = "chart")]
    line: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Theme {
    /// Dark on white
    Light,
    /// Light on black
    Dark,
}

impl PictureArgs {
    pub(super) const fn is_wanted(&self) -> bool {
        self.chart.is_some()
    }
}

/// The form that the name of a file asks for.
fn form_of(file: &Path) -> Result<&'static str, Failure> {
    let end = file.extension().and_then(|end| end.to_str());
    match end.map(str::to_ascii_lowercase).as_deref() {
        Some("png") => Ok("png"),
        Some("svg") => Ok("svg"),
        _ => {
            let message = "--chart: the name of a picture ends with .png or .svg";
            Err(Failure::new(Exit::Usage, message))
        }
    }
}

/// Asks the server for the picture and writes it.
pub(super) async fn write(
    client: &Client,
    path: &str,
    arguments: &CandlesArgs,
    output: Output,
) -> Result<Exit, Failure> {
    let Some(file) = &arguments.picture.chart else {
        return Ok(Exit::Ok);
    };
    let form = form_of(file)?;
    let limit = arguments.limit.map(|limit| limit.to_string());
    let mut parameters = vec![("interval", arguments.interval.interval().as_str())];
    for (name, value) in [
        ("start", &arguments.start),
        ("end", &arguments.end),
        ("source", &arguments.source),
        ("limit", &limit),
    ] {
        if let Some(value) = value {
            parameters.push((name, value));
        }
    }
    if let Some(theme) = arguments.picture.theme {
        let word = match theme {
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        parameters.push(("theme", word));
    }
    if arguments.picture.line {
        parameters.push(("form", "line"));
    }
    let picture = client
        .get_bytes(&format!("{path}.{form}"), &parameters)
        .await?;
    let named = crate::output::clean(&file.display().to_string());
    std::fs::write(file, &picture)
        .map_err(|error| Failure::new(Exit::Failure, format!("{named}: {error}")))?;
    output.say(&format!("wrote {named}"));
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_says_the_form() {
        let form = |name: &str| form_of(Path::new(name)).map_err(|failure| failure.exit);
        assert_eq!(form("a/btc.PNG"), Ok("png"));
        assert_eq!(form("btc.svg"), Ok("svg"));
        assert_eq!(form("btc.jpg"), Err(Exit::Usage));
        assert_eq!(form("png"), Err(Exit::Usage));
    }
}
