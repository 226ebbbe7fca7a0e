//! What is said at the end.

use super::plan::{Asked, Filled};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean};
use kurs_core::{Pair, SourceId};
use kurs_sources::archive::Ended;
use kurs_sources::archive::run::Outcome;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What became of one source.
#[derive(Default)]
struct Line {
    candles: u64,
    official: u64,
    requests: u64,
    failed: usize,
}

/// Says what was fetched, and ends with the code that fits. `any_pair`: no pair was named, so
/// that one which some source does not list is nothing to speak of.
pub(super) fn say(
    outcomes: &[Outcome],
    filled: &Filled,
    asked: &Asked,
    any_pair: bool,
    output: Output,
) -> Result<Exit, Failure> {
    let mut lines: BTreeMap<SourceId, Line> = BTreeMap::new();
    for outcome in outcomes {
        let line = lines.entry(outcome.series.source).or_default();
        line.candles += outcome.candles;
        line.official += outcome.official;
        line.requests += outcome.requests;
        line.failed += usize::from(matches!(outcome.ended, Ended::Failed(_)));
    }
    match output.form {
        Form::Json => output.data(&document(outcomes, &lines, filled).to_string())?,
        _ if outcomes.is_empty() && filled.unfinished > 0 => {
            output.say("nothing is missing so far");
        }
        _ if outcomes.is_empty() => output.say("nothing is missing"),
        _ => {
            let rows: Vec<Vec<String>> = lines
                .iter()
                .map(|(source, line)| {
                    let counts = [line.candles, line.official, line.requests];
                    let mut row = vec![source.to_string()];
                    row.extend(counts.map(|count| count.to_string()));
                    row
                })
                .collect();
            output.table(&["source", "candles", "official rates", "requests"], &rows)?;
        }
    }
    if asked.only_gaps && output.form != Form::Json {
        output.say(&format!("{} gaps are filled", filled.whole.len()));
        if filled.unfinished > 0 {
            output.say(&format!(
                "{} gaps wait: some of their candles are not over yet, or were not asked for",
                filled.unfinished
            ));
        }
    }
    complaints(outcomes, any_pair, output);
    Ok(exit(outcomes, any_pair, output))
}

fn document(
    outcomes: &[Outcome],
    lines: &BTreeMap<SourceId, Line>,
    filled: &Filled,
) -> serde_json::Value {
    let sources: Vec<_> = lines
        .iter()
        .map(|(source, line)| {
            json!({
                "source": source.to_string(),
                "candles": line.candles,
                "official": line.official,
                "requests": line.requests,
            })
        })
        .collect();
    let series: Vec<_> = outcomes
        .iter()
        .map(|one| {
            let (ended, why) = match &one.ended {
                Ended::Done => ("done", None),
                Ended::NotListed => ("not_listed", None),
                Ended::Stopped => ("stopped", None),
                Ended::Failed(why) => ("failed", Some(why)),
            };
            json!({
                "source": one.series.source.to_string(),
                "pair": one.series.pair.map(|pair| pair.to_string()),
                "interval": one.series.interval.map(|interval| interval.as_str()),
                "candles": one.candles,
                "official": one.official,
                "ended": ended,
                "why": why,
            })
        })
        .collect();
    json!({
        "sources": sources,
        "series": series,
        "gaps_filled": filled.whole.len(),
        "gaps_unfinished": filled.unfinished,
    })
}

/// Pairs that were named and that no source has.
fn unknown(outcomes: &[Outcome]) -> Vec<Pair> {
    let pairs: BTreeSet<Pair> = outcomes.iter().filter_map(|one| one.series.pair).collect();
    let is_unknown = |pair: &Pair| {
        let mut of = outcomes.iter().filter(|one| one.series.pair == Some(*pair));
        of.all(|one| one.ended == Ended::NotListed)
    };
    pairs.into_iter().filter(is_unknown).collect()
}

fn complaints(outcomes: &[Outcome], any_pair: bool, output: Output) {
    for one in outcomes {
        if let Ended::Failed(why) = &one.ended {
            crate::output::complain(&clean(&format!("{}: {why}", one.series)));
        }
        if !one.rejected.is_empty() {
            let rows = one.rejected.join(", ");
            output.say(&clean(&format!("{}: left out: {rows}", one.series)));
        }
    }
    if !any_pair {
        for pair in unknown(outcomes) {
            crate::output::complain(&format!("{pair}: no source that was asked has it"));
        }
    }
}

fn exit(outcomes: &[Outcome], any_pair: bool, output: Output) -> Exit {
    if outcomes.iter().any(|one| one.ended == Ended::Stopped) {
        output.say("stopped; what was fetched is kept: the same command goes on from there");
        return Exit::Interrupted;
    }
    let failed = |one: &Outcome| matches!(one.ended, Ended::Failed(_));
    if outcomes.iter().any(failed) {
        let brought_none = outcomes.iter().all(|one| one.candles + one.official == 0);
        return if brought_none && outcomes.iter().all(failed) {
            Exit::Unavailable
        } else {
            Exit::Failure
        };
    }
    if !any_pair && !unknown(outcomes).is_empty() {
        return Exit::NotFound;
    }
    Exit::Ok
}
