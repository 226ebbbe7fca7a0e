//! Numbers as people write them, read exactly or not at all.

use crate::decode::excerpt;
use kurs_core::price::parse_decimal;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Between the whole part and the fraction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DecimalMark {
    /// 93.50
    #[default]
    #[serde(rename = ".")]
    Point,
    /// 93,50
    #[serde(rename = ",")]
    Comma,
}

/// Between groups of three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupMark {
    /// 1 234, the kinds of blanks that typographers use included.
    #[serde(rename = " ")]
    Space,
    /// 1,234
    #[serde(rename = ",")]
    Comma,
    /// 1.234
    #[serde(rename = ".")]
    Point,
    /// 1'234
    #[serde(rename = "'")]
    Apostrophe,
}

/// How a document writes numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NumberStyle {
    /// Between the whole part and the fraction.
    pub decimal: DecimalMark,
    /// Between groups of three digits, if there is anything.
    pub group: Option<GroupMark>,
}

impl DecimalMark {
    const fn letter(self) -> char {
        match self {
            Self::Point => '.',
            Self::Comma => ',',
        }
    }
}

impl GroupMark {
    fn is(self, letter: char) -> bool {
        match self {
            Self::Space => letter.is_whitespace(),
            Self::Comma => letter == ',',
            Self::Point => letter == '.',
            Self::Apostrophe => matches!(letter, '\'' | '\u{2019}'),
        }
    }
}

impl NumberStyle {
    /// True when one mark would mean two things.
    #[must_use]
    pub fn is_ambiguous(self) -> bool {
        self.group
            .is_some_and(|group| group.is(self.decimal.letter()))
    }

    /// Reads a number.
    ///
    /// # Errors
    /// A phrase for people when it is none, or has more digits than can be held.
    pub fn read(self, text: &str) -> Result<Decimal, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let plain = self.plain(text);
        plain
            .and_then(|plain| parse_decimal(&plain).ok())
            .ok_or_else(|| self.refusal(text))
    }

    /// The number with a point and without groups; `None` when a mark stands where none may.
    fn plain(self, text: &str) -> Option<Cow<'_, str>> {
        let mark = self.decimal.letter();
        let (whole, fraction) = match text.split_once(mark) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let whole = match self.group {
            Some(group) if whole.contains(|letter| group.is(letter)) => {
                let digits = whole.strip_prefix('-').unwrap_or(whole);
                let groups: Vec<&str> = digits.split(|letter| group.is(letter)).collect();
                let well_formed = groups.iter().enumerate().all(|(at, part)| {
                    let length = if at == 0 { 1..=3 } else { 3..=3 };
                    length.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
                });
                if !well_formed {
                    return None;
                }
                Cow::Owned(whole.chars().filter(|letter| !group.is(*letter)).collect())
            }
            _ => Cow::Borrowed(whole),
        };
        // With a decimal comma a point means nothing.
        if mark != '.' && (whole.contains('.') || fraction.is_some_and(|part| part.contains('.'))) {
            return None;
        }
        Some(match fraction {
            None => whole,
            Some(fraction) => format!("{whole}.{fraction}").into(),
        })
    }

    fn refusal(self, text: &str) -> String {
        let shown = excerpt(text, 40);
        let swapped = Self {
            decimal: match self.decimal {
                DecimalMark::Point => DecimalMark::Comma,
                DecimalMark::Comma => DecimalMark::Point,
            },
            group: None,
        };
        let reads = |style: Self| {
            let plain = style.plain(text);
            plain.is_some_and(|plain| parse_decimal(&plain).is_ok())
        };
        let grouped = Self {
            group: Some(GroupMark::Space),
            ..self
        };
        if reads(swapped) {
            let mark = swapped.decimal.letter();
            return format!("{shown:?} is not a number; perhaps with decimal = {mark:?}");
        }
        if self.group.is_none() && reads(grouped) {
            return format!("{shown:?} is not a number; perhaps with thousands = \" \"");
        }
        format!("{shown:?} is not an exact number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMA: NumberStyle = NumberStyle {
        decimal: DecimalMark::Comma,
        group: None,
    };

    fn with(decimal: DecimalMark, group: GroupMark) -> NumberStyle {
        NumberStyle {
            decimal,
            group: Some(group),
        }
    }

    #[test]
    fn every_digit_is_kept() {
        for (style, text, expect) in [
            (NumberStyle::default(), " 93.50 ", "93.50"),
            (NumberStyle::default(), "1.2e-5", "0.000012"),
            (COMMA, "93,50", "93.50"),
            (COMMA, "5,39256E-05", "0.0000539256"),
            (
                with(DecimalMark::Comma, GroupMark::Space),
                "1 234 567,8",
                "1234567.8",
            ),
            (
                with(DecimalMark::Comma, GroupMark::Space),
                "1\u{a0}234,5",
                "1234.5",
            ),
            (
                with(DecimalMark::Comma, GroupMark::Point),
                "1.234,5",
                "1234.5",
            ),
            (
                with(DecimalMark::Point, GroupMark::Comma),
                "12,345.67",
                "12345.67",
            ),
            (
                with(DecimalMark::Point, GroupMark::Apostrophe),
                "1'234",
                "1234",
            ),
            (
                with(DecimalMark::Point, GroupMark::Space),
                "-1 234",
                "-1234",
            ),
            (with(DecimalMark::Point, GroupMark::Comma), "93.5", "93.5"),
        ] {
            assert_eq!(style.read(text).unwrap().to_string(), expect, "{text:?}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        for (style, text, expect) in [
            (
                NumberStyle::default(),
                "93,50",
                "perhaps with decimal = ','",
            ),
            (COMMA, "93.50", "perhaps with decimal = '.'"),
            (
                NumberStyle::default(),
                "1 234",
                "perhaps with thousands = \" \"",
            ),
            (NumberStyle::default(), "", "is empty"),
            (
                NumberStyle::default(),
                "n/a",
                "\"n/a\" is not an exact number",
            ),
            (NumberStyle::default(), "$93", "is not an exact number"),
            (NumberStyle::default(), "1e999", "is not an exact number"),
            (
                NumberStyle::default(),
                "0.12345678901234567890123456789012345",
                "is not an exact number",
            ),
            (
                with(DecimalMark::Comma, GroupMark::Space),
                "12 34,5",
                "is not an exact number",
            ),
            (
                with(DecimalMark::Comma, GroupMark::Space),
                "1 2345",
                "is not an exact number",
            ),
            (with(DecimalMark::Point, GroupMark::Comma), "1,23", "is not"),
            (
                with(DecimalMark::Comma, GroupMark::Point),
                "1.5",
                "perhaps with decimal",
            ),
        ] {
            let why = style.read(text).unwrap_err();
            assert!(why.contains(expect), "{text:?}: {why}");
        }
        assert!(with(DecimalMark::Comma, GroupMark::Comma).is_ambiguous());
        assert!(!with(DecimalMark::Comma, GroupMark::Point).is_ambiguous());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            for decimal in [DecimalMark::Point, DecimalMark::Comma] {
                for group in [None, Some(GroupMark::Space), Some(GroupMark::Apostrophe)] {
                    let _ = NumberStyle { decimal, group }.read(&text);
                }
            }
        }
    }
}
