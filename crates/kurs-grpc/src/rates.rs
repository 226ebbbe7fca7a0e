//! The answers that end at once.

use crate::proto::{
    BatchRatesRequest, BatchRatesResponse, BatchResult, GetRateRequest, GetRateResponse,
    ListRatesRequest, ListRatesResponse, Rate, RateError, batch_result,
};
use crate::refusal::Refusal;
use kurs_core::{Asset, Pair};
use kurs_reader::{Missing, RateView};
use std::time::Duration;
use tonic::Code;

/// Pairs of one batch, at most: as over HTTP.
const PAIRS_MAX: usize = 500;
/// Longest text of a client that is given back, characters.
const ECHO_CHARACTERS_MAX: usize = 64;

/// What a client sent, short enough and plain enough to be sent back.
pub(crate) fn shown(text: &str) -> String {
    plain(text, ECHO_CHARACTERS_MAX)
}

/// So many characters of a text, without any that control something.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().take(most).map(plain).collect()
}

/// The rate of one pair.
pub(crate) fn get(view: &RateView, asked: &GetRateRequest) -> Result<GetRateResponse, Refusal> {
    let rate = rate(view, "pair", &asked.pair, asked.allow_stale)?;
    Ok(GetRateResponse { rate: Some(rate) })
}

/// The rates of several pairs.
pub(crate) fn batch(
    view: &RateView,
    asked: &BatchRatesRequest,
) -> Result<BatchRatesResponse, Refusal> {
    if asked.pairs.is_empty() {
        return Err(Refusal::field("pairs", "names none"));
    }
    if asked.pairs.len() > PAIRS_MAX {
        let why = format!("holds more than {PAIRS_MAX} pairs");
        return Err(Refusal::field("pairs", why));
    }
    let one = |text: &String| {
        let result = match rate(view, "pairs", text, asked.allow_stale) {
            Ok(rate) => batch_result::Result::Rate(rate),
            Err(refusal) => batch_result::Result::Error(RateError {
                code: refusal.code.into(),
                reason: refusal.reason.to_owned(),
                message: refusal.message,
            }),
        };
        BatchResult {
            pair: shown(text),
            result: Some(result),
        }
    };
    let results = asked.pairs.iter().map(one).collect();
    Ok(BatchRatesResponse { results })
}

/// All published rates, or all of one asset.
pub(crate) fn list(
    view: &RateView,
    asked: &ListRatesRequest,
) -> Result<ListRatesResponse, Refusal> {
    let stale = asked.allow_stale;
    if !asked.base.is_empty() {
        return list_of(view, &asked.base, stale);
    }
    if !view.is_loaded() {
        let why = "this instance is starting";
        let refusal = Refusal::new(Code::Unavailable, "NOT_READY", why);
        return Err(refusal.retry_after(Duration::from_secs(1)));
    }
    let pairs = view.pairs().into_iter();
    let rates = pairs.filter_map(|pair| of(view, pair, stale).ok());
    Ok(ListRatesResponse {
        rates: rates.collect(),
    })
}

fn list_of(view: &RateView, name: &str, stale: bool) -> Result<ListRatesResponse, Refusal> {
    let listed = view.list_documents(base(view, name)?, stale);
    let listed = listed.map_err(|missing| Refusal::of_missing(&missing))?;
    Ok(ListRatesResponse {
        rates: listed.iter().map(Rate::from).collect(),
    })
}

/// The base asset under any name that pairs can have it by.
fn base(view: &RateView, name: &str) -> Result<Asset, Refusal> {
    // CoinGecko ids are understood here as everywhere, by way of any pair.
    match view.parse_pair(&format!("{name}-xxx")) {
        Ok(pair) => Ok(pair.base),
        Err(_) => Asset::parse(name)
            .map_err(|_| Refusal::field("base", format!("{:?} is no asset", shown(name)))),
    }
}

/// The rate of a pair that a field of the request names.
fn rate(view: &RateView, field: &str, text: &str, stale: bool) -> Result<Rate, Refusal> {
    if text.is_empty() {
        return Err(Refusal::field(field, "names no pair"));
    }
    let pair = view
        .parse_pair(text)
        .map_err(|error| Refusal::of_pair(field, &error))?;
    of(view, pair, stale).map_err(|missing| Refusal::of_missing(&missing))
}

/// The rate of a pair; a stale one when that is allowed.
fn of(view: &RateView, pair: Pair, stale: bool) -> Result<Rate, Missing> {
    match view.rate(pair, None) {
        Ok(answer) => Ok((&*answer.document).into()),
        Err(Missing::Expired(document)) if stale => Ok((&*document).into()),
        Err(missing) => Err(missing),
    }
}
