//! What a user of the connections must know of a venue's language.

use crate::overlap::Notice;
#[cfg(doc)]
use crate::settings::Settings;
use crate::stream::StreamId;
use kurs_core::Now;

/// What a venue said, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Number of the connection; grows with every attempt.
    pub connection: u64,
    /// When it was read from the socket.
    pub received: Now,
    /// The bytes.
    pub text: &'a str,
}

/// What a frame was, as far as the connection is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Data of a stream.
    Data(StreamId),
    /// A sign of life without data: a heartbeat, the answer to a ping.
    Alive {
        /// The stream that it speaks for; `None` when for the connection only.
        stream: Option<StreamId>,
    },
    /// A command was accepted.
    Accepted {
        /// Its number; `None` where the venue names none and answers in order.
        command: Option<u64>,
    },
    /// A command was refused.
    Refused {
        /// Its number; `None` where the venue names none and answers in order.
        command: Option<u64>,
        /// One phrase for people.
        why: String,
    },
    /// One stream was refused, whichever command asked for it.
    StreamRefused {
        /// Which.
        stream: StreamId,
        /// One phrase for people.
        why: String,
    },
    /// The stream must begin anew on this connection: it is unsubscribed and subscribed again.
    Renew {
        /// Which.
        stream: StreamId,
    },
    /// The venue will close the connection soon.
    ShutdownNotice,
    /// The venue can no longer be believed: the connection is given up.
    Unfit {
        /// One phrase for people.
        why: String,
    },
}

/// A venue's language. Called from one task, never concurrently; must not block.
pub trait Dialect: Send {
    /// The text that subscribes these streams.
    fn subscribe(&mut self, command: u64, streams: &[StreamId]) -> String;

    /// The text that unsubscribes these streams.
    fn unsubscribe(&mut self, command: u64, streams: &[StreamId]) -> String;

    /// Decodes a frame, passes its data on, and adds what the connection has to know: nothing,
    /// one thing or several. `heard` comes empty and is used again for the next frame.
    fn frame(&mut self, frame: Frame<'_>, heard: &mut Vec<Heard>);

    /// The state of connections and streams changed.
    fn notice(&mut self, notice: Notice, now: Now);

    /// The venue's word for a ping, where it has one: sent every [`Settings::keep_alive`], and
    /// when the connection has gone quiet. Its answer is [`Heard::Alive`].
    fn keep_alive(&mut self) -> Option<String> {
        None
    }

    /// Asked every [`Settings::look_every`] while a connection is open: what is to be done about
    /// connections without a frame that says so, each with the number of its connection.
    fn advance(&mut self, now: Now, heard: &mut Vec<(u64, Heard)>) {
        let _ = (now, heard);
    }
}
