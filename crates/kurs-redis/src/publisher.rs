//! The task that empties the outbox.

use crate::batch::{self, Bounds, Ledger, Newest};
use crate::link::{self, Connected, Link};
use crate::value;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use kurs_bus::counters::count;
use kurs_bus::{Outbox, StateTeller, Update};
use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tracing::{debug, info, warn};

const SCRIPT: &str = include_str!("scripts/publish.lua");
/// Updates in a batch: the server does nothing else while it takes one in.
const BATCH: usize = 256;
/// Batches on their way at once: one is taken in while the next is written.
const WINDOW: usize = 4;
/// How often an idle connection is tried.
const PING: Duration = Duration::from_secs(1);
/// Batches in a row of which nothing is taken before somebody is told.
const PASSED_OVER: usize = 16;
/// Longest wait until everything is there again.
const RESTORE: Duration = Duration::from_secs(30);

pub(crate) struct Publisher {
    pub(crate) link: Arc<Link>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) bounds: Bounds,
    pub(crate) state: StateTeller,
}

/// A batch that was answered.
struct Answered {
    count: usize,
    newest: Newest,
    verdict: Result<Verdict, RedisError>,
}

/// What the server says to a batch.
enum Verdict {
    Taken(usize),
    /// It does not have what it said it had.
    Lost,
}

impl Publisher {
    /// Publishes for ever.
    pub(crate) async fn run(self) {
        let mut ledger = Ledger::default();
        let mut is_refused = false;
        let mut backoff = self.link.backoff(1);
        loop {
            let Err(error) = self.serve(&mut ledger, &mut is_refused).await;
            let (server, why) = (&self.link.server, link::complaint(&error));
            let before = self.state.state();
            self.state.away(&why);
            if before.is_connected {
                backoff.reset();
            }
            if before.is_connected || before.why.is_empty() {
                warn!(server, why, "Redis is out of reach; updates wait");
            } else {
                debug!(server, why, "Redis is out of reach still");
            }
            // Whether the server has them, nobody knows; it passes over what it has.
            self.outbox.put_back();
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Publishes over one connection, until it fails. `is_refused`: the server answers, but takes
    /// no updates; that counts as being out of reach until it takes some.
    async fn serve(
        &self,
        ledger: &mut Ledger,
        is_refused: &mut bool,
    ) -> Result<Infallible, RedisError> {
        let Connected { mut connection, .. } = self.link.connect().await?;
        let script = load(&mut connection).await?;
        ledger.begin();
        let version = version(&mut connection).await?;
        if !*is_refused {
            self.announce(&version);
        }
        let mut passed_over = 0;
        let mut in_flight = FuturesOrdered::new();
        let mut updates_in_flight = 0;
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                Some(answered) = in_flight.next(), if !in_flight.is_empty() => {
                    let answered: Answered = answered;
                    match answered.verdict {
                        Ok(Verdict::Taken(taken)) => {
                            updates_in_flight -= answered.count;
                            self.taken(ledger, &answered.newest, answered.count, taken);
                            if std::mem::take(is_refused) {
                                self.announce(&version);
                            }
                            passed_over = if taken == 0 { passed_over + 1 } else { 0 };
                            if passed_over == PASSED_OVER {
                                let server = &self.link.server;
                                warn!(server, "Redis takes nothing: it has updates of a later epoch");
                            }
                        }
                        Ok(Verdict::Lost) => {
                            // Those behind it are refused for the same reason.
                            in_flight.clear();
                            count(&self.link.counters.sent_again, updates_in_flight);
                            updates_in_flight = 0;
                            self.restore(ledger, &mut connection, &script).await?;
                        }
                        Err(error) => {
                            *is_refused = error.code().is_some();
                            count(&self.link.counters.sent_again, updates_in_flight);
                            return Err(error);
                        }
                    }
                }
                () = self.outbox.ready(), if in_flight.len() < WINDOW => {
                    let updates = self.outbox.take(BATCH);
                    if !updates.is_empty() {
                        updates_in_flight += updates.len();
                        in_flight.push_back(self.send(ledger, &connection, &script, &updates));
                    }
                }
                _ = ping.tick(), if in_flight.is_empty() => {
                    link::ask(&mut connection, &redis::cmd("PING")).await?;
                }
            }
        }
    }

