//! From text to words and signs.

use super::mistake::{RuleMistake, short};
use super::syntax::Span;
use crate::config::units::Day;
use kurs_core::price::parse_decimal;
use rust_decimal::Decimal;

/// A word or sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token<'t> {
    /// A number.
    Number(Decimal),
    /// A day.
    Day(Day),
    /// A pair, a source, a function.
    Word(&'t str),
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `=`
    Equals,
    /// `*`
    Times,
    /// `/`
    Over,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `+-` or `±`
    Around,
    /// `%`
    Percent,
}

/// Splits a rule. A dash between letters or digits belongs to the word, so that `BTC-USD` is a
/// pair and `my-bank` a source; as a minus it stands between spaces.
///
/// # Errors
/// [`RuleMistake`] at the first character that belongs to nothing.
pub fn tokens(text: &str) -> Result<Vec<(Token<'_>, Span)>, RuleMistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let letter = rest.chars().next().unwrap_or(' ');
        if letter.is_whitespace() {
            at += letter.len_utf8();
            continue;
        }
        let (token, length) = match letter {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '=' => (Token::Equals, 1),
            '*' | '×' => (Token::Times, letter.len_utf8()),
            '/' => (Token::Over, 1),
            '%' => (Token::Percent, 1),
            '±' => (Token::Around, letter.len_utf8()),
            '+' if rest.starts_with("+-") => (Token::Around, 2),
            '+' => (Token::Plus, 1),
            '-' => (Token::Minus, 1),
            _ if letter.is_ascii_digit() => number_or_word(rest, at)?,
            _ if is_of_word(letter) => word(rest),
            _ => {
                let span = Span {
                    start: at,
                    end: at + letter.len_utf8(),
                };
                let what = format!("{letter:?} means nothing here");
                return Err(RuleMistake::at(span, what));
            }
        };
        let end = at + length;
        tokens.push((token, Span { start: at, end }));
        at = end;
    }
    Ok(tokens)
}

const fn is_of_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':')
}

/// The word at the beginning, dashes between letters included.
fn word(rest: &str) -> (Token<'_>, usize) {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        let goes_on = is_of_word(char::from(*byte))
            || (*byte == b'-'
                && bytes
                    .get(end + 1)
                    .is_some_and(|next| next.is_ascii_alphanumeric()));
        if !goes_on {
            break;
        }
        end += 1;
    }
    (Token::Word(rest.get(..end).unwrap_or(rest)), end)
}

fn number_or_word(rest: &str, at: usize) -> Result<(Token<'_>, usize), RuleMistake> {
    if let Some(day) = rest.get(..10).and_then(|text| text.parse::<Day>().ok()) {
        return Ok((Token::Day(day), 10));
    }
    let length = rest
        .bytes()
        .take_while(|byte| byte.is_ascii_digit() || *byte == b'.')
        .count();
    let (digits, behind) = rest.split_at(length);
    // `1INCH-USDT` is a pair, `2-1` is not.
    if behind.chars().next().is_some_and(is_of_word) && !digits.contains('.') {
        return Ok(word(rest));
    }
    match parse_decimal(digits) {
        Ok(number) => Ok((Token::Number(number), length)),
        Err(_) => {
            let span = Span {
                start: at,
                end: at + length,
            };
            let what = format!("{} is no number that can be held exactly", short(digits));
            Err(RuleMistake::at(span, what))
        }
    }
}
