//! The form of older clients: `{"exchanger", "courses": [{"direction", "value"}]}`.

use super::missing::{pair_problem, problem};
use super::rates::{caching, shorter};
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::parameter::VALUES_MAX;
use crate::problem::{Kind, Problem};
use kurs_core::{Pair, SourceId};
use kurs_reader::{Missing, RateDocument};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// Rates as older clients expect them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CoursesDocument {
    /// The source that was asked for, or the best of those that serve.
    exchanger: SourceId,
    /// One entry per direction, in the order asked for.
    courses: Vec<CourseDocument>,
}

/// One rate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CourseDocument {
    /// The pair under the name it was asked for.
    direction: Pair,
    /// Units of the quote asset for one unit of the base asset: a JSON number with all the
    /// digits of the exact decimal.
    #[schemars(with = "f64", extend("exclusiveMinimum" = 0))]
    value: Box<RawValue>,
}

/// `GET /api/v1/courses`.
pub(crate) fn courses(call: &Call) -> Outcome {
    let mut pairs = Vec::new();
    for text in call.arguments.list(&["direction", "directions"]) {
        let parsed = call.api.view.parse_pair(text);
        pairs.push(parsed.map_err(|error| pair_problem("direction", &error))?);
        if pairs.len() > VALUES_MAX {
            let detail = format!("more than {VALUES_MAX} directions");
            return Err(Problem::parameter("direction", detail));
        }
    }
    if pairs.is_empty() {
        pairs = call.api.view.directions().to_vec();
    }
    answer(call, &pairs)
}

/// `GET /api/v1/currency_pair`.
pub(crate) fn currency_pair(call: &Call) -> Outcome {
    let text = call.arguments.text("currency_pair").unwrap_or("");
    let pair = call
        .api
        .view
        .parse_pair(text)
        .map_err(|error| pair_problem("currency_pair", &error))?;
    answer(call, &[pair])
}

fn answer(call: &Call, pairs: &[Pair]) -> Outcome {
    let view = &call.api.view;
    let allow_stale = call.arguments.flag("allow_stale");
    let pin =
        match call.arguments.source("exchanger") {
            None => None,
            Some(name) => Some(view.find_source(name).ok_or_else(|| {
                Problem::new(Kind::UnknownSource, format!("{name} is not enabled"))
            })?),
        };
    let mut courses = Vec::with_capacity(pairs.len());
    let mut sources = Vec::with_capacity(pairs.len());
    let mut valid = Caching::NoStore;
    for pair in pairs {
        let (rate, kept): (Arc<RateDocument>, Caching) = match view.rate(*pair, pin) {
            Ok(answer) => (answer.document, caching(call, &answer.rendered)),
            Err(Missing::Expired(document)) if allow_stale => {
                (Arc::from(document), Caching::NoStore)
            }
            Err(missing) => return Err(problem(&missing)),
        };
        valid = shorter(courses.is_empty(), valid, kept);
        sources.push(rate.source);
        courses.push(CourseDocument {
            direction: *pair,
            value: number(&rate)?,
        });
    }
    let exchanger = pin.or_else(|| view.best_source(sources)).ok_or_else(|| {
        Problem::new(
            Kind::NoRateYet,
            "no directions are configured, and none was asked for",
        )
    })?;
    Ok(Answer::json(&CoursesDocument { exchanger, courses }).cached(valid))
}

/// The exact decimal as JSON number text: it never passes through binary floating point.
fn number(rate: &RateDocument) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(rate.value.to_string())
        .map_err(|_| Problem::new(Kind::Internal, "the rate could not be written as a number"))
}
