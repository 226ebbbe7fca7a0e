//! The task that empties the outbox into the exchange.

use crate::flow::{Flow, Mark};
use crate::fold::Fold;
use crate::link::Failure;
use crate::names::channel_with_confirms;
use crate::values::Snapshots;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, Outbox, Update, wire};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation, PublisherConfirm};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// How long the server may take until it can be published to.
const PREPARE_WITHIN: Duration = Duration::from_secs(8);
/// Updates handed to the client library at once.
const BATCH_MAX: usize = 128;

/// Publishes with a window of unconfirmed updates, in order.
pub(crate) struct Publisher {
    pub(crate) flow: Arc<Flow>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) counters: Arc<BusCounters>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) window: usize,
    pub(crate) backoff: Backoff,
    /// What this bus has published, for a server that has lost it.
    pub(crate) own: Fold,
    /// A place in the flow to know it by.
    pub(crate) mark: Option<Mark>,
}

impl Publisher {
    pub(crate) async fn run(mut self) {
        loop {
            // A bus that only reads makes nothing on the server.
            self.outbox.ready().await;
            let mut waiting = VecDeque::new();
            let failure = match self.session(&mut waiting).await {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            count(&self.counters.sent_again, waiting.len());
            self.outbox.put_back();
            if matches!(failure, Failure::Ended) {
                return;
            }
            tracing::info!("publishing to RabbitMQ begins again: {failure}");
            tokio::time::sleep(self.backoff.pause()).await;
        }
    }

    /// Publishes until something goes wrong.
    async fn session(
        &mut self,
        waiting: &mut VecDeque<PublisherConfirm>,
    ) -> Result<std::convert::Infallible, Failure> {
        let connection = self.flow.outward.wait().await?;
        // A server that has just started may leave a question without an answer.
        let prepared = async {
            self.prepare(&connection).await?;
            channel_with_confirms(&connection).await
        };
        let channel = timeout(PREPARE_WITHIN, prepared)
            .await
            .unwrap_or(Err(Failure::Away))?;
        self.snapshots.wanted.notify_one();
        loop {
            tokio::select! {
                biased;
                confirmed = confirmed(waiting), if !waiting.is_empty() => {
                    let confirmed = confirmed?;
                    self.backoff.reset();
                    count(&self.counters.acknowledged, confirmed);
                    self.outbox.confirm(confirmed);
                }
                () = self.outbox.ready(), if waiting.len() < self.window => {
                    let room = (self.window - waiting.len()).min(BATCH_MAX);
                    self.publish(&channel, room, waiting).await?;
                }
                () = self.flow.outward.lost(&connection) => return Err(Failure::Away),
            }
        }
    }

    /// Sees to it that the server has what it should have, all of it if it has lost everything.
    async fn prepare(&mut self, connection: &lapin::Connection) -> Result<(), Failure> {
        let seed = || self.snapshots.seed(&self.own.clone().into_values());
        let mut is_new = self.flow.names.make(connection, seed).await?;
        let resumed = self.flow.resume(self.mark).await?;
        is_new |= resumed.is_new;
        let had_one = self.mark.replace(resumed.end).is_some();
        if is_new && had_one {
            tracing::warn!("RabbitMQ has lost everything, which is published again");
            count(&self.counters.put_again, 1);
            self.outbox.put_everything_again();
        }
        Ok(())
    }

    async fn publish(
        &mut self,
        channel: &Channel,
        room: usize,
        waiting: &mut VecDeque<PublisherConfirm>,
    ) -> Result<(), Failure> {
        let updates = self.outbox.take(room);
        count(&self.counters.published, updates.len());
        let texts: Vec<Vec<u8>> = updates.iter().map(|update| wire::encode(update)).collect();
        // In order: each is with the library as soon as it is polled, which happens in order.
        let mut sending = FuturesOrdered::new();
        for (update, text) in updates.iter().zip(&texts) {
            self.own.apply(Arc::clone(update));
            sending.push_back(channel.basic_publish(
                self.flow.names.exchange.clone(),
                self.flow.names.routing_key(update),
                BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                },
                text,
                properties(update),
            ));
        }
        while let Some(sent) = sending.next().await {
            waiting.push_back(sent?);
        }
        Ok(())
    }
}

fn properties(update: &Update) -> BasicProperties {
    BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id(update.id.to_string().into())
        .with_type(wire::kind(&update.body).into())
}

/// Waits until the server has the oldest one; how many it has, the oldest first.
async fn confirmed(waiting: &mut VecDeque<PublisherConfirm>) -> Result<usize, Failure> {
    poll_fn(|context| {
        let mut confirmed = 0;
        while let Some(oldest) = waiting.front_mut() {
            match Pin::new(oldest).poll(context) {
                Poll::Ready(Ok(Confirmation::Ack(None))) => {
                    waiting.pop_front();
                    confirmed += 1;
                }
                // Those before it count first: asked again, it says that it was asked already.
                Poll::Ready(_) | Poll::Pending if confirmed > 0 => break,
                // Refused, or there is no queue for it.
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(Failure::Refused)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(confirmed))
    })
    .await
}
