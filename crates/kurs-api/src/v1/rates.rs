//! One rate, a batch of rates, and the list of one asset.

use super::missing::{answer_problem, pair_problem, problem};
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::parameter::VALUES_MAX;
use crate::pattern::Form;
use crate::problem::{Kind, Problem};
use kurs_core::price::round_published;
use kurs_core::{Pair, RateState, SourceId, Wall};
use kurs_reader::document::RejectionDocument;
use kurs_reader::{ConstituentDocument, Missing, RateDocument, Rendered};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// A rate, with what `amount` and `explain` add to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RateAnswer")]
pub(crate) struct RateAnswerSchema {
    /// The rate.
    #[serde(flatten)]
    rate: RateDocument,
    /// With `amount`: the amount of the base asset, as asked.
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// With `amount`: that amount in the quote asset, to 15 significant digits, half-even.
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// With `explain`: age of the oldest leg at the time of this answer, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<u64>,
    /// With `explain`: since when this source serves the pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Wall>,
    /// With `explain`: why this source, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// With `explain`: what every source says about every leg, used or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    constituents: Option<Vec<ConstituentDocument>>,
    /// With `explain`: better sources that are not used, best first, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejections: Option<Vec<RejectionDocument>>,
}

/// A batch of rates.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BatchDocument {
    /// The rates that are there, in the order asked for.
    rates: Vec<RateDocument>,
    /// The pairs that have none, each with its reason.
    errors: Vec<BatchError>,
}

/// Why one pair of a batch has no rate.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BatchError {
    /// The pair as asked, cut to 64 characters.
    #[schemars(length(max = 64))]
    pair: String,
    /// Kind of problem, as in a problem document.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status code it would have alone.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened, for people.
    detail: String,
}

impl BatchError {
    /// The problem of a pair as it was asked for.
    pub(super) fn of(asked: &str, problem: Problem) -> Self {
        Self {
            pair: asked.chars().take(ECHO_CHARACTERS_MAX).collect(),
            kind: problem.kind.type_uri(),
            status: problem.kind.status().as_u16(),
            detail: problem.detail,
        }
    }
}

/// How long caches may keep what is rendered.
pub(crate) fn caching(call: &Call, rendered: &Rendered) -> Caching {
    if rendered.state == RateState::Fresh {
        Caching::For(rendered.valid_until.since(call.api.view.now().mono))
    } else {
        Caching::NoStore
    }
}

/// `GET /api/v1/rates/{base}/{quote}`.
pub(crate) fn one(call: &Call) -> Outcome {
    let pair = call.path_pair()?;
    if call.arguments.text("seq").is_some() {
        return Err(Problem::parameter("seq", "goes with `at`"));
    }
    let allow_stale = call.arguments.flag("allow_stale");
    let amount = call.arguments.amount("amount");
    let view = &call.api.view;
    if call.arguments.flag("explain") {
        let explained = view
            .explain(pair, None, allow_stale)
            .map_err(|missing| answer_problem(view, &missing))?;
        let value = explained.rate.value.value();
        return Ok(match amount {
            None => Answer::json(&explained),
            Some(amount) => {
                let result = convert(amount, value)?;
                Answer::json(&Converted {
                    document: &explained,
                    amount: amount.to_string(),
                    result,
                })
            }
        });
    }
    let (document, caching, rendered) = match view.rate(pair, None) {
        Ok(answer) => {
            let caching = caching(call, &answer.rendered);
            (answer.document, caching, Some(answer.rendered))
        }
        Err(Missing::Expired(document)) if allow_stale => {
            (Arc::from(document), Caching::NoStore, None)
        }
        Err(missing) => return Err(answer_problem(view, &missing)),
    };
    match (amount, rendered) {
        (None, Some(rendered)) => Ok(Answer::rendered(rendered, caching)),
        (None, None) => Ok(Answer::json(&*document).cached(caching)),
        (Some(amount), _) => {
            let result = convert(amount, document.value.value())?;
            let converted = Converted {
                document: &*document,
                amount: amount.to_string(),
                result,
            };
            Ok(Answer::json(&converted).cached(caching))
        }
    }
}

/// A document with an amount that was converted by it.
#[derive(Serialize)]
pub(crate) struct Converted<'a, T> {
    #[serde(flatten)]
    pub(crate) document: &'a T,
    pub(crate) amount: String,
    pub(crate) result: String,
}

