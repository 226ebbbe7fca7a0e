//! What people ask for in words.

use crate::button::{Language, Span};
use kurs_alert::Side;
use kurs_core::{Pair, PairError, Price};
use rust_decimal::Decimal;

/// A command, understood as far as it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `/start`.
    Start,
    /// `/help`.
    Help,
    /// `/rate BTC RUB`; without a pair it is asked for.
    Rate(Option<Pair>),
    /// `/rates`.
    Rates,
    /// `/subscribe BTC-USD 1%`, `/subscribe BTC-USD > 65000`; without a limit it is asked for.
    Subscribe(Pair, Option<Wish>),
    /// `/alerts`.
    Alerts,
    /// `/unsubscribe`, with the id of an alert, a pair, or nothing.
    Unsubscribe(Which),
    /// `/history BTC-USD 24h`.
    History(Pair, Span),
    /// `/language ru`.
    Language(Option<Language>),
    /// There is no such command.
    Unknown,
    /// The words behind the command are not understood.
    Wrong(Fault),
}

/// What is to be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A move of so many percent.
    Percent(Decimal),
    /// A value and on which side of it.
    Threshold(Side, Price),
}

/// Which alerts go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// It is not said.
    Ask,
    /// All of a pair.
    Pair(Pair),
    /// One, by its id.
    One(String),
    /// All of the chat.
    All,
}

/// What is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The pair.
    Pair(String),
    /// What is to be watched.
    Wish,
    /// The span of a chart.
    Span,
    /// The language.
    Language,
}

/// Words of a command that are looked at.
const WORDS_MAX: usize = 8;

/// Splits the text of a message into the command without its slash and the words behind it.
/// `None` when it is no command, or one for another bot.
#[must_use]
pub fn split<'a>(text: &'a str, own_name: &str) -> Option<(&'a str, Vec<&'a str>)> {
    let mut words = text.split_whitespace();
    let first = words.next()?.strip_prefix('/')?;
    let name = match first.split_once('@') {
        Some((name, bot)) if bot.eq_ignore_ascii_case(own_name) => name,
        Some(_) => return None,
        None => first,
    };
    Some((name, words.take(WORDS_MAX).collect()))
}

/// Understands a command. `parse` knows every spelling of a pair.
pub fn read(
    name: &str,
    words: &[&str],
    parse: &dyn Fn(&str) -> Result<Pair, PairError>,
) -> Command {
    match name.to_ascii_lowercase().as_str() {
        "start" => Command::Start,
        "help" => Command::Help,
        "rates" => Command::Rates,
        "alerts" => Command::Alerts,
        "rate" if words.is_empty() => Command::Rate(None),
        "rate" => match pair(words, parse) {
            Some((pair, [])) => Command::Rate(Some(pair)),
            _ => not_a_pair(words),
        },
        "subscribe" => match pair(words, parse) {
            None => not_a_pair(words),
            Some((pair, [])) => Command::Subscribe(pair, None),
            Some((pair, rest)) => match wish(rest) {
                Some(wish) => Command::Subscribe(pair, Some(wish)),
                None => Command::Wrong(Fault::Wish),
            },
        },
        "unsubscribe" => unsubscribe(words, parse),
        "history" => match pair(words, parse) {
            Some((pair, [])) => Command::History(pair, Span::Day),
            Some((pair, [span])) => Span::parse(span).map_or(Command::Wrong(Fault::Span), |span| {
                Command::History(pair, span)
            }),
            Some(_) => Command::Wrong(Fault::Span),
            None => not_a_pair(words),
        },
        "language" => match words {
            [] => Command::Language(None),
            [word] => language(word).map_or(Command::Wrong(Fault::Language), |language| {
                Command::Language(Some(language))
            }),
            _ => Command::Wrong(Fault::Language),
        },
        _ => Command::Unknown,
    }
}

/// A pair alone, as people write it without a command.
pub fn bare_pair(text: &str, parse: &dyn Fn(&str) -> Result<Pair, PairError>) -> Option<Pair> {
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    match pair(&words, parse) {
        Some((pair, [])) => Some(pair),
        _ => None,
    }
}

