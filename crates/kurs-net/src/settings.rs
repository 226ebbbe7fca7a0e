//! Every limit and wait of a connection, in one place.

use crate::backoff::BackoffSettings;
use std::time::Duration;

/// Limits and waits. The defaults suit a venue with strict command limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name, TCP, TLS and handshake together.
    pub connect_timeout: Duration,
    /// Least time from the beginning of one attempt to that of the next, whatever became of the
    /// first: venues count attempts, and shut out who makes too many.
    pub connect_every: Duration,
    /// A watched stream without data for this long is reported silent.
    pub stream_silence: Duration,
    /// A watched stream without any data this long after its subscription is reported.
    pub first_frame: Duration,
    /// A connection without any sign of life (data, heartbeat, ping, pong) for this long is given
    /// up. After each third of it, and no less than 500 ms, the other end is asked to answer.
    pub connection_silence: Duration,
    /// A connection that lives, but brings no data on any stream for this long, is given up.
    /// After half of it all its streams are subscribed again.
    pub data_silence: Duration,
    /// A silent stream is unsubscribed and subscribed again after this long, and then no
    /// sooner than this again.
    pub resubscribe_after: Duration,
    /// Age at which a successor is connected, before the venue cuts the connection.
    pub renew_after: Duration,
    /// Up to this much is taken off that age, so that many connections do not renew at once.
    pub renew_jitter: Duration,
    /// How long a subscribed successor may wait for every stream to speak before it takes over
    /// with those that did.
    pub handover_limit: Duration,
    /// How long the old connection is still read after the successor took over.
    pub linger: Duration,
    /// Messages sent per second and connection, pongs and signs of life included.
    pub commands_per_second: u32,
    /// Streams named in one subscribe message.
    pub streams_per_command: usize,
    /// Streams on one connection; those beyond it are refused.
    pub streams_max: usize,
    /// How often each open connection is sent a sign of life, for venues that want one beside
    /// the answers to their pings.
    pub keep_alive: Option<Duration>,
    /// How often the dialect is asked whether it finds something wrong without a frame, while a
    /// connection is open.
    pub look_every: Duration,
    /// Delays between attempts.
    pub backoff: BackoffSettings,
    /// Delay after the venue refused the handshake for good (403, 451), unless it named one.
    pub refused_delay: Duration,
    /// A longer message or frame ends the connection, bytes.
    pub message_bytes_max: usize,
    /// More messages than this within a second, pings included, end the connection: nothing that
    /// is meant comes so fast.
    pub messages_per_second_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // The strictest venue takes three a second.
            connect_every: Duration::from_millis(400),
            stream_silence: Duration::from_secs(3),
            first_frame: Duration::from_secs(5),
            connection_silence: Duration::from_secs(9),
            data_silence: Duration::from_secs(30),
            resubscribe_after: Duration::from_secs(30),
            renew_after: Duration::from_secs(23 * 3_600),
            renew_jitter: Duration::from_secs(1_800),
            handover_limit: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            commands_per_second: 4,
            streams_per_command: 100,
            streams_max: 1_024,
            keep_alive: None,
            look_every: Duration::from_millis(100),
            backoff: BackoffSettings::default(),
            refused_delay: Duration::from_secs(300),
            message_bytes_max: 16 << 20,
            messages_per_second_max: 100_000,
        }
    }
}
