//! What a configuration means: its paths compiled, everything wrong in it found.

use super::config::Config;
use super::csv::CsvStyle;
use super::moment::{self, TimeStyle};
use super::number::NumberStyle;
use super::place::Place;
use super::reading::{Table, Unit};
use super::wire::Format;
use crate::zone;
use encoding_rs::Encoding;
use jiff::tz::TimeZone;
use kurs_core::{Asset, Pair, PairParser};
use std::collections::BTreeSet;

/// No more pairs are described one by one.
const MOST_PAIRS: usize = 1_000;

/// How a source is read.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The format; `None`: what the answer seems to be.
    pub format: Option<Format>,
    /// The encoding; `None`: what the answer declares.
    pub charset: Option<&'static Encoding>,
    /// How CSV is written.
    pub csv: CsvStyle,
    /// How numbers are written.
    pub numbers: NumberStyle,
    /// How times are written.
    pub times: TimeStyle,
    /// Single rates.
    pub rates: Vec<(Pair, RatePlan)>,
    /// Rates in rows.
    pub table: Option<TablePlan>,
    /// When the document's rates were true.
    pub observed_at: Option<Place>,
    /// Rows that are read.
    pub max_rows: usize,
}

/// Where one rate stands.
#[derive(Debug, Clone)]
pub struct RatePlan {
    /// What the other paths start from; `None`: the whole document.
    pub row: Option<Place>,
    /// The numbers.
    pub price: PricePlan,
    /// How many units they are for, of the base, or of the quote when inverse.
    pub unit: UnitPlan,
    /// True for the price of the quote in the base.
    pub inverse: bool,
    /// When it was true.
    pub observed_at: Option<Place>,
}

/// Where the numbers of a rate stand.
#[derive(Debug, Clone)]
pub enum PricePlan {
    /// One number.
    Value(Place),
    /// Two of them.
    Sides(Place, Place),
}

/// How many units a price is for.
#[derive(Debug, Clone)]
pub enum UnitPlan {
    /// Always so many, one in most cases.
    Of(u64),
    /// What stands there.
    At(Place),
}

/// Where rows stand, and what is in them.
#[derive(Debug, Clone)]
pub struct TablePlan {
    /// The rows.
    pub rows: Place,
    /// The pair of a row.
    pub pair: PairPlan,
    /// Its rate.
    pub rate: RatePlan,
    /// Pairs that are wanted; none: all.
    pub pairs: BTreeSet<Pair>,
}

/// How the pair of a row is known.
#[derive(Debug, Clone)]
pub enum PairPlan {
    /// Both assets in one text.
    Whole(Place, Box<PairParser>),
    /// Each by itself.
    Assets(AssetPlan, AssetPlan),
}

/// How one asset of a row is known.
#[derive(Debug, Clone)]
pub enum AssetPlan {
    /// The same in all rows.
    Of(Asset),
    /// What stands there.
    At(Place),
}

/// Compiles paths and notes what is wrong.
struct Compiler<'a> {
    format: Option<Format>,
    mistakes: &'a mut Vec<String>,
}

