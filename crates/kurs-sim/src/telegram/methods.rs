//! The methods of the Bot API.

use super::hook::Hook;
use super::params::Params;
use super::server::{PRESS_MS_MAX, Sent, SentKind, Server};
use super::{html, markup};
use crate::http::reply::Reply as HttpReply;
use serde_json::{Value, json};

/// Longest text and caption, in characters after the tags are gone.
const TEXT_MAX: usize = 4_096;
const CAPTION_MAX: usize = 1_024;
/// Longest answer to a press.
const ANSWER_MAX: usize = 200;
const COMMANDS_MAX: usize = 100;

/// An answer: the HTTP status and the JSON of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// HTTP status, which is also `error_code`.
    pub status: u16,
    /// `{"ok":...}`.
    pub body: Value,
}

impl Reply {
    pub(crate) fn done(result: Value) -> Self {
        Self {
            status: 200,
            body: json!({"ok": true, "result": result}),
        }
    }

    pub(crate) fn refused(status: u16, description: &str) -> Self {
        Self {
            status,
            body: json!({"ok": false, "error_code": status, "description": description}),
        }
    }

    fn bad(description: &str) -> Self {
        Self::refused(400, &format!("Bad Request: {description}"))
    }

    fn with_parameter(mut self, name: &str, value: Value) -> Self {
        if let Some(body) = self.body.as_object_mut() {
            body.insert("parameters".to_owned(), json!({name: value}));
        }
        self
    }

    pub(crate) fn into_http(self) -> HttpReply {
        HttpReply::value(self.status, &self.body)
    }
}

/// Carries out a method other than `getUpdates`.
pub(crate) fn call(
    server: &mut Server,
    token: &str,
    method: &str,
    params: &Params,
    now_ms: u64,
) -> Reply {
    if let Some(refused) = server.refusal_of(token) {
        return refused;
    }
    server.calls += 1;
    let name = method.to_ascii_lowercase();
    if !Server::methods().contains(name.as_str()) {
        return Reply::refused(404, "Not Found");
    }
    let reply = match name.as_str() {
        "getme" => Ok(server.bot_json()),
        "setwebhook" => set_webhook(server, params),
        "deletewebhook" => {
            server.hook = None;
            if params.is_true("drop_pending_updates") {
                server.updates.clear();
            }
            Ok(json!(true))
        }
        "getwebhookinfo" => Ok(webhook_info(server)),
        "sendmessage" => send(server, params, SentKind::Text, now_ms),
        "sendphoto" => send(server, params, SentKind::Photo, now_ms),
        "editmessagetext" => send(server, params, SentKind::EditedText, now_ms),
        "editmessagemedia" => send(server, params, SentKind::EditedPhoto, now_ms),
        "answercallbackquery" => answer_press(server, params, now_ms),
        _ => set_commands(server, params),
    };
    match reply {
        Ok(result) => Reply::done(result),
        Err(reply) => reply,
    }
}

fn set_webhook(server: &mut Server, params: &Params) -> Result<Value, Reply> {
    let url = params.text("url").unwrap_or_default();
    server.updates.allow(params)?;
    if params.is_true("drop_pending_updates") {
        server.updates.clear();
    }
    if url.is_empty() {
        server.hook = None;
        return Ok(json!(true));
    }
    let secret = params.text("secret_token").unwrap_or_default();
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if secret.len() > 256 || !secret.bytes().all(is_fine) {
        let why = "secret token contains unallowed characters";
        return Err(wrong(server, why));
    }
    let hook =
        Hook::of(&url, &secret).map_err(|why| wrong(server, &format!("bad webhook: {why}")))?;
    server.hook = Some(hook);
    Ok(json!(true))
}

fn webhook_info(server: &Server) -> Value {
    let mut info = json!({
        "url": server.hook.as_ref().map_or("", |hook| &hook.url),
        "has_custom_certificate": false,
        "pending_update_count": server.updates.len(),
    });
    if let Some(fields) = info.as_object_mut() {
        if let Some(why) = &server.hook_error {
            fields.insert("last_error_message".to_owned(), json!(why));
        }
        if let Some(allowed) = server.updates.allowed() {
            fields.insert("allowed_updates".to_owned(), json!(allowed));
        }
    }
    info
}

