//! Updates from the outbox to the server: in order, many on their way at once.

use crate::link::{Link, Links};
use crate::names::Names;
use crate::streams::{self, Facts, Seen};
use async_nats::datetime::DateTime;
use async_nats::jetstream::context::{PublishAckFuture, PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, Outbox, Update, wire};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::{error, info, warn};

/// How often the streams are looked at while a connection lasts.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(5);

/// The server's answer to an update, once it comes.
type Answer = BoxFuture<'static, Result<PublishAck, PublishError>>;

/// What became of one update.
enum Sent {
    /// The server has not said yet.
    Open(Answer),
    /// The server will never take it.
    Refused,
}

/// Why publishing over one connection stopped.
enum Stop {
    /// The connection is no good any more.
    Link,
    /// The server does not take updates at present.
    Pause(String),
    /// The server has lost what it had.
    Lost,
}

pub(crate) struct Publisher {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) links: Links,
    pub(crate) names: Names,
    pub(crate) counters: Arc<BusCounters>,
    pub(crate) window: usize,
    pub(crate) seed: u64,
}

/// What the server has of us.
#[derive(Default)]
struct Confirmed {
    /// When the streams were made that have it.
    streams: Option<(DateTime, DateTime)>,
    /// Greatest number in the flow that the server gave to one of our updates.
    number: u64,
}

impl Confirmed {
    /// True when the streams are those that have what was confirmed.
    fn is_kept_by(&self, facts: &Facts) -> bool {
        self.was_kept_by(facts, self.number)
    }

    /// The same when `number` was the greatest one before the server was asked: what it has
    /// confirmed since is not in its answer.
    fn was_kept_by(&self, facts: &Facts, number: u64) -> bool {
        let streams = (facts.flow.created, facts.last.created);
        self.streams.is_none_or(|known| known == streams) && number <= facts.flow.last
    }
}

impl Publisher {
    pub(crate) async fn run(mut self) {
        let mut pauses = Backoff::new(self.seed, PAUSE_FIRST, PAUSE_MOST);
        let mut confirmed = Confirmed::default();
        // Part of the ids that the server knows a message by. A store may begin anew and another
        // program may give the same ids, so they begin with a word of this program; and what is
        // put again must not be taken for what was there before.
        let (mut word, mut round) = (None, 0_u64);
        while let Some(link) = self.links.link().await {
            if !confirmed.is_kept_by(&link.facts) {
                self.put_again(&mut round);
                confirmed = Confirmed::default();
            }
            confirmed.streams = Some((link.facts.flow.created, link.facts.last.created));
            let word = word.get_or_insert_with(|| word_of(&link));
            let own = format!("{word}.{round}");
            let before = self.acknowledged();
            let stop = self.publish(&link, &own, &mut confirmed).await;
            if self.acknowledged() > before {
                pauses.reset();
            }
            self.outbox.put_back();
            match stop {
                Stop::Link => link.end(),
                Stop::Lost => {
                    self.put_again(&mut round);
                    confirmed = Confirmed::default();
                    // The streams are made anew with the connection if they are gone.
                    link.end();
                }
                Stop::Pause(why) => {
                    warn!(%why, "NATS does not take updates");
                    tokio::time::sleep(pauses.pause()).await;
                }
            }
        }
    }

    fn acknowledged(&self) -> u64 {
        self.counters.acknowledged.load(Ordering::Relaxed)
    }

    fn put_again(&self, round: &mut u64) {
        if self.acknowledged() == 0 {
            return;
        }
        info!("the server has lost what it had: the last values are put there again");
        *round += 1;
        count(&self.counters.put_again, 1);
        self.outbox.put_back();
        self.outbox.put_everything_again();
    }

    async fn publish(&self, link: &Link, own: &str, confirmed: &mut Confirmed) -> Stop {
        let mut flying: VecDeque<Sent> = VecDeque::with_capacity(self.window);
        let stop = self.publish_until(link, own, confirmed, &mut flying).await;
        count(&self.counters.sent_again, flying.len());
        stop
    }