    fn announce(&self, version: &str) {
        info!(server = self.link.server, version, "connected to Redis");
        // The version of an earlier server, if there was one.
        let is_again = !self.state.state().server.is_empty();
        self.state.connected(version);
        count(&self.link.counters.reconnects, usize::from(is_again));
    }

    fn send(
        &self,
        ledger: &mut Ledger,
        connection: &MultiplexedConnection,
        script: &str,
        updates: &[Arc<Update>],
    ) -> impl Future<Output = Answered> + use<> {
        let (marks, newest) = ledger.hand(updates);
        let keys = &self.link.keys;
        let command = batch::command(script, keys, self.bounds, false, &marks, updates);
        let (mut connection, sent) = (connection.clone(), updates.len());
        count(&self.link.counters.published, sent);
        async move {
            let answer = link::ask(&mut connection, &command).await;
            Answered {
                count: sent,
                newest,
                verdict: answer.and_then(|answer| verdict(&answer)),
            }
        }
    }

    /// Notes that a batch was taken.
    fn taken(&self, ledger: &mut Ledger, newest: &Newest, sent: usize, taken: usize) {
        ledger.acknowledge(newest);
        // Counted first: whoever waits for the outbox to be empty sees it.
        let counters = &self.link.counters;
        count(&counters.acknowledged, sent);
        count(&counters.refused, sent.saturating_sub(taken));
        self.outbox.confirm(sent);
    }

    /// Puts everything on the server again, in one piece: whoever asks for the last values
    /// meanwhile gets what was there before, or all.
    async fn restore(
        &self,
        ledger: &mut Ledger,
        connection: &mut MultiplexedConnection,
        script: &str,
    ) -> Result<(), RedisError> {
        // In this order: a withdrawal that was on its way is not among the last values.
        self.outbox.put_back();
        self.outbox.put_everything_again();
        let updates = self.outbox.take(usize::MAX);
        let newest = batch::newest(&updates);
        let marks = newest
            .iter()
            .map(|(shard, id)| (*shard, batch::mark(*id)))
            .collect();
        let keys = &self.link.keys;
        let command = batch::command(script, keys, self.bounds, true, &marks, &updates);
        warn!(
            server = self.link.server,
            updates = updates.len(),
            "Redis has lost what it had; it gets the last values again"
        );
        count(&self.link.counters.published, updates.len());
        let mut patient = connection.clone();
        patient.set_response_timeout(RESTORE);
        let answer = link::ask(&mut patient, &command).await?;
        let Verdict::Taken(taken) = verdict(&answer)? else {
            return Err(link::unexpected("publish"));
        };
        ledger.restored(&newest);
        count(&self.link.counters.put_again, 1);
        self.taken(ledger, &newest, updates.len(), taken);
        Ok(())
    }
}

fn verdict(answer: &Value) -> Result<Verdict, RedisError> {
    match answer {
        Value::Int(-1) => Ok(Verdict::Lost),
        Value::Int(taken) => Ok(Verdict::Taken(usize::try_from(*taken).unwrap_or(0))),
        _ => Err(link::unexpected("publish")),
    }
}

async fn load(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(SCRIPT);
    let name = link::ask(connection, &command).await?;
    value::text(name).ok_or_else(|| link::unexpected("SCRIPT LOAD"))
}

async fn version(connection: &mut MultiplexedConnection) -> Result<String, RedisError> {
    let mut command = redis::cmd("INFO");
    command.arg("server");
    let text = value::text(link::ask(connection, &command).await?).unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or("?").to_owned())
}
