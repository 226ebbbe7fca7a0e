//! Commands: asked by a request over the server, answered by one of those who listen.

use crate::link::{Link, Links, Trouble};
use crate::names::Names;
use crate::streams;
use async_nats::client::{Request as NatsRequest, RequestErrorKind};
use async_nats::{Client, HeaderMap, Message, Subject};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use kurs_bus::counters::count;
use kurs_bus::{BusCounters, BusError, Command, Reply, Request, Requests, wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

/// Those who listen share this group: each command goes to one of them.
const GROUP: &str = "kurs-writers";
/// How long whoever asks will wait, in milliseconds, as a header of the command.
const PATIENCE_MS: &str = "Kurs-Patience-Ms";
/// The patience of those who do not say it.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_MOST: Duration = Duration::from_secs(60);
/// A header of an answer that is none: who took the command went away, or does not take it.
const NO_ANSWER: &str = "Kurs-No-Answer";
const GONE: &str = "gone";
const DECLINED: &str = "declined";
/// Pause before a command is asked again that nobody took.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// Commands that may wait for the Writer.
const WAITING: usize = 64;
/// How long commands that were on their way to a listener that ended are declined.
const LINGER: Duration = Duration::from_secs(1);

pub(crate) async fn ask(
    link: &Arc<Link>,
    names: &Names,
    command: &Command,
    until: Instant,
    patience: Duration,
) -> Result<Reply, BusError> {
    let text = Bytes::from(wire::encode_command(command));
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::NoAnswer(patience));
        }
        let mut headers = HeaderMap::new();
        headers.insert(PATIENCE_MS, left.as_millis().to_string().as_str());
        let request = NatsRequest::new()
            .payload(text.clone())
            .headers(headers)
            .timeout(Some(left));
        let asked = link.client.send_request(names.command.clone(), request);
        let answer = tokio::select! {
            // The library waits without bound for room on a connection that is stuck.
            answer = tokio::time::timeout(left, asked) => answer,
            () = link.ended() => return Err(BusError::Unavailable),
        };
        match answer {
            Err(_) => return Err(BusError::NoAnswer(patience)),
            Ok(Err(error)) => match error.kind() {
                RequestErrorKind::TimedOut => return Err(BusError::NoAnswer(patience)),
                RequestErrorKind::NoResponders => {}
                _ => return Err(BusError::Unavailable),
            },
            Ok(Ok(answer)) => match why_none(&answer) {
                None => {
                    return wire::decode_reply(&answer.payload).map_err(|_| BusError::Unavailable);
                }
                Some(DECLINED) => {}
                Some(_) => return Err(BusError::Unavailable),
            },
        }
        tokio::time::sleep(ASK_AGAIN.min(left)).await;
    }
}

fn why_none(answer: &Message) -> Option<&str> {
    let headers = answer.headers.as_ref()?;
    headers.get(NO_ANSWER).map(|value| value.as_str())
}

/// Listens for commands; over every connection anew.
pub(crate) async fn listen(
    link: &Arc<Link>,
    links: Links,
    names: Names,
    counters: Arc<BusCounters>,
) -> Result<NatsRequests, Trouble> {
    let subscriber = subscribe(link, &names).await?;
    let (taken, waiting) = mpsc::channel(WAITING);
    let (stop, stopped) = oneshot::channel();
    let listener = Listener {
        links,
        names,
        counters,
        taken,
        stopped,
    };
    tokio::spawn(listener.run(Arc::clone(link), subscriber));
    Ok(NatsRequests {
        waiting,
        _stop: stop,
    })
}

async fn subscribe(link: &Link, names: &Names) -> Result<async_nats::Subscriber, Trouble> {
    let subscribed = link
        .client
        .queue_subscribe(names.command.clone(), GROUP.to_owned());
    let subscriber = subscribed
        .await
        .map_err(|error| Trouble(error.to_string()))?;
    // The server goes through a connection in order: an answer says that it has heard us.
    streams::look(&link.jetstream, &names.flow).await?;
    Ok(subscriber)
}

/// A command that was heard, and not yet taken.
struct Taken {
    client: Client,
    command: Command,
    until: Instant,
    inbox: Subject,
}

