//! `kurs candles`.

mod picture;

use super::text_of;
use crate::cli::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::{Args, ValueEnum};
use kurs_core::{Clock, PairParser, Price, SystemClock, Wall};
use kurs_store::Interval;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs candles BTC-USD                                       the last hundred minutes
  kurs candles BTC-RUB --interval 1h --start 2026-11-01T00:00:00Z
  kurs candles BTC-USDT --interval 1d --source binance --csv > btc.csv
  kurs candles BTC-USD --interval 5m --chart btc.png         as a picture, PNG or SVG
";

/// Most candles the server gives in one page.
const PAGE: usize = 1_000;
/// Candles shown when neither a start nor a limit is given.
const DEFAULT_LIMIT: usize = 100;
/// Most candles in one table, which is aligned as a whole.
const TABLE_MAX: usize = 10_000;
/// Width of the chart, characters.
const CHART_WIDTH: u32 = 30;

/// Length of a candle.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Length {
    /// One second
    #[value(name = "1s")]
    Second,
    /// One minute
    #[value(name = "1m")]
    Minute,
    /// Five minutes
    #[value(name = "5m")]
    FiveMinutes,
    /// One hour
    #[value(name = "1h")]
    Hour,
    /// One day
    #[value(name = "1d")]
    Day,
}

impl Length {
    const fn interval(self) -> Interval {
        match self {
            Self::Second => Interval::Second,
            Self::Minute => Interval::Minute,
            Self::FiveMinutes => Interval::FiveMinutes,
            Self::Hour => Interval::Hour,
            Self::Day => Interval::Day,
        }
    }
}

/// Arguments of `candles`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct CandlesArgs {
    /// The pair, such as BTC-USD
    pair: String,
    /// Length of a candle
    #[arg(long, default_value = "1m", value_name = "LENGTH")]
    interval: Length,
    /// From this time on, such as 2026-11-21T00:00:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Of what this source said, instead of what was published
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// At most this many [default: all from --start on, 100 without --start]
    #[arg(long, value_name = "CANDLES", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// As CSV, with headings
    #[arg(long, conflicts_with_all = ["json", "plain"], help_heading = "Output")]
    csv: bool,
    #[command(flatten)]
    picture: picture::PictureArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Members of a candle, as columns.
const COLUMNS: [&str; 8] = [
    "start", "open", "high", "low", "close", "count", "origin", "closed",
];

pub(super) async fn run(arguments: CandlesArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let pair = PairParser::default()
        .parse(&arguments.pair)
        .map_err(|error| Failure::new(Exit::Usage, format!("{:?}: {error}", arguments.pair)))?;
    let path = format!("/api/v1/candles/{}/{}", pair.base, pair.quote);
    let interval = arguments.interval.interval();
    if arguments.picture.is_wanted() {
        return picture::write(&client, &path, &arguments, output).await;
    }
    let is_table = output.form == Form::Text && !arguments.csv;
    let asked = arguments
        .limit
        .and_then(|limit| usize::try_from(limit).ok());
    let most = match (asked, &arguments.start) {
        (Some(limit), _) => limit,
        (None, None) => DEFAULT_LIMIT,
        (None, Some(_)) => usize::MAX,
    };
    let most = if is_table { most.min(TABLE_MAX) } else { most };
    let start = match &arguments.start {
        None if most > PAGE => Some(first_of(interval, most, arguments.end.as_deref())?),
        start => start.clone(),
    };
    if arguments.csv {
        output.data(&COLUMNS.join(","))?;
    }
    let mut cursor: Option<String> = None;
    let mut left = most;
    let mut table: Vec<Value> = Vec::new();
    let mut is_told = false;
    while left > 0 {
        let limit = left.min(PAGE).to_string();
        let mut parameters = vec![("interval", interval.as_str()), ("limit", limit.as_str())];
        let optional = [
            ("start", &start),
            ("end", &arguments.end),
            ("source", &arguments.source),
            ("cursor", &cursor),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                parameters.push((name, value.as_str()));
            }
        }
        let document = client.get(&path, &parameters).await?.json()?;
        if !std::mem::replace(&mut is_told, true) {
            tell_path(&document, output);
        }
        let candles = document.get("candles").and_then(Value::as_array);
        let candles = candles.cloned().unwrap_or_default();
        left = left.saturating_sub(candles.len());
        if is_table {
            table.extend(candles);
        } else {
            show(&candles, arguments.csv, output)?;
        }
        // A page over sparse candles may be empty and yet have a next one.
        let next = document.get("next").and_then(Value::as_str);
        cursor = next.map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if is_table {
        show_table(&table, output)?;
    }
    if cursor.is_some() {
        output.say("there is more: raise --limit, or take --csv or --json");
    }
    Ok(Exit::Ok)
}