pub(crate) fn convert(amount: Decimal, value: Decimal) -> Result<String, Problem> {
    let result = amount
        .checked_mul(value)
        .map(round_published)
        .filter(|result| !result.is_zero())
        .ok_or_else(|| Problem::parameter("amount", "the result cannot be held in 28 digits"))?;
    Ok(result.to_string())
}

/// `GET /api/v1/rates/{base}`.
pub(crate) fn list(call: &Call) -> Outcome {
    let name = call.arguments.text("base").unwrap_or("");
    // CoinGecko ids are understood here as everywhere, by way of any pair.
    let base = match call.api.view.parse_pair(&format!("{name}-xxx")) {
        Ok(pair) => pair.base,
        Err(_) => call
            .arguments
            .asset("base")
            .ok_or_else(|| Problem::parameter("base", "is required"))?,
    };
    let view = &call.api.view;
    let missing = match view.list(base) {
        Ok(rendered) => {
            let caching = caching(call, &rendered);
            return Ok(Answer::rendered(rendered, caching));
        }
        Err(missing) => missing,
    };
    if call.arguments.flag("allow_stale")
        && let Ok(rendered) = view.list_stale(base)
    {
        return Ok(Answer::rendered(rendered, Caching::NoStore));
    }
    Err(answer_problem(view, &missing))
}

/// `GET /api/v1/rates?pairs=`.
pub(crate) fn batch(call: &Call) -> Outcome {
    let asked: Vec<&str> = call.arguments.list(&["pairs"]).collect();
    if asked.len() > VALUES_MAX {
        return Err(Problem::parameter(
            "pairs",
            format!("holds more than {VALUES_MAX} pairs"),
        ));
    }
    let mut document = BatchDocument {
        rates: Vec::new(),
        errors: Vec::new(),
    };
    let mut caching = Caching::NoStore;
    for text in asked {
        let found = pair_of(call, text)
            .and_then(|pair| rate_of(call, pair, None).map_err(|missing| problem(&missing)));
        match found {
            Ok((rate, valid)) => {
                caching = shorter(document.rates.is_empty(), caching, valid);
                document.rates.push(RateDocument::clone(&rate));
            }
            Err(problem) => document.errors.push(BatchError::of(text, problem)),
        }
    }
    if !document.errors.is_empty() {
        caching = Caching::NoStore;
    }
    Ok(Answer::json(&document).cached(caching))
}

/// Longest text of a client that is given back.
const ECHO_CHARACTERS_MAX: usize = 64;

/// One element of a batch.
pub(super) fn pair_of(call: &Call, text: &str) -> Result<Pair, Problem> {
    if !Form::Pair.accepts(text) {
        return Err(Problem::new(Kind::MalformedPair, Form::Pair.words()));
    }
    call.api
        .view
        .parse_pair(text)
        .map_err(|error| match pair_problem("pairs", &error) {
            unknown if unknown.kind == Kind::UnknownPair => unknown,
            _ => Problem::new(Kind::MalformedPair, error.to_string()),
        })
}

/// The rate of a pair with how long it may be kept; a stale one when that is allowed.
pub(crate) fn rate_of(
    call: &Call,
    pair: Pair,
    pin: Option<SourceId>,
) -> Result<(Arc<RateDocument>, Caching), Missing> {
    match call.api.view.rate(pair, pin) {
        Ok(answer) => Ok((answer.document, caching(call, &answer.rendered))),
        Err(Missing::Expired(document)) if call.arguments.flag("allow_stale") => {
            Ok((Arc::from(document), Caching::NoStore))
        }
        Err(missing) => Err(missing),
    }
}

/// What holds for two documents together.
pub(crate) fn shorter(first: bool, so_far: Caching, next: Caching) -> Caching {
    match (so_far, next) {
        _ if first => next,
        (Caching::For(left), Caching::For(right)) => Caching::For(left.min(right)),
        _ => Caching::NoStore,
    }
}

/// Kinds of problems that any question for a rate may end in.
pub(crate) const RATE_PROBLEMS: [Kind; 4] = [
    Kind::UnknownAsset,
    Kind::UnknownPair,
    Kind::RateExpired,
    Kind::NoRateYet,
];
