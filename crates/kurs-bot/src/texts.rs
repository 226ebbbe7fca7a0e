//! Everything the bot says, in English and Russian, in one table each.
//!
//! `{name}` stands for a value. Values are escaped where they are put in; the texts themselves are
//! HTML of Telegram.

mod en;
mod ru;

use crate::button::Language;

macro_rules! texts {
    ($($(#[$about:meta])* $name:ident,)+) => {
        /// A text by what it says.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Text {
            $($(#[$about])* $name,)+
        }

        impl Text {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }
    };
}

texts! {
    /// The first words.
    Welcome,
    /// All commands.
    Help,
    /// A pair is wanted.
    AskPair,
    /// No such command.
    UnknownCommand,
    /// Nothing we can use in a private chat.
    NotUnderstood,
    /// The pair is not understood.
    WrongPair,
    /// What is to be watched is not understood.
    WrongWish,
    /// The span is not understood.
    WrongSpan,
    /// The language is not understood.
    WrongLanguage,
    /// The chat is not on the list.
    NotAllowed,
    /// Head of `/rates`.
    RatesHead,
    /// There are no directions.
    RatesNone,
    /// One rate.
    Rate,
    /// Where a rate comes from.
    RateSource,
    /// Through which markets.
    RatePath,
    /// It is not fresh: the last value known.
    Stale,
    /// It is contradicted.
    Suspect,
    /// Nobody gives it any more.
    Halted,
    /// A stablecoin on the path.
    Depeg,
    /// Prices are invented.
    Simulated,
    /// No source knows the asset.
    UnknownAsset,
    /// No way from base to quote.
    NoPath,
    /// No price yet.
    NoRateYet,
    /// By its policy there is none.
    NoRate,
    /// A line of `/rates` without a rate.
    RatesMissing,
    /// Seconds.
    AgeSeconds,
    /// Minutes.
    AgeMinutes,
    /// Hours.
    AgeHours,
    /// The word of a fresh rate.
    StateFresh,
    /// The word of a stale rate.
    StateStale,
    /// The word of a suspect rate.
    StateSuspect,
    /// The word of a halted rate.
    StateHalted,
    /// What shall be watched?
    AskWish,
    /// It is watched now.
    Watching,
    /// Too many alerts.
    TooMany,
    /// The condition is refused.
    WishRefused,
    /// Above a value.
    ConditionAbove,
    /// Below a value.
    ConditionBelow,
    /// A move.
    ConditionPercent,
    /// A move within a time.
    ConditionWindow,
    /// A source is lost.
    ConditionLoss,
    /// A pair is frozen.
    ConditionFreeze,
    /// A stablecoin is off.
    ConditionDepeg,
    /// Head of `/alerts`.
    AlertsHead,
    /// There are none.
    AlertsNone,
    /// Behind a paused one.
    AlertPaused,
    /// Which one shall go?
    AskRemove,
    /// It is gone.
    Removed,
    /// So many are gone.
    RemovedCount,
    /// There is no such alert.
    NoSuchAlert,
    /// It goes on.
    Resumed,
    /// An alert: the value is above.
    FiredAbove,
    /// An alert: the value is below.
    FiredBelow,
    /// An alert: a move.
    FiredPercent,
    /// An alert: a source is lost.
    FiredLoss,
    /// An alert: a pair is frozen.
    FiredFreeze,
    /// An alert: a stablecoin is off.
    FiredDepeg,
    /// Below an alert: the rate.
    FiredNow,
    /// A test of an alert.
    FiredTest,
    /// Words below a chart.
    Chart,
    /// No history.
    ChartNone,
    /// Which language?
    AskLanguage,
    /// The language is set.
    LanguageSet,
    /// The store is away.
    Trouble,
    /// Short answer to a press: done.
    PressDone,
    /// Short answer to a press of an old button.
    PressOld,
    /// Button: refresh.
    ButtonRefresh,
    /// Button: watch.
    ButtonWatch,
    /// Button: chart.
    ButtonChart,
    /// Button: remove.
    ButtonRemove,
    /// Button: go on.
    ButtonResume,
    /// Button: alerts.
    ButtonAlerts,
    /// About `/rate`.
    AboutRate,
    /// About `/rates`.
    AboutRates,
    /// About `/subscribe`.
    AboutSubscribe,
    /// About `/alerts`.
    AboutAlerts,
    /// About `/unsubscribe`.
    AboutUnsubscribe,
    /// About `/history`.
    AboutHistory,
    /// About `/language`.
    AboutLanguage,
    /// About `/help`.
    AboutHelp,
}

impl Text {
    /// The text with its marks.
    #[must_use]
    pub const fn of(self, language: Language) -> &'static str {
        match language {
            Language::English => en::text(self),
            Language::Russian => ru::text(self),
        }
    }

    /// The text with values in place of its marks, each escaped.
    #[must_use]
    pub fn with(self, language: Language, values: &[(&str, &str)]) -> String {
        let mut filled = String::new();
        let mut rest = self.of(language);
        while let Some((before, behind)) = rest.split_once('{') {
            filled.push_str(before);
            let Some((name, after)) = behind.split_once('}') else {
                break;
            };
            if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
                filled.push_str(&escape(value));
            }
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// A value as HTML of Telegram.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            _ if letter.is_control() && letter != '\n' => escaped.push(' '),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn marks(text: &str) -> BTreeSet<&str> {
        let behind = text.split('{').skip(1);
        behind.filter_map(|part| part.split('}').next()).collect()
    }

    #[test]
    fn both_languages_say_everything_with_the_same_values() {
        for text in Text::ALL {
            let [english, russian] = Language::ALL.map(|language| text.of(language));
            assert!(!english.trim().is_empty(), "{text:?}");
            assert_eq!(marks(english), marks(russian), "{text:?}");
            let is_cyrillic = |letter: char| ('\u{400}'..='\u{4ff}').contains(&letter);
            assert!(
                !english.chars().any(is_cyrillic) || *text == Text::AskLanguage,
                "{text:?}"
            );
            let words = |text: &str| text.split(['{', '}']).step_by(2).collect::<String>();
            let has_words = words(english)
                .chars()
                .any(|letter| letter.is_ascii_alphabetic());
            if has_words && !matches!(text, Text::Rate) {
                assert!(russian.chars().any(is_cyrillic), "{text:?}: {russian}");
            }
        }
    }

    #[test]
    fn values_are_escaped() {
        let text = Text::WrongPair.with(Language::English, &[("pair", "<b>&\u{1b}")]);
        assert!(text.contains("&lt;b&gt;&amp; "), "{text}");
    }

    #[test]
    fn descriptions_of_commands_and_answers_to_presses_are_short_enough() {
        for language in Language::ALL {
            for text in Text::ALL {
                let length = text.of(language).chars().count();
                let name = format!("{text:?}");
                let most = match () {
                    () if name.starts_with("About") => 256,
                    () if name.starts_with("Press") => 200,
                    () if name.starts_with("Button") => 40,
                    () => 3_000,
                };
                assert!(length <= most, "{name}: {length}");
            }
        }
    }
}
