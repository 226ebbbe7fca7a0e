//! What a replay prints.

use super::{Print, Shape};
use crate::exit::Failure;
use crate::output::{Output, clean};
use kurs_bus::update::Key;
use kurs_bus::{Body, Update};
use kurs_core::{Clock, ManualClock, Now, Pair, Rate};
use kurs_reader::{Missing, RateView, ViewConfig};
use kurs_writer::capture::replay::{Audience, Outcomes};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::io::{BufWriter, Stdout, Write};
use std::sync::Arc;

/// Takes updates in and prints what was asked for.
pub(super) struct Printer {
    print: Print,
    shape: Shape,
    only: Vec<Pair>,
    directions: Vec<Pair>,
    output: Output,
    stdout: BufWriter<Stdout>,
    failure: Option<std::io::Error>,
    /// The last update of everything with its time, for the rates at the end.
    last: HashMap<Key, (Now, Update)>,
    /// The last printed rate of each pair.
    printed: HashMap<Pair, Rate>,
    changes: u64,
    now: Now,
}

impl Printer {
    pub(super) fn new(
        print: Print,
        shape: Shape,
        only: Vec<Pair>,
        directions: Vec<Pair>,
        output: Output,
    ) -> Result<Self, Failure> {
        let mut printer = Self {
            print,
            shape,
            only,
            directions,
            output,
            stdout: BufWriter::new(std::io::stdout()),
            failure: None,
            last: HashMap::new(),
            printed: HashMap::new(),
            changes: 0,
            now: Now::default(),
        };
        if shape == Shape::Json && print == Print::Changes {
            printer.stdout.write_all(b"{\"changes\":[")?;
        }
        Ok(printer)
    }

