//! The two streams: made when they are missing, and looked at.

use crate::config::{NatsConfig, Storage};
use crate::link::Trouble;
use crate::names::Names;
use async_nats::datetime::DateTime;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, stream};
use std::time::Duration;
use tracing::warn;

/// What a message of the second stream says of where it comes from: the name of the first one
/// and the number in it.
const SOURCE: &str = "Nats-Stream-Source";
/// What the server says of a stream that is not there.
pub(crate) const NOT_FOUND: usize = 404;
/// How long the server knows a message by its id.
const DUPLICATES: Duration = Duration::from_secs(120);

/// One stream at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    /// When it was made: what it is known by.
    pub(crate) created: DateTime,
    pub(crate) messages: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// Both streams at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) flow: Fact,
    pub(crate) last: Fact,
}

impl From<&stream::Info> for Fact {
    fn from(info: &stream::Info) -> Self {
        Self {
            created: info.created,
            messages: info.state.messages,
            first: info.state.first_sequence,
            last: info.state.last_sequence,
        }
    }
}

/// What a stream is like at present.
pub(crate) async fn look(jetstream: &jetstream::Context, name: &str) -> Result<Fact, Trouble> {
    let stream = jetstream.get_stream(name).await;
    let stream = stream.map_err(|error| Trouble(format!("stream {name}: {error}")))?;
    Ok(stream.cached_info().into())
}

/// Both streams at present.
pub(crate) async fn look_at_both(
    jetstream: &jetstream::Context,
    names: &Names,
) -> Result<Facts, Trouble> {
    let (flow, last) =
        tokio::try_join!(look(jetstream, &names.flow), look(jetstream, &names.last))?;
    Ok(Facts { flow, last })
}

/// What a look at the streams shows.
pub(crate) enum Seen {
    Both(Facts),
    /// One of them is not there.
    Missing,
    /// The server does not say.
    Nothing,
}

/// Looks whether the streams are there.
pub(crate) async fn see(jetstream: &jetstream::Context, names: &Names) -> Seen {
    let flow = jetstream.get_stream(&names.flow);
    match tokio::try_join!(flow, jetstream.get_stream(&names.last)) {
        Ok((flow, last)) => Seen::Both(Facts {
            flow: flow.cached_info().into(),
            last: last.cached_info().into(),
        }),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error) if error.code() == NOT_FOUND => Seen::Missing,
            _ => Seen::Nothing,
        },
    }
}

/// Makes what is missing, and makes the second stream anew when it is not of the first one.
pub(crate) async fn ensure(
    jetstream: &jetstream::Context,
    names: &Names,
    config: &NatsConfig,
) -> Result<Facts, Trouble> {
    let flow_config = flow_config(names, config);
    make(jetstream, &flow_config).await?;
    let last_config = last_config(names, config);
    let mut last = make(jetstream, &last_config).await?;
    // The origin first: the flow can only have grown when it is looked at after it.
    let origin = origin_of_last(&last).await?;
    let flow = look(jetstream, &names.flow).await?;
    if origin > flow.last || last.cached_info().created < flow.created {
        warn!(
            stream = names.last,
            "the last values are not of this flow: they are made anew"
        );
        // Another program may have been first.
        let _ = jetstream.delete_stream(&names.last).await;
        last = make(jetstream, &last_config).await?;
    }
    Ok(Facts {
        flow,
        last: last.cached_info().into(),
    })
}

/// Gets a stream, or makes it. Another program may do the same at this moment.
async fn make(
    jetstream: &jetstream::Context,
    config: &stream::Config,
) -> Result<stream::Stream, Trouble> {
    let problem = match jetstream.get_or_create_stream(config.clone()).await {
        Ok(stream) => return Ok(stream),
        Err(error) => error,
    };
    // With other settings it may have been made in between.
    let existing = jetstream.get_stream(&config.name).await;
    existing.map_err(|_| Trouble(format!("stream {}: {problem}", config.name)))
}

/// The number in the flow of the newest of the last values; 0 when there is none.
async fn origin_of_last(last: &stream::Stream) -> Result<u64, Trouble> {
    let state = &last.cached_info().state;
    if state.messages == 0 {
        return Ok(0);
    }
    let Ok(message) = last.get_raw_message(state.last_sequence).await else {
        // Replaced by a later one since.
        return Ok(0);
    };
    Ok(origin(Some(&message.headers)).unwrap_or(0))
}

/// The number in the flow that a message of the last values had.
pub(crate) fn origin(headers: Option<&async_nats::HeaderMap>) -> Option<u64> {
    let source = headers?.get(SOURCE)?.as_str();
    source.split_ascii_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn flow_config(names: &Names, config: &NatsConfig) -> stream::Config {
    let age = Duration::from_millis(config.flow_age_ms);
    stream::Config {
        name: names.flow.clone(),
        description: Some("kurs: every update of the last minutes".to_owned()),
        subjects: names.subjects(),
        max_age: age,
        max_bytes: i64::try_from(config.flow_bytes_max).unwrap_or(i64::MAX),
        duplicate_window: DUPLICATES.min(age),
        ..common(config)
    }
}

pub(crate) fn last_config(names: &Names, config: &NatsConfig) -> stream::Config {
    let source = stream::Source {
        name: names.flow.clone(),
        ..stream::Source::default()
    };
    stream::Config {
        name: names.last.clone(),
        description: Some("kurs: the last update of every subject".to_owned()),
        sources: Some(vec![source]),
        max_messages_per_subject: 1,
        max_bytes: -1,
        ..common(config)
    }
}

fn common(config: &NatsConfig) -> stream::Config {
    stream::Config {
        max_messages: -1,
        max_consumers: -1,
        max_message_size: -1,
        discard: stream::DiscardPolicy::Old,
        storage: match config.storage {
            Storage::File => stream::StorageType::File,
            Storage::Memory => stream::StorageType::Memory,
        },
        num_replicas: usize::from(config.replicas),
        ..stream::Config::default()
    }
}

/// What an existing stream has otherwise than it would be made.
pub(crate) fn differences(is: &stream::Config, wanted: &stream::Config) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, is: String, wanted: String| {
        if is != wanted {
            differences.push(format!("has {what} {is}, not {wanted}"));
        }
    };
    let replicas = |config: &stream::Config| config.num_replicas.to_string();
    compare("replicas", replicas(is), replicas(wanted));
    let storage = |config: &stream::Config| format!("{:?}", config.storage).to_lowercase();
    compare("storage", storage(is), storage(wanted));
    let age = |config: &stream::Config| format!("{:?}", config.max_age);
    compare("max_age", age(is), age(wanted));
    let bytes = |config: &stream::Config| config.max_bytes.to_string();
    compare("max_bytes", bytes(is), bytes(wanted));
    differences
}

/// Makes a stream like the flow and takes it away again.
pub(crate) async fn try_one(
    jetstream: &jetstream::Context,
    names: &Names,
    config: &NatsConfig,
) -> Result<(), Trouble> {
    let attempt = stream::Config {
        name: names.attempt.clone(),
        subjects: vec![names.attempt_subject.clone()],
        ..flow_config(names, config)
    };
    let made = jetstream.create_stream(&attempt).await;
    made.map_err(|error| Trouble(format!("no stream can be made: {error}")))?;
    let deleted = jetstream.delete_stream(&attempt.name).await;
    deleted.map_err(|error| Trouble(format!("stream {} stays: {error}", attempt.name)))?;
    Ok(())
}
