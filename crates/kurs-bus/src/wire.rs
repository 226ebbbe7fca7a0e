//! Text of everything that travels, and the subjects it travels under. `asyncapi.json` describes
//! it for others.
//!
//! An update is `{"v":1,"id":"SHARD.EPOCH-SEQ","kind":"rate","data":{...}}`. A reader ignores
//! members that it does not know, and updates of kinds that it does not know.

use crate::{Body, Cause, Command, NoRate, Reply, Update};
use kurs_core::{Mono, Pair, UpdateId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Version of the text; it changes when an old reader would understand something wrongly.
pub const VERSION: u32 = 1;
/// What all subjects begin with.
pub const PREFIX: &str = "kurs.v1";
/// Longest text of an update that is read, in bytes: the list of 5,000 tracked symbols has room.
pub const UPDATE_BYTES_MAX: usize = 4 << 20;
/// Longest text of a command or a reply that is read, in bytes.
pub const COMMAND_BYTES_MAX: usize = 1 << 20;

/// Nanoseconds of a millisecond.
const NANOSECONDS: u64 = 1_000_000;

/// Why a text is no update, command or reply.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Written by a later version of kurs, which changed what messages mean: to be passed over.
    #[error("a message that this version does not know: {0}")]
    Unknown(String),
    /// It is not what it should be.
    #[error("a message that cannot be read: {0}")]
    Broken(#[from] serde_json::Error),
    /// It is longer than any that kurs writes.
    #[error("a message of {0} bytes")]
    TooLong(usize),
}

#[derive(Serialize)]
struct Written<'a, D: Serialize> {
    v: u32,
    id: UpdateId,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_ms: Option<u64>,
    data: &'a D,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    v: u32,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    cause: Option<Cause>,
    #[serde(default)]
    at_ms: Option<u64>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A pair that is not published any more.
#[derive(Serialize, Deserialize)]
struct Withdrawn {
    pair: Pair,
}

/// The word for a kind of update.
#[must_use]
pub fn kind(body: &Body) -> &str {
    match body {
        Body::Rate(_) => "rate",
        Body::SourcePrice(_) => "source_price",
        Body::SourceStatus(_) => "source_status",
        Body::Tracked(_) => "tracked",
        Body::Withdrawn(_) => "withdrawn",
        Body::NoRate(_) => "no_rate",
        Body::Heartbeat(_) => "heartbeat",
        Body::Unknown(kind) => kind,
    }
}

/// The subject of an update: `kurs.v1.rate.BTC.USD`, `kurs.v1.source.binance.BTC.USD`,
/// `kurs.v1.status.binance`, `kurs.v1.tracked`, `kurs.v1.writer.0`. Updates of one key share it.
/// A source's `:`, as in `sim:binance`, becomes `-`.
#[must_use]
pub fn subject(update: &Update) -> String {
    let rate = |pair: &Pair| format!("{PREFIX}.rate.{}.{}", pair.base, pair.quote);
    let word = |source: &kurs_core::SourceId| source.as_str().replace([':', '.', ' '], "-");
    match &update.body {
        Body::Rate(told) => rate(&told.pair),
        Body::NoRate(NoRate { pair, .. }) | Body::Withdrawn(pair) => rate(pair),
        Body::SourcePrice(price) => {
            let (source, pair) = (word(&price.source), price.pair);
            format!("{PREFIX}.source.{source}.{}.{}", pair.base, pair.quote)
        }
        Body::SourceStatus(status) => format!("{PREFIX}.status.{}", word(&status.source)),
        Body::Tracked(_) => format!("{PREFIX}.tracked"),
        Body::Heartbeat(_) => format!("{PREFIX}.writer.{}", update.id.shard),
        // Nobody publishes one; it would be under a subject that this version does not know.
        Body::Unknown(_) => format!("{PREFIX}.unknown"),
    }
}

/// The text of an update.
#[must_use]
pub fn encode(update: &Update) -> Vec<u8> {
    match &update.body {
        Body::Rate(data) => text(update, data),
        Body::SourcePrice(data) => text(update, data),
        Body::SourceStatus(data) => text(update, data),
        Body::Tracked(data) => text(update, data),
        Body::Withdrawn(pair) => text(update, &Withdrawn { pair: *pair }),
        Body::NoRate(data) => text(update, data),
        Body::Heartbeat(data) => text(update, data),
        Body::Unknown(_) => text(update, &()),
    }
}

fn text<D: Serialize>(update: &Update, data: &D) -> Vec<u8> {
    let written = Written {
        v: VERSION,
        id: update.id,
        kind: kind(&update.body),
        cause: update.cause,
        at_ms: update.at.map(|at| at.0 / NANOSECONDS),
        data,
    };
    // None of these types has a map with keys that are no text: writing cannot fail.
    serde_json::to_vec(&written).unwrap_or_default()
}

/// An update out of its text.
///
/// # Errors
/// [`WireError`]; whoever reads counts it and goes on.
pub fn decode(text: &[u8]) -> Result<Update, WireError> {
    if text.len() > UPDATE_BYTES_MAX {
        return Err(WireError::TooLong(text.len()));
    }
    let envelope: Envelope<'_> = serde_json::from_slice(text)?;
    if envelope.v != VERSION {
        return Err(WireError::Unknown(format!("version {}", envelope.v)));
    }
    let id = envelope.id.parse().map_err(|()| {
        let problem = "an update id is SHARD.EPOCH-SEQ";
        WireError::Broken(serde::de::Error::custom(problem))
    })?;
    let data = envelope.data.get();
    let body = match &*envelope.kind {
        "rate" => Body::Rate(serde_json::from_str(data)?),
        "source_price" => Body::SourcePrice(serde_json::from_str(data)?),
        "source_status" => Body::SourceStatus(serde_json::from_str(data)?),
        "tracked" => Body::Tracked(serde_json::from_str(data)?),
        "withdrawn" => Body::Withdrawn(serde_json::from_str::<Withdrawn>(data)?.pair),
        "no_rate" => Body::NoRate(serde_json::from_str(data)?),
        "heartbeat" => Body::Heartbeat(serde_json::from_str(data)?),
        // It takes its place in the order, or every one would look like a loss.
        other => Body::Unknown(format!("{other:.32}").into()),
    };
    let cause = envelope.cause;
    let at = envelope
        .at_ms
        .map(|at| Mono(at.saturating_mul(NANOSECONDS)));
    Ok(Update {
        id,
        body,
        cause,
        at,
    })
}

/// The text of a command.
#[must_use]
pub fn encode_command(command: &Command) -> Vec<u8> {
    serde_json::to_vec(command).unwrap_or_default()
}

/// A command out of its text.
///
/// # Errors
/// [`WireError`].
pub fn decode_command(text: &[u8]) -> Result<Command, WireError> {
    bounded(text)
}

/// The text of a reply.
#[must_use]
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    serde_json::to_vec(reply).unwrap_or_default()
}

/// A reply out of its text.
///
/// # Errors
/// [`WireError`].
pub fn decode_reply(text: &[u8]) -> Result<Reply, WireError> {
    bounded(text)
}

fn bounded<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, WireError> {
    if text.len() > COMMAND_BYTES_MAX {
        return Err(WireError::TooLong(text.len()));
    }
    Ok(serde_json::from_slice(text)?)
}

#[cfg(test)]
mod tests;