    /// Why nothing more can be printed.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        self.failure.take().map(Failure::from)
    }

    fn wants(&self, pair: Pair) -> bool {
        self.only.is_empty() || self.only.contains(&pair)
    }

    fn change(&mut self, now: Now, rate: &Rate) -> std::io::Result<()> {
        let is_news = self.printed.get(&rate.pair).is_none_or(|last| {
            (last.value, last.source, last.state) != (rate.value, rate.source, rate.state)
        });
        if !is_news {
            return Ok(());
        }
        self.printed.insert(rate.pair, rate.clone());
        self.changes += 1;
        if self.shape == Shape::Table {
            return writeln!(
                self.stdout,
                "{}\t{}\t{}\t{}\t{}",
                now.wall,
                rate.pair,
                rate.value,
                rate.source,
                rate.state.as_str()
            );
        }
        let document = json!({
            "at": now.wall,
            "pair": rate.pair,
            "value": rate.value,
            "bid": rate.bid,
            "ask": rate.ask,
            "source": rate.source,
            "state": rate.state,
        });
        match (self.shape, self.changes) {
            (Shape::Json, 1) => write!(self.stdout, "\n{document}"),
            (Shape::Json, _) => write!(self.stdout, ",\n{document}"),
            _ => writeln!(self.stdout, "{document}"),
        }
    }

    /// The rates at the end, as a Reader would have answered.
    fn rates(&self) -> Vec<Value> {
        let mut updates: Vec<&(Now, Update)> = self.last.values().collect();
        updates.sort_unstable_by_key(|(_, update)| update.id);
        let began_at = updates.first().map_or(self.now, |(at, _)| *at);
        let clock = Arc::new(ManualClock::new(began_at));
        let pass_to = |at: Now| {
            clock.advance(at.mono.since(clock.now().mono));
            clock.set_wall(at.wall);
        };
        let config = ViewConfig {
            directions: self.directions.clone(),
        };
        let view = RateView::new(Arc::clone(&clock) as Arc<dyn Clock>, config);
        let mut pairs: BTreeSet<Pair> = self.directions.iter().copied().collect();
        pairs.extend(&self.only);
        for (at, update) in updates {
            if let Body::Rate(rate) = &update.body {
                pairs.insert(rate.pair);
            }
            // At its own time, since validity counts from there.
            pass_to(*at);
            view.apply(&Arc::new(update.clone()));
        }
        pass_to(self.now);
        let mut rates = Vec::new();
        for pair in pairs.into_iter().filter(|pair| self.wants(*pair)) {
            rates.push(match view.rate(pair, None) {
                Ok(answer) => json!(&*answer.document),
                Err(Missing::Expired(document)) => {
                    let mut value = json!(document);
                    value["state"] = "expired".into();
                    value
                }
                // Only what was asked for is missed.
                Err(_) if self.only.is_empty() => continue,
                Err(_) => json!({"pair": pair, "value": null, "source": null, "state": "missing"}),
            });
        }
        rates
    }

    /// Prints what comes last. Gives the pairs that were asked for and not found.
    pub(super) fn end(mut self, outcomes: &Outcomes) -> Result<Vec<Pair>, Failure> {
        let rates = match self.print {
            Print::Last => self.rates(),
            Print::Changes | Print::None => Vec::new(),
        };
        let missing = self.missing(&rates);
        let summary = json!(outcomes.tally);
        match self.shape {
            Shape::Json if self.print == Print::Changes => {
                writeln!(
                    self.stdout,
                    "\n],\"summary\":{summary},\"hash\":{:?}}}",
                    outcomes.hash
                )?;
            }
            Shape::Json => {
                let document = json!({"rates": rates, "summary": summary, "hash": outcomes.hash});
                writeln!(self.stdout, "{document}")?;
            }
            Shape::Ndjson => {
                for rate in &rates {
                    writeln!(self.stdout, "{rate}")?;
                }
                let document = json!({"summary": summary, "hash": outcomes.hash});
                writeln!(self.stdout, "{document}")?;
            }
            Shape::Table => {
                self.stdout.flush()?;
                self.table(&rates)?;
                self.summary_table(outcomes)?;
            }
        }
        self.stdout.flush()?;
        Ok(missing)
    }

    /// The pairs that were asked for and of which there was nothing to print.
    fn missing(&self, rates: &[Value]) -> Vec<Pair> {
        let is_missing = |pair: &Pair| match self.print {
            Print::Changes => !self.printed.contains_key(pair),
            Print::Last => {
                let name = pair.to_string();
                let of_pair = |rate: &&Value| rate["pair"] == name.as_str();
                rates
                    .iter()
                    .find(of_pair)
                    .is_none_or(|rate| rate["value"].is_null())
            }
            Print::None => false,
        };
        self.only.iter().copied().filter(is_missing).collect()
    }

    fn table(&self, rates: &[Value]) -> Result<(), Failure> {
        if rates.is_empty() {
            return Ok(());
        }
        let cell = |rate: &Value, name: &str| super::super::text_of(rate, name);
        let rows: Vec<Vec<String>> = rates
            .iter()
            .map(|rate| {
                ["pair", "value", "source", "state"]
                    .map(|name| cell(rate, name))
                    .to_vec()
            })
            .collect();
        self.output
            .table(&["pair", "value", "source", "state"], &rows)?;
        self.output.data("\n")?;
        Ok(())
    }

    fn summary_table(&self, outcomes: &Outcomes) -> Result<(), Failure> {
        let tally = &outcomes.tally;
        let rows: Vec<Vec<String>> = tally
            .sources
            .iter()
            .map(|(name, source)| {
                vec![
                    name.clone(),
                    source.frames.to_string(),
                    source.answers.to_string(),
                    source.pairs.to_string(),
                    source.decode_errors.to_string(),
                    source.gaps.to_string(),
                    source.resyncs.to_string(),
                    source.checksum_failures.to_string(),
                    source.state.to_owned(),
                ]
            })
            .collect();
        let headings = [
            "source",
            "frames",
            "answers",
            "pairs",
            "unreadable",
            "gaps",
            "resyncs",
            "checksums",
            "state",
        ];
        self.output.table(&headings, &rows)?;
        let seconds = tally.span_ms / 1_000;
        let text = format!(
            "\nlines    {} ({} broken), {seconds} s\nupdates  {} ({} rates)\nhash     {}\n",
            tally.lines,
            tally.broken_lines,
            tally.updates,
            tally.rates,
            clean(&outcomes.hash)
        );
        self.output.data(&text)?;
        Ok(())
    }
}

impl Audience for Printer {
    fn time(&mut self, now: Now) -> bool {
        self.now = now;
        self.failure.is_none()
    }

    fn update(&mut self, now: Now, update: Update) {
        match (&update.body, self.print) {
            (Body::Rate(rate), Print::Changes) if self.wants(rate.pair) => {
                let written = self.change(now, rate);
                self.failure = self.failure.take().or(written.err());
            }
            (Body::Withdrawn(pair), Print::Last) => {
                self.last.retain(|key, _| !key.is_of(*pair));
            }
            (Body::NoRate(_), _) => {}
            (_, Print::Last) => {
                self.last.insert(update.key(), (now, update));
            }
            _ => {}
        }
    }
}
