//! Bodies of alerts, every mistake named by its pointer.

use crate::incoming::whole;
use crate::problem::{FieldError, Kind, Problem};
use kurs_alert::webhook::url::{Hook, URL_MAX};
use kurs_alert::{ConditionDocument, Target, Terms};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Longest name of an alert, in characters.
const NAME_MAX: usize = 100;
/// Longest text of a member of a condition, in bytes.
const TEXT_MAX: usize = 64;

/// Who is told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "AlertTarget")]
pub(crate) enum TargetDocument {
    /// A program, by signed requests.
    Webhook {
        /// Where it listens: https, an address of the open internet.
        #[schemars(length(max = 2_000), example = "https://example.org/kurs")]
        url: Arc<str>,
    },
    /// A chat of the Telegram bot.
    Telegram {
        /// Its number.
        chat: i64,
    },
}

impl TargetDocument {
    pub(super) fn of(target: &Target) -> Self {
        match target {
            Target::Webhook { url } => Self::Webhook {
                url: Arc::clone(url),
            },
            Target::Telegram { chat } => Self::Telegram { chat: *chat },
        }
    }
}

/// An alert to make.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct AlertRequest {
    /// Who is told.
    target: TargetDocument,
    /// What is watched, and on what terms.
    condition: ConditionDocument,
    /// What people call it.
    #[schemars(length(max = 100))]
    name: Option<String>,
    /// Begin without looking at anything.
    is_paused: Option<bool>,
}

/// What to change of an alert.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct AlertPatch {
    /// Who is told; of the same kind as before.
    target: Option<TargetDocument>,
    /// What is watched: the whole condition. What it remembers is forgotten.
    condition: Option<ConditionDocument>,
    /// What people call it; `null` takes the name away.
    #[schemars(length(max = 100))]
    name: Option<String>,
    /// Whether it is looked at. What it remembers is forgotten when this changes.
    is_paused: Option<bool>,
}

/// An alert that is to be made.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: Option<Arc<str>>,
    pub(super) target: Target,
    pub(super) terms: Terms,
    pub(super) is_paused: bool,
}

/// What is to be changed.
#[derive(Debug, Default)]
pub(super) struct Wish {
    pub(super) name: Option<Option<Arc<str>>>,
    pub(super) target: Option<Target>,
    pub(super) terms: Option<Terms>,
    pub(super) is_paused: Option<bool>,
}

/// The alert that a body asks for.
pub(super) fn wanted(body: Option<&Value>, is_insecure: bool) -> Result<Wanted, Problem> {
    let mut reading = Reading::of(body, is_insecure)?;
    for name in ["target", "condition"] {
        if !reading.members.contains_key(name) {
            reading.mistake(&format!("/{name}"), "is required");
        }
    }
    let wish = reading.wish();
    reading.finish()?;
    match (wish.target, wish.terms) {
        (Some(target), Some(terms)) => Ok(Wanted {
            name: wish.name.flatten(),
            target,
            terms,
            is_paused: wish.is_paused.unwrap_or(false),
        }),
        _ => Err(Problem::new(
            Kind::InvalidBody,
            "target and condition are required",
        )),
    }
}

/// The change that a body asks for.
pub(super) fn wish(body: Option<&Value>, is_insecure: bool) -> Result<Wish, Problem> {
    let mut reading = Reading::of(body, is_insecure)?;
    let wish = reading.wish();
    reading.finish()?;
    Ok(wish)
}

struct Reading {
    members: Map<String, Value>,
    is_insecure: bool,
    /// What is not of the documented form.
    malformed: Vec<FieldError>,
    /// What is, and cannot be.
    wrong: Vec<FieldError>,
}

