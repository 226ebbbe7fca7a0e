//! lapin: `basic_publish` to a topic exchange with confirms and a window of them, a consumer on
//! the stream behind it. The server keeps no last values: the publisher has them in a map and
//! puts all of them, packed, into a second stream from time to time.

use super::super::contest::Heard;
use super::super::flow::Texts;
use super::{Bare, WINDOW};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt as _};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind, PublisherConfirm,
};
use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

/// Updates handed to the library at once, and messages that the server sends ahead: as the bus
/// has them.
const BATCH: usize = 128;
const PREFETCH: u16 = 1_024;
/// What the streams are made with, as the bus makes its own.
const FLOW_BYTES_MAX: i64 = 1 << 30;
const SEGMENT_BYTES: i64 = 16 << 20;
/// Strength of the compression.
const LEVEL: i32 = 1;

struct Names {
    exchange: ShortString,
    flow: ShortString,
    last: ShortString,
}

pub(in super::super) fn open(
    runtime: &Runtime,
    url: &str,
    prefix: &str,
    texts: Texts,
    snapshot_every: Duration,
) -> Result<Bare> {
    let texts = Arc::new(texts);
    let names = Names {
        exchange: prefix.into(),
        flow: format!("{prefix}.flow").into(),
        last: format!("{prefix}.last").into(),
    };
    let (writer, publishing, reader, hearing, consumer) = runtime.block_on(async {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let (writer, reader) = (connect().await?, connect().await?);
        let publishing = writer.create_channel().await?;
        make(&publishing, &names).await?;
        let confirms = ConfirmSelectOptions::default();
        publishing.confirm_select(confirms).await?;
        let (hearing, consumer) = consume(&reader, &names.flow).await?;
        anyhow::Ok((writer, publishing, reader, hearing, consumer))
    })?;
    let hear = {
        let texts = Arc::clone(&texts);
        async move |heard: Arc<Heard>| {
            // A connection ends when it is dropped.
            let _reader = reader;
            hear(&hearing, consumer, &texts, &heard).await
        }
    };
    let publish = async move |numbers| {
        let _writer = writer;
        let publisher = Publisher {
            channel: publishing,
            names,
            texts,
            last: HashMap::new(),
        };
        publisher.run(numbers, snapshot_every).await
    };
    Ok(Bare::new(runtime, publish, hear))
}

async fn make(channel: &Channel, names: &Names) -> Result<()> {
    let durable = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let none = FieldTable::default;
    let exchange = names.exchange.clone();
    channel
        .exchange_declare(exchange.clone(), ExchangeKind::Topic, durable, none())
        .await?;
    for queue in [&names.flow, &names.last] {
        let mut arguments = FieldTable::default();
        let text = |text: &str| AMQPValue::LongString(text.into());
        let number = AMQPValue::LongLongInt;
        arguments.insert("x-queue-type".into(), text("stream"));
        arguments.insert("x-max-length-bytes".into(), number(FLOW_BYTES_MAX));
        arguments.insert(
            "x-stream-max-segment-size-bytes".into(),
            number(SEGMENT_BYTES),
        );
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        channel
            .queue_declare(queue.clone(), options, arguments)
            .await?;
    }
    let options = QueueBindOptions::default();
    channel
        .queue_bind(names.flow.clone(), exchange, "#".into(), options, none())
        .await?;
    Ok(())
}

async fn consume(connection: &Connection, queue: &ShortString) -> Result<(Channel, Consumer)> {
    let channel = connection.create_channel().await?;
    let qos = BasicQosOptions::default();
    channel.basic_qos(PREFETCH, qos).await?;
    let mut arguments = FieldTable::default();
    // Nothing is there yet.
    let first = AMQPValue::LongString("first".into());
    arguments.insert("x-stream-offset".into(), first);
    let options = BasicConsumeOptions::default();
    let consumer = channel
        .basic_consume(queue.clone(), "".into(), options, arguments)
        .await?;
    Ok((channel, consumer))
}

