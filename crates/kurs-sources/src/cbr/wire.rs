//! What the Bank of Russia sends: XML in windows-1251, decimal commas, rates per nominal.

use crate::decode::{DecodeError, Rates, excerpt};
use encoding_rs::{Encoding, WINDOWS_1251};
use jiff::civil::Date;
use kurs_core::{Asset, Pair, Price, price::parse_decimal};
use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// One XML_daily table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The first day on which it is in force.
    pub date: Date,
    /// XXX-RUB: roubles for one unit.
    pub rates: Rates,
}

/// One XML_dynamic answer: the rates of one currency over some days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    /// The bank's id of the currency, such as `R01235`.
    pub id: String,
    /// Roubles for one unit, on the days that have a rate of their own.
    pub records: Vec<(Date, Price)>,
}

/// Reads XML_daily.
///
/// # Errors
/// [`DecodeError`] for anything else, web pages of a request filter included, and for a table
/// without a date or a usable rate.
pub fn decode(body: &[u8]) -> Result<Table, DecodeError> {
    let document = Document::read(body, "Valute")?;
    let date = document.attribute("Date").and_then(parse_date);
    let date = date.ok_or_else(|| DecodeError::Format("ValCurs without a date".into()))?;
    let rouble = Asset::parse("RUB").map_err(|error| DecodeError::Format(error.to_string()))?;
    let mut rates = Rates::default();
    for row in &document.rows {
        let code = row.field("CharCode");
        let pair = Asset::parse(code)
            .ok()
            .and_then(|asset| Pair::of(asset, rouble).ok());
        match (pair, row.per_unit()) {
            (None, _) => rates.reject(code, "no currency code"),
            (Some(_), Err(why)) => rates.reject(code, why),
            (Some(pair), Ok(price)) => rates.add(pair, price),
        }
    }
    if rates.rates.is_empty() {
        return Err(DecodeError::Empty(rates.rejected.join(", ")));
    }
    Ok(Table { date, rates })
}

/// Reads XML_dynamic.
///
/// # Errors
/// [`DecodeError`] for anything else, and for a record that cannot be read.
pub fn decode_dynamic(body: &[u8]) -> Result<Dynamic, DecodeError> {
    let document = Document::read(body, "Record")?;
    let id = document.attribute("ID").unwrap_or_default().to_owned();
    let mut records = Vec::new();
    for row in &document.rows {
        let date = row.attributes.get("Date").and_then(|text| parse_date(text));
        let date = date.ok_or_else(|| DecodeError::Format("a record without a date".into()))?;
        let price = row
            .per_unit()
            .map_err(|why| DecodeError::Format(format!("{date}: {why}")))?;
        records.push((date, price));
    }
    Ok(Dynamic { id, records })
}

type Attributes = BTreeMap<String, String>;

/// `<ValCurs ...>` with its rows; every row is a flat list of text elements.
struct Document {
    attributes: Attributes,
    rows: Vec<Row>,
}

#[derive(Default)]
struct Row {
    attributes: Attributes,
    fields: BTreeMap<String, String>,
}