fn wrong(server: &mut Server, description: &str) -> Reply {
    server.violations.wrong_requests += 1;
    Reply::bad(description)
}

/// The text or caption as it is seen and as it was sent.
fn words(params: &Params, of: &Value, name: &str, most: usize) -> Result<(String, String), String> {
    let field = |name: &str| {
        let inside = of.get(name).and_then(Value::as_str).map(str::to_owned);
        inside.or_else(|| params.text(name))
    };
    let raw = field(name).unwrap_or_default();
    let seen = match field("parse_mode").as_deref() {
        None | Some("") => raw.clone(),
        Some(mode) if mode.eq_ignore_ascii_case("html") => {
            html::visible(&raw).map_err(|why| format!("can't parse entities: {why}"))?
        }
        Some(_) => return Err("unsupported parse_mode".to_owned()),
    };
    let is_caption = most == CAPTION_MAX;
    if seen.trim().is_empty() && !is_caption {
        return Err("message text is empty".to_owned());
    }
    if seen.chars().count() > most {
        let what = if is_caption {
            "message caption"
        } else {
            "message"
        };
        return Err(format!("{what} is too long"));
    }
    Ok((seen.trim().to_owned(), raw))
}

/// The bytes of a picture, which must be one.
fn picture(params: &Params, of: &Value, is_edit: bool) -> Result<Vec<u8>, String> {
    let name = if is_edit {
        let media = of.get("media").and_then(Value::as_str).unwrap_or("");
        let kind = of.get("type").and_then(Value::as_str);
        if kind != Some("photo") {
            return Err("unsupported type of media".to_owned());
        }
        media.strip_prefix("attach://").unwrap_or("").to_owned()
    } else {
        "photo".to_owned()
    };
    let upload = params
        .file(&name)
        .ok_or("there is no photo in the request")?;
    let is_picture = upload.bytes.starts_with(b"\x89PNG\r\n\x1a\n")
        || upload.bytes.starts_with(&[0xff, 0xd8, 0xff]);
    if !is_picture {
        return Err("IMAGE_PROCESS_FAILED".to_owned());
    }
    Ok(upload.bytes.clone())
}

