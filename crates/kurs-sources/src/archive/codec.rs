//! What one exchange's archive of candles differs in from another's.

use super::candle::{ArchivedCandle, Order, Row, unreadable};
use super::error::{ArchiveError, Flaw};
use super::pace::Limits;
use crate::venue::codec::{AnswerError, Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde_json::value::RawValue;
use std::ops::Range;

/// A longer answer is refused, bytes: a page of any of these sources is below 400 kB.
pub const BODY_BYTES_MAX: usize = 4 << 20;

/// The language of one archive. Pure, like the source's [`Codec`], which it goes with.
pub trait CandleCodec: Send + Sync + 'static {
    /// Name of the source: `binance`.
    fn name(&self) -> &'static str;

    /// The source's word for a pair.
    fn symbol(&self, pair: Pair) -> String;

    /// Most candles of one answer.
    fn page(&self) -> u32;

    /// How a page is ordered.
    fn order(&self) -> Order;

    /// The archive goes back only so many candles of every length from now; `None`: years. Such
    /// an archive gives what it has in one answer.
    fn reach(&self) -> Option<u32> {
        None
    }

    /// How fast it may be asked.
    fn limits(&self) -> Limits;

    /// The request for the candles that begin within a span, which holds at most a page of them
    /// and begins and ends at the begin of a candle.
    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request;

    /// Reads an answer of status 200 as it is written: no candle is left out, the order stays.
    ///
    /// # Errors
    /// [`ArchiveError`] when it is no page of candles.
    fn read(&self, body: &[u8], span: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError>;

    /// What an answer with another status says, or one that cannot be read.
    fn refusal(&self, status: u16, body: &[u8]) -> ArchiveError;
}

/// Reads rows of columns, at most a page of them.
///
/// # Errors
/// [`ArchiveError`] of the first row that is no candle; [`Flaw::TooMany`].
pub(super) fn rows(
    rows: &[Vec<&RawValue>],
    page: u32,
    one: impl Fn(Row<'_>) -> Result<ArchivedCandle, ArchiveError>,
) -> Result<Vec<ArchivedCandle>, ArchiveError> {
    if rows.len() > usize::try_from(page).unwrap_or(usize::MAX) {
        return Err(Flaw::TooMany.into());
    }
    rows.iter().map(|row| one(Row(row))).collect()
}

/// What the source's own codec makes of an answer that is no page. The same errors come on all
/// of its routes.
pub(super) fn refusal_by(codec: &impl Codec, status: u16, body: &[u8]) -> ArchiveError {
    // No route: what is asked for does not matter, since no data is in the answer.
    let request = Request {
        path: String::new(),
        weight: 0,
    };
    match codec.read_tops(&request, status, body) {
        Err(AnswerError::Unreadable) | Ok(_) if status == 200 => {
            unreadable("not a page of candles")
        }
        Err(error) => error.into(),
        Ok(_) => ArchiveError::Refused(format!("HTTP {status}")),
    }
}
