//! Commands: both ends.
//!
//! A command waits in a queue for as long as whoever asks has patience; then the server drops it.
//! The server sends one ahead to each listener. It would not be dropped there, so what came
//! while a listener did not wait goes back to the server first.

use crate::flow::Flow;
use crate::link::{ANSWER, AWAY, Failure, backoff};
use crate::names::{channel_with_confirms, put};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, BusError, Command, Reply, Request, Requests, wire};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

/// The server's own queue for answers, on the channel that asked.
const ANSWERS: &str = "amq.rabbitmq.reply-to";
/// What the `type` of a command, an answer, and of none at all is.
const COMMAND: &str = "command";
const REPLY: &str = "reply";
const GONE: &str = "gone";

/// Asks the active Writer.
pub(crate) async fn request(
    flow: &Flow,
    counters: &BusCounters,
    command: &Command,
    patience: Duration,
) -> Result<Reply, BusError> {
    let end = Instant::now() + patience;
    // The server's clock starts when it has the command, so it is given a little less time.
    let waits = patience * 3 / 4;
    let asked = ask(flow, command, waits);
    match tokio::time::timeout_at(end, asked).await {
        Ok(Ok((text, kind))) if kind == REPLY => wire::decode_reply(&text).map_err(|_| {
            count(&counters.decode_errors, 1);
            BusError::Unavailable
        }),
        Ok(Ok(_) | Err(_)) => Err(BusError::Unavailable),
        // Nobody can have been asked.
        Err(_) if !flow.outward.is_there() => Err(BusError::Unavailable),
        Err(_) => Err(BusError::NoAnswer(patience)),
    }
}

async fn ask(
    flow: &Flow,
    command: &Command,
    waits: Duration,
) -> Result<(Vec<u8>, String), Failure> {
    let asked_at = Instant::now();
    let outward = flow.outward.within(AWAY).await?;
    let channel = channel_with_confirms(&outward).await?;
    flow.names.make_commands(&channel).await?;
    let at_once = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let mut answers = channel
        .basic_consume(ANSWERS.into(), "".into(), at_once, FieldTable::default())
        .await?;
    let waits = waits.saturating_sub(asked_at.elapsed()).as_millis().max(1);
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_type(COMMAND.into())
        .with_reply_to(ANSWERS.into())
        .with_expiration(waits.to_string().into());
    let text = wire::encode_command(command);
    put(&channel, &flow.names.commands, text, Some(properties)).await?;
    let Some(answer) = answers.next().await else {
        return Err(Failure::Away);
    };
    let answer = answer?;
    let kind = answer.properties.kind().as_ref();
    let kind = kind.map_or_else(String::new, ToString::to_string);
    Ok((answer.data, kind))
}

/// Listens for commands.
pub(crate) struct CommandQueue {
    flow: Arc<Flow>,
    counters: Arc<BusCounters>,
    backoff: Backoff,
    open: Option<(Channel, Consumer)>,
    /// The command that is being taken.
    taken: Option<Delivery>,
}

impl CommandQueue {
    pub(crate) async fn open(flow: Arc<Flow>, counters: Arc<BusCounters>) -> Result<Self, Failure> {
        let open = Some(listen(&flow).await?);
        let seed = flow.random.lock().u64(..);
        Ok(Self {
            flow,
            counters,
            backoff: backoff(seed),
            open,
            taken: None,
        })
    }

    /// Waits for a command and tells the server that it was taken. May be dropped while it
    /// waits.
    async fn take(&mut self) -> Result<Delivery, Failure> {
        if self.open.is_none() {
            self.flow.inward.wait().await?;
            self.open = Some(listen(&self.flow).await?);
            self.backoff.reset();
        }
        let Some((channel, consumer)) = &mut self.open else {
            return Err(Failure::Away);
        };
        if self.taken.is_none() {
            if let Some(early) = consumer.next().now_or_never() {
                let early = early.ok_or(Failure::Away)??;
                let again = BasicNackOptions {
                    requeue: true,
                    ..BasicNackOptions::default()
                };
                early.nack(again).await?;
            }
            let delivery = consumer.next().await.ok_or(Failure::Away)??;
            let tag = delivery.delivery_tag;
            // It is ours from here on, also when this is dropped.
            self.taken = Some(delivery);
            channel.basic_ack(tag, BasicAckOptions::default()).await?;
        }
        self.taken.take().ok_or(Failure::Away)
    }
}

#[async_trait]
impl Requests for CommandQueue {
    async fn next(&mut self) -> Option<Request> {
        loop {
            let delivery = match self.take().await {
                Ok(delivery) => delivery,
                Err(Failure::Ended) => return None,
                Err(_) => {
                    // The server gives what it was not told about to somebody else.
                    (self.open, self.taken) = (None, None);
                    tokio::time::sleep(self.backoff.pause()).await;
                    continue;
                }
            };
            let Ok(command) = wire::decode_command(&delivery.data) else {
                count(&self.counters.decode_errors, 1);
                continue;
            };
            let (reply, answer) = oneshot::channel();
            if let Some(to) = delivery.properties.reply_to() {
                tokio::spawn(give(Arc::clone(&self.flow), to.clone(), answer));
            }
            return Some(Request { command, reply });
        }
    }
}

async fn listen(flow: &Flow) -> Result<(Channel, Consumer), Failure> {
    let inward = flow.inward.within(AWAY).await?;
    let listening = async {
        let channel = inward.create_channel().await?;
        flow.names.make_commands(&channel).await?;
        channel.basic_qos(1, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let queue = flow.names.commands.clone();
        let consumer = channel
            .basic_consume(queue, "".into(), options, FieldTable::default())
            .await?;
        Ok((channel, consumer))
    };
    timeout(ANSWER, listening)
        .await
        .unwrap_or(Err(Failure::Away))
}

/// Gives the answer to whoever asked, as soon as it is there.
async fn give(flow: Arc<Flow>, to: ShortString, answer: oneshot::Receiver<Reply>) {
    let (kind, text) = match answer.await {
        Ok(reply) => (REPLY, wire::encode_reply(&reply)),
        Err(_) => (GONE, Vec::new()),
    };
    let given = async {
        let outward = flow.outward.within(AWAY).await?;
        let channel = outward.create_channel().await?;
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_type(kind.into());
        let options = BasicPublishOptions::default();
        channel
            .basic_publish("".into(), to, options, &text, properties)
            .await?
            .await?;
        Ok::<_, Failure>(())
    };
    if !matches!(timeout(ANSWER, given).await, Ok(Ok(()))) {
        tracing::debug!("whoever asked was not reached");
    }
}
