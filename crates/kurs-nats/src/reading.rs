//! A stream read from a place on, in order, until something is wrong with it.
//!
//! The library's ordered consumers were seen to stall after a restart of the server, so the
//! numbers and the signs of life are judged here. Who reads opens another at its own place.

use crate::link::{Link, Trouble};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, push};
use async_nats::{Message, StatusCode, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// The server says something at least so often.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// After such a silence the reading is given up.
const SILENCE: Duration = Duration::from_secs(2);
/// The server forgets a reading whose reader is gone for so long.
const FORGET: Duration = Duration::from_secs(5);
const LAST_CONSUMER: &str = "Nats-Last-Consumer";
const STALLED: &str = "Nats-Consumer-Stalled";

/// What a reading gives.
pub(crate) enum Heard {
    /// The next message.
    Message {
        /// Its number in the stream.
        number: u64,
        /// Messages behind it in the stream when it was sent.
        pending: u64,
        message: Message,
    },
    /// Nothing is behind what was heard.
    Idle,
    /// It cannot go on, and why.
    Broken(&'static str),
}

pub(crate) struct Reading {
    link: Arc<Link>,
    subscriber: Subscriber,
    /// Messages heard.
    count: u64,
}

impl Reading {
    /// Reads a stream. What comes later than this returns is heard.
    pub(crate) async fn open(
        link: &Arc<Link>,
        stream: &str,
        from: DeliverPolicy,
    ) -> Result<Self, Trouble> {
        let inbox = link.client.new_inbox();
        let subscriber = link.client.subscribe(inbox.clone()).await;
        let subscriber = subscriber.map_err(|error| Trouble(error.to_string()))?;
        let config = push::Config {
            deliver_subject: inbox,
            deliver_policy: from,
            ack_policy: AckPolicy::None,
            replay_policy: ReplayPolicy::Instant,
            max_deliver: 1,
            flow_control: true,
            idle_heartbeat: HEARTBEAT,
            inactive_threshold: FORGET,
            num_replicas: 1,
            memory_storage: true,
            ..push::Config::default()
        };
        let made = link
            .jetstream
            .create_consumer_on_stream(config, stream)
            .await;
        made.map_err(|error| Trouble(format!("reading of {stream}: {error}")))?;
        Ok(Self {
            link: Arc::clone(link),
            subscriber,
            count: 0,
        })
    }

    /// The connection it goes over.
    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Waits for what comes next. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Heard {
        loop {
            let message = match tokio::time::timeout(SILENCE, self.subscriber.next()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Heard::Broken("the connection ended"),
                Err(_) => return Heard::Broken("the server is silent"),
            };
            let Some(status) = message.status else {
                return self.message(message);
            };
            if status != StatusCode::IDLE_HEARTBEAT {
                return Heard::Broken("the server ended it");
            }
            let header = |name: &str| {
                let headers = message.headers.as_ref()?;
                headers.get(name).map(|value| value.as_str().to_owned())
            };
            // Either is the question whether we keep up, which we do when we come to read it.
            if let Some(question) = message.reply.clone() {
                self.keep_up(question.to_string()).await;
                continue;
            }
            if let Some(question) = header(STALLED) {
                self.keep_up(question).await;
            }
            let sent = header(LAST_CONSUMER).and_then(|sent| sent.parse().ok());
            if sent.is_some_and(|sent: u64| sent != self.count) {
                return Heard::Broken("messages were lost on the way");
            }
            return Heard::Idle;
        }
    }

    async fn keep_up(&self, question: String) {
        // A connection that is gone is noticed by whoever reads on.
        let _ = self.link.client.publish(question, Bytes::new()).await;
    }

    fn message(&mut self, message: Message) -> Heard {
        let wrapped = async_nats::jetstream::Message {
            message,
            context: self.link.jetstream.clone(),
        };
        let Ok(info) = wrapped.info() else {
            return Heard::Broken("a message that is of no stream");
        };
        let (number, pending) = (info.stream_sequence, info.pending);
        if info.consumer_sequence != self.count + 1 {
            return Heard::Broken("messages were lost on the way");
        }
        self.count += 1;
        Heard::Message {
            number,
            pending,
            message: wrapped.message,
        }
    }
}
