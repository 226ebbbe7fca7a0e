//! What `kurs watch` knows, and how that changes: events and the time in, a picture of the state
//! out. No terminal, no connection, no clock of its own.

use super::trend::Trend;
use crate::commands::text_of;
use kurs_core::{Mono, Now, Price, Wall};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::Value;
use std::time::Duration;

/// Most pairs of one view; a stream has no more topics.
pub(super) const PAIRS_MAX: usize = 400;
/// Sources shown at most.
const SOURCES_MAX: usize = 200;

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// None yet.
    Opening,
    /// It stands.
    Live {
        /// Since when.
        since: Mono,
        /// Why the server says that updates may be late; empty while all is well.
        degraded: String,
    },
    /// It is lost.
    Lost {
        /// Since when.
        since: Mono,
        /// Why.
        why: String,
        /// When the next attempt begins.
        again: Mono,
    },
}

/// One pair.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// As it was asked for.
    pub(super) pair: String,
    /// With all its digits, as it came.
    pub(super) text: String,
    pub(super) value: Option<Decimal>,
    pub(super) bid: String,
    pub(super) ask: String,
    pub(super) source: String,
    pub(super) state: String,
    /// Why there is no rate; empty when there is one.
    pub(super) why: String,
    pub(super) observed_at: Option<Wall>,
    pub(super) expires_at: Option<Wall>,
    /// The first value of this view.
    pub(super) first: Option<Decimal>,
    /// Above, equal or below the value before.
    pub(super) moved: std::cmp::Ordering,
    pub(super) trend: Trend,
}

impl Row {
    fn new(pair: &str) -> Self {
        Self {
            pair: pair.to_owned(),
            text: String::new(),
            value: None,
            bid: String::new(),
            ask: String::new(),
            source: String::new(),
            state: String::new(),
            why: String::new(),
            observed_at: None,
            expires_at: None,
            first: None,
            moved: std::cmp::Ordering::Equal,
            trend: Trend::default(),
        }
    }

    /// Its state at this moment of the server: what has run out is stale, told or not.
    pub(super) fn state_at(&self, now: Wall) -> &str {
        let is_over = self.expires_at.is_some_and(|end| end < now);
        match self.state.as_str() {
            "fresh" | "suspect" if is_over => "stale",
            state => state,
        }
    }

    /// Milliseconds since what it says was true.
    pub(super) fn age_ms(&self, now: Wall) -> Option<u64> {
        let age = now.since(self.observed_at?);
        Some(u64::try_from(age.as_millis()).unwrap_or(u64::MAX))
    }

    /// Percent since the view began, and within an hour where that is known.
    pub(super) fn changes(&self, now: Wall) -> [Option<Decimal>; 2] {
        let hour_ago = self.trend.hour_ago(now.unix_seconds());
        [self.first, hour_ago].map(|then| percent(then?, self.value?))
    }
}

/// One source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SourceRow {
    pub(super) name: String,
    pub(super) state: String,
    pub(super) mode: String,
    pub(super) priority: u64,
    pub(super) why: String,
    pub(super) last_message_at: Option<Wall>,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) link: Link,
    /// In the order asked for.
    pub(super) rows: Vec<Row>,
    /// In order of preference.
    pub(super) sources: Vec<SourceRow>,
    /// Times that something was left out.
    pub(super) gaps: u64,
    /// The server's time, as far as it is known, at a moment of this machine.
    clock: Option<(Wall, Mono)>,
    begun: Mono,
}

impl Model {
    /// A view of these pairs of which nothing is known.
    pub(super) fn new(pairs: &[String], now: Now) -> Self {
        Self {
            link: Link::Opening,
            rows: pairs.iter().map(|pair| Row::new(pair)).collect(),
            sources: Vec::new(),
            gaps: 0,
            clock: None,
            begun: now.mono,
        }
    }

    /// The server's time. Two machines' clocks are never subtracted: it is the latest time that
    /// the server named, and what has passed here since.
    pub(super) fn time(&self, now: Now) -> Wall {
        match self.clock {
            Some((wall, at)) => wall.plus(now.mono.since(at)),
            None => now.wall,
        }
    }

    /// How long the view lasts.
    pub(super) fn lasts(&self, now: Now) -> Duration {
        now.mono.since(self.begun)
    }

    /// True when anything shown is invented.
    pub(super) fn is_simulated(&self) -> bool {
        let rows = self.rows.iter().map(|row| &row.source);
        let sources = self.sources.iter().map(|source| &source.name);
        rows.chain(sources).any(|name| name.starts_with("sim:"))
    }

    /// Rows that are not as they should be.
    pub(super) fn troubled(&self, now: Wall) -> usize {
        let is_troubled =
            |row: &&Row| !row.why.is_empty() || !matches!(row.state_at(now), "" | "fresh");
        self.rows.iter().filter(is_troubled).count()
    }

    /// The first second of which any row knows something, within the last hour.
    pub(super) fn trend_begin(&self, now: Wall) -> i64 {
        let now = now.unix_seconds();
        let begins = self.rows.iter().filter_map(|row| row.trend.begin());
        let begin = begins.min().unwrap_or(now);
        begin.clamp(now - super::trend::HOUR, now)
    }

