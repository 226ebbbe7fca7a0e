//! The control routes of the simulated Bot API, for people and for tests of another process.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /control/telegram` | | [`super::TelegramState`] |
//! | `GET /control/telegram/sent?chat=1` | | what the chat was sent, oldest first |
//! | `POST /control/telegram/say` | `{"chat":1,"text":"/start","language":"en"}` | `{"update_id":1}` |
//! | `POST /control/telegram/press` | `{"chat":1,"message":2,"data":"..."}` | `{"update_id":2}` |
//! | `POST /control/telegram/update` | any update | `{"update_id":3}` |
//! | `POST /control/telegram/block` | `{"chat":1,"blocked":true}` | `{"done":true}` |
//! | `POST /control/telegram/migrate` | `{"from":-1,"to":-1001}` | `{"done":true}` |
//! | `POST /control/telegram/flood` | `{"chat":1,"seconds":5}`; without `chat` all | `{"done":true}` |
//! | `POST /control/telegram/cut` | `{"cut":true}` | `{"done":true}` |

use super::Telegram;
use crate::http::query::Query;
use crate::http::reply::Reply;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saying {
    chat: i64,
    text: String,
    #[serde(default)]
    language: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pressing {
    chat: i64,
    message: i64,
    data: String,
    #[serde(default)]
    language: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Blocking {
    chat: i64,
    blocked: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Migrating {
    from: i64,
    to: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flooding {
    chat: Option<i64>,
    seconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cutting {
    cut: bool,
}

pub(crate) fn respond(
    method: &Method,
    route: &str,
    query: &str,
    body: &[u8],
    telegram: &Telegram,
) -> Reply {
    let answer = match (method, route) {
        (&Method::GET, "") => Ok(json!(telegram.state())),
        (&Method::GET, "/sent") => {
            let chat = Query::parse(query)
                .get("chat")
                .and_then(|chat| chat.parse().ok());
            chat.map(|chat| json!(telegram.sent(chat)))
                .ok_or_else(|| "chat: a number".to_owned())
        }
        (&Method::POST, _) => pull(route, body, telegram),
        _ => Err("no such route".to_owned()),
    };
    match answer {
        Ok(value) => Reply::value(200, &value),
        Err(why) => Reply::value(400, &json!({"error": why})),
    }
}

fn pull(route: &str, body: &[u8], telegram: &Telegram) -> Result<Value, String> {
    let done = || Ok(json!({"done": true}));
    let numbered = |id: i64| Ok(json!({"update_id": id}));
    match route {
        "/say" => {
            let it: Saying = read(body)?;
            numbered(telegram.say(it.chat, &it.language, &it.text))
        }
        "/press" => {
            let it: Pressing = read(body)?;
            numbered(telegram.press(it.chat, &it.language, it.message, &it.data))
        }
        "/update" => numbered(telegram.post(read(body)?)),
        "/block" => {
            let it: Blocking = read(body)?;
            telegram.block(it.chat, it.blocked);
            done()
        }
        "/migrate" => {
            let it: Migrating = read(body)?;
            telegram.migrate(it.from, it.to);
            done()
        }
        "/flood" => {
            let it: Flooding = read(body)?;
            telegram.flood(it.chat, it.seconds);
            done()
        }
        "/cut" => {
            let it: Cutting = read(body)?;
            telegram.cut(it.cut);
            done()
        }
        _ => Err("no such route".to_owned()),
    }
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}