impl Reading {
    fn of(body: Option<&Value>, is_insecure: bool) -> Result<Self, Problem> {
        let Some(Value::Object(members)) = body else {
            let error = FieldError::pointer("", "must be an object");
            return Err(Problem::with_errors(Kind::InvalidBody, vec![error]));
        };
        let mut reading = Self {
            members: members.clone(),
            is_insecure,
            malformed: Vec::new(),
            wrong: Vec::new(),
        };
        reading.only("", members, &["target", "condition", "name", "is_paused"]);
        Ok(reading)
    }

    fn mistake(&mut self, pointer: &str, detail: impl Into<String>) {
        self.malformed.push(FieldError::pointer(pointer, detail));
    }

    fn only(&mut self, place: &str, members: &Map<String, Value>, known: &[&str]) {
        let unknown = members
            .keys()
            .filter(|name| !known.contains(&name.as_str()));
        for name in unknown.take(20) {
            let name = name.replace('~', "~0").replace('/', "~1");
            self.mistake(
                &format!("{place}/{name}"),
                "is not a member of this document",
            );
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if !self.malformed.is_empty() {
            return Err(Problem::with_errors(Kind::InvalidBody, self.malformed));
        }
        if !self.wrong.is_empty() {
            return Err(Problem::with_errors(Kind::InvalidAlert, self.wrong));
        }
        Ok(())
    }

    fn wish(&mut self) -> Wish {
        Wish {
            name: self.name(),
            target: self.target(),
            terms: self.terms(),
            is_paused: match self.members.remove("is_paused") {
                None | Some(Value::Null) => None,
                Some(Value::Bool(is_paused)) => Some(is_paused),
                Some(_) => {
                    self.mistake("/is_paused", "must be true or false");
                    None
                }
            },
        }
    }

    fn name(&mut self) -> Option<Option<Arc<str>>> {
        match self.members.remove("name")? {
            Value::Null => return Some(None),
            Value::String(name) if name.chars().count() > NAME_MAX => {
                self.mistake("/name", format!("has more than {NAME_MAX} characters"));
            }
            Value::String(name) if name.chars().any(char::is_control) || name.is_empty() => {
                let error = FieldError::pointer("/name", "must be visible text");
                self.wrong.push(error);
            }
            Value::String(name) => return Some(Some(name.into())),
            _ => self.mistake("/name", "must be a string"),
        }
        None
    }

    fn target(&mut self) -> Option<Target> {
        let target = match self.members.remove("target")? {
            Value::Null => return None,
            Value::Object(target) => target,
            _ => {
                self.mistake("/target", "must be an object");
                return None;
            }
        };
        match target.get("kind").and_then(Value::as_str) {
            Some("webhook") => {
                self.only("/target", &target, &["kind", "url"]);
                let Some(url) = target.get("url").and_then(Value::as_str) else {
                    self.mistake("/target/url", "must be a string");
                    return None;
                };
                if url.chars().count() > URL_MAX {
                    self.mistake("/target/url", "is too long");
                    return None;
                }
                if let Err(why) = Hook::parse(url, self.is_insecure) {
                    self.wrong.push(FieldError::pointer("/target/url", why));
                    return None;
                }
                Some(Target::Webhook { url: url.into() })
            }
            Some("telegram") => {
                self.only("/target", &target, &["kind", "chat"]);
                let chat = target.get("chat").and_then(whole);
                if chat.is_none() {
                    self.mistake("/target/chat", "must be the number of a chat");
                }
                Some(Target::Telegram { chat: chat? })
            }
            _ => {
                self.mistake("/target/kind", "must be webhook or telegram");
                None
            }
        }
    }

    fn terms(&mut self) -> Option<Terms> {
        let members = match self.members.remove("condition")? {
            Value::Null => return None,
            Value::Object(members) => members,
            _ => {
                self.mistake("/condition", "must be an object");
                return None;
            }
        };
        let before = self.malformed.len();
        let document = self.condition(&members);
        if self.malformed.len() > before {
            return None;
        }
        match document.understand() {
            Ok(terms) => Some(terms),
            Err(mistakes) => {
                self.wrong.extend(mistakes.iter().map(|mistake| {
                    let pointer = format!("/condition/{}", mistake.field);
                    FieldError::pointer(&pointer, mistake.why.as_str())
                }));
                None
            }
        }
    }

    fn condition(&mut self, members: &Map<String, Value>) -> ConditionDocument {
        const TEXTS: [&str; 8] = [
            "kind",
            "pair",
            "source",
            "asset",
            "side",
            "value",
            "percent",
            "margin_percent",
        ];
        const NUMBERS: [&str; 3] = ["window_seconds", "after_seconds", "cooldown_seconds"];
        self.only(
            "/condition",
            members,
            &[TEXTS.as_slice(), NUMBERS.as_slice()].concat(),
        );
        let mut text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.len() <= TEXT_MAX => Some(Arc::from(text.as_str())),
            Some(_) => {
                let detail = format!("must be a string of at most {TEXT_MAX} characters");
                self.mistake(&format!("/condition/{name}"), detail);
                None
            }
        };
        let texts = TEXTS.map(&mut text);
        let [
            kind,
            pair,
            source,
            asset,
            side,
            value,
            percent,
            margin_percent,
        ] = texts;
        let mut number = |name: &str| match members.get(name) {
            None | Some(Value::Null) => None,
            Some(value) => {
                let number = whole(value).and_then(|number| u32::try_from(number).ok());
                if number.is_none() {
                    self.mistake(&format!("/condition/{name}"), "must be a number of seconds");
                }
                number
            }
        };
        let [window_seconds, after_seconds, cooldown_seconds] = NUMBERS.map(&mut number);
        if kind.is_none() && !members.contains_key("kind") {
            self.mistake("/condition/kind", "is required");
        }
        ConditionDocument {
            kind: kind.unwrap_or_default(),
            pair,
            source,
            asset,
            side,
            value,
            percent,
            window_seconds,
            after_seconds,
            margin_percent,
            cooldown_seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(body: &Value) -> (Option<Kind>, Vec<String>) {
        match wanted(Some(body), false) {
            Ok(_) => (None, Vec::new()),
            Err(problem) => {
                let errors = problem.errors.into_iter();
                (
                    Some(problem.kind),
                    errors.filter_map(|error| error.pointer).collect(),
                )
            }
        }
    }

    #[test]
    fn every_mistake_in_an_alert_is_pointed_at() {
        let condition = json!({"kind": "depeg", "asset": "USDT", "percent": "1"});
        let target = json!({"kind": "webhook", "url": "https://example.org/x"});
        let check = |body: Value, kind: Option<Kind>, expected: &[&str]| {
            let (found, places) = pointers(&body);
            assert_eq!(found, kind, "{body}");
            assert_eq!(places, expected, "{body}");
        };
        let malformed = Some(Kind::InvalidBody);
        let wrong = Some(Kind::InvalidAlert);
        check(json!({"target": target, "condition": condition}), None, &[]);
        check(json!([]), malformed, &[""]);
        check(
            json!({"x/y": 1}),
            malformed,
            &["/x~1y", "/target", "/condition"],
        );
        check(
            json!({"target": {"kind": "mail"}, "condition": {"kind": 1, "after_seconds": -1}}),
            malformed,
            &[
                "/target/kind",
                "/condition/kind",
                "/condition/after_seconds",
            ],
        );
        check(
            json!({"target": {"kind": "telegram", "chat": "x"}, "condition": {"pair": "BTC-USD"}}),
            malformed,
            &["/target/chat", "/condition/kind"],
        );
        check(
            json!({"target": {"kind": "webhook", "url": "http://127.0.0.1/"}, "condition": {"kind": "threshold"}}),
            wrong,
            &[
                "/target/url",
                "/condition/pair",
                "/condition/side",
                "/condition/value",
            ],
        );
        check(
            json!({"target": target, "condition": condition, "name": "a\nb", "is_paused": 1}),
            malformed,
            &["/is_paused"],
        );
    }
}
