//! Telegram bot: rates, charts and alerts in chats. A client of the view, of the store and of
//! `kurs-alert`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`TelegramConfig`] |
//! | [`wire`] | the parts of the Bot API that are read |
//! | [`api`] | [`BotApi`]: calls and what may come back; over HTTP |
//! | [`limiter`] | when which message may be sent; pure |
//! | [`sender`] | sends what the limiter lets go |
//! | [`command`], [`button`] | what people ask for, in words and by buttons; pure |
//! | [`texts`] | everything that is said, in English and Russian |
//! | [`say`] | messages made of facts; pure |
//! | [`chats`] | chats and their alerts in the store |
//! | [`desk`] | takes updates and answers them |
//! | [`courier`] | brings what alerts tell to chats |
//! | [`pictures`] | where charts come from |
//! | `polling`, [`mod@webhook`] | the two ways updates come |
//! | [`mod@run`] | [`Bot`]: all of it |

pub mod api;
pub mod button;
pub mod chats;
pub mod command;
pub mod config;
pub mod courier;
pub mod desk;
pub mod limiter;
pub mod pictures;
mod polling;
pub mod run;
pub mod say;
pub mod sender;
pub mod texts;
pub mod webhook;
pub mod wire;

pub use api::{ApiError, BotApi, Call, HttpApi};
pub use config::{Mode, TelegramConfig};
pub use courier::TelegramCourier;
pub use desk::Desk;
pub use pictures::{ChartPictures, Picture, Pictures};
pub use polling::CHECK;
pub use run::{Bot, Means, run};
pub use webhook::webhook;

use button::Language;
use serde_json::{Value, json};
use texts::Text;

/// The commands as Telegram shows them: for everybody in English, and in Russian.
fn commands() -> [Value; 2] {
    let list = |language: Language| {
        let command =
            |(name, text): (&str, Text)| json!({"command": name, "description": text.of(language)});
        let commands = [
            ("rate", Text::AboutRate),
            ("rates", Text::AboutRates),
            ("subscribe", Text::AboutSubscribe),
            ("alerts", Text::AboutAlerts),
            ("unsubscribe", Text::AboutUnsubscribe),
            ("history", Text::AboutHistory),
            ("language", Text::AboutLanguage),
            ("help", Text::AboutHelp),
        ];
        Value::Array(commands.map(command).to_vec())
    };
    [
        json!({"commands": list(Language::English)}),
        json!({"commands": list(Language::Russian), "language_code": "ru"}),
    ]
}
