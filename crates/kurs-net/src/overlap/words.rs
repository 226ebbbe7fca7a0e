//! What goes into the machine and what comes out of it.

use crate::stream::StreamId;
use kurs_core::Mono;
use std::time::Duration;

/// Something happened outside. Events of connections that no longer exist are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The handshake is done.
    Connected,
    /// There is no connection.
    ConnectFailed {
        /// One phrase for people.
        why: String,
        /// When the server asked to be left alone for so long.
        retry_after: Option<Duration>,
    },
    /// The connection broke, was closed by the venue, or its data cannot be read.
    Lost {
        /// One phrase for people.
        why: String,
    },
    /// A command was accepted.
    Accepted {
        /// Its number; `None` for the oldest without an answer.
        command: Option<u64>,
    },
    /// A command was refused.
    Refused {
        /// Its number; `None` for the oldest without an answer.
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
    /// A stream must begin anew: unsubscribed and subscribed again.
    Renew {
        /// Which.
        stream: StreamId,
    },
    /// The venue will close the connection soon.
    ShutdownNotice,
    /// A ping of the venue was answered.
    Ponged,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Open a connection under this number.
    Connect {
        /// Number of the connection.
        connection: u64,
    },
    /// Send one subscribe message.
    Subscribe {
        /// Number of the connection.
        connection: u64,
        /// Number of the command, unique on its connection.
        command: u64,
        /// What to subscribe.
        streams: Vec<StreamId>,
    },
    /// Send one unsubscribe message.
    Unsubscribe {
        /// Number of the connection.
        connection: u64,
        /// Number of the command, unique on its connection.
        command: u64,
        /// What to unsubscribe.
        streams: Vec<StreamId>,
    },
    /// Send a sign of life that is answered: the dialect's own, or else a ping.
    KeepAlive {
        /// Number of the connection.
        connection: u64,
    },
    /// Close the connection, or stop connecting, and forget it.
    Close {
        /// Number of the connection.
        connection: u64,
    },
    /// Tell the user.
    Notice(Notice),
}

/// What the user of the connections is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// First data after the start or after [`Notice::Down`].
    Live {
        /// Over which connection.
        connection: u64,
    },
    /// No connection speaks any more, or an attempt failed while none spoke.
    Down {
        /// One phrase for people.
        why: String,
        /// True when the connection was open to the last and only brought nothing, false when
        /// it broke or there was none.
        silent: bool,
        /// When the next attempt begins.
        retry_at: Mono,
    },
    /// A watched stream speaks for the first time, or again.
    StreamLive(StreamId),
    /// A watched stream fell silent.
    StreamSilent(StreamId),
    /// A watched stream was subscribed and has not spoken in time.
    StreamNeverCame(StreamId),
    /// The venue does not carry the stream.
    StreamRefused {
        /// Which.
        stream: StreamId,
        /// One phrase for people.
        why: String,
    },
    /// A successor took over from a connection that still spoke.
    Renewed {
        /// Number of the old connection.
        from: u64,
        /// Number of the new one.
        to: u64,
    },
    /// No successor could be had; the old connection goes on for now.
    SuccessorFailed {
        /// One phrase for people.
        why: String,
    },
    /// No more frames come over this connection.
    Ended {
        /// Its number.
        connection: u64,
        /// Every connection with a lower number than this has ended.
        oldest_open: u64,
    },
}
