//! English.

use super::Text;

pub(super) const fn text(text: Text) -> &'static str {
    match text {
        Text::Welcome => {
            "This bot tells exchange rates: where each comes from, how old it is, and whether it may be used.\n\n"
        }
        Text::Help => {
            "/rate BTC RUB - one rate (also <code>BTC-RUB</code>, <code>btcrub</code>)\n/rates - the usual rates\n/subscribe BTC-USD 1% - tell me when it has moved by 1 %\n/subscribe BTC-USD &gt; 65000 - tell me when it is above\n/alerts - what is watched here\n/unsubscribe - watch no longer\n/history BTC-USD 24h - a chart (1h, 24h, 7d)\n/language - English or Russian"
        }
        Text::AskPair => "Which pair? For example <code>/rate BTC RUB</code>",
        Text::UnknownCommand => "There is no such command. /help shows all.",
        Text::NotUnderstood => {
            "Write a pair, such as <code>BTC RUB</code>. /help shows all commands."
        }
        Text::WrongPair => {
            "<code>{pair}</code> is no pair. Write it as <code>BTC-USD</code> or <code>BTC USD</code>."
        }
        Text::WrongWish => {
            "What shall be watched? For example <code>/subscribe BTC-USD 1%</code> or <code>/subscribe BTC-USD &gt; 65000</code>. Numbers have no comma between thousands."
        }
        Text::WrongSpan => "A chart shows <code>1h</code>, <code>24h</code> or <code>7d</code>.",
        Text::WrongLanguage => "This bot speaks <code>en</code> and <code>ru</code>.",
        Text::NotAllowed => {
            "Sorry, this bot serves certain chats only, and this is none of them. Its operator can add chat <code>{chat}</code>."
        }
        Text::RatesHead => "<b>Rates</b>",
        Text::RatesNone => "No rates are configured. Ask for one: <code>/rate BTC RUB</code>",
        Text::Rate => "<b>{pair}</b>  <b>{value}</b>",
        Text::RateSource => "{source}, {age}, {state}",
        Text::RatePath => "by way of {path}",
        Text::Stale => {
            "\u{26a0}\u{fe0f} <b>STALE: this is the last value known. Do not use it.</b>"
        }
        Text::Suspect => "\u{26a0}\u{fe0f} <b>SUSPECT: other sources contradict it.</b>",
        Text::Halted => "\u{26d4} <b>HALTED: no source gives it any more. Do not use it.</b>",
        Text::Depeg => "\u{26a0}\u{fe0f} {asset} on the way is not worth its dollar: {value}",
        Text::Simulated => "<b>SIMULATED: this price is invented.</b>",
        Text::UnknownAsset => "No source knows <b>{asset}</b>.",
        Text::NoPath => "No markets lead from {pair}.",
        Text::NoRateYet => "There is no rate of <b>{pair}</b> yet. Try again in a moment.",
        Text::NoRate => "There is no rate of <b>{pair}</b>: {why}",
        Text::RatesMissing => "<b>{pair}</b>  no rate",
        Text::AgeSeconds => "{n} s old",
        Text::AgeMinutes => "{n} min old",
        Text::AgeHours => "{n} h old",
        Text::StateFresh => "fresh",
        Text::StateStale => "STALE",
        Text::StateSuspect => "SUSPECT",
        Text::StateHalted => "HALTED",
        Text::AskWish => {
            "Tell when <b>{pair}</b> has moved by how much? For a value: <code>/subscribe {pair} &gt; 65000</code>"
        }
        Text::Watching => "Watching: {condition}",
        Text::TooMany => "There are too many alerts here. /alerts shows them, and removes.",
        Text::WishRefused => "This cannot be watched: {why}",
        Text::ConditionAbove => "{pair} above {value}",
        Text::ConditionBelow => "{pair} below {value}",
        Text::ConditionPercent => "{pair} moves by {percent} %",
        Text::ConditionWindow => "{pair} moves by {percent} % within {n} s",
        Text::ConditionLoss => "source {source} is lost for {n} s",
        Text::ConditionFreeze => "{pair} is frozen for {n} s",
        Text::ConditionDepeg => "{asset} is {percent} % away from its dollar",
        Text::AlertsHead => "<b>Watched here</b>",
        Text::AlertsNone => {
            "Nothing is watched here. For example <code>/subscribe BTC-USD 1%</code>"
        }
        Text::AlertPaused => "paused",
        Text::AskRemove => "<b>What shall go?</b> Or <code>/unsubscribe all</code>",
        Text::Removed => "Removed: {condition}",
        Text::RemovedCount => "Removed: {n}",
        Text::NoSuchAlert => "There is no such alert here.",
        Text::Resumed => "Goes on: {condition}",
        Text::FiredAbove => "\u{1f514} <b>{pair} is above {limit}</b>: {value}",
        Text::FiredBelow => "\u{1f514} <b>{pair} is below {limit}</b>: {value}",
        Text::FiredPercent => "\u{1f514} <b>{pair} moved by {change} %</b>: {value}, from {from}",
        Text::FiredLoss => "\u{1f514} <b>Source {source} is {state}</b> since {since}",
        Text::FiredFreeze => "\u{1f514} <b>{pair} is frozen</b> since {since}",
        Text::FiredDepeg => "\u{1f514} <b>{asset} is {change} % away from its dollar</b>: {value}",
        Text::FiredNow => "{source}, {state}, at {at}",
        Text::FiredTest => "A test of the alert: {condition}",
        Text::Chart => {
            "<b>{pair}</b>, {span}\nfirst {open}, last {close} ({change} %)\nhighest {high}, lowest {low}"
        }
        Text::ChartNone => "There is no history of <b>{pair}</b> for {span}.",
        Text::AskLanguage => "Language / \u{42f}\u{437}\u{44b}\u{43a}",
        Text::LanguageSet => "English it is.",
        Text::Trouble => "This does not work at the moment. Try again in a minute.",
        Text::PressDone => "Done",
        Text::PressOld => "This button is too old.",
        Text::ButtonRefresh => "Refresh",
        Text::ButtonWatch => "Watch",
        Text::ButtonChart => "Chart",
        Text::ButtonRemove => "Remove",
        Text::ButtonResume => "Go on",
        Text::ButtonAlerts => "Alerts",
        Text::AboutRate => "One rate: BTC RUB",
        Text::AboutRates => "The usual rates",
        Text::AboutSubscribe => "Watch: BTC-USD 1% or BTC-USD > 65000",
        Text::AboutAlerts => "What is watched here",
        Text::AboutUnsubscribe => "Watch no longer",
        Text::AboutHistory => "A chart: BTC-USD 24h",
        Text::AboutLanguage => "English or Russian",
        Text::AboutHelp => "All commands",
    }
}
