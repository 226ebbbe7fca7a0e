//! The listening end of commands.

use crate::link::{self, ANSWER, BLOCK, Link};
use crate::value;
use async_trait::async_trait;
use kurs_bus::counters::count;
use kurs_bus::{Reply, Request, Requests, wire};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, oneshot, watch};
use tokio::time::Instant;
use tracing::debug;

const TAKE: &str = include_str!("scripts/take.lua");
const REPLY: &str = "redis.call('LPUSH', KEYS[1], ARGV[1]) redis.call('PEXPIRE', KEYS[1], ARGV[2])";
/// How long an answer waits for whoever asked.
const REPLY_KEPT_MS: u64 = 60_000;
/// How long a Writer's answer is waited for after whoever asked has given up.
const GRACE: Duration = Duration::from_secs(1);

/// Listens for commands. A bell rings when there may be one; only then is one taken.
pub(crate) struct RedisRequests {
    desk: Arc<Desk>,
    bell: watch::Receiver<()>,
    /// There may be one.
    is_due: bool,
    /// One that is being taken. It stays when `next` is dropped, and goes back with this.
    taking: Option<oneshot::Receiver<Option<Taken>>>,
}

/// Where commands are taken and answered.
struct Desk {
    link: Arc<Link>,
    connection: Mutex<Option<MultiplexedConnection>>,
}

/// A command that is taken from the server. Dropped unopened it goes back there.
struct Taken {
    desk: Arc<Desk>,
    letter: Option<Letter>,
}

struct Letter {
    id: String,
    text: Vec<u8>,
    /// Until when it may be begun, by the server's clock.
    until_ms: String,
    /// The same by ours, rather too early than too late.
    until: Instant,
}

/// Listens from now on.
pub(crate) async fn listen(link: &Arc<Link>) -> Result<RedisRequests, RedisError> {
    let waiting = link.connect().await?.connection;
    let taking = link.connect().await?.connection;
    let (ring, bell) = watch::channel(());
    tokio::spawn(Arc::clone(link).until_ended(ring_for(Arc::clone(link), waiting, ring)));
    Ok(RedisRequests {
        desk: Arc::new(Desk {
            link: Arc::clone(link),
            connection: Mutex::new(Some(taking)),
        }),
        bell,
        is_due: true,
        taking: None,
    })
}

#[async_trait]
impl Requests for RedisRequests {
    async fn next(&mut self) -> Option<Request> {
        loop {
            if let Some(taking) = &mut self.taking {
                let taken = taking.await;
                self.taking = None;
                match taken {
                    Ok(Some(taken)) => {
                        if let Some(request) = taken.open() {
                            return Some(request);
                        }
                    }
                    Ok(None) | Err(_) => self.is_due = false,
                }
            } else if self.is_due {
                self.taking = Some(take(Arc::clone(&self.desk)));
            } else {
                self.bell.changed().await.ok()?;
                self.is_due = true;
            }
        }
    }
}

/// Takes a command, if there is one, whether or not somebody still waits for it here.
fn take(desk: Arc<Desk>) -> oneshot::Receiver<Option<Taken>> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let letter = desk.take().await.unwrap_or_else(|error| {
            let (server, why) = (&desk.link.server, link::complaint(&error));
            debug!(server, why, "no command can be taken");
            None
        });
        let letter = letter.map(|letter| Taken {
            desk: Arc::clone(&desk),
            letter: Some(letter),
        });
        // Nobody there: it goes back with being dropped.
        let _ = sender.send(letter);
    });
    receiver
}

