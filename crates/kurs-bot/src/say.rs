//! What is said: texts and buttons, from facts, without asking anybody.

mod said;

pub use said::Said;

use crate::button::{Button, Language, Span};
use crate::texts::{Text, escape};
use kurs_alert::{Alert, AlertMessage, Condition, Side};
use kurs_core::{Pair, RateState};
use kurs_reader::{Missing, RateDocument};
use kurs_store::Candle;
use rust_decimal::Decimal;

/// Telegram takes 4,096 characters; tags count on top of what is seen, so this is far below.
const TEXT_CHARS_MAX: usize = 3_600;
/// Alerts with buttons of their own in one message.
const ALERT_ROWS_MAX: usize = 40;

/// A text that needs no values.
#[must_use]
pub fn simply(text: Text, language: Language) -> Said {
    Said::plain(text, language)
}

/// `/start` and `/help`.
#[must_use]
pub fn help(language: Language, is_start: bool) -> Said {
    let mut text = String::new();
    if is_start {
        text.push_str(Text::Welcome.of(language));
    }
    text.push_str(Text::Help.of(language));
    Said::text(text)
}

fn age(age_ms: u64, language: Language) -> String {
    let seconds = age_ms / 1_000;
    let (text, n) = match seconds {
        0..120 => (Text::AgeSeconds, seconds),
        120..7_200 => (Text::AgeMinutes, seconds / 60),
        _ => (Text::AgeHours, seconds / 3_600),
    };
    text.with(language, &[("n", &n.to_string())])
}

const fn state_word(state: RateState) -> Text {
    match state {
        RateState::Fresh => Text::StateFresh,
        RateState::Stale => Text::StateStale,
        RateState::Suspect => Text::StateSuspect,
        RateState::Halted => Text::StateHalted,
    }
}

const fn warning(state: RateState) -> Option<Text> {
    match state {
        RateState::Fresh => None,
        RateState::Stale => Some(Text::Stale),
        RateState::Suspect => Some(Text::Suspect),
        RateState::Halted => Some(Text::Halted),
    }
}

/// True when a price in it is invented.
#[must_use]
pub fn is_simulated(rate: &RateDocument) -> bool {
    rate.source.is_simulated() || rate.legs.iter().any(|leg| leg.source.is_simulated())
}

fn source_line(rate: &RateDocument, age_ms: u64, language: Language) -> String {
    let values = [
        ("source", rate.source.as_str()),
        ("age", &age(age_ms, language)),
        ("state", state_word(rate.state).of(language)),
    ];
    Text::RateSource.with(language, &values)
}

/// One rate with everything a reader must know before using it.
#[must_use]
pub fn rate(rate: &RateDocument, age_ms: u64, language: Language) -> Said {
    let mut lines = Vec::new();
    if let Some(warning) = warning(rate.state) {
        lines.push(warning.of(language).to_owned());
    }
    if is_simulated(rate) {
        lines.push(Text::Simulated.of(language).to_owned());
    }
    let pair = rate.pair.to_string();
    let values = [("pair", pair.as_str()), ("value", &rate.value.to_string())];
    lines.push(Text::Rate.with(language, &values));
    lines.push(source_line(rate, age_ms, language));
    if rate.legs.len() > 1 {
        let leg = |leg: &kurs_reader::LegDocument| format!("{} ({})", leg.pair, leg.source);
        let path: Vec<String> = rate.legs.iter().map(leg).collect();
        lines.push(Text::RatePath.with(language, &[("path", &path.join(", "))]));
    }
    for depeg in &rate.depeg {
        let values = [
            ("asset", depeg.pair.base.as_str()),
            ("value", &depeg.value.to_string()),
        ];
        lines.push(Text::Depeg.with(language, &values));
    }
    let word = |text: Text| text.of(language).to_owned();
    let buttons = vec![
        vec![
            (word(Text::ButtonRefresh), Button::Refresh(rate.pair)),
            (
                rate.pair.inverse().to_string(),
                Button::Refresh(rate.pair.inverse()),
            ),
        ],
        vec![
            (word(Text::ButtonWatch), Button::Watch(rate.pair)),
            (word(Text::ButtonChart), Button::Chart(rate.pair, Span::Day)),
        ],
    ];
    Said {
        text: lines.join("\n"),
        buttons,
        key: Some(format!("rate:{pair}")),
        picture: None,
        edits: None,
    }
}

/// Why there is no rate at all.
#[must_use]
pub fn missing(pair: Pair, why: &Missing, language: Language) -> Said {
    let shown = pair.to_string();
    let of_pair = |text: Text| text.with(language, &[("pair", &shown)]);
    Said::text(match why {
        Missing::UnknownAsset(asset) => {
            Text::UnknownAsset.with(language, &[("asset", asset.as_str())])
        }
        Missing::NoPath(_) => of_pair(Text::NoPath),
        Missing::NoRate(_, why) => Text::NoRate.with(language, &[("pair", &shown), ("why", why)]),
        Missing::NoRateYet(_) | Missing::UnknownSource(_) | Missing::Expired(_) => {
            of_pair(Text::NoRateYet)
        }
    })
}

