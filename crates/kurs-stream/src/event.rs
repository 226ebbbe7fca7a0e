//! One thing that is told. Its text is made once and shared by everybody who hears it.

use crate::document::Document;
use crate::topic::Topic;
use bytes::Bytes;
use kurs_core::UpdateId;
use serde::Serialize;
use std::sync::{Arc, OnceLock};

/// Kinds of events: conventions 18.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The stream begins.
    Hello,
    /// How everything that was asked for stands.
    Snapshot,
    /// A rate has changed.
    Rate,
    /// A source, or its price, has changed.
    Source,
    /// Something was left out.
    Gap,
    /// Nothing more was told up to here.
    Heartbeat,
    /// The stream ends.
    Bye,
    /// There is no rate, or a command cannot be carried out.
    Error,
}

impl EventKind {
    /// The name, as sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Snapshot => "snapshot",
            Self::Rate => "rate",
            Self::Source => "source",
            Self::Gap => "gap",
            Self::Heartbeat => "heartbeat",
            Self::Bye => "bye",
            Self::Error => "error",
        }
    }
}

/// An event.
#[derive(Debug)]
pub struct Event {
    /// What kind.
    pub kind: EventKind,
    /// What it is the newest word on: a later event of the same topic may take its place.
    pub topic: Option<Topic>,
    /// The update that it tells, if it tells one.
    pub id: Option<UpdateId>,
    /// Whoever has heard this has heard everything up to here; empty when it says nothing of that.
    position: Arc<str>,
    /// The document, as JSON.
    data: Bytes,
    /// The document before it was JSON.
    document: Option<Document>,
    sse: OnceLock<Bytes>,
    chunk: OnceLock<Bytes>,
    text: OnceLock<Bytes>,
    frame: OnceLock<Bytes>,
    other: OnceLock<Bytes>,
}

impl Event {
    /// An event with this document.
    #[must_use]
    pub fn new(kind: EventKind, data: Bytes, position: Arc<str>) -> Self {
        Self {
            kind,
            topic: None,
            id: None,
            position,
            data,
            document: None,
            sse: OnceLock::new(),
            chunk: OnceLock::new(),
            text: OnceLock::new(),
            frame: OnceLock::new(),
            other: OnceLock::new(),
        }
    }

    /// The same of anything that becomes JSON.
    #[must_use]
    pub fn of<T: Serialize>(kind: EventKind, document: &T, position: Arc<str>) -> Self {
        Self::new(kind, crate::document::json(document).into(), position)
    }

    /// An event that tells this, in whatever form.
    #[must_use]
    pub fn telling(document: Document, position: Arc<str>) -> Self {
        let data = document.json().into();
        Self::telling_as(document, data, position)
    }

    /// The same of a document that was made JSON already.
    pub(crate) fn telling_as(document: Document, data: Bytes, position: Arc<str>) -> Self {
        let mut event = Self::new(document.kind(), data, position);
        event.document = Some(document);
        event
    }

    /// Of this topic, by this update.
    #[must_use]
    pub fn about(mut self, topic: Topic, id: UpdateId) -> Self {
        (self.topic, self.id) = (Some(topic), Some(id));
        self
    }

    /// Of this topic, by no single update.
    #[must_use]
    pub fn on(mut self, topic: Topic) -> Self {
        self.topic = Some(topic);
        self
    }

    /// The document, as JSON.
    #[must_use]
    pub const fn data(&self) -> &Bytes {
        &self.data
    }

    /// What it tells; `None` of an event that was made of JSON alone.
    #[must_use]
    pub const fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    /// The same for somebody who has heard everything up to here.
    pub(crate) fn placed_at(&self, position: Arc<str>) -> Self {
        Self {
            kind: self.kind,
            topic: self.topic,
            id: self.id,
            position,
            data: self.data.clone(),
            document: self.document.clone(),
            sse: OnceLock::new(),
            chunk: OnceLock::new(),
            text: OnceLock::new(),
            frame: OnceLock::new(),
            other: OnceLock::new(),
        }
    }