impl Document {
    fn read(body: &[u8], row_name: &str) -> Result<Self, DecodeError> {
        let text = to_text(body)?;
        let mut reader = Reader::from_str(&text);
        let mut attributes = None;
        let mut rows = Vec::new();
        let mut row: Option<Row> = None;
        let mut field: Option<(String, String)> = None;
        loop {
            let event = reader
                .read_event()
                .map_err(|error| DecodeError::Format(excerpt(&error.to_string(), 160)))?;
            match event {
                Event::Start(element) | Event::Empty(element) if attributes.is_none() => {
                    if element.name().as_ref() != "ValCurs" {
                        return Err(DecodeError::Format("not a ValCurs document".into()));
                    }
                    attributes = Some(read_attributes(&element)?);
                }
                Event::Start(element) if row.is_none() && element.name().as_ref() == row_name => {
                    let attributes = read_attributes(&element)?;
                    row = Some(Row {
                        attributes,
                        ..Row::default()
                    });
                }
                Event::Start(element) => {
                    field = Some((element.name().as_ref().to_owned(), String::new()));
                }
                Event::Text(text) => {
                    if let Some((_, content)) = &mut field {
                        content.push_str(&text.xml10_content());
                    }
                }
                Event::End(element) if element.name().as_ref() == row_name => {
                    rows.extend(row.take());
                }
                Event::End(_) => {
                    if let (Some(row), Some((name, content))) = (&mut row, field.take()) {
                        row.fields.insert(name, content);
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        let attributes = attributes.ok_or_else(|| DecodeError::Format("no ValCurs".into()))?;
        // Answers are small; one cut short lacks its closing tag.
        if !text.trim_end().ends_with('>') || row.is_some() || !text.contains("</ValCurs>") {
            return Err(DecodeError::Format("the document ends too early".into()));
        }
        Ok(Self { attributes, rows })
    }

    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }
}

/// The declared encoding, windows-1251 where none is declared. The bank's request filter
/// answers with web pages and status 200, which have no XML declaration.
fn to_text(body: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    let body = body.trim_ascii_start();
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if !body.starts_with(b"<?xml") {
        return Err(DecodeError::Format(
            "no XML declaration; a web page?".into(),
        ));
    }
    let end = body
        .iter()
        .position(|byte| *byte == b'>')
        .unwrap_or(body.len());
    let declaration = String::from_utf8_lossy(&body[..end]).into_owned();
    let label = declaration
        .split_once("encoding=")
        .and_then(|(_, rest)| rest.get(1..)?.split(['"', '\'']).next());
    let encoding = label.and_then(|label| Encoding::for_label(label.as_bytes()));
    let (text, _) = encoding
        .unwrap_or(WINDOWS_1251)
        .decode_without_bom_handling(body);
    Ok(text)
}

fn read_attributes(element: &BytesStart<'_>) -> Result<Attributes, DecodeError> {
    let mut attributes = Attributes::new();
    for attribute in element.attributes() {
        let broken = || DecodeError::Format("broken attributes".into());
        let attribute = attribute.map_err(|_| broken())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| broken())?;
        attributes.insert(attribute.key.as_ref().to_owned(), value.into_owned());
    }
    Ok(attributes)
}

/// `25.04.2026`, in older answers `25/04/2026`.
fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.trim().split(['.', '/']);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let well_formed = parts.next().is_none() && (day.len(), month.len(), year.len()) == (2, 2, 4);
    if !well_formed {
        return None;
    }
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

impl Row {
    fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text.trim())
    }

    /// Roubles for one unit. VunitRate says so itself, with more digits; otherwise Value is
    /// for Nominal units. Both must agree, or one of them is not what it seems.
    fn per_unit(&self) -> Result<Price, &'static str> {
        let nominal = parse_decimal(self.field("Nominal")).map_err(|_| "no nominal")?;
        if nominal <= Decimal::ZERO || !nominal.fract().is_zero() {
            return Err("no nominal");
        }
        let value = comma_decimal(self.field("Value")).ok_or("no value")?;
        let unit_text = self.field("VunitRate");
        if unit_text.is_empty() {
            let unit = value.checked_div(nominal).ok_or("out of range")?;
            return Price::new(unit).map_err(|_| "not above zero");
        }
        let unit = comma_decimal(unit_text).ok_or("no unit rate")?;
        let of_nominal = unit.checked_mul(nominal).ok_or("out of range")?;
        let rounding = last_digit(unit)
            .checked_mul(nominal)
            .ok_or("out of range")?;
        let slack = rounding
            .checked_add(last_digit(value))
            .ok_or("out of range")?;
        let difference = of_nominal.checked_sub(value).ok_or("out of range")?.abs();
        if difference >= slack / Decimal::TWO {
            return Err("value and unit rate contradict each other");
        }
        Price::new(unit).map_err(|_| "not above zero")
    }
}

fn comma_decimal(text: &str) -> Option<Decimal> {
    parse_decimal(&text.replace(',', ".")).ok()
}

/// One in the last decimal place as written.
fn last_digit(value: Decimal) -> Decimal {
    Decimal::new(1, value.scale())
}