impl Plan {
    /// The plan of a configuration; everything that is wrong with it is added to `mistakes`.
    pub fn new(config: &Config, mistakes: &mut Vec<String>) -> Option<Self> {
        let before = mistakes.len();
        let format = config.format;
        let mut compiler = Compiler { format, mistakes };
        let charset = compiler.charset(config.charset.as_deref());
        let delimiter = compiler.delimiter(config.delimiter.as_deref());
        let numbers = NumberStyle {
            decimal: config.decimal,
            group: config.thousands,
        };
        if numbers.is_ambiguous() {
            compiler.mistake("thousands", "is the same as decimal");
        }
        if let Some(text) = &config.time_format
            && !moment::is_format(text)
        {
            let what = "is no format of strftime, such as %d.%m.%Y";
            compiler.mistake("time_format", what);
        }
        let observed_at = compiler.optional("observed_at", "", config.observed_at.as_deref());
        if config.max_observed_age.is_some() && !is_dated(config) {
            let what = "needs observed_at, the path of the time";
            compiler.mistake("max_observed_age", what);
        }
        let rates = compiler.rates(config);
        let table = config.table.as_ref().map(|table| compiler.table(table));
        if config.rates.by_pair.is_empty() && config.rates.wrong.is_empty() && table.is_none() {
            compiler.mistake("rates", "is missing, and table too: nothing would be read");
        }
        if mistakes.len() > before {
            return None;
        }
        let zone = config
            .zone
            .as_deref()
            .map_or(Some(TimeZone::UTC), zone::find)?;
        Some(Self {
            format,
            charset,
            csv: CsvStyle {
                delimiter,
                header: config.header,
            },
            numbers,
            times: TimeStyle {
                format: config.time_format.clone(),
                zone,
            },
            rates: rates?,
            table: match table {
                None => None,
                Some(table) => Some(table?),
            },
            observed_at,
            max_rows: config.max_rows,
        })
    }
}

fn is_dated(config: &Config) -> bool {
    let in_rates = config
        .rates
        .by_pair
        .values()
        .any(|rate| rate.observed_at.is_some());
    let in_table = config
        .table
        .as_ref()
        .is_some_and(|table| table.observed_at.is_some());
    config.observed_at.is_some() || in_rates || in_table
}

