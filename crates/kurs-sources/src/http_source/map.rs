//! From a document to rates, each with its text and, if it has one, its problem.

use super::limits::Budget;
use super::place::{Node, Place, Start, Text};
use super::plan::{AssetPlan, PairPlan, Plan, PricePlan, RatePlan, TablePlan, UnitPlan};
use super::wire::Document;
use crate::decode::excerpt;
use crate::protocol::{Entry, Picture};
use kurs_core::{Asset, Pair, Price, Quote, Wall};
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::time::Duration;

/// No more rows than this are told as left out.
const MOST_REJECTED: usize = 50;

/// Letters of a text from outside that are shown.
const SHOWN: usize = 60;

/// One rate that was looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The pair, unless the row does not say it.
    pub pair: Option<Pair>,
    /// What it is called in messages: the pair, or the number of the row.
    pub label: String,
    /// True when the configuration names the pair, so that it must be there.
    pub is_expected: bool,
    /// The numbers as they are written.
    pub text: String,
    /// The price, or why there is none.
    pub quote: Result<Quote, String>,
    /// When the source says it was true.
    pub observed_at: Option<Wall>,
}

/// Looks for everything that a plan names.
#[must_use]
pub fn rows(document: &Document<'_>, plan: &Plan) -> Vec<Row> {
    let whole = Node::of(document);
    let reader = Reader {
        plan,
        budget: Budget::default(),
        whole,
    };
    let observed_at = plan.observed_at.as_ref().map(|place| {
        let start = Start {
            document: whole,
            row: whole,
        };
        reader.time(place, start)
    });
    let mut rows: Vec<Row> = plan
        .rates
        .iter()
        .map(|(pair, rate)| reader.single(*pair, rate, &observed_at))
        .collect();
    if let Some(table) = &plan.table {
        let mut seen: BTreeSet<Pair> = plan.rates.iter().map(|(pair, _)| *pair).collect();
        reader.table(table, &observed_at, &mut seen, &mut rows);
    }
    rows
}

/// The usable rates at a time; those that the source dates too long ago are not.
#[must_use]
pub fn picture(rows: &[Row], now: Wall, max_observed_age: Option<Duration>) -> Picture {
    let mut picture = Picture::default();
    let mut rejected = 0;
    for row in rows {
        let too_old = row
            .observed_at
            .map(|at| now.since(at))
            .filter(|age| max_observed_age.is_some_and(|max| *age > max));
        let quote = match (&row.quote, too_old) {
            (Ok(quote), None) => Ok(*quote),
            (Ok(_), Some(age)) => Err(format!("dated {} s ago", age.as_secs())),
            (Err(why), _) => Err(why.clone()),
        };
        match (quote, row.pair) {
            (Ok(quote), Some(pair)) => picture.entries.push(Entry {
                pair,
                quote,
                observed_at: row.observed_at,
            }),
            (Err(why), Some(pair)) if row.is_expected || too_old.is_some() => {
                picture.missing.insert(pair, why);
            }
            (Err(why), _) => {
                rejected += 1;
                if rejected <= MOST_REJECTED {
                    picture.rejected.push(format!("{}: {why}", row.label));
                }
            }
            (Ok(_), None) => {}
        }
    }
    if rejected > MOST_REJECTED {
        let more = rejected - MOST_REJECTED;
        picture.rejected.push(format!("{more} more"));
    }
    picture
}

type Observed = Option<Result<Wall, String>>;

struct Reader<'p, 'd> {
    plan: &'p Plan,
    budget: Budget,
    whole: Node<'d>,
}

/// The numbers of a rate as they are written.
struct Numbers {
    text: String,
    quote: Result<Quote, String>,
}

