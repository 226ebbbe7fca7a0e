//! Failed requests, there and back.

use super::Failure;
use kurs_net::http::FetchError;
use std::time::Duration;

/// Whole milliseconds.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&FetchError> for Failure {
    fn from(error: &FetchError) -> Self {
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        match error {
            FetchError::Unreachable(why) => Self::Unreachable { why: why.clone() },
            FetchError::TimedOut(after) => Self::TimedOut {
                after_ms: ms(*after),
            },
            FetchError::Limited {
                status,
                retry_after,
                body,
            } => Self::Limited {
                status: *status,
                retry_after_s: retry_after.map(|wait| wait.as_secs()),
                body: text(body),
            },
            FetchError::Refused { status, body } => Self::Refused {
                status: *status,
                body: text(body),
            },
            FetchError::ServerError { status } => Self::ServerError { status: *status },
            FetchError::TooLarge(bytes) => Self::TooLarge {
                bytes: u64::try_from(*bytes).unwrap_or(u64::MAX),
            },
            FetchError::Broken(why) => Self::Broken { why: why.clone() },
        }
    }
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable { why } => Self::Unreachable(why),
            Failure::TimedOut { after_ms } => Self::TimedOut(Duration::from_millis(after_ms)),
            Failure::Limited {
                status,
                retry_after_s,
                body,
            } => Self::Limited {
                status,
                retry_after: retry_after_s.map(Duration::from_secs),
                body: body.into_bytes().into(),
            },
            Failure::Refused { status, body } => Self::Refused {
                status,
                body: body.into_bytes().into(),
            },
            Failure::ServerError { status } => Self::ServerError { status },
            Failure::TooLarge { bytes } => {
                Self::TooLarge(usize::try_from(bytes).unwrap_or(usize::MAX))
            }
            Failure::Broken { why } => Self::Broken(why),
        }
    }
}
