//! Why there is no rate, as a problem.

use crate::problem::{Kind, Problem};
use kurs_core::PairError;
use kurs_reader::Missing;

/// The problem of a missing rate.
pub(crate) fn problem(missing: &Missing) -> Problem {
    match missing {
        Missing::UnknownAsset(asset) => Problem::new(
            Kind::UnknownAsset,
            format!("no source gives a price of {asset}"),
        ),
        Missing::NoPath(pair) => Problem::new(
            Kind::UnknownPair,
            format!("no markets lead from {} to {}", pair.base, pair.quote),
        ),
        Missing::UnknownSource(source) => Problem::new(
            Kind::UnknownSource,
            format!("{source} is not enabled, or gives nothing for this pair"),
        ),
        Missing::NoRateYet(pair) => Problem::new(
            Kind::NoRateYet,
            format!("no source has given a price of {pair} yet"),
        ),
        Missing::Expired(rate) => Problem::new(
            Kind::RateExpired,
            format!(
                "the last rate of {} was valid until {}",
                rate.pair, rate.expires_at
            ),
        )
        .with_extra("rate", rate),
    }
}

/// The problem of a pair, named in a query, that cannot be understood.
pub(crate) fn pair_problem(parameter: &str, error: &PairError) -> Problem {
    match error {
        // Of the right form, but nothing that is known.
        PairError::Unsplittable(_) => Problem::new(Kind::UnknownPair, error.to_string()),
        PairError::Malformed | PairError::SameAsset => {
            Problem::parameter(parameter, error.to_string())
        }
    }
}
