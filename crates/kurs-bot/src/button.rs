//! What buttons carry: at most 64 bytes, read back as hostile input.

use kurs_core::Pair;
use std::fmt;

/// How far back a chart looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week.
    Week,
}

impl Span {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Week];

    /// The word of commands and buttons.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
        }
    }

    /// Its length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
            Self::Week => 604_800,
        }
    }

    /// The span of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "1d" => Some(Self::Day),
            "1w" => Some(Self::Week),
            _ => Self::ALL.into_iter().find(|span| span.as_str() == word),
        }
    }
}

/// One of the two languages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Russian.
    Russian,
}

impl Language {
    /// Both.
    pub const ALL: [Self; 2] = [Self::English, Self::Russian];

    /// `en` or `ru`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Russian => "ru",
        }
    }

    /// The language of a code such as `ru-RU`; English for all others.
    #[must_use]
    pub fn of_code(code: &str) -> Self {
        let first = code.split(['-', '_']).next().unwrap_or("");
        match first.eq_ignore_ascii_case("ru") {
            true => Self::Russian,
            false => Self::English,
        }
    }
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Button {
    /// Shows the rate anew, in the same message.
    Refresh(Pair),
    /// Shows all rates anew, in the same message.
    RefreshAll,
    /// Asks for what is to be watched.
    Watch(Pair),
    /// Watches a move of so many percent.
    WatchPercent(Pair, u8),
    /// Shows a chart.
    Chart(Pair, Span),
    /// Shows the alerts anew.
    Alerts,
    /// Removes an alert.
    Remove(String),
    /// Lets a paused alert go on.
    Resume(String),
    /// Speaks another language.
    Speak(Language),
}

/// Longest id of an alert that fits.
const ID_BYTES_MAX: usize = 62;

impl Button {
    /// Reads what a button carried; `None` for what none of ours would.
    #[must_use]
    pub fn read(data: &str) -> Option<Self> {
        let (kind, rest) = data.split_once(':').unwrap_or((data, ""));
        let pair = |text: &str| Pair::parse(text).ok();
        let id = || {
            let is_id = !rest.is_empty()
                && rest.len() <= ID_BYTES_MAX
                && rest
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            is_id.then(|| rest.to_owned())
        };
        Some(match kind {
            "r" => Self::Refresh(pair(rest)?),
            "a" if rest.is_empty() => Self::RefreshAll,
            "w" => Self::Watch(pair(rest)?),
            "p" => {
                let (name, percent) = rest.split_once(':')?;
                let percent = percent
                    .parse()
                    .ok()
                    .filter(|percent| (1..=99).contains(percent))?;
                Self::WatchPercent(pair(name)?, percent)
            }
            "h" => {
                let (name, span) = rest.split_once(':')?;
                Self::Chart(pair(name)?, Span::parse(span)?)
            }
            "l" if rest.is_empty() => Self::Alerts,
            "x" => Self::Remove(id()?),
            "o" => Self::Resume(id()?),
            "s" => {
                let known = |language: &Language| language.code() == rest;
                Self::Speak(Language::ALL.into_iter().find(known)?)
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Button {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refresh(pair) => write!(formatter, "r:{pair}"),
            Self::RefreshAll => formatter.write_str("a"),
            Self::Watch(pair) => write!(formatter, "w:{pair}"),
            Self::WatchPercent(pair, percent) => write!(formatter, "p:{pair}:{percent}"),
            Self::Chart(pair, span) => write!(formatter, "h:{pair}:{}", span.as_str()),
            Self::Alerts => formatter.write_str("l"),
            Self::Remove(id) => write!(formatter, "x:{id}"),
            Self::Resume(id) => write!(formatter, "o:{id}"),
            Self::Speak(language) => write!(formatter, "s:{}", language.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_button_fits_and_is_read_back() {
        let longest = Pair::parse("ABCDEFGHIJKLMNOP-QRSTUVWXYZ012345").unwrap();
        let mut buttons = vec![
            Button::Refresh(longest),
            Button::RefreshAll,
            Button::Watch(longest),
            Button::WatchPercent(longest, 99),
            Button::Alerts,
            Button::Remove("a".repeat(ID_BYTES_MAX)),
            Button::Resume("abcdefghijkm".to_owned()),
        ];
        buttons.extend(Span::ALL.map(|span| Button::Chart(longest, span)));
        buttons.extend(Language::ALL.map(Button::Speak));
        for button in buttons {
            let data = button.to_string();
            assert!((1..=64).contains(&data.len()), "{data}");
            assert_eq!(Button::read(&data), Some(button));
        }
    }

    proptest! {
        #[test]
        fn no_data_panics(data in "([rwphxsoal]:)?.{0,70}") {
            let _ = Button::read(&data);
        }
    }
}
