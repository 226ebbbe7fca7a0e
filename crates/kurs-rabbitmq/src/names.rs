//! What everything on the server is called, and how it is made.

use crate::RabbitConfig;
use crate::link::Failure;
use kurs_bus::{Update, wire};
use lapin::options::{
    BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ErrorKind, ExchangeKind};

/// Bytes of commands that may wait.
const COMMANDS_BYTES_MAX: i64 = 16 << 20;
/// Bytes of snapshots kept: a few of the largest.
const LAST_BYTES_MAX: u64 = 256 << 20;

/// Names, with the prefix.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// The topic exchange that updates are published to.
    pub(crate) exchange: ShortString,
    /// The stream of everything that was published.
    pub(crate) flow: ShortString,
    /// The stream of snapshots.
    pub(crate) last: ShortString,
    /// The queue of commands.
    pub(crate) commands: ShortString,
    flow_age_max: String,
    flow_bytes_max: u64,
    segment_bytes: u64,
}

impl Names {
    pub(crate) fn new(config: &RabbitConfig) -> Self {
        let exchange = format!("{}.v{}", config.prefix, wire::VERSION);
        Self {
            flow: format!("{exchange}.flow").into(),
            last: format!("{exchange}.last").into(),
            commands: format!("{exchange}.commands").into(),
            exchange: exchange.into(),
            flow_age_max: format!("{}s", config.flow_age_ms / 1_000),
            flow_bytes_max: config.flow_bytes_max,
            segment_bytes: config.tuning.segment_bytes,
        }
    }

    /// Under which routing key an update is published: its subject, with the prefix.
    pub(crate) fn routing_key(&self, update: &Update) -> ShortString {
        let subject = wire::subject(update);
        let rest = subject.strip_prefix(wire::PREFIX).unwrap_or(&subject);
        format!("{}{rest}", self.exchange).into()
    }

    /// Makes what is missing, the snapshots first: who finds a flow finds them too. `seed` is
    /// the first of them. True when there was no flow.
    pub(crate) async fn make(
        &self,
        connection: &Connection,
        seed: impl FnOnce() -> Vec<u8>,
    ) -> Result<bool, Failure> {
        let channel = connection.create_channel().await?;
        let durable = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let name = self.exchange.clone();
        let none = FieldTable::default;
        channel
            .exchange_declare(name.clone(), ExchangeKind::Topic, durable, none())
            .await?;
        if !exists(connection, &self.last).await? {
            let arguments = stream(LAST_BYTES_MAX, LAST_BYTES_MAX / 4, None);
            declare(&channel, &self.last, arguments).await?;
            put(
                &channel_with_confirms(connection).await?,
                &self.last,
                seed(),
                None,
            )
            .await?;
        }
        let is_new = !exists(connection, &self.flow).await?;
        if is_new {
            declare(&channel, &self.flow, self.flow_arguments()).await?;
        }
        let all = ("#".into(), QueueBindOptions::default());
        channel
            .queue_bind(self.flow.clone(), name, all.0, all.1, none())
            .await?;
        Ok(is_new)
    }

    /// Makes a stream like the flow and takes it away again.
    pub(crate) async fn try_one(&self, connection: &Connection) -> Result<(), Failure> {
        let channel = connection.create_channel().await?;
        let name = ShortString::from(format!("{}.attempt", self.exchange));
        declare(&channel, &name, self.flow_arguments()).await?;
        let options = QueueDeleteOptions::default();
        channel.queue_delete(name, options).await?;
        Ok(())
    }

    fn flow_arguments(&self) -> FieldTable {
        let age = Some(self.flow_age_max.as_str());
        stream(self.flow_bytes_max, self.segment_bytes, age)
    }

    /// Makes the queue of commands. Durable, though its messages are not: servers of later
    /// versions refuse queues that are neither durable nor somebody's own.
    pub(crate) async fn make_commands(&self, channel: &Channel) -> Result<(), Failure> {
        let mut arguments = FieldTable::default();
        arguments.insert(
            "x-max-length-bytes".into(),
            AMQPValue::LongLongInt(COMMANDS_BYTES_MAX),
        );
        let refuse = AMQPValue::LongString("reject-publish".into());
        arguments.insert("x-overflow".into(), refuse);
        declare(channel, &self.commands, arguments).await
    }
}

fn stream(bytes_max: u64, segment_bytes: u64, age_max: Option<&str>) -> FieldTable {
    let number = |value: u64| AMQPValue::LongLongInt(i64::try_from(value).unwrap_or(i64::MAX));
    let text = |value: &str| AMQPValue::LongString(value.into());
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("stream"));
    arguments.insert("x-max-length-bytes".into(), number(bytes_max));
    arguments.insert(
        "x-stream-max-segment-size-bytes".into(),
        number(segment_bytes),
    );
    if let Some(age) = age_max {
        arguments.insert("x-max-age".into(), text(age));
    }
    arguments
}

async fn declare(
    channel: &Channel,
    queue: &ShortString,
    arguments: FieldTable,
) -> Result<(), Failure> {
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.clone(), durable, arguments)
        .await?;
    Ok(())
}

/// On a channel of its own, which the server closes when there is none.
pub(crate) async fn exists(connection: &Connection, queue: &ShortString) -> Result<bool, Failure> {
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let asked = channel.queue_declare(queue.clone(), passive, FieldTable::default());
    match asked.await {
        Ok(_) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The server says that there is no such queue.
pub(crate) fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said) if said.get_id() == 404)
}

/// A channel on which the server says what it has taken.
pub(crate) async fn channel_with_confirms(connection: &Connection) -> Result<Channel, Failure> {
    let channel = connection.create_channel().await?;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    Ok(channel)
}

/// Publishes to a queue itself, past the exchange, so that nobody else hears it, and waits until
/// the server has it.
pub(crate) async fn put(
    channel: &Channel,
    queue: &ShortString,
    body: Vec<u8>,
    properties: Option<BasicProperties>,
) -> Result<(), Failure> {
    let mandatory = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = properties.unwrap_or_default();
    let confirm = channel
        .basic_publish("".into(), queue.clone(), mandatory, &body, properties)
        .await?
        .await?;
    match confirm {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(Failure::Refused),
    }
}