impl<'d> Reader<'_, 'd> {
    fn single(&self, pair: Pair, rate: &RatePlan, observed_at: &Observed) -> Row {
        let mut start = Start {
            document: self.whole,
            row: self.whole,
        };
        let row = rate.row.as_ref().map(|row| row.one(start, &self.budget));
        let mut row = match row {
            Some(Err(why)) => Row {
                pair: Some(pair),
                label: pair.to_string(),
                is_expected: true,
                text: String::new(),
                quote: Err(why),
                observed_at: None,
            },
            Some(Ok(row)) => {
                start.row = row;
                self.rate(pair, rate, start, observed_at)
            }
            None => self.rate(pair, rate, start, observed_at),
        };
        row.is_expected = true;
        row
    }

    fn table(
        &self,
        table: &TablePlan,
        observed_at: &Observed,
        seen: &mut BTreeSet<Pair>,
        rows: &mut Vec<Row>,
    ) {
        let whole = Start {
            document: self.whole,
            row: self.whole,
        };
        let problem = |pair: Option<Pair>, label: &str, why: String| Row {
            pair,
            label: label.to_owned(),
            is_expected: pair.is_some(),
            text: String::new(),
            quote: Err(why),
            observed_at: None,
        };
        let found = match table.rows.all(whole, &self.budget) {
            Ok(found) if found.is_empty() => {
                rows.push(problem(None, "table", "no rows".to_owned()));
                found
            }
            Ok(found) => found,
            Err(why) => {
                rows.push(problem(None, "table", why));
                Vec::new()
            }
        };
        if found.len() > self.plan.max_rows {
            let why = format!(
                "{} rows, of which {} are read",
                found.len(),
                self.plan.max_rows
            );
            rows.push(problem(None, "table", why));
        }
        for (number, row) in found.into_iter().take(self.plan.max_rows).enumerate() {
            let start = Start {
                document: self.whole,
                row,
            };
            let label = format!("row {}", number + 1);
            let pair = match self.pair(&table.pair, start) {
                Ok(Some(pair)) => pair,
                // An asset in itself, as in a table of euros that lists the euro.
                Ok(None) => continue,
                Err(_) if !table.pairs.is_empty() => continue,
                Err(why) => {
                    rows.push(problem(None, &label, why));
                    continue;
                }
            };
            if !table.pairs.is_empty() && !table.pairs.contains(&pair) {
                continue;
            }
            if !seen.insert(pair) {
                rows.push(problem(None, &label, format!("{pair} is given twice")));
                continue;
            }
            let mut row = self.rate(pair, &table.rate, start, observed_at);
            row.is_expected = !table.pairs.is_empty();
            rows.push(row);
        }
        for pair in table.pairs.difference(seen).copied().collect::<Vec<_>>() {
            rows.push(problem(
                Some(pair),
                &pair.to_string(),
                "no row has it".to_owned(),
            ));
        }
    }

    fn pair(&self, plan: &PairPlan, start: Start<'d>) -> Result<Option<Pair>, String> {
        let (base, quote) = match plan {
            PairPlan::Whole(place, parser) => {
                let text = place.text(start, &self.budget)?.text;
                let pair = parser
                    .parse(text)
                    .map_err(|_| format!("{:?} is no pair", excerpt(text, SHOWN)))?;
                (pair.base, pair.quote)
            }
            PairPlan::Assets(base, quote) => (self.asset(base, start)?, self.asset(quote, start)?),
        };
        Ok(Pair::of(base.canonical(), quote.canonical()).ok())
    }

    fn asset(&self, plan: &AssetPlan, start: Start<'d>) -> Result<Asset, String> {
        match plan {
            AssetPlan::Of(asset) => Ok(*asset),
            AssetPlan::At(place) => {
                let text = place.text(start, &self.budget)?.text;
                Asset::parse(text).map_err(|_| format!("{:?} is no asset", excerpt(text, SHOWN)))
            }
        }
    }

    fn rate(&self, pair: Pair, rate: &RatePlan, start: Start<'d>, document_time: &Observed) -> Row {
        let Numbers { text, quote } = self.numbers(rate, start);
        let own = rate
            .observed_at
            .as_ref()
            .map(|place| self.time(place, start));
        let observed_at = own.as_ref().or(document_time.as_ref());
        let (quote, observed_at) = match (quote, observed_at) {
            // Without its time nobody knows how old the price is.
            (Ok(_), Some(Err(why))) => (Err(format!("observed_at: {why}")), None),
            (quote, observed_at) => (quote, observed_at.and_then(|at| at.as_ref().ok()).copied()),
        };
        Row {
            pair: Some(pair),
            label: pair.to_string(),
            is_expected: false,
            text,
            quote,
            observed_at,
        }
    }

    fn numbers(&self, rate: &RatePlan, start: Start<'d>) -> Numbers {
        let unit = match &rate.unit {
            UnitPlan::Of(number) => Ok(Decimal::from(*number)),
            UnitPlan::At(place) => place
                .text(start, &self.budget)
                .and_then(|text| self.number(text))
                .and_then(|unit| {
                    let is_usable = unit > Decimal::ZERO;
                    is_usable
                        .then_some(unit)
                        .ok_or_else(|| "is not above zero".to_owned())
                })
                .map_err(|why| format!("unit: {why}")),
        };
        let places = match &rate.price {
            PricePlan::Value(value) => vec![value],
            PricePlan::Sides(bid, ask) => vec![bid, ask],
        };
        let texts: Vec<Result<Text<'d>, String>> = places
            .iter()
            .map(|place| place.text(start, &self.budget))
            .collect();
        let shown: Vec<String> = texts
            .iter()
            .filter_map(|text| Some(excerpt(text.as_ref().ok()?.text, SHOWN)))
            .collect();
        let mut prices = texts.into_iter().map(|text| {
            let number = self.number(text?)?;
            price(number, unit.clone()?, rate.inverse)
        });
        let quote = match (&rate.price, prices.next(), prices.next()) {
            (PricePlan::Value(_), Some(price), _) => price.map(Quote::Single),
            (PricePlan::Sides(..), Some(bid), Some(ask)) => sides(bid, ask, rate.inverse),
            // Every plan has as many prices as places.
            _ => Err("nothing to read".to_owned()),
        };
        Numbers {
            text: shown.join(" / "),
            quote,
        }
    }

    fn number(&self, text: Text<'_>) -> Result<Decimal, String> {
        if text.is_json_number {
            return super::number::NumberStyle::default().read(text.text);
        }
        self.plan.numbers.read(text.text)
    }

    fn time(&self, place: &Place, start: Start<'d>) -> Result<Wall, String> {
        let text = place.text(start, &self.budget)?.text;
        self.plan
            .times
            .read(text)
            .ok_or_else(|| format!("{:?} is no time", excerpt(text, SHOWN)))
    }
}

/// The price of one unit of the base. A number that is taken as it is keeps its digits.
fn price(number: Decimal, unit: Decimal, inverse: bool) -> Result<Price, String> {
    if number <= Decimal::ZERO {
        return Err(format!("{number} is not above zero"));
    }
    let price = match (inverse, unit == Decimal::ONE) {
        (false, true) => Some(number),
        (false, false) => number.checked_div(unit),
        (true, _) => unit.checked_div(number),
    };
    price
        .and_then(|price| Price::new(price).ok())
        .ok_or_else(|| format!("{number} for {unit} is out of range"))
}

fn sides(
    bid: Result<Price, String>,
    ask: Result<Price, String>,
    inverse: bool,
) -> Result<Quote, String> {
    let bid = bid.map_err(|why| format!("bid: {why}"))?;
    let ask = ask.map_err(|why| format!("ask: {why}"))?;
    // What somebody buys a dollar at, in euros, is what he sells the euro at, in dollars.
    let (bid, ask) = if inverse { (ask, bid) } else { (bid, ask) };
    if bid == ask {
        return Ok(Quote::Single(bid));
    }
    Quote::sides(bid, ask)
        .map_err(|_| format!("the bid {bid} is above the ask {ask}; are they swapped?"))
}