impl Compiler<'_> {
    fn mistake(&mut self, key: &str, what: &str) {
        self.mistakes.push(format!("{key}: {what}"));
    }

    fn charset(&mut self, label: Option<&str>) -> Option<&'static Encoding> {
        let label = label?;
        let found = Encoding::for_label(label.as_bytes());
        if found.is_none() {
            self.mistake("charset", "is no known encoding, such as windows-1251");
        }
        found
    }

    fn delimiter(&mut self, text: Option<&str>) -> Option<char> {
        let mut letters = text?.chars();
        match (letters.next(), letters.next()) {
            (Some(letter), None) if !matches!(letter, '"' | '\n' | '\r') => Some(letter),
            _ => {
                self.mistake("delimiter", "is one letter, such as ; or a tab");
                None
            }
        }
    }

    /// A path, if it is one. `key` is the key it stands under, `part` the one within.
    fn path(&mut self, key: &str, part: &str, text: &str) -> Option<Place> {
        match Place::parse(text, self.format) {
            Ok(place) => Some(place),
            Err(why) if part.is_empty() => {
                self.mistake(key, &why);
                None
            }
            Err(why) => {
                self.mistake(key, &format!("{part}: {why}"));
                None
            }
        }
    }

    fn optional(&mut self, key: &str, part: &str, text: Option<&str>) -> Option<Place> {
        text.and_then(|text| self.path(key, part, text))
    }

    fn rates(&mut self, config: &Config) -> Option<Vec<(Pair, RatePlan)>> {
        for (key, why) in &config.rates.wrong {
            self.mistake(&format!("rates.{key}"), why);
        }
        if config.rates.by_pair.len() > MOST_PAIRS {
            self.mistake("rates", &format!("more than {MOST_PAIRS} pairs"));
        }
        let mut rates = Some(Vec::new());
        for (pair, reading) in &config.rates.by_pair {
            let key = format!("rates.{pair}");
            let given = Given {
                value: reading.value.as_deref(),
                bid: reading.bid.as_deref(),
                ask: reading.ask.as_deref(),
                unit: reading.unit.as_ref(),
                inverse: reading.inverse,
                observed_at: reading.observed_at.as_deref(),
            };
            let row = self.optional(&key, "row", reading.row.as_deref());
            match (self.rate(&key, &given), &mut rates) {
                (Some(rate), Some(rates)) => rates.push((*pair, RatePlan { row, ..rate })),
                _ => rates = None,
            }
        }
        rates
    }

    fn rate(&mut self, key: &str, given: &Given<'_>) -> Option<RatePlan> {
        let price = match (given.value, given.bid, given.ask) {
            (Some(value), None, None) => self.path(key, "value", value).map(PricePlan::Value),
            (None, Some(bid), Some(ask)) => {
                let (bid, ask) = (self.path(key, "bid", bid), self.path(key, "ask", ask));
                bid.zip(ask).map(|(bid, ask)| PricePlan::Sides(bid, ask))
            }
            _ => {
                self.mistake(key, "needs either value, or both bid and ask");
                None
            }
        };
        let unit = match given.unit {
            None => Some(UnitPlan::Of(1)),
            Some(Unit::Of(0)) => {
                self.mistake(key, "unit: is 1 or more");
                None
            }
            Some(Unit::Of(number)) => Some(UnitPlan::Of(*number)),
            Some(Unit::At(path)) => self.path(key, "unit", path).map(UnitPlan::At),
        };
        let observed_at = self.optional(key, "observed_at", given.observed_at);
        Some(RatePlan {
            row: None,
            price: price?,
            unit: unit?,
            inverse: given.inverse,
            observed_at,
        })
    }

    fn table(&mut self, table: &Table) -> Option<TablePlan> {
        let rows = if table.rows.is_empty() {
            self.mistake("table.rows", "is missing");
            None
        } else {
            self.path("table.rows", "", &table.rows)
        };
        let pair = self.pair(table);
        let is_bare = table.value.is_none() && table.bid.is_none() && table.ask.is_none();
        let given = Given {
            value: table.value.as_deref().or(is_bare.then_some(".")),
            bid: table.bid.as_deref(),
            ask: table.ask.as_deref(),
            unit: table.unit.as_ref(),
            inverse: table.inverse,
            observed_at: table.observed_at.as_deref(),
        };
        let rate = self.rate("table", &given);
        if table.pairs.len() > MOST_PAIRS {
            self.mistake("table.pairs", &format!("more than {MOST_PAIRS} pairs"));
        }
        Some(TablePlan {
            rows: rows?,
            pair: pair?,
            rate: rate?,
            pairs: table.pairs.iter().map(|pair| pair.canonical()).collect(),
        })
    }

    fn pair(&mut self, table: &Table) -> Option<PairPlan> {
        match (&table.pair, &table.base, &table.quote) {
            (Some(pair), None, None) => {
                let place = self.path("table.pair", "", pair)?;
                Some(PairPlan::Whole(place, Box::default()))
            }
            (None, Some(base), Some(quote)) => {
                let plans = (
                    self.asset("table.base", base),
                    self.asset("table.quote", quote),
                );
                if let (Some(AssetPlan::Of(base)), Some(AssetPlan::Of(quote))) = &plans {
                    let what = format!(
                        "{base}-{quote} would be every row; the path of a name in capitals is \
                         written ./{base} in XML and CSV, @.{base} in JSON"
                    );
                    self.mistake("table.base", &what);
                }
                let (base, quote) = (plans.0?, plans.1?);
                Some(PairPlan::Assets(base, quote))
            }
            _ => {
                self.mistake("table", "needs either pair, or both base and quote");
                None
            }
        }
    }

    /// An asset in capitals is meant itself; everything else is the path of one.
    fn asset(&mut self, key: &str, text: &str) -> Option<AssetPlan> {
        let is_capital = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        match Asset::parse(text) {
            Ok(asset) if text.bytes().all(is_capital) => Some(AssetPlan::Of(asset)),
            _ => self.path(key, "", text).map(AssetPlan::At),
        }
    }
}

/// What a rate is described by, in single rates and in tables.
struct Given<'a> {
    value: Option<&'a str>,
    bid: Option<&'a str>,
    ask: Option<&'a str>,
    unit: Option<&'a Unit>,
    inverse: bool,
    observed_at: Option<&'a str>,
}
