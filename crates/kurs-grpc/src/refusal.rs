//! Why something is not answered, as a status with `google.rpc` details.

use kurs_core::PairError;
use kurs_reader::Missing;
use kurs_stream::Refused;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of all reasons.
const DOMAIN: &str = "kurs";

/// Why something is not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// A word for programs: it never changes its meaning.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    /// The fields of the request that are wrong, and why.
    pub(crate) fields: Vec<(String, String)>,
    /// After how long another attempt makes sense.
    pub(crate) retry: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(code: Code, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            fields: Vec::new(),
            retry: None,
        }
    }

    /// One wrong field of the request.
    pub(crate) fn field(name: &str, why: impl Into<String>) -> Self {
        Self::fields(vec![(name.to_owned(), why.into())])
    }

    /// Wrong fields of the request.
    pub(crate) fn fields(fields: Vec<(String, String)>) -> Self {
        let message = match fields.as_slice() {
            [(name, why)] => format!("{name}: {why}"),
            many => format!("{} mistakes, see google.rpc.BadRequest", many.len()),
        };
        Self {
            fields,
            ..Self::new(Code::InvalidArgument, "INVALID_PARAMETER", message)
        }
    }

    /// Another attempt makes sense after so long.
    pub(crate) const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The text is no pair that is understood.
    pub(crate) fn of_pair(field: &str, error: &PairError) -> Self {
        match error {
            PairError::Unsplittable(_) | PairError::SameAsset => {
                Self::new(Code::NotFound, "UNKNOWN_PAIR", error.to_string())
            }
            PairError::Malformed => Self {
                reason: "MALFORMED_PAIR",
                ..Self::field(field, error.to_string())
            },
        }
    }

    /// There is no rate.
    pub(crate) fn of_missing(missing: &Missing) -> Self {
        let soon = Duration::from_secs(1);
        match missing {
            Missing::UnknownAsset(asset) => Self::new(
                Code::NotFound,
                "UNKNOWN_ASSET",
                format!("no source gives a price of {asset}"),
            ),
            Missing::NoPath(pair) => Self::new(
                Code::NotFound,
                "UNKNOWN_PAIR",
                format!("no markets lead from {} to {}", pair.base, pair.quote),
            ),
            Missing::UnknownSource(source) => Self::new(
                Code::NotFound,
                "UNKNOWN_SOURCE",
                format!("{source} is not enabled, or gives nothing for this pair"),
            ),
            Missing::NoRateYet(pair) => {
                let message = format!("no source has given a price of {pair} yet");
                Self::new(Code::Unavailable, "NO_RATE_YET", message).retry_after(soon)
            }
            Missing::NoRate(pair, why) => {
                let message = format!("{pair}: {why}");
                Self::new(Code::Unavailable, "NO_RATE_YET", message).retry_after(soon)
            }
            // Not UNAVAILABLE: clients that ask again by themselves would only load the server,
            // and hide from their users that the price is old.
            Missing::Expired(rate) => Self::new(
                Code::FailedPrecondition,
                "RATE_EXPIRED",
                format!(
                    "the last rate of {} was valid until {}",
                    rate.pair, rate.expires_at
                ),
            ),
        }
    }

    /// Nobody more may listen.
    pub(crate) fn of_refused(refused: Refused) -> Self {
        let message = refused.to_string();
        let soon = Duration::from_secs(2);
        match refused {
            Refused::Full => Self::busy(message),
            Refused::Draining => Self::new(Code::Unavailable, "DRAIN", message).retry_after(soon),
            Refused::TooManyTopics(_) => Self::field("topics", message),
        }
    }

    /// The server is at a limit of its own.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceExhausted, "TOO_BUSY", message).retry_after(Duration::from_secs(5))
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let mut details =
            ErrorDetails::with_error_info(refusal.reason, DOMAIN, HashMap::<String, String>::new());
        for (name, why) in refusal.fields {
            details.add_bad_request_violation(name, why);
        }
        if let Some(wait) = refusal.retry {
            details.set_retry_info(Some(wait));
        }
        Self::with_error_details(refusal.code, refusal.message, details)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_for_people_and_for_programs() {
        let status = Status::from(Refusal::field("pair", "is missing"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "pair: is missing");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(
            (&*info.reason, &*info.domain),
            ("INVALID_PARAMETER", "kurs")
        );
        let fields = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(
            (&*fields[0].field, &*fields[0].description),
            ("pair", "is missing")
        );
        assert!(status.get_details_retry_info().is_none());
        let busy = Status::from(Refusal::busy("too many"));
        let retry = busy.get_details_retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(Duration::from_secs(5)));
    }
}