fn not_a_pair(words: &[&str]) -> Command {
    let shown: String = words.join(" ").chars().take(64).collect();
    Command::Wrong(Fault::Pair(shown))
}

/// `BTC-RUB ...`, `btcrub ...` or `BTC RUB ...`, and what is behind it.
fn pair<'a, 'b>(
    words: &'a [&'b str],
    parse: &dyn Fn(&str) -> Result<Pair, PairError>,
) -> Option<(Pair, &'a [&'b str])> {
    let (first, rest) = words.split_first()?;
    if let Ok(pair) = parse(first) {
        return Some((pair, rest));
    }
    let (second, rest) = rest.split_first()?;
    let pair = parse(&format!("{first}-{second}")).ok()?;
    Some((pair, rest))
}

fn unsubscribe(words: &[&str], parse: &dyn Fn(&str) -> Result<Pair, PairError>) -> Command {
    match words {
        [] => return Command::Unsubscribe(Which::Ask),
        [word] if matches!(word.to_lowercase().as_str(), "all" | "все" | "всё") => {
            return Command::Unsubscribe(Which::All);
        }
        _ => {}
    }
    if let Some((pair, [])) = pair(words, parse) {
        return Command::Unsubscribe(Which::Pair(pair));
    }
    match words {
        [id] if id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Command::Unsubscribe(Which::One((*id).to_owned()))
        }
        _ => not_a_pair(words),
    }
}

fn language(word: &str) -> Option<Language> {
    match word.to_lowercase().as_str() {
        "en" | "english" | "английский" => Some(Language::English),
        "ru" | "russian" | "русский" => Some(Language::Russian),
        _ => None,
    }
}

/// `1%`, `1.5 %`, `> 65000`, `above 65 000`.
fn wish(words: &[&str]) -> Option<Wish> {
    let text = words.concat().to_lowercase();
    if let Some(number) = text.strip_suffix('%') {
        let number = number.trim_start_matches(['+', '-', '\u{b1}']);
        let percent = decimal(number).filter(|percent| !percent.is_zero())?;
        return Some(Wish::Percent(percent));
    }
    let above = [">=", ">", "above", "выше", "больше"];
    let below = ["<=", "<", "below", "ниже", "меньше"];
    let behind = |signs: &[&str]| signs.iter().find_map(|sign| text.strip_prefix(sign));
    let (side, number) = match (behind(&above), behind(&below)) {
        (Some(number), _) => (Side::Above, number),
        (_, Some(number)) => (Side::Below, number),
        _ => return None,
    };
    let value = Price::new(decimal(number)?).ok()?;
    Some(Wish::Threshold(side, value))
}