    /// In one more form than those that are known here: made once, shared by all who want it.
    pub fn other(&self, make: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.other.get_or_init(|| make(self))
    }

    /// The position, as text.
    #[must_use]
    pub fn position(&self) -> &str {
        &self.position
    }

    /// As an event of an SSE stream.
    pub fn sse(&self) -> &Bytes {
        self.sse.get_or_init(|| {
            let mut text = Vec::with_capacity(self.data.len() + self.position.len() + 48);
            if self.kind == EventKind::Heartbeat {
                // A comment is what some proxies and clients look for.
                text.extend_from_slice(b":\n");
            }
            if !self.position.is_empty() {
                text.extend_from_slice(b"id: ");
                text.extend_from_slice(self.position.as_bytes());
                text.push(b'\n');
            }
            text.extend_from_slice(b"event: ");
            text.extend_from_slice(self.kind.as_str().as_bytes());
            // JSON text has no line ends.
            text.extend_from_slice(b"\ndata: ");
            text.extend_from_slice(&self.data);
            text.extend_from_slice(b"\n\n");
            text.into()
        })
    }

    /// The same as a chunk of HTTP/1.1 (RFC 9112, section 7.1).
    pub fn chunk(&self) -> &Bytes {
        self.chunk.get_or_init(|| {
            let sse = self.sse();
            let mut chunk = format!("{:X}\r\n", sse.len()).into_bytes();
            chunk.reserve_exact(sse.len() + 2);
            chunk.extend_from_slice(sse);
            chunk.extend_from_slice(b"\r\n");
            chunk.into()
        })
    }

    /// As a whole frame of a WebSocket server (RFC 6455, section 5.2): final, text, no mask.
    pub fn frame(&self) -> &Bytes {
        self.frame.get_or_init(|| {
            let text = self.text();
            let mut frame = Vec::with_capacity(text.len() + 10);
            frame.push(0x81);
            match (u8::try_from(text.len()), u16::try_from(text.len())) {
                (Ok(length), _) if length < 126 => frame.push(length),
                (_, Ok(length)) => {
                    frame.push(126);
                    frame.extend_from_slice(&length.to_be_bytes());
                }
                _ => {
                    frame.push(127);
                    let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
                    frame.extend_from_slice(&length.to_be_bytes());
                }
            }
            frame.extend_from_slice(text);
            frame.into()
        })
    }

    /// As the text of a WebSocket message.
    pub fn text(&self) -> &Bytes {
        self.text.get_or_init(|| {
            let mut text = Vec::with_capacity(self.data.len() + self.position.len() + 40);
            text.extend_from_slice(b"{\"event\":\"");
            text.extend_from_slice(self.kind.as_str().as_bytes());
            if !self.position.is_empty() {
                // Digits, dots, dashes and commas: nothing to be escaped.
                text.extend_from_slice(b"\",\"id\":\"");
                text.extend_from_slice(self.position.as_bytes());
            }
            text.extend_from_slice(b"\",\"data\":");
            text.extend_from_slice(&self.data);
            text.push(b'}');
            text.into()
        })
    }

    /// How much it weighs in a mailbox, bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.data.len() + self.position.len() + 64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_the_same_document_in_both_forms() {
        let document = serde_json::json!({"pair": "BTC-USD"});
        let event = Event::of(EventKind::Rate, &document, "0.3-120".into());
        assert_eq!(
            event.sse(),
            "id: 0.3-120\nevent: rate\ndata: {\"pair\":\"BTC-USD\"}\n\n".as_bytes()
        );
        let text: serde_json::Value = serde_json::from_slice(event.text()).unwrap();
        assert_eq!(
            text,
            serde_json::json!({"event": "rate", "id": "0.3-120", "data": {"pair": "BTC-USD"}})
        );
    }

    #[test]
    fn an_event_without_a_position_leaves_the_last_one_as_it_is() {
        let event = Event::of(EventKind::Error, &serde_json::json!({}), "".into());
        assert!(!event.sse().starts_with(b"id"));
        assert_eq!(event.text(), r#"{"event":"error","data":{}}"#.as_bytes());
    }
}