    async fn publish_until(
        &self,
        link: &Link,
        own: &str,
        confirmed: &mut Confirmed,
        flying: &mut VecDeque<Sent>,
    ) -> Stop {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.reset();
        let mut look: Option<BoxFuture<'_, Seen>> = None;
        let mut asked_at = 0;
        loop {
            let room = self.window - flying.len();
            tokio::select! {
                biased;
                () = link.ended() => return Stop::Link,
                sent = first(flying), if !flying.is_empty() => {
                    if let Err(stop) = self.settle(sent, flying, confirmed) {
                        return stop;
                    }
                }
                () = self.outbox.ready(), if room > 0 => {
                    for update in self.outbox.take(room) {
                        match self.send(link, own, &update).await {
                            Ok(sent) => flying.push_back(sent),
                            Err(stop) => return stop,
                        }
                    }
                }
                seen = async { look.as_mut()?.await.into() }, if look.is_some() => {
                    look = None;
                    match seen {
                        Some(Seen::Both(facts)) if !confirmed.was_kept_by(&facts, asked_at) => {
                            return Stop::Lost;
                        }
                        Some(Seen::Missing) => return Stop::Lost,
                        _ => {}
                    }
                }
                // Who has published nothing has nothing to lose.
                _ = looks.tick(), if look.is_none() && confirmed.number > 0 => {
                    asked_at = confirmed.number;
                    look = Some(streams::see(&link.jetstream, &self.names).boxed());
                }
            }
        }
    }

    async fn send(&self, link: &Link, own: &str, update: &Update) -> Result<Sent, Stop> {
        let text = Bytes::from(wire::encode(update));
        count(&self.counters.published, 1);
        let sent = async {
            let id = format!("{own}:{}", update.id);
            let subject = self.names.subject(update);
            let answer = answer(self.put(link, subject, &text, &id).await?);
            let Some(mark) = self.names.mark(update) else {
                return Ok(answer);
            };
            let mark = self.put(link, mark, &text, &format!("{id}:mark")).await?;
            let both = async move {
                answer.await?;
                mark.await
            };
            Ok::<Answer, PublishError>(both.boxed())
        };
        match sent.await {
            Ok(answer) => Ok(Sent::Open(answer)),
            Err(problem) if problem.kind() == PublishErrorKind::MaxPayloadExceeded => {
                error!(id = %update.id, %problem, "an update is too long for the NATS server");
                Ok(Sent::Refused)
            }
            Err(_) => Err(Stop::Link),
        }
    }

    async fn put(
        &self,
        link: &Link,
        subject: String,
        text: &Bytes,
        id: &str,
    ) -> Result<PublishAckFuture, PublishError> {
        let message = PublishMessage::build().payload(text.clone()).message_id(id);
        link.jetstream.send_publish(subject, message).await
    }

    /// Takes note of the oldest one on its way, and of those behind it that are settled too.
    fn settle(
        &self,
        first: Result<Option<PublishAck>, PublishError>,
        flying: &mut VecDeque<Sent>,
        confirmed: &mut Confirmed,
    ) -> Result<(), Stop> {
        let (mut settled, mut next) = (0, Some(first));
        let mut stop = Ok(());
        while let Some(result) = next {
            match result {
                Ok(Some(ack)) => {
                    confirmed.number = confirmed.number.max(ack.sequence);
                    count(&self.counters.acknowledged, 1);
                }
                Ok(None) => count(&self.counters.refused, 1),
                Err(problem) => {
                    stop = Err(match problem.kind() {
                        PublishErrorKind::TimedOut
                        | PublishErrorKind::BrokenPipe
                        | PublishErrorKind::StreamNotFound => Stop::Link,
                        _ => Stop::Pause(problem.to_string()),
                    });
                    break;
                }
            }
            settled += 1;
            flying.pop_front();
            next = match flying.front_mut() {
                Some(Sent::Open(answer)) => answer.now_or_never().map(|answer| answer.map(Some)),
                Some(Sent::Refused) => Some(Ok(None)),
                None => None,
            };
        }
        self.outbox.confirm(settled);
        stop
    }
}

/// Waits until the oldest one is settled. May be dropped while it waits.
async fn first(flying: &mut VecDeque<Sent>) -> Result<Option<PublishAck>, PublishError> {
    match flying.front_mut() {
        Some(Sent::Open(answer)) => answer.await.map(Some),
        Some(Sent::Refused) | None => Ok(None),
    }
}

fn answer(sent: PublishAckFuture) -> Answer {
    std::future::IntoFuture::into_future(sent).boxed()
}

/// A word that no other program has: the library draws one for every inbox.
fn word_of(link: &Link) -> String {
    let inbox = link.client.new_inbox();
    inbox.rsplit('.').next().unwrap_or("kurs").to_owned()
}
