//! What commands and buttons do.

use super::{Desk, Place};
use crate::button::{Button, Span};
use crate::chats::Wished;
use crate::command::{Command, Fault, Which, Wish};
use crate::pictures::Picture;
use crate::say::{self, Looked, Said};
use crate::texts::Text;
use kurs_core::Pair;
use kurs_reader::candles::{CandlesError, CandlesQuestion, candles};
use kurs_reader::{Missing, RateDocument};
use kurs_store::{Candle, Interval, StoreError};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::time::Duration;

/// Rates shown by `/rates`; the text is cut long before.
const RATES_MAX: usize = 60;

/// The candles that make a good chart of a span.
const fn interval_of(span: Span) -> Interval {
    match span {
        Span::Hour => Interval::Minute,
        Span::Day => Interval::FiveMinutes,
        Span::Week => Interval::Hour,
    }
}

impl Desk {
    pub(super) async fn command(
        self: &Arc<Self>,
        place: Place,
        asked: Command,
    ) -> Result<(), StoreError> {
        let language = place.language;
        let said = match asked {
            Command::Start => say::help(language, true),
            Command::Help => say::help(language, false),
            Command::Rate(None) => say::simply(Text::AskPair, language),
            Command::Rate(Some(pair)) => self.rate(place, pair),
            Command::Rates => self.rates(place),
            Command::Subscribe(pair, None) => say::ask_wish(pair, language),
            Command::Subscribe(pair, Some(wish)) => self.watch(place, pair, wish).await?,
            Command::Alerts => {
                let alerts = self.chats.alerts(place.chat).await?;
                say::alerts(&alerts, Text::AlertsHead, language)
            }
            Command::Unsubscribe(which) => self.unsubscribe(place, which).await?,
            Command::History(pair, span) => self.chart(place, pair, span).await?,
            Command::Language(None) => say::ask_language(language),
            Command::Language(Some(language)) => {
                self.chats.save(place.chat, language, false).await?;
                say::simply(Text::LanguageSet, language)
            }
            Command::Unknown => say::simply(Text::UnknownCommand, language),
            Command::Wrong(fault) => match fault {
                Fault::Pair(text) => Said::text(Text::WrongPair.with(language, &[("pair", &text)])),
                Fault::Wish => say::simply(Text::WrongWish, language),
                Fault::Span => say::simply(Text::WrongSpan, language),
                Fault::Language => say::simply(Text::WrongLanguage, language),
            },
        };
        self.answer(place.chat, said);
        Ok(())
    }

    pub(super) async fn button(
        self: &Arc<Self>,
        place: Place,
        button: Button,
    ) -> Result<(), StoreError> {
        let language = place.language;
        // A picture cannot become a text: below one, a new message is sent.
        let text_below = place.pressed.filter(|(_, is_picture)| !is_picture);
        let instead = |said: Said| match text_below {
            Some((message, _)) => said.instead_of(message),
            None => said,
        };
        let said = match button {
            Button::Refresh(pair) => instead(self.rate(place, pair)),
            Button::RefreshAll => instead(self.rates(place)),
            Button::Watch(pair) => say::ask_wish(pair, language),
            Button::WatchPercent(pair, percent) => {
                let wish = Wish::Percent(Decimal::from(percent));
                instead(self.watch(place, pair, wish).await?)
            }
            Button::Chart(pair, span) => {
                let said = self.chart(place, pair, span).await?;
                match (place.pressed, &said.picture) {
                    (Some((message, true)), Some(_)) => said.instead_of(message),
                    _ => said,
                }
            }
            Button::Alerts => {
                let alerts = self.chats.alerts(place.chat).await?;
                say::alerts(&alerts, Text::AlertsHead, language)
            }
            Button::Remove(id) => {
                let removed = self
                    .chats
                    .remove(place.chat, |alert| *alert.id == *id)
                    .await?;
                instead(self.after_change(place, Text::Removed, removed).await?)
            }
            Button::Resume(id) => {
                let resumed = self.chats.resume(place.chat, &id).await?;
                instead(
                    self.after_change(place, Text::Resumed, Vec::from_iter(resumed))
                        .await?,
                )
            }
            Button::Speak(language) => {
                self.chats.save(place.chat, language, false).await?;
                instead(say::simply(Text::LanguageSet, language))
            }
        };
        self.answer(place.chat, said);
        Ok(())
    }

    /// What happened to an alert, and what is watched from now on.
    async fn after_change(
        &self,
        place: Place,
        what: Text,
        changed: Vec<kurs_alert::Condition>,
    ) -> Result<Said, StoreError> {
        let language = place.language;
        let alerts = self.chats.alerts(place.chat).await?;
        let mut said = say::alerts(&alerts, Text::AlertsHead, language);
        let first = match changed.first() {
            Some(condition) => say::about(what, condition, language),
            None => Text::NoSuchAlert.of(language).to_owned(),
        };
        said.text = format!("{first}\n\n{}", said.text);
        Ok(said)
    }

    /// A rate and its age by the monotonic clock; what has run out is given with its state.
    fn look(&self, pair: Pair) -> Result<(RateDocument, u64), Missing> {
        let explained = self.view.explain(pair, None, true)?;
        Ok((explained.rate, explained.age_ms))
    }

