//! What the ECB sends: the gesmes XML of the daily and historical files, and SDMX CSV.

use crate::decode::{DecodeError, Rates, excerpt};
use jiff::civil::Date;
use kurs_core::{Asset, Pair, Price};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::BTreeMap;

/// The rates of one day, EUR-XXX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// Its rates: units of the currency for one euro.
    pub rates: Rates,
}

/// Reads a daily or historical file, or SDMX CSV, whichever it is.
///
/// # Errors
/// [`DecodeError`] when it is neither or has no usable rate.
pub fn decode(body: &[u8]) -> Result<Vec<Day>, DecodeError> {
    let text = std::str::from_utf8(body)
        .map_err(|_| DecodeError::Format("not UTF-8".into()))?
        .trim_start_matches('\u{feff}')
        .trim_start();
    let days = if text.starts_with('<') {
        decode_xml(text)?
    } else {
        decode_csv(text)?
    };
    if days.iter().all(|day| day.rates.rates.is_empty()) {
        return Err(DecodeError::Empty("no rates".into()));
    }
    Ok(days)
}

/// Three nested elements are all named Cube; their attributes tell them apart.
fn decode_xml(text: &str) -> Result<Vec<Day>, DecodeError> {
    let broken = |error: quick_xml::Error| DecodeError::Format(excerpt(&error.to_string(), 160));
    let mut reader = Reader::from_str(text);
    let mut days: Vec<Day> = Vec::new();
    let mut in_envelope = false;
    let mut depth = 0_usize;
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(element) => {
                depth += 1;
                in_envelope |= element.local_name().as_ref() == "Envelope";
                read_cube(&element, in_envelope, &mut days)?;
            }
            Event::Empty(element) => read_cube(&element, in_envelope, &mut days)?,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Eof => break,
            _ => {}
        }
    }
    if !in_envelope {
        return Err(DecodeError::Format("no gesmes envelope".into()));
    }
    // A file cut short may end in the middle of a day.
    if depth > 0 {
        return Err(DecodeError::Format("the file ends too early".into()));
    }
    Ok(days)
}

fn read_cube(
    element: &BytesStart<'_>,
    inside: bool,
    days: &mut Vec<Day>,
) -> Result<(), DecodeError> {
    if !inside || element.local_name().as_ref() != "Cube" {
        return Ok(());
    }
    let (mut time, mut currency, mut rate) = (None, None, None);
    for attribute in element.attributes() {
        let wrong = |_| DecodeError::Format("a Cube with broken attributes".into());
        let attribute = attribute.map_err(wrong)?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| DecodeError::Format("a Cube with broken attributes".into()))?
            .into_owned();
        match attribute.key.as_ref() {
            "time" => time = Some(value),
            "currency" => currency = Some(value),
            "rate" => rate = Some(value),
            _ => {}
        }
    }
    if let Some(time) = time {
        let date = time
            .parse()
            .map_err(|_| DecodeError::Format(format!("{} is no date", excerpt(&time, 32))))?;
        days.push(Day {
            date,
            rates: Rates::default(),
        });
    }
    if let (Some(currency), Some(rate)) = (currency, rate) {
        let day = days
            .last_mut()
            .ok_or_else(|| DecodeError::Format("a rate before any date".into()))?;
        add(&mut day.rates, &currency, &rate);
    }
    Ok(())
}

fn add(rates: &mut Rates, currency: &str, rate: &str) {
    let Some(pair) = euro_pair(currency) else {
        rates.reject(currency, "no currency code");
        return;
    };
    match Price::parse(rate) {
        Ok(price) => rates.add(pair, price),
        Err(error) => rates.reject(currency, &error.to_string()),
    }
}

fn euro_pair(currency: &str) -> Option<Pair> {
    let euro = Asset::parse("EUR").ok()?;
    Pair::of(euro, Asset::parse(currency).ok()?).ok()
}

/// Full replies have many more columns; four are needed. Rows without a value are holidays or
/// suspended series.
fn decode_csv(text: &str) -> Result<Vec<Day>, DecodeError> {
    let mut lines = text.lines();
    let header = split(lines.next().unwrap_or_default());
    let column = |name: &str| {
        header
            .iter()
            .position(|known| known == name)
            .ok_or_else(|| DecodeError::Format(format!("neither XML nor CSV with {name}")))
    };
    let (currency, date, value) = (
        column("CURRENCY")?,
        column("TIME_PERIOD")?,
        column("OBS_VALUE")?,
    );
    let frequency = column("FREQ").ok();
    let mut days: BTreeMap<Date, Rates> = BTreeMap::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let fields = split(line);
        let field = |at: usize| fields.get(at).map_or("", String::as_str);
        let daily = frequency.is_none_or(|at| field(at) == "D");
        if !daily || field(value).is_empty() {
            continue;
        }
        // Other frequencies have dates of other forms, so that this is judged after them.
        let Ok(day) = field(date).parse() else {
            continue;
        };
        add(days.entry(day).or_default(), field(currency), field(value));
    }
    Ok(days
        .into_iter()
        .rev()
        .map(|(date, rates)| Day { date, rates })
        .collect())
}

/// The fields of one line; a field in double quotes may hold commas.
fn split(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for letter in line.trim_end_matches('\r').chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            _ => {
                if let Some(field) = fields.last_mut() {
                    field.push(letter);
                }
            }
        }
    }
    fields
}
