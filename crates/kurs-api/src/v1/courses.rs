//! The form of older clients: `{"exchanger", "courses": [{"direction", "value"}]}`.

use super::missing::{answer_problem, pair_problem, problem, source_problem};
use super::rates::{rate_of, shorter};
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::parameter::VALUES_MAX;
use crate::problem::{Kind, Problem};
use kurs_core::{Pair, RateState, SourceId};
use kurs_reader::RateDocument;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// Rates as older clients expect them.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CoursesDocument {
    /// The source that was asked for, or the best of those that serve; `median`, `merged`, `rule`
    /// or `fixed` where all rates are made by such a policy.
    exchanger: SourceId,
    /// One entry per direction, in the order asked for.
    courses: Vec<CourseDocument>,
    /// The directions that have no rate, each with its reason; absent when all have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<CourseError>,
}

/// Why one direction has no rate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CourseError {
    /// The direction as asked.
    direction: String,
    /// Kind of problem, as in a problem document.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status code it would have alone.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened, for people.
    detail: String,
}

/// A direction as asked, and the pair it means.
type Asked = (String, Result<Pair, Problem>);

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
    let mut directions: Vec<Asked> = Vec::new();
    for text in call.arguments.list(&["direction", "directions"]) {
        directions.push(asked(call, "direction", text)?);
        if directions.len() > VALUES_MAX {
            let detail = format!("more than {VALUES_MAX} directions");
            return Err(Problem::parameter("direction", detail));
        }
    }
    if directions.is_empty() {
        let configured = call.api.view.directions();
        directions.extend(configured.iter().map(|pair| (pair.to_string(), Ok(*pair))));
    }
    answer(call, directions)
}

/// `GET /api/v1/currency_pair`.
pub(crate) fn currency_pair(call: &Call) -> Outcome {
    let text = call.arguments.text("currency_pair").unwrap_or("");
    answer(call, vec![asked(call, "currency_pair", text)?])
}

/// What a text means. That nothing of its name is known concerns this direction only.
///
/// # Errors
/// A problem of the whole request when the text is no pair at all.
fn asked(call: &Call, parameter: &str, text: &str) -> Result<Asked, Problem> {
    let pair = call
        .api
        .view
        .parse_pair(text)
        .map_err(|error| pair_problem(parameter, &error));
    match pair {
        Err(problem) if problem.kind != Kind::UnknownPair => Err(problem),
        pair => Ok((text.to_owned(), pair)),
    }
}

fn answer(call: &Call, directions: Vec<Asked>) -> Outcome {
    let view = &call.api.view;
    let pin = match call.arguments.source("exchanger") {
        None => None,
        Some(name) => Some(
            view.find_source(name)
                .ok_or_else(|| source_problem(view, "exchanger", name))?,
        ),
    };
    let mut courses = Vec::with_capacity(directions.len());
    let mut sources = Vec::with_capacity(directions.len());
    let mut errors = Vec::new();
    let mut first_problem = None;
    let mut valid = Caching::NoStore;
    for (direction, pair) in directions {
        let found = pair.and_then(|pair| {
            let rate = rate_of(call, pair, pin).map_err(|missing| match first_problem {
                // The one that may become the answer.
                None => answer_problem(view, &missing),
                Some(_) => problem(&missing),
            })?;
            let is_doubted = rate.0.state == RateState::Suspect;
            if is_doubted && !call.arguments.flag("allow_stale") {
                return Err(suspect(&rate.0));
            }
            Ok((pair, rate))
        });
        match found {
            Ok((pair, (rate, kept))) => {
                valid = shorter(courses.is_empty(), valid, kept);
                sources.push(rate.source);
                courses.push(CourseDocument {
                    direction: pair,
                    value: number(&rate)?,
                });
            }
            Err(problem) => {
                errors.push(CourseError {
                    direction,
                    kind: problem.kind.type_uri(),
                    status: problem.kind.status().as_u16(),
                    detail: problem.detail.clone(),
                });
                first_problem.get_or_insert(problem);
            }
        }
    }
    if courses.is_empty()
        && let Some(problem) = first_problem
    {
        return Err(problem);
    }
    let exchanger = pin.or_else(|| view.best_source(sources)).ok_or_else(|| {
        Problem::new(
            Kind::NoRateYet,
            "no directions are configured, and none was asked for",
        )
    })?;
    let document = CoursesDocument {
        exchanger,
        courses,
        errors,
    };
    Ok(Answer::json(&document).cached(valid))
}

/// A number alone cannot say that it is doubted, so it is not given unasked.
fn suspect(rate: &RateDocument) -> Problem {
    let detail = format!(
        "the rate of {} is suspect; explain=true of /rates says why",
        rate.pair
    );
    Problem::new(Kind::RateSuspect, detail)
        .with_extra("rate", rate)
        .retry_after(1)
}

/// The exact decimal as JSON number text: it never passes through binary floating point.
fn number(rate: &RateDocument) -> Result<Box<RawValue>, Problem> {
    RawValue::from_string(rate.value.to_string())
        .map_err(|_| Problem::new(Kind::Internal, "the rate could not be written as a number"))
}