async fn hear(
    channel: &Channel,
    mut consumer: Consumer,
    texts: &Texts,
    heard: &Heard,
) -> Result<()> {
    let mut unread = 0;
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        texts.read(&delivery.data)?;
        heard.one();
        unread += 1;
        if unread == PREFETCH / 4 {
            unread = 0;
            let multiple = BasicAckOptions { multiple: true };
            channel.basic_ack(delivery.delivery_tag, multiple).await?;
        }
    }
    anyhow::bail!("the consumer ended")
}

struct Publisher {
    channel: Channel,
    names: Names,
    texts: Arc<Texts>,
    last: HashMap<String, Bytes>,
}

impl Publisher {
    async fn run(
        mut self,
        mut numbers: UnboundedReceiver<u64>,
        snapshot_every: Duration,
    ) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut flying: VecDeque<PublisherConfirm> = VecDeque::with_capacity(WINDOW);
        let mut snapshots = tokio::time::interval(snapshot_every);
        let mut is_changed = false;
        loop {
            let room = (WINDOW - flying.len()).min(BATCH);
            tokio::select! {
                biased;
                taken = oldest(&mut flying), if !flying.is_empty() => {
                    taken?;
                }
                count = numbers.recv_many(&mut batch, room), if room > 0 => {
                    if count == 0 {
                        return Ok(());
                    }
                    self.publish(&batch, &mut flying).await?;
                    batch.clear();
                    is_changed = true;
                }
                _ = snapshots.tick(), if is_changed => {
                    is_changed = false;
                    let text = self.packed()?;
                    let confirm = self
                        .put("".into(), self.names.last.clone(), &text, BasicProperties::default())
                        .await?;
                    flying.push_back(confirm);
                }
            }
        }
    }

    /// In order: each is with the library as soon as it is polled, which happens in order.
    async fn publish(
        &mut self,
        batch: &[u64],
        flying: &mut VecDeque<PublisherConfirm>,
    ) -> Result<()> {
        let texts = Arc::clone(&self.texts);
        let made: Vec<(&str, Bytes)> = batch.iter().map(|seq| texts.of(*seq)).collect();
        for (subject, text) in &made {
            match self.last.get_mut(*subject) {
                Some(value) => value.clone_from(text),
                None => {
                    self.last.insert((*subject).to_owned(), text.clone());
                }
            }
        }
        let mut sending = FuturesOrdered::new();
        for (seq, (subject, text)) in batch.iter().zip(&made) {
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_message_id(format!("0.1-{seq}").into())
                .with_type("rate".into());
            let exchange = self.names.exchange.clone();
            sending.push_back(self.put(exchange, (*subject).into(), text, properties));
        }
        while let Some(sent) = sending.next().await {
            flying.push_back(sent?);
        }
        Ok(())
    }

    async fn put(
        &self,
        exchange: ShortString,
        key: ShortString,
        text: &[u8],
        properties: BasicProperties,
    ) -> lapin::Result<PublisherConfirm> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        self.channel
            .basic_publish(exchange, key, options, text, properties)
            .await
    }

    fn packed(&self) -> Result<Vec<u8>> {
        let mut packed = zstd::Encoder::new(Vec::new(), LEVEL)?;
        for text in self.last.values() {
            packed.write_all(text)?;
            packed.write_all(b"\n")?;
        }
        Ok(packed.finish()?)
    }
}

/// Waits until the server has the oldest one, and takes those behind it that it has too.
async fn oldest(flying: &mut VecDeque<PublisherConfirm>) -> Result<()> {
    let oldest = flying.front_mut().context("nothing is on its way")?;
    let mut taken = Some(oldest.await);
    while let Some(confirmation) = taken {
        flying.pop_front();
        ensure!(matches!(confirmation?, Confirmation::Ack(None)), "refused");
        taken = flying.front_mut().and_then(FutureExt::now_or_never);
    }
    Ok(())
}
