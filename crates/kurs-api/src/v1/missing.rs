//! Why there is no rate, as a problem.

use crate::problem::{FieldError, Kind, Problem};
use kurs_core::rate::PolicyKind;
use kurs_core::{PairError, SourceId};
use kurs_reader::{Missing, RateView};
use std::collections::BTreeSet;

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
        Missing::NoRate(pair, why) => Problem::new(Kind::NoRateYet, format!("{pair}: {why}")),
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

/// The same as the answer to a whole request, which says when another attempt makes sense.
pub(crate) fn answer_problem(view: &RateView, missing: &Missing) -> Problem {
    let problem = problem(missing);
    match missing {
        Missing::Expired(_) | Missing::NoRateYet(_) | Missing::NoRate(..) => {
            problem.retry_after(retry_after_seconds(view, missing))
        }
        _ => problem,
    }
}

/// Until the first poll that can bring a rate, when nothing but polls can; else a second.
fn retry_after_seconds(view: &RateView, missing: &Missing) -> u32 {
    let able: Option<BTreeSet<SourceId>> = match missing {
        Missing::Expired(rate) => view.explain(rate.pair, None, true).ok().map(|explained| {
            let told = explained.constituents.iter().map(|told| told.source);
            let used = explained.rate.legs.iter().map(|leg| leg.source);
            told.chain(used).collect()
        }),
        _ => None,
    };
    // Nothing has told who can give it: anyone may.
    let polls: Option<Vec<_>> = view
        .sources()
        .into_iter()
        .filter(|status| {
            able.as_ref()
                .is_none_or(|able| able.contains(&status.source))
        })
        .map(|status| status.next_poll_at)
        .collect();
    let soonest = polls.and_then(|polls| polls.into_iter().min());
    let wait = soonest.map_or(0, |at| at.since(view.now().wall).as_secs());
    u32::try_from(wait).unwrap_or(u32::MAX).max(1)
}

/// The problem of a parameter that pins a source and names none that runs. Rates are also served
/// under the names of policies, and these are tried: nothing can be pinned to what is made of
/// several sources.
pub(crate) fn source_problem(view: &RateView, parameter: &str, name: SourceId) -> Problem {
    let combined = [
        PolicyKind::Median,
        PolicyKind::Merged,
        PolicyKind::Rule,
        PolicyKind::Fixed,
    ];
    let what = if combined.iter().any(|kind| kind.as_str() == name.plain()) {
        format!("{name} is a policy, no source: without {parameter} its rates are given")
    } else {
        format!("{name} is not enabled")
    };
    let sources = view.sources();
    let names: Vec<&str> = sources.iter().map(|status| status.source.plain()).collect();
    let detail = match names.as_slice() {
        [] => format!("{what}; no source has spoken yet"),
        names => format!("{what}; there are {}", names.join(", ")),
    };
    Problem::with_errors(
        Kind::UnknownSource,
        vec![FieldError::parameter(parameter, detail)],
    )
}

/// The problem of a pair, named in a query, that cannot be understood.
pub(crate) fn pair_problem(parameter: &str, error: &PairError) -> Problem {
    match error {
        // Of the right form, but nothing that is known.
        PairError::Unsplittable(_) => Problem::new(Kind::UnknownPair, error.to_string()),
        // Of the right form too: no pair is of one asset, however it is called.
        PairError::SameAsset => Problem::with_errors(
            Kind::UnknownPair,
            vec![FieldError::parameter(parameter, error.to_string())],
        ),
        PairError::Malformed => Problem::parameter(parameter, error.to_string()),
    }
}
