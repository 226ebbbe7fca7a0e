//! The asking end of a command.

use crate::link::{self, ANSWER, Link};
use crate::value;
use kurs_bus::counters::count;
use kurs_bus::{BusError, Command, Reply, wire};
use redis::{RedisError, Value};
use std::time::Duration;
use tokio::time::Instant;
use tracing::debug;

const ASK: &str = include_str!("scripts/ask.lua");
/// Commands that may wait for a Writer.
const COMMANDS: usize = 64;
/// How soon it is tried again while too many wait.
const FULL: Duration = Duration::from_millis(20);

/// Asks over a connection of its own and waits for the answer, for ever when none comes.
pub(crate) async fn ask(link: &Link, command: &Command, end: Instant) -> Result<Reply, BusError> {
    let answer = match put(link, command, end).await {
        Ok(answer) => answer,
        Err(error) => {
            let (server, why) = (&link.server, link::complaint(&error));
            debug!(server, why, "a command did not get through");
            return Err(BusError::Unavailable);
        }
    };
    // Empty: the Writer that took it went away.
    if answer.is_empty() {
        return Err(BusError::Unavailable);
    }
    wire::decode_reply(&answer).map_err(|_| {
        count(&link.counters.decode_errors, 1);
        BusError::Unavailable
    })
}

async fn put(link: &Link, command: &Command, end: Instant) -> Result<Vec<u8>, RedisError> {
    let opened = link.connect().await?;
    let mut connection = opened.connection;
    // By the server's clock, which showed this a little before now: rather too early than too
    // late. However long it takes there, nobody begins with it after that.
    let left = end.saturating_duration_since(Instant::now());
    let until_ms = opened.server_ms + u64::try_from(left.as_millis()).unwrap_or(0);
    let mut asking = redis::cmd("EVAL");
    asking
        .arg(ASK)
        .arg(1)
        .arg(&link.keys.commands)
        .arg(wire::encode_command(command))
        .arg(until_ms)
        .arg(COMMANDS);
    let id = loop {
        let answer = link::ask(&mut connection, &asking).await?;
        let answer = value::text(answer).ok_or_else(|| link::unexpected("ask"))?;
        match &*answer {
            "" => std::future::pending().await,
            "full" => tokio::time::sleep(FULL).await,
            _ => break answer,
        }
    };
    let left = end.saturating_duration_since(Instant::now()) + FULL;
    connection.set_response_timeout(left + ANSWER);
    let mut waiting = redis::cmd("BLPOP");
    waiting.arg(link.keys.reply(&id));
    waiting.arg(format!("{}.{:03}", left.as_secs(), left.subsec_millis()));
    match link::ask(&mut connection, &waiting).await? {
        Value::Nil => std::future::pending().await,
        answer => match value::list(answer) {
            Some([_, Value::BulkString(text)]) => Ok(text),
            _ => Err(link::unexpected("BLPOP")),
        },
    }
}
