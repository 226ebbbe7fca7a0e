//! What WebSocket clients ask, and what they are answered: conventions 20.

use crate::document::{ByeDocument, Document};
use crate::event::Event;
use crate::position::Position;
use crate::topic::Topic;
use kurs_core::{Mono, Pair};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest id of a command.
const ID_MAX: usize = 128;
/// Commands of one connection within [`PER`].
const COMMANDS_MAX: usize = 10;
/// The time for which they are counted.
const PER: Duration = Duration::from_secs(1);

/// A command, as sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandDocument {
    /// Comes back in the answer.
    #[serde(default)]
    pub id: Option<Id>,
    /// What to do.
    pub op: Op,
    /// The topics it is about: of `subscribe` and `unsubscribe`.
    #[serde(default)]
    pub topics: Vec<String>,
    /// The `id` of the last event that was heard, on any Reader: of the first `subscribe`.
    #[serde(default)]
    pub resume_from: Option<String>,
}

/// The client's own name of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text, at most 128 bytes.
    Text(String),
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// Listen to topics.
    Subscribe,
    /// Do not listen to topics any more.
    Unsubscribe,
    /// Tell what is listened to.
    List,
    /// Say something.
    Ping,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyDocument {
    /// The id of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// `true`: it was carried out.
    pub ok: bool,
    /// What is listened to now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<String>>")]
    pub topics: Option<Vec<Topic>>,
    /// Why it was not carried out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Mistake>,
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Mistake {
    /// A word for programs: `malformed`, `topic`, `resume-from`, `too-many-topics`.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

/// A command that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Listen to these.
    Subscribe(Vec<Topic>, Option<Position>),
    /// Do not listen to these any more.
    Unsubscribe(Vec<Topic>),
    /// Tell what is listened to.
    List,
    /// Say something.
    Ping,
}

/// Reads a command. `pair` understands the names of pairs.
///
/// # Errors
/// The answer that says what is wrong.
pub fn read<E: fmt::Display>(
    text: &str,
    pair: impl Fn(&str) -> Result<Pair, E>,
) -> Result<(Option<Id>, Asked), Box<ReplyDocument>> {
    let document: CommandDocument = serde_json::from_str(text)
        .map_err(|error| ReplyDocument::refuse(None, "malformed", error.to_string()))?;
    let CommandDocument {
        id,
        op,
        topics,
        resume_from,
    } = document;
    if let Some(Id::Text(text)) = &id
        && text.len() > ID_MAX
    {
        let detail = format!("an id has at most {ID_MAX} bytes");
        return Err(ReplyDocument::refuse(None, "malformed", detail));
    }
    let refuse = |code, detail: String| ReplyDocument::refuse(id.clone(), code, detail);
    let mut read = Vec::with_capacity(topics.len());
    for text in &topics {
        match Topic::parse(text, &pair) {
            Ok(topic) => read.push(topic),
            Err(error) => {
                let shown: String = text.chars().take(64).collect();
                return Err(refuse("topic", format!("{shown:?}: {error}")));
            }
        }
    }
    let takes_topics = matches!(op, Op::Subscribe | Op::Unsubscribe);
    if takes_topics == read.is_empty() {
        let detail = if takes_topics {
            "topics: name at least one"
        } else {
            "topics: only subscribe and unsubscribe have topics"
        };
        return Err(refuse("topic", detail.to_owned()));
    }
    let resume = match resume_from {
        None => None,
        Some(_) if op != Op::Subscribe => {
            let detail = "only subscribe goes on from somewhere".to_owned();
            return Err(refuse("resume-from", detail));
        }
        Some(text) => match text.parse::<Position>() {
            Ok(position) => Some(position),
            Err(error) => return Err(refuse("resume-from", error.to_string())),
        },
    };
    let asked = match op {
        Op::Subscribe => Asked::Subscribe(read, resume),
        Op::Unsubscribe => Asked::Unsubscribe(read),
        Op::List => Asked::List,
        Op::Ping => Asked::Ping,
    };
    Ok((id, asked))
}

impl ReplyDocument {
    /// It was carried out.
    #[must_use]
    pub const fn done(id: Option<Id>, topics: Option<Vec<Topic>>) -> Self {
        Self {
            id,
            ok: true,
            topics,
            error: None,
        }
    }

    /// It was not.
    #[must_use]
    pub fn refuse(id: Option<Id>, code: &'static str, detail: String) -> Box<Self> {
        Box::new(Self {
            id,
            ok: false,
            topics: None,
            error: Some(Mistake { code, detail }),
        })
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// Counts commands: so many may come within a second.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<Mono>);

impl Pace {
    /// One more has come. False when that is too many.
    pub fn count(&mut self, now: Mono) -> bool {
        while let Some(first) = self.0.front()
            && now.since(*first) >= PER
        {
            self.0.pop_front();
        }
        if self.0.len() >= COMMANDS_MAX {
            return false;
        }
        self.0.push_back(now);
        true
    }
}

/// The last word to a client that may not go on.
#[must_use]
pub fn bye(reason: &str) -> Arc<Event> {
    let document = Document::Bye(ByeDocument {
        reason: reason.to_owned().into(),
        reconnect_after_ms: 0,
    });
    Arc::new(Event::telling(document, Arc::from("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<(Option<Id>, Asked), Box<ReplyDocument>> {
        read(text, Pair::parse)
    }

    #[test]
    fn commands_are_understood() {
        let (id, asked) = ask(
            r#"{"id":7,"op":"subscribe","topics":["rate:BTC-USD","rates"],"resume_from":"0.3-9"}"#,
        )
        .unwrap();
        assert_eq!(id, Some(Id::Number(7)));
        let topics = vec![Topic::Rate(Pair::parse("BTC-USD").unwrap()), Topic::Rates];
        let position = "0.3-9".parse().unwrap();
        assert_eq!(asked, Asked::Subscribe(topics, Some(position)));
        assert_eq!(ask(r#"{"op":"list"}"#).unwrap().1, Asked::List);
        assert_eq!(ask(r#"{"id":"x","op":"ping"}"#).unwrap().1, Asked::Ping);
    }

    #[test]
    fn what_is_wrong_with_a_command_is_told_with_its_id() {
        for (text, code) in [
            ("", "malformed"),
            ("[]", "malformed"),
            (r#"{"op":"dance"}"#, "malformed"),
            (r#"{"op":"ping","x":1}"#, "malformed"),
            (r#"{"op":"subscribe"}"#, "topic"),
            (r#"{"op":"ping","topics":["rates"]}"#, "topic"),
            (r#"{"op":"subscribe","topics":["rate:"]}"#, "topic"),
            (
                r#"{"op":"subscribe","topics":["rates"],"resume_from":"x"}"#,
                "resume-from",
            ),
            (
                r#"{"op":"unsubscribe","topics":["rates"],"resume_from":"0.1-1"}"#,
                "resume-from",
            ),
        ] {
            let reply = ask(text).unwrap_err();
            assert_eq!(reply.error.unwrap().code, code, "{text}");
            assert!(!reply.ok);
        }
        let reply = ask(r#"{"id":"a","op":"subscribe","topics":["x"]}"#).unwrap_err();
        assert_eq!(
            reply.text(),
            r#"{"id":"a","ok":false,"error":{"code":"topic","detail":"\"x\": is none of rate:PAIR, rates, top:SOURCE:PAIR, sources"}}"#
        );
        let long = format!(r#"{{"id":"{}","op":"ping"}}"#, "x".repeat(129));
        assert!(ask(&long).is_err());
    }

    #[test]
    fn ten_commands_a_second_are_taken() {
        let mut pace = Pace::default();
        for _ in 0..10 {
            assert!(pace.count(Mono(0)));
        }
        assert!(!pace.count(Mono(999_999_999)));
        assert!(pace.count(Mono(1_000_000_000)));
    }
}
