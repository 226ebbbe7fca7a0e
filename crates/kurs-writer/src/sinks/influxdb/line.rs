//! Lines of the InfluxDB line protocol: `measurement,tag=text field=value time`.
//!
//! No input makes a broken line: what the protocol can escape is escaped, the rest is replaced.

use kurs_core::Wall;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// The unit of times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Microseconds: all that kurs knows.
    #[default]
    Us,
    /// Milliseconds.
    Ms,
}

/// What is written about: the name of a table, so to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measurement {
    /// What kurs published.
    Rate,
    /// What one source says.
    Price,
    /// The best levels of one order book.
    Book,
}

impl Measurement {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Price => "price",
            Self::Book => "book",
        }
    }
}

/// One line in the making.
#[derive(Debug, Clone)]
pub struct Line {
    /// Measurement and tags.
    series: String,
    fields: String,
}

impl Line {
    /// A line without tags and fields.
    #[must_use]
    pub fn new(measurement: Measurement) -> Self {
        Self {
            series: measurement.as_str().to_owned(),
            fields: String::with_capacity(128),
        }
    }

    /// Adds a tag; one without a text is left out, since there is no way to write it. Tags are
    /// best given in the order of their keys.
    ///
    /// Commas, spaces and equal signs are escaped. Control characters become spaces and
    /// backslashes become slashes: there is no way to write those before any other character.
    #[must_use]
    pub fn tag(mut self, key: &str, text: &str) -> Self {
        if !key.is_empty() && !text.is_empty() {
            self.series.push(',');
            push_word(&mut self.series, key);
            self.series.push('=');
            push_word(&mut self.series, text);
        }
        self
    }

    /// Adds a number with all its digits; the database rounds it to a double.
    #[must_use]
    pub fn number(mut self, key: &str, number: Decimal) -> Self {
        if self.begin_field(key) {
            let _ = write!(self.fields, "{number}");
        }
        self
    }

    /// Adds a whole number of 64 bits; a greater one becomes the greatest.
    #[must_use]
    pub fn whole(mut self, key: &str, number: u64) -> Self {
        if self.begin_field(key) {
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            let _ = write!(self.fields, "{number}i");
        }
        self
    }

    /// Adds a text. Quotes and backslashes are escaped, control characters become spaces.
    #[must_use]
    pub fn text(mut self, key: &str, text: &str) -> Self {
        if self.begin_field(key) {
            self.fields.push('"');
            for character in text.chars() {
                match character {
                    '"' | '\\' => self.fields.extend(['\\', character]),
                    _ if character.is_control() => self.fields.push(' '),
                    _ => self.fields.push(character),
                }
            }
            self.fields.push('"');
        }
        self
    }

    /// The line with its end; `None` when it has no field, since there is no such line.
    #[must_use]
    pub fn end(mut self, at: Wall, precision: Precision) -> Option<Box<str>> {
        if self.fields.is_empty() {
            return None;
        }
        let time = match precision {
            Precision::Us => at.0,
            Precision::Ms => at.unix_ms(),
        };
        let _ = writeln!(self.series, " {} {time}", self.fields);
        Some(self.series.into_boxed_str())
    }

    fn begin_field(&mut self, key: &str) -> bool {
        if key.is_empty() {
            return false;
        }
        if !self.fields.is_empty() {
            self.fields.push(',');
        }
        push_word(&mut self.fields, key);
        self.fields.push('=');
        true
    }
}

/// A key, or the text of a tag.
fn push_word(line: &mut String, word: &str) {
    for character in word.chars() {
        match character {
            ',' | '=' | ' ' => line.extend(['\\', character]),
            '\\' => line.push('/'),
            _ if character.is_control() => line.push_str("\\ "),
            _ => line.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads as the databases do: an escaped character stands for itself, and only one outside
    /// of quotes ends a part.
    fn split(text: &str, at: char, quotes: bool) -> Vec<String> {
        let mut parts = vec![String::new()];
        let mut characters = text.chars();
        let mut quoted = false;
        while let Some(character) = characters.next() {
            let last = parts.last_mut().unwrap();
            if character == '\\' {
                last.push(character);
                last.extend(characters.next());
            } else if character == at && !quoted {
                parts.push(String::new());
            } else {
                quoted ^= quotes && character == '"';
                last.push(character);
            }
        }
        parts
    }

    fn plain(word: &str) -> String {
        let mut text = String::new();
        let mut characters = word.chars();
        while let Some(character) = characters.next() {
            text.push(match character {
                '\\' => characters.next().unwrap(),
                _ => character,
            });
        }
        text
    }

    /// The text as it can be kept.
    fn kept(text: &str, backslash: char) -> String {
        let replaced = text.chars().map(|character| match character {
            '\\' => backslash,
            _ if character.is_control() => ' ',
            _ => character,
        });
        replaced.collect()
    }

    proptest! {
        #[test]
        fn every_text_is_read_again_from_one_line(
            key in "[a-z ,=\\\\\n]{1,8}",
            tag in any::<String>(),
            text in any::<String>(),
            number in any::<i64>(),
            scale in 0_u32..=28,
            at in any::<i64>(),
        ) {
            let number = Decimal::from_i128_with_scale(number.into(), scale);
            let line = Line::new(Measurement::Rate)
                .tag("first", "x")
                .tag(&key, &tag)
                .text(&key, &text)
                .number("value", number)
                .whole("seq", u64::MAX)
                .end(Wall(at), Precision::Us)
                .unwrap();
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            // Quotes mean something in fields only.
            let series = &split(line, ' ', false)[0];
            let parts = split(&line[series.len() + 1..], ' ', true);
            prop_assert_eq!(parts.len(), 2, "{}", line);
            let tags = split(series, ',', false);
            prop_assert_eq!(&tags[..2], ["rate", "first=x"]);
            let expected = (!tag.is_empty()).then(|| (kept(&key, '/'), kept(&tag, '/')));
            let found = tags.get(2).map(|tag| {
                let sides = split(tag, '=', false);
                (plain(&sides[0]), plain(&sides[1]))
            });
            prop_assert_eq!(found, expected);
            let fields = split(&parts[0], ',', true);
            prop_assert_eq!(fields.len(), 3);
            let sides = split(&fields[0], '=', true);
            prop_assert_eq!(plain(&sides[0]), kept(&key, '/'));
            let quoted = sides[1].strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            prop_assert_eq!(plain(quoted.unwrap()), kept(&text, '\\'));
            prop_assert_eq!(&fields[1], &format!("value={number}"));
            prop_assert_eq!(&fields[2], "seq=9223372036854775807i");
            prop_assert_eq!(&parts[1], &at.to_string());
        }
    }

    #[test]
    fn a_line_without_fields_is_none() {
        let line = Line::new(Measurement::Book).tag("pair", "BTC-USD");
        assert_eq!(line.end(Wall(1), Precision::Ms), None);
    }

    #[test]
    fn times_are_cut_to_their_unit() {
        let line = |precision| {
            let line = Line::new(Measurement::Price).number("value", Decimal::ONE);
            line.end(Wall(1_790_000_000_123_456), precision).unwrap()
        };
        assert_eq!(&*line(Precision::Us), "price value=1 1790000000123456\n");
        assert_eq!(&*line(Precision::Ms), "price value=1 1790000000123\n");
    }
}