/// Begin of the first of this many candles, the last of which holds the end.
fn first_of(interval: Interval, count: usize, end: Option<&str>) -> Result<String, Failure> {
    let end = match end {
        None => SystemClock::new().now().wall,
        Some(text) => text
            .parse::<Wall>()
            .map_err(|error| Failure::new(Exit::Usage, format!("--end {text:?}: {error}")))?,
    };
    let before = i64::try_from(count.saturating_sub(1)).unwrap_or(i64::MAX);
    let length = i64::from(interval.seconds()) * 1_000_000;
    let start = interval
        .start_of(end)
        .0
        .saturating_sub(before.saturating_mul(length));
    Ok(Wall(start.max(Wall::MIN.0)).to_string())
}

/// Says when candles are not stored ones.
fn tell_path(document: &Value, output: Output) {
    let path: Vec<&str> = document
        .get("path")
        .and_then(Value::as_array)
        .map(|path| path.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    if !path.is_empty() {
        let path = crate::output::clean(&path.join(", "));
        output.say(&format!("joined from the candles of {path}"));
    }
}

fn cells(candle: &Value) -> Vec<String> {
    COLUMNS
        .map(|name| crate::output::clean(&text_of(candle, name)))
        .to_vec()
}

/// Line by line, so that long answers need no memory at either end.
fn show(candles: &[Value], as_csv: bool, output: Output) -> std::io::Result<()> {
    if output.form == Form::Plain {
        let rows: Vec<Vec<String>> = candles.iter().map(cells).collect();
        return output.table(&COLUMNS, &rows);
    }
    let lines: String = candles
        .iter()
        .map(|candle| match as_csv {
            true => cells(candle).join(",") + "\n",
            false => format!("{candle}\n"),
        })
        .collect();
    output.data(&lines)
}

fn show_table(candles: &[Value], output: Output) -> std::io::Result<()> {
    let chart = Chart::over(candles);
    let rows: Vec<Vec<String>> = candles
        .iter()
        .map(|candle| {
            let mut cells = cells(candle);
            cells.truncate(6);
            cells.push(match candle.get("closed") {
                Some(Value::Bool(false)) => "open".to_owned(),
                _ if text_of(candle, "origin") == "backfill" => "backfill".to_owned(),
                _ => String::new(),
            });
            cells.push(
                chart
                    .as_ref()
                    .map(|chart| chart.line(candle))
                    .unwrap_or_default(),
            );
            cells
        })
        .collect();
    let headings = [
        "start", "open", "high", "low", "close", "count", "", "chart",
    ];
    output.table(&headings, &rows)
}

/// Draws candles beside each other, between the least and the greatest price of all.
struct Chart {
    least: Decimal,
    width: Decimal,
}

fn price(candle: &Value, name: &str) -> Option<Decimal> {
    let price = Price::parse(candle.get(name)?.as_str()?).ok()?;
    Some(price.value())
}

impl Chart {
    fn over(candles: &[Value]) -> Option<Self> {
        let lows = candles.iter().filter_map(|candle| price(candle, "low"));
        let highs = candles.iter().filter_map(|candle| price(candle, "high"));
        let least = lows.min()?;
        let width = highs.max()?.checked_sub(least)?;
        (width > Decimal::ZERO).then_some(Self { least, width })
    }

    fn column(&self, price: Decimal) -> Option<usize> {
        price
            .checked_sub(self.least)?
            .checked_div(self.width)?
            .checked_mul(Decimal::from(CHART_WIDTH - 1))?
            .round()
            .to_usize()
            .filter(|column| *column < CHART_WIDTH as usize)
    }

    /// `-` from low to high, `=` from open to close, `o` at the close.
    fn line(&self, candle: &Value) -> String {
        let at = |name| price(candle, name).and_then(|price| self.column(price));
        let (Some(open), Some(high), Some(low), Some(close)) =
            (at("open"), at("high"), at("low"), at("close"))
        else {
            return String::new();
        };
        (0..=high)
            .map(|column| match column {
                _ if column == close => 'o',
                _ if (open.min(close)..=open.max(close)).contains(&column) => '=',
                _ if (low..=high).contains(&column) => '-',
                _ => ' ',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_chart_spans_all_candles() {
        let candles = [
            json!({"open": "10", "high": "10", "low": "10", "close": "10"}),
            json!({"open": "20", "high": "39", "low": "15", "close": "30"}),
        ];
        let chart = Chart::over(&candles).unwrap();
        assert_eq!(chart.line(&candles[0]), "o");
        assert_eq!(chart.line(&candles[1]), "     -----==========o---------");
        assert!(Chart::over(&candles[..1]).is_none(), "nothing to compare");
        let broken = json!({"open": "x", "high": "1", "low": "1", "close": "1"});
        assert_eq!(chart.line(&broken), "");
    }

    #[test]
    fn the_first_of_many_candles_is_counted_back_from_the_end() {
        let first = first_of(Interval::Minute, 2_000, Some("2026-11-21T10:00:30Z")).unwrap();
        assert_eq!(first, "2026-11-20T00:41:00.000Z");
        assert!(first_of(Interval::Day, usize::MAX, None).is_ok());
        assert!(first_of(Interval::Day, 1, Some("soon")).is_err());
    }
}
