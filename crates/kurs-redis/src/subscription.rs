//! The task that follows the flow, and the end at which it is heard.

use crate::link::{self, ANSWER, BLOCK, Link};
use crate::position::{EntryId, Flow, Position};
use crate::value;
use async_trait::async_trait;
use kurs_bus::counters::count;
use kurs_bus::{BusCounters, BusError, BusEvent, Order, Place, Subscription, Update};
use redis::RedisError;
use redis::aio::MultiplexedConnection;
use std::sync::Arc;
use tokio::sync::mpsc;
use tracing::debug;

const POSITION: &str = include_str!("scripts/position.lua");
/// Entries read at once.
const READ: usize = 256;

/// What the task hears.
enum Heard {
    Update(Arc<Update>),
    /// The server has lost so many entries before they were read.
    Lost(u64),
}

/// A place in the flow.
pub(crate) struct RedisSubscription {
    counters: Arc<BusCounters>,
    heard: mpsc::Receiver<Heard>,
    order: Order,
    /// What was heard after a gap that is told first.
    after: Option<Arc<Update>>,
}

/// Joins the flow behind everything that is there now.
pub(crate) async fn subscribe(link: &Arc<Link>) -> Result<RedisSubscription, RedisError> {
    let mut connection = link.connect().await?.connection;
    let position = Position::behind(&flow(link, &mut connection).await?);
    let (sender, heard) = mpsc::channel(link.buffer());
    let follower = Follower {
        link: Arc::clone(link),
        position,
        sender,
    };
    tokio::spawn(Arc::clone(link).until_ended(follower.run(connection)));
    Ok(RedisSubscription {
        counters: Arc::clone(&link.counters),
        heard,
        order: Order::default(),
        after: None,
    })
}

#[async_trait]
impl Subscription for RedisSubscription {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        if let Some(update) = self.after.take() {
            count(&self.counters.received, 1);
            return Ok(BusEvent::Update(update));
        }
        loop {
            // The only place that waits: nothing is held here when it is dropped.
            let update = match self.heard.recv().await {
                Some(Heard::Update(update)) => update,
                Some(Heard::Lost(lost)) => {
                    count(&self.counters.gaps, 1);
                    return Ok(BusEvent::Gap { lost });
                }
                None => return Err(BusError::Unavailable),
            };
            match self.order.place(&update) {
                Place::Next => {
                    count(&self.counters.received, 1);
                    return Ok(BusEvent::Update(update));
                }
                Place::Again | Place::Outdated => {}
                Place::After { lost } => {
                    count(&self.counters.gaps, 1);
                    self.after = Some(update);
                    return Ok(BusEvent::Gap { lost });
                }
            }
        }
    }
}

struct Follower {
    link: Arc<Link>,
    position: Position,
    sender: mpsc::Sender<Heard>,
}

impl Follower {
    /// Follows until nobody listens any more.
    async fn run(mut self, connection: MultiplexedConnection) {
        let listener = self.sender.clone();
        tokio::select! {
            () = self.follow(connection) => {}
            () = listener.closed() => {}
        }
    }

    async fn follow(&mut self, first: MultiplexedConnection) {
        let mut backoff = self.link.backoff(2);
        let mut connection = Some(first);
        let mut is_again = false;
        loop {
            let opened = match connection.take() {
                Some(connection) => Ok(connection),
                None => self.link.connect().await.map(|opened| opened.connection),
            };
            match opened {
                Ok(connection) => {
                    backoff.reset();
                    count(&self.link.counters.reconnects, usize::from(is_again));
                    count(&self.link.counters.resumed, usize::from(is_again));
                    is_again = true;
                    let error = match self.read(connection).await {
                        Ok(()) => return,
                        Err(error) => error,
                    };
                    let (server, why) = (&self.link.server, link::complaint(&error));
                    debug!(server, why, "a subscription lost its connection");
                }
                Err(error) => {
                    let (server, why) = (&self.link.server, link::complaint(&error));
                    debug!(server, why, "a subscription finds no server");
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Reads over one connection until it fails, or nobody listens.
    async fn read(&mut self, mut connection: MultiplexedConnection) -> Result<(), RedisError> {
        // A connection that says nothing for longer is not there any more.
        connection.set_response_timeout(BLOCK + ANSWER);
        let mut is_silent = true;
        loop {
            if is_silent {
                // The flow may be another one, or an older copy: with no word, and ids that are
                // lower than the last one read.
                let flow = flow(&self.link, &mut connection).await?;
                if let Some(lost) = self.position.compare(&flow)
                    && self.sender.send(Heard::Lost(lost)).await.is_err()
                {
                    return Ok(());
                }
            }
            let mut command = redis::cmd("XREAD");
            command
                .arg("COUNT")
                .arg(READ)
                .arg("BLOCK")
                .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(1_000))
                .arg("STREAMS")
                .arg(&self.link.keys.flow)
                .arg(self.position.read.to_string());
            let answer = link::ask(&mut connection, &command).await?;
            let entries = value::entries(answer).ok_or_else(|| link::unexpected("XREAD"))?;
            is_silent = entries.is_empty();
            for entry in entries {
                let id = EntryId::parse(&entry.id).ok_or_else(|| link::unexpected("XREAD"))?;
                self.position.read(id);
                let text = entry.data.unwrap_or_default();
                let Some(update) = self.link.counters.decode(&text) else {
                    continue;
                };
                if self
                    .sender
                    .send(Heard::Update(Arc::new(update)))
                    .await
                    .is_err()
                {
                    return Ok(());
                }
            }
        }
    }
}

async fn flow(link: &Link, connection: &mut MultiplexedConnection) -> Result<Flow, RedisError> {
    let mut command = redis::cmd("EVAL");
    command
        .arg(POSITION)
        .arg(2)
        .arg(&link.keys.flow)
        .arg(&link.keys.order);
    let answer = link::ask(connection, &command).await?;
    Flow::parse(answer).ok_or_else(|| link::unexpected("position"))
}
