//! The stream of a server, over and over: what it tells, when it is lost, when it is back. It goes
//! on where it had ended.

use super::sse::{Event, Parser};
use crate::client::Client;
use crate::exit::{Exit, Failure};
use kurs_core::Wall;
use serde_json::Value;
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that wait to be shown; the stream is read no faster.
pub(super) const WAITING_MAX: usize = 1_024;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What a server says unless it is set otherwise.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// This many heartbeats may fail to come.
const HEARTBEATS_MISSED: u32 = 3;

/// What the feed has to tell.
#[derive(Debug)]
pub(super) enum Told {
    /// The connection stands; the server's time by its answer, to the second.
    Opened(Option<Wall>),
    /// An event with its document.
    Event(Event, Value),
    /// The connection is lost; the next attempt comes after a while.
    Lost {
        /// Why, for people.
        why: String,
        /// Until the next attempt.
        wait: Duration,
    },
    /// Trying again will not help.
    Ended(Failure),
}

/// Reads the stream until nobody listens any more.
pub(super) async fn run(client: Client, pairs: String, topics: String, told: mpsc::Sender<Told>) {
    let mut position = String::new();
    let mut wait = FIRST_WAIT;
    loop {
        let mut asked_wait = None;
        let ended = connection(
            &client,
            (&pairs, &topics),
            &mut position,
            &mut wait,
            &mut asked_wait,
            &told,
        )
        .await;
        let why = match ended {
            Ending::Unheard => return,
            Ending::Final(failure) => {
                let _ = told.send(Told::Ended(failure)).await;
                return;
            }
            Ending::Lost(why) => why,
        };
        // Spread, so that not everybody comes back at once.
        let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let spread = Duration::from_millis(fastrand::u64(most / 4..=most));
        let pause = asked_wait.unwrap_or(spread).min(LONGEST_WAIT);
        wait = (wait * 2).min(LONGEST_WAIT);
        let lost = Told::Lost { why, wait: pause };
        if told.send(lost).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
    }
}

/// How a connection ended.
enum Ending {
    /// Nobody listens.
    Unheard,
    /// For good.
    Final(Failure),
    /// For a while.
    Lost(String),
}

async fn connection(
    client: &Client,
    (pairs, topics): (&str, &str),
    position: &mut String,
    wait: &mut Duration,
    asked_wait: &mut Option<Duration>,
    told: &mpsc::Sender<Told>,
) -> Ending {
    let mut parameters = Vec::new();
    for (name, value) in [("pairs", pairs), ("topics", topics)] {
        if !value.is_empty() {
            parameters.push((name, value));
        }
    }
    let opened = client
        .open("/api/v1/stream", &parameters, position.as_str())
        .await;
    let mut response = match opened {
        Ok(response) => response,
        Err(failure) if failure.exit == Exit::Unavailable => return Ending::Lost(failure.message),
        Err(failure) => return Ending::Final(failure),
    };
    let date = response.headers().get("date");
    let time = date.and_then(|value| http_date(value.to_str().ok()?));
    if told.send(Told::Opened(time)).await.is_err() {
        return Ending::Unheard;
    }
    let mut parser = Parser::default();
    let mut silence = HEARTBEAT * HEARTBEATS_MISSED;
    loop {
        let chunk = match tokio::time::timeout(silence, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ending::Lost("the server ended the stream".to_owned()),
            Ok(Err(_)) => return Ending::Lost("the connection broke".to_owned()),
            Err(_) => return Ending::Lost(format!("nothing for {} s", silence.as_secs())),
        };
        let Ok(events) = parser.take(&chunk) else {
            return Ending::Lost("the stream sends what is no event".to_owned());
        };
        for event in events {
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
                continue;
            };
            let whole = |name: &str| data.get(name).and_then(Value::as_u64);
            if event.kind == "hello"
                && let Some(heartbeat) = whole("heartbeat_ms")
            {
                let heartbeat = Duration::from_millis(heartbeat.clamp(100, 600_000));
                silence = heartbeat * HEARTBEATS_MISSED;
            }
            if event.kind == "bye" {
                *asked_wait = whole("reconnect_after_ms").map(Duration::from_millis);
            }
            if !event.id.is_empty() {
                position.clone_from(&event.id);
            }
            // It speaks: the next cut is a new one.
            *wait = FIRST_WAIT;
            if told.send(Told::Event(event, data)).await.is_err() {
                return Ending::Unheard;
            }
        }
    }
}

/// `Sun, 22 Nov 2026 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Wall> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut words = text.split(' ').skip(1);
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let time = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer_is_read() {
        let time = http_date("Sun, 22 Nov 2026 08:49:37 GMT").unwrap();
        assert_eq!(time.to_string(), "2026-11-22T08:49:37.000Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