/// A rate with its age, or none.
pub type Looked = (Pair, Option<(RateDocument, u64)>);

/// `/rates`.
#[must_use]
pub fn rates(looked: &[Looked], language: Language) -> Said {
    if looked.is_empty() {
        return Said::plain(Text::RatesNone, language);
    }
    let mut text = Text::RatesHead.of(language).to_owned();
    let simulated =
        |(_, found): &Looked| found.as_ref().is_some_and(|(rate, _)| is_simulated(rate));
    if looked.iter().any(simulated) {
        text.push('\n');
        text.push_str(Text::Simulated.of(language));
    }
    for (pair, found) in looked {
        let shown = pair.to_string();
        let line = match found {
            None => Text::RatesMissing.with(language, &[("pair", &shown)]),
            Some((rate, age_ms)) => {
                let values = [("pair", shown.as_str()), ("value", &rate.value.to_string())];
                let first = Text::Rate.with(language, &values);
                let loud = if rate.state == RateState::Fresh {
                    ""
                } else {
                    "\u{26a0}\u{fe0f} "
                };
                format!(
                    "{loud}{first}\n    {}",
                    source_line(rate, *age_ms, language)
                )
            }
        };
        if text.chars().count() + line.chars().count() > TEXT_CHARS_MAX {
            text.push_str("\n...");
            break;
        }
        text.push('\n');
        text.push_str(&line);
    }
    let refresh = Text::ButtonRefresh.of(language).to_owned();
    let alerts = Text::ButtonAlerts.of(language).to_owned();
    Said {
        text,
        buttons: vec![vec![
            (refresh, Button::RefreshAll),
            (alerts, Button::Alerts),
        ]],
        key: Some("rates".to_owned()),
        picture: None,
        edits: None,
    }
}

/// What is watched, in words.
#[must_use]
pub fn condition(condition: &Condition, language: Language) -> String {
    let seconds = |time: &std::time::Duration| time.as_secs().to_string();
    match condition {
        Condition::Threshold { pair, side, value } => {
            let text = match side {
                Side::Above => Text::ConditionAbove,
                Side::Below => Text::ConditionBelow,
            };
            let values = [("pair", &*pair.to_string()), ("value", &value.to_string())];
            text.with(language, &values)
        }
        Condition::Percent {
            pair,
            percent,
            window,
        } => {
            let text = match window {
                None => Text::ConditionPercent,
                Some(_) => Text::ConditionWindow,
            };
            let values = [
                ("pair", &*pair.to_string()),
                ("percent", &percent.normalize().to_string()),
                ("n", &window.as_ref().map_or_else(String::new, seconds)),
            ];
            text.with(language, &values)
        }
        Condition::SourceLoss { source, after } => {
            let values = [("source", source.as_str()), ("n", &seconds(after))];
            Text::ConditionLoss.with(language, &values)
        }
        Condition::Freeze { pair, after } => {
            let values = [("pair", &*pair.to_string()), ("n", &seconds(after))];
            Text::ConditionFreeze.with(language, &values)
        }
        Condition::Depeg { asset, percent } => {
            let values = [
                ("asset", asset.as_str()),
                ("percent", &percent.normalize().to_string()),
            ];
            Text::ConditionDepeg.with(language, &values)
        }
    }
}

/// A text about a condition, whose words are escaped already.
#[must_use]
pub fn about(text: Text, of: &Condition, language: Language) -> String {
    text.of(language)
        .replace("{condition}", &condition(of, language))
}

/// `/alerts`, or `/unsubscribe` without a word.
#[must_use]
pub fn alerts(alerts: &[Alert], head: Text, language: Language) -> Said {
    if alerts.is_empty() {
        return Said::plain(Text::AlertsNone, language);
    }
    let mut text = head.of(language).to_owned();
    let mut buttons = Vec::new();
    for (number, alert) in (1_usize..).zip(alerts) {
        let mut line = format!("{number}. {}", condition(&alert.terms.condition, language));
        if alert.is_paused {
            line.push_str(", ");
            line.push_str(Text::AlertPaused.of(language));
        }
        let is_full = text.chars().count() + line.chars().count() > TEXT_CHARS_MAX;
        if is_full || number > ALERT_ROWS_MAX {
            text.push_str("\n...");
            break;
        }
        text.push('\n');
        text.push_str(&line);
        let id = alert.id.to_string();
        let remove = format!("{number}. {}", Text::ButtonRemove.of(language));
        let mut row = vec![(remove, Button::Remove(id.clone()))];
        if alert.is_paused {
            let resume = format!("{number}. {}", Text::ButtonResume.of(language));
            row.push((resume, Button::Resume(id)));
        }
        buttons.push(row);
    }
    Said {
        text,
        buttons,
        key: None,
        picture: None,
        edits: None,
    }
}

/// What shall be watched of this pair?
#[must_use]
pub fn ask_wish(pair: Pair, language: Language) -> Said {
    let button = |percent: u8| (format!("{percent} %"), Button::WatchPercent(pair, percent));
    Said {
        buttons: vec![[1, 2, 5, 10].map(button).to_vec()],
        ..Said::text(Text::AskWish.with(language, &[("pair", &pair.to_string())]))
    }
}

