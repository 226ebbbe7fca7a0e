//! `kurs watch`: rates of a running server as they change.
//!
//! | module | what it holds |
//! |---|---|
//! | `sse` | events out of bytes |
//! | `feed` | the stream, over and over |
//! | `model` | what is known; events and the time in |
//! | `trend` | the last hour of a pair, as a line |
//! | `view` | how it is looked at; keys in |
//! | `draw` | the model as a screen |
//! | `screen` | the terminal, taken and given back |
//! | `lines` | the same without a screen |

mod draw;
mod feed;
mod lines;
mod model;
mod screen;
mod sse;
mod trend;
mod view;

use crate::cli::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_core::PairParser;
use serde_json::Value;
use std::io::IsTerminal;

const EXAMPLES: &str = "\
Examples:
  kurs watch                          what the server is set to serve
  kurs watch BTC-USD ETH-RUB
  kurs watch BTC-USD --plain | cut -f 3    one line for each change
  kurs watch --server https://rates.example --json | jq .data.rate.value
";

/// Arguments of `watch`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct WatchArgs {
    /// Pairs such as BTC-USD, btc/usd or BTCUSDT [default: the directions of the server and what
    /// it tracks]
    #[arg(value_name = "PAIR", num_args = 0..=model::PAIRS_MAX)]
    pairs: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(arguments: WatchArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let mut pairs = Vec::new();
    for text in &arguments.pairs {
        let pair = PairParser::default()
            .parse(text)
            .map_err(|error| Failure::new(Exit::Usage, format!("{text:?}: {error}")))?
            .to_string();
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    // Whoever is not let in, or calls the wrong server, hears that before the screen changes.
    let known = client.get("/api/v1/pairs", &[]).await?.json()?;
    if pairs.is_empty() {
        pairs = pairs_of(&known);
    }
    if pairs.is_empty() {
        let message = "the server serves no pair of its own; name some: kurs watch BTC-USD";
        return Err(Failure::new(Exit::Usage, message));
    }
    match output.form {
        Form::Text if can_be_drawn_on() => screen::show(client, pairs).await,
        _ => super::interruptible(lines::write(client, pairs, output)).await,
    }
}

/// The directions of a server and the pairs it tracks.
fn pairs_of(known: &Value) -> Vec<String> {
    let list = |name: &str| known.get(name).and_then(Value::as_array).cloned();
    let directions = list("directions").unwrap_or_default();
    let tracked = list("tracked").unwrap_or_default();
    let tracked = tracked.iter().filter_map(|symbol| symbol.get("pair"));
    let mut pairs: Vec<String> = Vec::new();
    for pair in directions.iter().chain(tracked).filter_map(Value::as_str) {
        let pair = crate::output::clean(pair);
        if !pairs.contains(&pair) && pairs.len() < model::PAIRS_MAX {
            pairs.push(pair);
        }
    }
    pairs
}

/// A terminal that knows how to move its cursor.
fn can_be_drawn_on() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    std::io::stdout().is_terminal() && !is_dumb
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn without_pairs_directions_and_tracked_pairs_are_watched_once_each() {
        let known = json!({
            "directions": ["BTC-USD", "USDTTRC-RUB"],
            "tracked": [{"symbol": "BTCUSD", "pair": "BTC-USD"}, {"symbol": "BTCUSDT", "pair": "BTC-USDT"}],
        });
        assert_eq!(pairs_of(&known), ["BTC-USD", "USDTTRC-RUB", "BTC-USDT"]);
        assert!(pairs_of(&json!([])).is_empty());
    }
}