/// `sendMessage`, `sendPhoto` and the changes of both.
fn send(server: &mut Server, params: &Params, kind: SentKind, now_ms: u64) -> Result<Value, Reply> {
    let is_edit = matches!(kind, SentKind::EditedText | SentKind::EditedPhoto);
    let has_picture = matches!(kind, SentKind::Photo | SentKind::EditedPhoto);
    let Some(chat_id) = params.integer("chat_id") else {
        return Err(wrong(server, "chat_id is empty"));
    };
    let media = params.structure("media").unwrap_or(Value::Null);
    let reply_markup = params.structure("reply_markup");
    let content = (|| {
        let (name, most) = if has_picture {
            ("caption", CAPTION_MAX)
        } else {
            ("text", TEXT_MAX)
        };
        let (text, raw) = words(params, &media, name, most)?;
        if let Some(markup) = &reply_markup {
            markup::judge(markup)?;
        }
        let picture = if has_picture {
            picture(params, &media, is_edit)?
        } else {
            Vec::new()
        };
        Ok::<_, String>((text, raw, picture))
    })();
    let (text, raw, picture) = content.map_err(|why: String| wrong(server, &why))?;
    // Every attempt counts, also one that is refused for its chat.
    if let Err(seconds) = server.flood.admit(chat_id, now_ms, &mut server.violations) {
        let reply = Reply::refused(429, &format!("Too Many Requests: retry after {seconds}"));
        return Err(reply.with_parameter("retry_after", json!(seconds)));
    }
    let chat_json = server.chat_json(chat_id);
    let from = server.bot_json();
    let Some(chat) = server.chats.get_mut(&chat_id) else {
        return Err(Reply::bad("chat not found"));
    };
    if let Some(to) = chat.migrated_to {
        let reply = Reply::bad("group chat was upgraded to a supergroup chat");
        return Err(reply.with_parameter("migrate_to_chat_id", json!(to)));
    }
    if chat.is_blocked {
        server.forbidden += 1;
        if chat.was_told {
            server.violations.after_blocked += 1;
        }
        chat.was_told = true;
        return Err(Reply::refused(
            403,
            match chat_id < 0 {
                true => "Forbidden: bot was kicked from the group chat",
                false => "Forbidden: bot was blocked by the user",
            },
        ));
    }
    let buttons = buttons(reply_markup.as_ref());
    let message_id = if is_edit {
        let message_id = params.integer("message_id").unwrap_or(0);
        let Some(old) = chat.latest(message_id) else {
            return Err(Reply::bad("message to edit not found"));
        };
        let had_picture = matches!(old.kind, SentKind::Photo | SentKind::EditedPhoto);
        if had_picture != has_picture {
            server.violations.wrong_requests += 1;
            return Err(Reply::bad("there is no text in the message to edit"));
        }
        if old.raw == raw && old.buttons == buttons && old.picture == picture {
            return Err(Reply::bad(
                "message is not modified: specified new message content and reply markup are \
                 exactly the same as a current content and reply markup of the message",
            ));
        }
        message_id
    } else {
        chat.number()
    };
    chat.remember(Sent {
        at_ms: now_ms,
        message_id,
        kind,
        text: text.clone(),
        raw,
        buttons,
        picture,
    });
    server.messages += 1;
    let mut message = json!({
        "message_id": message_id,
        "from": from,
        "chat": chat_json,
        "date": Server::date(now_ms),
    });
    if let Some(fields) = message.as_object_mut() {
        let name = if has_picture { "caption" } else { "text" };
        fields.insert(name.to_owned(), json!(text));
    }
    Ok(message)
}

fn buttons(markup: Option<&Value>) -> Vec<Vec<(String, String)>> {
    let word = |button: &Value, name: &str| {
        let value = button.get(name).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let rows = markup
        .and_then(|markup| markup.get("inline_keyboard"))
        .and_then(Value::as_array);
    let rows = rows.into_iter().flatten().filter_map(Value::as_array);
    rows.map(|row| {
        row.iter()
            .map(|button| (word(button, "text"), word(button, "callback_data")))
            .collect()
    })
    .collect()
}

fn answer_press(server: &mut Server, params: &Params, now_ms: u64) -> Result<Value, Reply> {
    let id = params.text("callback_query_id").unwrap_or_default();
    let text = params.text("text").unwrap_or_default();
    if text.chars().count() > ANSWER_MAX {
        return Err(wrong(server, "MESSAGE_TOO_LONG"));
    }
    let pressed = server.presses.remove(&id);
    if pressed.is_none_or(|at| at + PRESS_MS_MAX < now_ms) {
        server.violations.late_answers += 1;
        let why = "query is too old and response timeout expired or query ID is invalid";
        return Err(Reply::bad(why));
    }
    if server.press_answers.len() >= 100 {
        server.press_answers.remove(0);
    }
    server.press_answers.push(text);
    Ok(json!(true))
}

fn set_commands(server: &mut Server, params: &Params) -> Result<Value, Reply> {
    let list = params.structure("commands");
    let Some(list) = list.as_ref().and_then(Value::as_array) else {
        return Err(wrong(server, "can't parse commands"));
    };
    let mut names = Vec::new();
    for command in list {
        let word = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or("");
        let (name, about) = (word("command"), word("description"));
        let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=32).contains(&name.len()) || !name.bytes().all(is_fine) {
            return Err(wrong(server, "BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&about.chars().count()) {
            return Err(wrong(server, "BOT_COMMAND_DESCRIPTION_INVALID"));
        }
        names.push(name.to_owned());
    }
    if names.len() > COMMANDS_MAX {
        return Err(wrong(server, "BOT_COMMANDS_TOO_MUCH"));
    }
    let language = params.text("language_code").unwrap_or_default();
    server.commands.insert(language, names);
    Ok(json!(true))
}