/// Which language?
#[must_use]
pub fn ask_language(language: Language) -> Said {
    let english = ("English".to_owned(), Button::Speak(Language::English));
    let russian = (
        "\u{420}\u{443}\u{441}\u{441}\u{43a}\u{438}\u{439}".to_owned(),
        Button::Speak(Language::Russian),
    );
    Said {
        buttons: vec![vec![english, russian]],
        ..Said::plain(Text::AskLanguage, language)
    }
}

/// Words below a chart; `None` without candles.
#[must_use]
pub fn chart(
    pair: Pair,
    span: Span,
    candles: &[Candle],
    is_simulated: bool,
    language: Language,
) -> Option<Said> {
    let (first, last) = (candles.first()?, candles.last()?);
    let high = candles.iter().map(|candle| candle.high).max()?;
    let low = candles.iter().map(|candle| candle.low).min()?;
    let (open, close) = (first.open.value(), last.close.value());
    let change = close
        .checked_sub(open)
        .and_then(|moved| moved.checked_mul(Decimal::ONE_HUNDRED))
        .and_then(|moved| moved.checked_div(open))
        .map_or_else(String::new, signed);
    let values = [
        ("pair", &*pair.to_string()),
        ("span", span.as_str()),
        ("open", &first.open.to_string()),
        ("close", &last.close.to_string()),
        ("change", &change),
        ("high", &high.to_string()),
        ("low", &low.to_string()),
    ];
    let mut text = Text::Chart.with(language, &values);
    if is_simulated {
        text = format!("{}\n{text}", Text::Simulated.of(language));
    }
    let button = |span: Span| (span.as_str().to_owned(), Button::Chart(pair, span));
    Some(Said {
        buttons: vec![Span::ALL.map(button).to_vec()],
        key: Some(format!("chart:{pair}")),
        ..Said::text(text)
    })
}

/// A percentage with its sign and two places.
fn signed(percent: Decimal) -> String {
    let rounded = percent.round_dp(2).normalize();
    let sign = if rounded > Decimal::ZERO { "+" } else { "" };
    format!("{sign}{rounded}")
}

/// An alert that has fired.
#[must_use]
pub fn fired(message: &AlertMessage, language: Language) -> Said {
    let Ok(terms) = message.condition.understand() else {
        // Written by a later version: its own sentence will do.
        return Said::text(escape(&message.text));
    };
    if message.is_test {
        return Said::text(about(Text::FiredTest, &terms.condition, language));
    }
    let of = |value: Option<String>| value.unwrap_or_default();
    let value = of(message.value.map(|value| value.to_string()));
    let change = of(message.change_percent.map(signed));
    let since = of(message.since.map(|since| since.to_string()));
    let head = match &terms.condition {
        Condition::Threshold {
            pair,
            side,
            value: limit,
        } => {
            let text = match side {
                Side::Above => Text::FiredAbove,
                Side::Below => Text::FiredBelow,
            };
            let (pair, limit) = (pair.to_string(), limit.to_string());
            text.with(
                language,
                &[("pair", &pair), ("limit", &limit), ("value", &value)],
            )
        }
        Condition::Percent { pair, .. } => {
            let from = of(message.reference.map(|from| from.to_string()));
            let pair = pair.to_string();
            let values = [
                ("pair", pair.as_str()),
                ("change", &change),
                ("value", &value),
                ("from", &from),
            ];
            Text::FiredPercent.with(language, &values)
        }
        Condition::SourceLoss { source, .. } => {
            let state = message.source_state.map_or("down", |state| state.as_str());
            let values = [
                ("source", source.as_str()),
                ("state", state),
                ("since", &since),
            ];
            Text::FiredLoss.with(language, &values)
        }
        Condition::Freeze { pair, .. } => {
            let pair = pair.to_string();
            Text::FiredFreeze.with(language, &[("pair", &pair), ("since", &since)])
        }
        Condition::Depeg { asset, .. } => {
            let values = [
                ("asset", asset.as_str()),
                ("change", &change),
                ("value", &value),
            ];
            Text::FiredDepeg.with(language, &values)
        }
    };
    let mut lines = vec![head];
    if let (Some(source), Some(state)) = (message.source, message.state) {
        if let Some(warning) = warning(state) {
            lines.push(warning.of(language).to_owned());
        }
        if source.is_simulated() {
            lines.push(Text::Simulated.of(language).to_owned());
        }
        let at = of(message.observed_at.map(|at| at.to_string()));
        let values = [
            ("source", source.as_str()),
            ("state", state_word(state).of(language)),
            ("at", &at),
        ];
        lines.push(Text::FiredNow.with(language, &values));
    }
    let mut said = Said::text(lines.join("\n"));
    if let Some(pair) = terms.condition.pair() {
        let word = |text: Text| text.of(language).to_owned();
        said.buttons = vec![vec![
            (word(Text::ButtonChart), Button::Chart(pair, Span::Day)),
            (word(Text::ButtonAlerts), Button::Alerts),
        ]];
    }
    said
}