/// Rings whenever commands came, and now and then.
async fn ring_for(link: Arc<Link>, first: MultiplexedConnection, ring: watch::Sender<()>) {
    let mut backoff = link.backoff(3);
    let (mut connection, mut is_again) = (Some(first), false);
    while !ring.is_closed() {
        let opened = match connection.take() {
            Some(connection) => Ok(connection),
            None => link.connect().await.map(|opened| opened.connection),
        };
        if let Ok(connection) = opened {
            backoff.reset();
            count(&link.counters.reconnects, usize::from(is_again));
            is_again = true;
            if let Err(error) = ring_over(&link, connection, &ring).await {
                let (server, why) = (&link.server, link::complaint(&error));
                debug!(server, why, "a listener lost its connection");
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

async fn ring_over(
    link: &Link,
    mut connection: MultiplexedConnection,
    ring: &watch::Sender<()>,
) -> Result<(), RedisError> {
    connection.set_response_timeout(BLOCK + ANSWER);
    let mut last = "0-0".to_owned();
    while !ring.is_closed() {
        let mut command = redis::cmd("XREAD");
        command
            .arg("BLOCK")
            .arg(u64::try_from(BLOCK.as_millis()).unwrap_or(1_000))
            .arg("STREAMS")
            .arg(&link.keys.commands)
            .arg(&last);
        let answer = tokio::select! {
            answer = link::ask(&mut connection, &command) => answer?,
            () = ring.closed() => return Ok(()),
        };
        let entries = value::entries(answer).ok_or_else(|| link::unexpected("XREAD"))?;
        if let Some(entry) = entries.into_iter().next_back() {
            last = entry.id;
        }
        // After silence too: a server that came back empty may count from lower ids.
        ring.send_replace(());
    }
    Ok(())
}

impl Desk {
    /// Takes the oldest command that waits. A second attempt over a new connection, for one that
    /// was closed meanwhile.
    async fn take(&self) -> Result<Option<Letter>, RedisError> {
        let mut command = redis::cmd("EVAL");
        command.arg(TAKE).arg(1).arg(&self.link.keys.commands);
        let asked_at = Instant::now();
        let answer = self.ask(&command).await?;
        if matches!(answer, Value::Nil) {
            return Ok(None);
        }
        let letter = || {
            let [id, text, until_ms, left_ms] = value::list(answer)?;
            let Value::BulkString(text) = text else {
                return None;
            };
            Some(Letter {
                id: value::text(id)?,
                text,
                until_ms: value::text(until_ms)?,
                until: asked_at.checked_add(Duration::from_millis(value::number(&left_ms)?))?,
            })
        };
        letter().map(Some).ok_or_else(|| link::unexpected("take"))
    }

    /// Asks the server, and once more over a new connection if the old one is not there.
    async fn ask(&self, command: &redis::Cmd) -> Result<Value, RedisError> {
        let mut kept = self.connection.lock().await;
        if let Some(mut connection) = kept.take()
            && let Ok(answer) = link::ask(&mut connection, command).await
        {
            *kept = Some(connection);
            return Ok(answer);
        }
        let mut connection = self.link.connect().await?.connection;
        let answer = link::ask(&mut connection, command).await?;
        *kept = Some(connection);
        Ok(answer)
    }

    /// Puts a command back. Tried once only: it must not be there twice.
    async fn put_back(&self, letter: &Letter) -> Result<(), RedisError> {
        let mut command = redis::cmd("XADD");
        command.arg(&self.link.keys.commands).arg("*");
        command.arg("c").arg(&letter.text);
        command.arg("t").arg(&letter.until_ms);
        command.arg("r").arg(&letter.id);
        let kept = self.connection.lock().await.clone();
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.link.connect().await?.connection,
        };
        link::ask(&mut connection, &command).await.map(|_| ())
    }

    /// Answers; with nothing when there is no answer.
    async fn answer(&self, id: &str, reply: Option<Reply>) -> Result<(), RedisError> {
        let text = reply.map_or_else(Vec::new, |reply| wire::encode_reply(&reply));
        let mut command = redis::cmd("EVAL");
        command.arg(REPLY).arg(1).arg(self.link.keys.reply(id));
        command.arg(text).arg(REPLY_KEPT_MS);
        self.ask(&command).await.map(|_| ())
    }
}

impl Taken {
    /// The command, unless whoever asked has given up or it cannot be read.
    fn open(mut self) -> Option<Request> {
        let letter = self.letter.take()?;
        if Instant::now() >= letter.until {
            count(&self.desk.link.counters.commands_dropped, 1);
            return None;
        }
        let (reply, answer) = oneshot::channel();
        let command = wire::decode_command(&letter.text).ok();
        if command.is_none() {
            count(&self.desk.link.counters.decode_errors, 1);
        }
        // Without a command the sender is dropped here, and whoever asked is told at once.
        let request = command.map(|command| Request { command, reply });
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move {
            let answered = tokio::time::timeout_at(letter.until + GRACE, answer).await;
            let reply = answered.ok().and_then(Result::ok);
            if let Err(error) = desk.answer(&letter.id, reply).await {
                let (server, why) = (&desk.link.server, link::complaint(&error));
                debug!(server, why, "an answer did not get through");
            }
        });
        request
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(letter) = self.letter.take() else {
            return;
        };
        let desk = Arc::clone(&self.desk);
        // Without a runtime the program ends, and whoever asked hears nothing.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if Instant::now() < letter.until {
                    let _ = desk.put_back(&letter).await;
                }
            });
        }
    }
}