    fn rate(&self, place: Place, pair: Pair) -> Said {
        match self.look(pair) {
            Ok((mut rate, age_ms)) => {
                // The explanation gives a leg to every rate; one leg is the rate itself.
                if rate.legs.len() == 1 {
                    rate.legs.clear();
                }
                say::rate(&rate, age_ms, place.language)
            }
            Err(missing) => say::missing(pair, &missing, place.language),
        }
    }

    fn rates(&self, place: Place) -> Said {
        let directions = self.view.directions();
        let looked: Vec<Looked> = directions
            .iter()
            .take(RATES_MAX)
            .map(|pair| (*pair, self.look(*pair).ok()))
            .collect();
        say::rates(&looked, place.language)
    }

    async fn watch(&self, place: Place, pair: Pair, wish: Wish) -> Result<Said, StoreError> {
        let language = place.language;
        if let Err(missing @ (Missing::UnknownAsset(_) | Missing::NoPath(_))) = self.look(pair) {
            return Ok(say::missing(pair, &missing, language));
        }
        let request = format!("telegram:{}:{}", place.chat, place.update);
        let random = self.random();
        let wished = self
            .chats
            .watch(place.chat, pair, wish, &request, random)
            .await?;
        Ok(match wished {
            Wished::Watching(condition) => {
                let alerts = Text::ButtonAlerts.of(language).to_owned();
                Said {
                    buttons: vec![vec![(alerts, Button::Alerts)]],
                    ..Said::text(say::about(Text::Watching, &condition, language))
                }
            }
            Wished::TooMany => say::simply(Text::TooMany, language),
            Wished::Refused(why) => Said::text(Text::WishRefused.with(language, &[("why", &why)])),
        })
    }

    async fn unsubscribe(&self, place: Place, which: Which) -> Result<Said, StoreError> {
        let language = place.language;
        let removed = match which {
            Which::Ask => {
                let alerts = self.chats.alerts(place.chat).await?;
                return Ok(say::alerts(&alerts, Text::AskRemove, language));
            }
            Which::All => self.chats.remove(place.chat, |_| true).await?,
            Which::One(id) => {
                let is_meant = |alert: &kurs_alert::Alert| *alert.id == *id.to_ascii_lowercase();
                self.chats.remove(place.chat, is_meant).await?
            }
            Which::Pair(pair) => {
                let is_meant =
                    |alert: &kurs_alert::Alert| alert.terms.condition.pair() == Some(pair);
                self.chats.remove(place.chat, is_meant).await?
            }
        };
        Ok(match &*removed {
            [] => say::simply(Text::NoSuchAlert, language),
            [one] => Said::text(say::about(Text::Removed, one, language)),
            more => {
                let count = more.len().to_string();
                Said::text(Text::RemovedCount.with(language, &[("n", &count)]))
            }
        })
    }

    async fn chart(&self, place: Place, pair: Pair, span: Span) -> Result<Said, StoreError> {
        let language = place.language;
        let interval = interval_of(span);
        let candles = match self.candles(pair, interval, span).await {
            Ok(candles) => candles,
            Err(CandlesError::Missing(missing)) => {
                return Ok(say::missing(pair, &missing, language));
            }
            Err(CandlesError::Store(error)) => return Err(error),
        };
        let is_simulated = self.is_simulated(pair);
        let Some(mut said) = say::chart(pair, span, &candles, is_simulated, language) else {
            let values = [("pair", &*pair.to_string()), ("span", span.as_str())];
            return Ok(Said::text(Text::ChartNone.with(language, &values)));
        };
        let pictures = Arc::clone(&self.pictures);
        let picture = Picture {
            pair,
            interval,
            candles,
            now: self.clock.now().wall,
            is_simulated,
        };
        let drawn = tokio::task::spawn_blocking(move || pictures.png(&picture)).await;
        match drawn {
            Ok(Ok(png)) => said.picture = Some(png.into()),
            Ok(Err(why)) => tracing::debug!(%pair, why, "a chart is told in words"),
            Err(error) => tracing::error!(%error, "drawing a chart panicked"),
        }
        Ok(said)
    }

    /// Candles of what was published name no source: where anything is invented, all of it is.
    fn is_simulated(&self, pair: Pair) -> bool {
        let mut sources = self.view.sources().into_iter();
        let rate = self.look(pair);
        sources.any(|status| status.source.is_simulated())
            || rate.is_ok_and(|(rate, _)| say::is_simulated(&rate))
    }

    async fn candles(
        &self,
        pair: Pair,
        interval: Interval,
        span: Span,
    ) -> Result<Vec<Candle>, CandlesError> {
        let end = self.clock.now().wall.plus(interval.length());
        let back = Duration::from_secs(span.seconds()) + interval.length();
        let micros = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
        let question = CandlesQuestion {
            asked: pair,
            source: None,
            interval,
            start: interval.start_of(kurs_core::Wall(end.0.saturating_sub(micros))),
            end,
            limit: 1_000,
            way: None,
        };
        let page = candles(&self.view, self.chats.store(), question).await?;
        Ok(page.candles)
    }
}