    /// The server named its time.
    fn hear(&mut self, time: Wall, now: Now) {
        if self.clock.is_none() || time > self.time(now) {
            self.clock = Some((time, now.mono));
        }
    }

    /// The connection stands.
    pub(super) fn opened(&mut self, time: Option<Wall>, now: Now) {
        if let Some(time) = time {
            self.hear(time, now);
        }
        self.link = Link::Live {
            since: now.mono,
            degraded: String::new(),
        };
    }

    /// The connection is lost.
    pub(super) fn lost(&mut self, why: &str, wait: Duration, now: Now) {
        let since = match self.link {
            // The time counts from the first loss.
            Link::Lost { since, .. } => since,
            _ => now.mono,
        };
        self.link = Link::Lost {
            since,
            why: crate::output::clean(why),
            again: now.mono.plus(wait),
        };
    }

    /// Closes of past minutes: at which second each minute ended, and its last value.
    pub(super) fn candles(&mut self, pair: &str, closes: &[(i64, Decimal)]) {
        if let Some(row) = self.rows.iter_mut().find(|row| row.pair == pair) {
            for (second, value) in closes {
                row.trend.fill(*second, *value);
            }
        }
    }

    /// An event of the stream.
    pub(super) fn event(&mut self, kind: &str, data: &Value, now: Now) {
        match kind {
            "hello" | "heartbeat" => {
                let said = text_of(data, "degraded");
                if let Link::Live { degraded, .. } = &mut self.link {
                    *degraded = crate::output::clean(&said);
                }
            }
            "snapshot" => {
                for rate in list(data, "rates") {
                    self.rate(&text_of(rate, "pair"), rate, now);
                }
                for error in list(data, "errors") {
                    self.no_rate(error);
                }
                for status in list(data, "sources") {
                    self.source(status);
                }
            }
            "rate" => {
                if let Some(rate) = data.get("rate") {
                    let topic = text_of(data, "topic");
                    self.rate(topic.strip_prefix("rate:").unwrap_or(&topic), rate, now);
                }
            }
            "source" => {
                if let Some(status) = data.get("status") {
                    self.source(status);
                }
            }
            "error" => self.no_rate(data),
            "gap" => self.gaps = self.gaps.saturating_add(1),
            // A later server may tell more.
            _ => {}
        }
    }

    fn rate(&mut self, pair: &str, rate: &Value, now: Now) {
        let time = |name: &str| text_of(rate, name).parse::<Wall>().ok();
        if let Some(published) = time("published_at") {
            self.hear(published, now);
        }
        let second = self.time(now).unix_seconds();
        let Some(row) = self.rows.iter_mut().find(|row| row.pair == pair) else {
            return;
        };
        let text = crate::output::clean(&text_of(rate, "value"));
        let value = Price::parse(&text).ok().map(Price::value);
        row.moved = match (row.value, value) {
            (Some(before), Some(value)) => value.cmp(&before),
            _ => std::cmp::Ordering::Equal,
        };
        row.first = row.first.or(value);
        if let Some(value) = value {
            row.trend.add(second, value);
        }
        (row.text, row.value) = (text, value);
        for (name, cell) in [
            ("bid", &mut row.bid),
            ("ask", &mut row.ask),
            ("source", &mut row.source),
            ("state", &mut row.state),
        ] {
            *cell = crate::output::clean(&text_of(rate, name));
        }
        row.observed_at = time("observed_at");
        row.expires_at = time("expires_at");
        row.why.clear();
    }

    fn no_rate(&mut self, error: &Value) {
        let topic = text_of(error, "topic");
        let pair = topic.strip_prefix("rate:").unwrap_or(&topic);
        if let Some(row) = self.rows.iter_mut().find(|row| row.pair == pair) {
            let detail = crate::output::clean(&text_of(error, "detail"));
            row.why = match detail.is_empty() {
                true => "there is no rate".to_owned(),
                false => detail,
            };
            row.state = "no rate".to_owned();
        }
    }

    fn source(&mut self, status: &Value) {
        let text = |name: &str| crate::output::clean(&text_of(status, name));
        let row = SourceRow {
            name: text("source"),
            state: text("state"),
            mode: text("mode"),
            priority: status.get("priority").and_then(Value::as_u64).unwrap_or(0),
            why: text("why"),
            last_message_at: text("last_message_at").parse().ok(),
        };
        let is_room = self.sources.len() < SOURCES_MAX;
        match self.sources.iter_mut().find(|known| known.name == row.name) {
            Some(known) => *known = row,
            None if is_room => self.sources.push(row),
            None => {}
        }
        self.sources
            .sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    }
}

/// How many percent more than then, to two places.
fn percent(then: Decimal, now: Decimal) -> Option<Decimal> {
    let share = now.checked_sub(then)?.checked_div(then)?;
    let percent = share.checked_mul(Decimal::ONE_HUNDRED)?;
    let rounded = percent.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven);
    Some(rounded)
}

fn list<'a>(data: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    data.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

#[cfg(test)]
pub(super) mod tests;
