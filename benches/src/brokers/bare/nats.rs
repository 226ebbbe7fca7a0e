//! async-nats: `send_publish` with an id and a window of acknowledgements, an ordered push
//! consumer, and two streams with the settings that kurs gives its own.

use super::super::contest::Heard;
use super::super::flow::Texts;
use super::{Bare, WINDOW};
use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, stream};
use futures_util::StreamExt as _;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

/// Opens it on a server where a bus of kurs has made its streams.
pub(in super::super) fn open(
    runtime: &Runtime,
    url: &str,
    prefix: &str,
    texts: Texts,
) -> Result<Bare> {
    let texts = Arc::new(texts);
    let (writer, messages) = runtime.block_on(async {
        let writer = jetstream::new(async_nats::connect(url).await?);
        let reader = jetstream::new(async_nats::connect(url).await?);
        let flow = like(&writer, "KURS_FLOW", |config| {
            config.name = format!("{prefix}_FLOW");
            config.subjects = vec![format!("{prefix}.>")];
        });
        let flow = flow.await?;
        let last = like(&writer, "KURS_LAST", |config| {
            config.name = format!("{prefix}_LAST");
            for source in config.sources.iter_mut().flatten() {
                source.name = format!("{prefix}_FLOW");
            }
        });
        last.await?;
        let config = push::OrderedConfig {
            deliver_subject: reader.client().new_inbox(),
            deliver_policy: DeliverPolicy::New,
            ..push::OrderedConfig::default()
        };
        // Made over the reader's connection: over that the messages come.
        let stream = reader.get_stream(&flow.cached_info().config.name).await?;
        let messages = stream.create_consumer(config).await?.messages().await?;
        anyhow::Ok((writer, messages))
    })?;
    let hear = {
        let texts = Arc::clone(&texts);
        async move |heard: Arc<Heard>| {
            let mut messages = messages;
            while let Some(message) = messages.next().await {
                texts.read(&message?.payload)?;
                heard.one();
            }
            anyhow::bail!("the consumer ended")
        }
    };
    let publish = async move |numbers| publish(&writer, &texts, numbers).await;
    Ok(Bare::new(runtime, publish, hear))
}

/// Makes a stream with the settings of another one, apart from these.
async fn like(
    context: &jetstream::Context,
    name: &str,
    differ: impl FnOnce(&mut stream::Config),
) -> Result<stream::Stream> {
    let stream = context.get_stream(name).await.context("a stream of kurs")?;
    let mut config = stream.cached_info().config.clone();
    differ(&mut config);
    Ok(context.create_stream(config).await?)
}

async fn publish(
    context: &jetstream::Context,
    texts: &Texts,
    mut numbers: UnboundedReceiver<u64>,
) -> Result<()> {
    let mut flying: VecDeque<PublishAckFuture> = VecDeque::with_capacity(WINDOW);
    while let Some(seq) = numbers.recv().await {
        if flying.len() == WINDOW
            && let Some(oldest) = flying.pop_front()
        {
            oldest.await?;
        }
        let (subject, text) = texts.of(seq);
        let message = PublishMessage::build()
            .payload(text)
            .message_id(format!("bare:0.1-{seq}"));
        flying.push_back(context.send_publish(subject.to_owned(), message).await?);
    }
    Ok(())
}