impl Taken {
    /// Reads a message; nothing when it is no command or nobody waits for an answer.
    fn read(link: &Link, message: Message) -> Option<Self> {
        let inbox = message.reply?;
        let headers = message.headers.as_ref();
        let patience = headers.and_then(|headers| headers.get(PATIENCE_MS));
        let patience = patience.and_then(|text| text.as_str().parse().ok());
        let patience = patience.map_or(PATIENCE, Duration::from_millis);
        let command = match wire::decode_command(&message.payload) {
            Ok(command) => command,
            Err(error) => {
                debug!(%error, "a command that cannot be read");
                return None;
            }
        };
        Some(Self {
            client: link.client.clone(),
            command,
            until: Instant::now() + patience.min(PATIENCE_MOST),
            inbox,
        })
    }

    async fn refuse(self, why: &str) {
        refuse(&self.client, self.inbox, why).await;
    }

    /// Hands it out, and answers it in the background.
    fn hand_out(self) -> Request {
        let (reply, answer) = oneshot::channel();
        let Self {
            client,
            command,
            until,
            inbox,
        } = self;
        tokio::spawn(async move {
            match tokio::time::timeout_at(until, answer).await {
                Ok(Ok(answer)) => {
                    let text = wire::encode_reply(&answer).into();
                    // Whoever asked notices when this connection is gone.
                    let _ = client.publish(inbox, text).await;
                }
                Ok(Err(_)) => refuse(&client, inbox, GONE).await,
                // Nobody waits any more.
                Err(_) => {}
            }
        });
        Request { command, reply }
    }
}

async fn refuse(client: &Client, inbox: Subject, why: &str) {
    let mut headers = HeaderMap::new();
    headers.insert(NO_ANSWER, why);
    let _ = client
        .publish_with_headers(inbox, headers, Bytes::new())
        .await;
}

struct Listener {
    links: Links,
    names: Names,
    counters: Arc<BusCounters>,
    taken: mpsc::Sender<Taken>,
    stopped: oneshot::Receiver<()>,
}

impl Listener {
    async fn run(mut self, mut link: Arc<Link>, mut subscriber: async_nats::Subscriber) {
        loop {
            tokio::select! {
                _ = &mut self.stopped => return self.linger(&link, subscriber).await,
                message = subscriber.next() => if let Some(message) = message {
                    self.hear(&link, message).await;
                    continue;
                },
                () = link.ended() => {}
            }
            drop(subscriber);
            let again = tokio::select! {
                _ = &mut self.stopped => return,
                again = again(&mut self.links, &self.names) => again,
            };
            let Some(again) = again else {
                return;
            };
            (link, subscriber) = again;
        }
    }

    async fn hear(&self, link: &Link, message: Message) {
        let Some(taken) = Taken::read(link, message) else {
            return count(&self.counters.decode_errors, 1);
        };
        if let Err(error) = self.taken.try_send(taken) {
            count(&self.counters.commands_dropped, 1);
            error.into_inner().refuse(DECLINED).await;
        }
    }

    /// Commands that were on their way here go to another listener.
    async fn linger(&self, link: &Link, mut subscriber: async_nats::Subscriber) {
        if subscriber.drain().await.is_err() {
            return;
        }
        let decline = async {
            while let Some(message) = subscriber.next().await {
                if let Some(inbox) = message.reply {
                    refuse(&link.client, inbox, DECLINED).await;
                }
            }
        };
        // An error only says that the time is over.
        let _ = tokio::time::timeout(LINGER, decline).await;
    }
}

/// Listens over the next connection.
async fn again(links: &mut Links, names: &Names) -> Option<(Arc<Link>, async_nats::Subscriber)> {
    loop {
        let link = links.link().await?;
        if let Ok(subscriber) = subscribe(&link, names).await {
            return Some((link, subscriber));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

pub(crate) struct NatsRequests {
    waiting: mpsc::Receiver<Taken>,
    /// Dropped with this, which ends the listener.
    _stop: oneshot::Sender<()>,
}

#[async_trait]
impl Requests for NatsRequests {
    async fn next(&mut self) -> Option<Request> {
        loop {
            let taken = self.waiting.recv().await?;
            // Whoever asked was told that nobody answered, so it must not happen after all.
            if taken.until > Instant::now() {
                return Some(taken.hand_out());
            }
        }
    }
}

impl Drop for NatsRequests {
    fn drop(&mut self) {
        self.waiting.close();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        while let Ok(taken) = self.waiting.try_recv() {
            runtime.spawn(taken.refuse(DECLINED));
        }
    }
}
