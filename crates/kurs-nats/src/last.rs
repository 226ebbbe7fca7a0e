//! The last values: the last update of every subject, as of one moment.
//!
//! The second stream is filled from the first one and may lie behind it, after a restart for
//! seconds. So what it does not have yet is read from the flow.

use crate::Reader;
use crate::link::{Link, Trouble};
use crate::reading::{Heard, Reading};
use crate::streams;
use async_nats::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use kurs_bus::update::Key;
use kurs_bus::{Body, Update};
use kurs_core::{Pair, UpdateId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest reading.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn values(link: &Arc<Link>, reader: &Reader) -> Result<Vec<Arc<Update>>, Trouble> {
    let reading = async {
        tokio::select! {
            values = read(link, reader) => values,
            () = link.ended() => Err(Trouble("the connection ended".to_owned())),
        }
    };
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap_or_else(|_| Err(Trouble("the last values do not come".to_owned())))
}

async fn read(link: &Arc<Link>, reader: &Reader) -> Result<Vec<Arc<Update>>, Trouble> {
    let facts = streams::look_at_both(&link.jetstream, &reader.names).await?;
    let mut values = Values::default();
    // The newest number in the flow that the second stream has.
    let mut reached = 0;
    if facts.last.messages > 0 {
        let mut reading = Reading::open(link, &reader.names.last, DeliverPolicy::All).await?;
        // What is replaced while this reads moves behind everything else. So it reads to where
        // the stream ended when it had read to where the stream ended at first: what is replaced
        // after that is heard in the flow. A flow that never rests cannot keep it reading.
        let mut until = facts.last.last;
        let mut has_looked = false;
        loop {
            match reading.next().await {
                Heard::Message {
                    number,
                    pending,
                    message,
                } => {
                    let origin = streams::origin(message.headers.as_ref()).unwrap_or(0);
                    reached = reached.max(origin);
                    values.take(origin, &message, reader);
                    if pending == 0 || (has_looked && number >= until) {
                        break;
                    }
                    if number >= until {
                        until = streams::look(&link.jetstream, &reader.names.last)
                            .await?
                            .last;
                        has_looked = true;
                    }
                }
                // What was behind the last message heard was replaced meanwhile.
                Heard::Idle => break,
                Heard::Broken(why) => return Err(Trouble(why.to_owned())),
            }
        }
    }
    let wanted = facts.flow.last;
    if reached < wanted && facts.flow.messages > 0 {
        let start_sequence = (reached + 1).max(facts.flow.first);
        let from = DeliverPolicy::ByStartSequence { start_sequence };
        let mut reading = Reading::open(link, &reader.names.flow, from).await?;
        loop {
            match reading.next().await {
                Heard::Message {
                    number,
                    pending,
                    message,
                } => {
                    values.take(number, &message, reader);
                    if number >= wanted || pending == 0 {
                        break;
                    }
                }
                Heard::Idle => break,
                Heard::Broken(why) => return Err(Trouble(why.to_owned())),
            }
        }
    }
    Ok(values.into_updates())
}

/// The last update of every key so far.
#[derive(Default)]
struct Values {
    /// With the number each has in the flow.
    updates: HashMap<Key, (u64, Update)>,
    withdrawn: HashMap<Pair, (u64, UpdateId)>,
}

impl Values {
    /// Takes a message of the flow in.
    fn take(&mut self, number: u64, message: &Message, reader: &Reader) {
        let Some(update) = reader.counters.decode(&message.payload) else {
            return;
        };
        if let Body::Withdrawn(pair) = update.body {
            let known = self.withdrawn.entry(pair).or_insert((number, update.id));
            *known = (*known).max((number, update.id));
            if reader.names.is_mark(&message.subject) {
                return;
            }
        }
        let key = update.key();
        let newer =
            |known: &(u64, Update)| known.1.id.shard == update.id.shard && known.1.id > update.id;
        // A Writer whose epoch has ended may have spoken last.
        if !self.updates.get(&key).is_some_and(newer) {
            self.updates.insert(key, (number, update));
        }
    }

    /// Without what was withdrawn with a pair.
    fn into_updates(self) -> Vec<Arc<Update>> {
        let Self { updates, withdrawn } = self;
        let stands = |number: u64, update: &Update| {
            let Body::SourcePrice(price) = &update.body else {
                return true;
            };
            withdrawn.get(&price.pair).is_none_or(|(end, id)| {
                number > *end || (id.shard == update.id.shard && *id < update.id)
            })
        };
        let values = updates.into_values();
        let stand = values.filter(|(number, update)| stands(*number, update));
        stand.map(|(_, update)| Arc::new(update)).collect()
    }
}