/// A number as people write it: groups of digits may be apart, and a comma with one or two
/// digits behind it is a decimal point. `65,000` could be both, and is refused.
fn decimal(text: &str) -> Option<Decimal> {
    let text: String = text
        .chars()
        .filter(|letter| !matches!(letter, '_' | '\'' | '\u{a0}' | '\u{202f}'))
        .collect();
    let text = match text.split_once(',') {
        Some((_, behind)) if (1..=2).contains(&behind.len()) => text.replace(',', "."),
        Some(_) => return None,
        None => text,
    };
    kurs_core::price::parse_decimal(&text)
        .ok()
        .filter(|number| !number.is_sign_negative())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::PairParser;
    use proptest::prelude::*;

    fn understand(text: &str) -> Command {
        let (name, words) = split(text, "KursBot").unwrap();
        read(name, &words, &|text| PairParser::default().parse(text))
    }

    fn pair(text: &str) -> Pair {
        Pair::parse(text).unwrap()
    }

    #[test]
    fn a_pair_is_understood_in_every_spelling() {
        for text in [
            "/rate BTC RUB",
            "/rate BTC-RUB",
            "/rate btc/rub",
            "/rate btcrub",
            "/rate@KursBot BTC RUB",
            "/RATE@kursbot bitcoin-rub",
        ] {
            assert_eq!(
                understand(text),
                Command::Rate(Some(pair("BTC-RUB"))),
                "{text}"
            );
        }
        assert_eq!(understand("/rate"), Command::Rate(None));
        let wrong = Fault::Pair("what now".to_owned());
        assert_eq!(
            understand("/rate what now"),
            Command::Rate(Some(pair("WHAT-NOW")))
        );
        assert_eq!(
            understand("/rate - what now"),
            Command::Wrong(Fault::Pair("- what now".into()))
        );
        assert_ne!(understand("/rate what now"), Command::Wrong(wrong));
    }

    #[test]
    fn a_command_for_another_bot_is_not_ours() {
        assert_eq!(split("/rate@OtherBot BTC RUB", "KursBot"), None);
        assert_eq!(split("BTC RUB", "KursBot"), None);
        assert_eq!(split("", "KursBot"), None);
    }

    #[test]
    fn what_is_to_be_watched_is_a_percentage_or_a_side_of_a_value() {
        let price = |text: &str| Price::parse(text).unwrap();
        let percent = |text: &str| Wish::Percent(text.parse().unwrap());
        for (text, expect) in [
            ("BTC-USD 1%", percent("1")),
            ("BTC USD 0,5 %", percent("0.5")),
            ("btcusd \u{b1}2.5%", percent("2.5")),
            (
                "BTC-USD > 65000",
                Wish::Threshold(Side::Above, price("65000")),
            ),
            (
                "BTC-USD >65 000.50",
                Wish::Threshold(Side::Above, price("65000.50")),
            ),
            (
                "BTC-USD < 60_000",
                Wish::Threshold(Side::Below, price("60000")),
            ),
            (
                "BTC-USD ниже 60000,5",
                Wish::Threshold(Side::Below, price("60000.5")),
            ),
        ] {
            let expect = Command::Subscribe(pair("BTC-USD"), Some(expect));
            assert_eq!(understand(&format!("/subscribe {text}")), expect, "{text}");
        }
        assert_eq!(
            understand("/subscribe BTC-USD"),
            Command::Subscribe(pair("BTC-USD"), None)
        );
        for text in ["65000", "> 65,000", "0%", "> -1", "> 0", "much", "> 1e999"] {
            let asked = format!("/subscribe BTC-USD {text}");
            assert_eq!(understand(&asked), Command::Wrong(Fault::Wish), "{text}");
        }
    }

    #[test]
    fn the_other_commands_are_understood() {
        let id = "abcdefghijkm".to_owned();
        for (text, expect) in [
            ("/start", Command::Start),
            ("/help", Command::Help),
            ("/rates", Command::Rates),
            ("/alerts", Command::Alerts),
            ("/unsubscribe", Command::Unsubscribe(Which::Ask)),
            ("/unsubscribe all", Command::Unsubscribe(Which::All)),
            (
                "/unsubscribe BTC-USD",
                Command::Unsubscribe(Which::Pair(pair("BTC-USD"))),
            ),
            (
                "/unsubscribe abcdefghijkm",
                Command::Unsubscribe(Which::One(id)),
            ),
            (
                "/history BTC-USD",
                Command::History(pair("BTC-USD"), Span::Day),
            ),
            (
                "/history BTC USD 7d",
                Command::History(pair("BTC-USD"), Span::Week),
            ),
            ("/history BTC-USD 9y", Command::Wrong(Fault::Span)),
            ("/language", Command::Language(None)),
            ("/language ru", Command::Language(Some(Language::Russian))),
            ("/language xx", Command::Wrong(Fault::Language)),
            ("/nothing", Command::Unknown),
        ] {
            assert_eq!(understand(text), expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(/(rate|subscribe|unsubscribe|history|language) )?.{0,60}") {
            if let Some((name, words)) = split(&text, "KursBot") {
                let _ = read(name, &words, &|text| PairParser::default().parse(text));
            }
        }
    }
}
