//! Reading a stream of the server: from a place on, and where it ends.
//!
//! A stream does not tell whether it is the one that was read before, so a [`Mark`] remembers
//! what stood at a place; and it does not tell where it ends, so whoever wants to know puts a
//! marker there, which everybody else passes over.

use crate::link::{ANSWER, AWAY, Failure, Link};
use crate::names::{Names, channel_with_confirms, put};
use futures_util::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Connection, Consumer};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::timeout;

/// What the `type` of a marker is.
const MARKER: &str = "marker";
/// Header that says where a message stands.
const OFFSET: &str = "x-stream-offset";

/// A place in a stream, with what stood there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Counted from 0 since the stream was made.
    pub(crate) offset: u64,
    /// Fingerprint of the message there.
    pub(crate) print: u64,
}

/// Where reading begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// With the oldest message.
    First,
    /// With the newest, or one shortly before.
    Last,
    /// With the first that comes from now on.
    Next,
    /// With this one, or the oldest after it that there is.
    At(u64),
}

/// One message of a stream.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) mark: Mark,
    /// What says its name, when it is a marker.
    marker: Option<String>,
    pub(crate) text: Vec<u8>,
}

impl Entry {
    /// True when it only marks a place.
    pub(crate) const fn is_marker(&self) -> bool {
        self.marker.is_some()
    }
}

/// A stream that is being read.
#[derive(Debug)]
pub(crate) struct Stream {
    channel: Channel,
    consumer: Consumer,
    /// Messages after which the server is told that they were read.
    batch: u16,
    unread: u16,
    tag: u64,
    /// Read already, and not given yet.
    ahead: Option<Entry>,
}

impl Stream {
    /// Begins to read. What comes from now on is not missed once this returns.
    pub(crate) async fn open(
        connection: &Connection,
        queue: &ShortString,
        start: Start,
        prefetch: u16,
    ) -> Result<Self, Failure> {
        let text = |word: &str| AMQPValue::LongString(word.into());
        let offset = match start {
            Start::First => text("first"),
            Start::Last => text("last"),
            Start::Next => text("next"),
            Start::At(offset) => AMQPValue::LongLongInt(i64::try_from(offset).unwrap_or(i64::MAX)),
        };
        let mut arguments = FieldTable::default();
        arguments.insert(OFFSET.into(), offset);
        let opened = async {
            let channel = connection.create_channel().await?;
            let qos = BasicQosOptions::default();
            channel.basic_qos(prefetch, qos).await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel
                .basic_consume(queue.clone(), "".into(), options, arguments)
                .await?;
            // The server says that it begins before it does; a further question is answered
            // after that.
            channel.basic_qos(prefetch, qos).await?;
            Ok(Self {
                channel,
                consumer,
                batch: (prefetch / 4).max(1),
                unread: 0,
                tag: 0,
                ahead: None,
            })
        };
        timeout(ANSWER, opened).await.unwrap_or(Err(Failure::Away))
    }

    /// The next message. May be dropped while it waits.
    pub(crate) async fn next(&mut self) -> Result<Entry, Failure> {
        if let Some(entry) = self.ahead.take() {
            return Ok(entry);
        }
        loop {
            if self.unread >= self.batch {
                // The question is on its way at once, whether or not this is waited for.
                self.unread = 0;
                let multiple = BasicAckOptions { multiple: true };
                self.channel.basic_ack(self.tag, multiple).await?;
            }
            let Some(delivery) = self.consumer.next().await else {
                return Err(Failure::Away);
            };
            let delivery = delivery?;
            self.unread += 1;
            self.tag = delivery.delivery_tag;
            let headers = delivery.properties.headers().as_ref();
            let Some(AMQPValue::LongLongInt(offset)) =
                headers.and_then(|headers| headers.inner().get(OFFSET))
            else {
                continue;
            };
            let properties = &delivery.properties;
            let is_marker = delivery.exchange.as_str().is_empty()
                && properties.kind().as_ref().map(ShortString::as_str) == Some(MARKER);
            let name = properties.message_id().as_ref().map(ToString::to_string);
            let mark = Mark {
                offset: u64::try_from(*offset).unwrap_or_default(),
                print: print(&delivery.data, name.as_deref().unwrap_or_default()),
            };
            return Ok(Entry {
                mark,
                marker: is_marker.then(|| name.unwrap_or_default()),
                text: delivery.data,
            });
        }
    }

    /// The next message, which must be there already.
    pub(crate) async fn next_there(&mut self, patience: Duration) -> Result<Entry, Failure> {
        timeout(patience, self.next())
            .await
            .unwrap_or(Err(Failure::Away))
    }
}

/// Where a stream is read again.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) stream: Stream,
    /// It is not the stream that was read before: everything in it comes.
    pub(crate) is_new: bool,
    /// Where it ended a moment ago.
    pub(crate) end: Mark,
}

/// The flow of a bus, and the two connections to the server.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) names: Names,
    /// On which nothing is published, so that a server that takes nothing still gives.
    pub(crate) inward: Link,
    pub(crate) outward: Link,
    pub(crate) prefetch: u16,
    pub(crate) random: Mutex<fastrand::Rng>,
}

impl Flow {
    /// Begins to read with what comes from now on; and the place just before.
    pub(crate) async fn join(&self) -> Result<(Stream, Mark), Failure> {
        let (inward, outward) =
            tokio::try_join!(self.inward.within(AWAY), self.outward.within(AWAY))?;
        let joined = async {
            let mut stream =
                Stream::open(&inward, &self.names.flow, Start::Next, self.prefetch).await?;
            let name = format!("{:016x}", self.random.lock().u64(..));
            let properties = BasicProperties::default()
                .with_type(MARKER.into())
                .with_message_id(name.as_str().into());
            let channel = channel_with_confirms(&outward).await?;
            put(&channel, &self.names.flow, Vec::new(), Some(properties)).await?;
            loop {
                let entry = stream.next().await?;
                if entry.marker.as_deref() == Some(&name) {
                    return Ok((stream, entry.mark));
                }
            }
        };
        timeout(ANSWER, joined).await.unwrap_or(Err(Failure::Away))
    }

    /// Reads on after a place, or from the beginning if that is not there any more.
    pub(crate) async fn resume(&self, last: Option<Mark>) -> Result<Resumed, Failure> {
        let (_, end) = self.join().await?;
        if let Some(last) = last.filter(|last| last.offset < end.offset) {
            let mut stream = self.read(Start::At(last.offset)).await?;
            let entry = stream.next_there(ANSWER).await?;
            // A later one: what is between was kept long enough, and is gone.
            let was_dropped = entry.mark.offset > last.offset;
            if was_dropped || entry.mark == last {
                stream.ahead = was_dropped.then_some(entry);
                let is_new = false;
                return Ok(Resumed {
                    stream,
                    is_new,
                    end,
                });
            }
        }
        let stream = self.read(Start::First).await?;
        let is_new = last.is_some();
        Ok(Resumed {
            stream,
            is_new,
            end,
        })
    }

    async fn read(&self, start: Start) -> Result<Stream, Failure> {
        let inward = self.inward.within(AWAY).await?;
        Stream::open(&inward, &self.names.flow, start, self.prefetch).await
    }
}

/// FNV-1a: the same in every program, and good enough to tell streams apart.
fn print(text: &[u8], name: &str) -> u64 {
    let bytes = text.iter().chain(name.as_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |print, byte| {
        (print ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
