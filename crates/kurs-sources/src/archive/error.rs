//! Why an answer of an archive brings nothing, named by what can be done.

use crate::decode::DecodeError;
use crate::venue::codec::AnswerError;
use std::time::Duration;
use thiserror::Error;

/// An answer brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArchiveError {
    /// The source has no such series. Asking again will not help.
    #[error("the source does not have it")]
    NotListed,
    /// Too many requests: wait, for the time named if one is.
    #[error("the source asks for fewer requests")]
    Limited {
        /// How long, if the answer says.
        retry_after: Option<Duration>,
    },
    /// The source refuses, in its own words. Asking again the same way will not help.
    #[error("refused: {0}")]
    Refused(String),
    /// Not an answer of this source; it may be one the next time.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// Readable, and impossible. Nothing of the answer is used.
    #[error("the answer cannot be true: {0}")]
    Unbelievable(#[from] Flaw),
}

/// What is impossible about an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// More candles than a page of this source holds.
    #[error("more candles than a page holds")]
    TooMany,
    /// Not in the order of this source.
    #[error("candles are out of order")]
    Disordered,
    /// Two candles of the same moment.
    #[error("a candle comes twice")]
    Twice,
    /// A candle does not begin where candles of its length begin.
    #[error("a candle begins between two candles")]
    Misplaced,
    /// None of the candles is of the span that was asked for.
    #[error("nothing of it was asked for")]
    NotAsked,
    /// A price that is none: zero, below zero, or no number.
    #[error("a price is not above zero")]
    Price,
    /// The highest price is below another, or the lowest above.
    #[error("a candle's highest or lowest price contradicts its others")]
    Contradiction,
}

impl From<AnswerError> for ArchiveError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::BadSymbol => Self::NotListed,
            AnswerError::Limited { retry_after_s } => Self::Limited {
                retry_after: retry_after_s.map(Duration::from_secs),
            },
            AnswerError::Refused(words) => Self::Refused(words),
            AnswerError::Unreadable => Self::Unreadable("not of this source".to_owned()),
        }
    }
}

impl From<DecodeError> for ArchiveError {
    fn from(error: DecodeError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
