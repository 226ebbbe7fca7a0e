//! Tracked symbols: list, add, look at, remove.

use super::missing::answer_problem;
use super::rates::rate_of;
use super::sources::{TrackedDocument, tracked};
use crate::admin::actor;
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::pattern::Form;
use crate::problem::{FieldError, Kind, Problem};
use crate::route::Work;
use http::StatusCode;
use http::header::LOCATION;
use kurs_bus::{BusError, Command, Reply};
use kurs_core::TrackedSymbol;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long the Writer may take: it asks the venues.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer waits for the view to show the change it speaks of.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);
/// How often the view is looked at meanwhile.
const SHOWN_POLL: Duration = Duration::from_millis(2);

/// What is tracked.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CurrenciesDocument {
    /// The symbols, oldest first.
    currencies: Vec<TrackedDocument>,
}

/// The symbol to track.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "describes the body in openapi.json; it is read member by member"
)]
pub(crate) struct TrackRequest {
    /// The symbol, such as `BTCUSDT`, `btc/usdt` or `BTC-USDT`.
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9]{2,16}([-/_]?[A-Za-z0-9]{1,16})?$"),
        length(max = 33)
    )]
    symbol: String,
}

/// `GET /api/v1/currencies`.
pub(crate) fn list(call: &Call) -> Outcome {
    Ok(Answer::json(&CurrenciesDocument {
        currencies: tracked(call),
    }))
}

/// `GET /api/v1/currency/{symbol}`.
pub(crate) fn get(call: &Call) -> Outcome {
    let text = call.arguments.text("symbol").unwrap_or("");
    let Some(found) = find(call, text) else {
        return Err(not_tracked(&plain_symbol(text)));
    };
    let (rate, caching) = rate_of(call, found.pair, None)
        .map_err(|missing| answer_problem(&call.api.view, &missing))?;
    Ok(Answer::json(&*rate).cached(caching))
}

/// `POST /api/v1/currency`.
pub(crate) fn add(call: Call) -> Work {
    Box::pin(async move {
        let symbol = symbol_of(call.body.as_ref())?;
        let pair = call
            .api
            .view
            .parse_pair(&symbol)
            .map_err(|error| Problem::new(Kind::NotListed, error.to_string()))?;
        let symbol = plain_symbol(&symbol);
        let command = Command::Track {
            symbol: Arc::from(symbol.as_str()),
            pair: pair.canonical(),
            by: Some(Box::new(actor(&call, None))),
        };
        match ask(&call, command).await? {
            Reply::Tracked { symbol, created } => {
                shown(&call, |tracked| {
                    tracked.iter().any(|known| known.symbol == symbol.symbol)
                })
                .await;
                let status = if created {
                    StatusCode::CREATED
                } else {
                    StatusCode::OK
                };
                let document = TrackedDocument {
                    symbol: Arc::clone(&symbol.symbol),
                    pair: symbol.pair,
                    added_at: symbol.added_at,
                };
                let place = format!("/api/v1/currency/{}", symbol.symbol);
                Ok(Answer::json(&document)
                    .with_status(status)
                    .with_header(LOCATION, &place))
            }
            Reply::NotListed { why } => Err(Problem::new(Kind::NotListed, &*why)),
            Reply::Unavailable { why } => Err(Problem::new(Kind::WriterUnavailable, &*why)),
            _ => Err(unfitting()),
        }
    })
}

/// `DELETE /api/v1/currency/{symbol}`.
pub(crate) fn remove(call: Call) -> Work {
    Box::pin(async move {
        let text = call.arguments.text("symbol").unwrap_or("");
        // The view may lag behind the Writer, which then decides.
        let symbol =
            find(&call, text).map_or_else(|| Arc::from(plain_symbol(text)), |found| found.symbol);
        let command = Command::Untrack {
            symbol: Arc::clone(&symbol),
            by: Some(Box::new(actor(&call, None))),
        };
        match ask(&call, command).await? {
            Reply::Untracked { existed: true } => {
                shown(&call, |tracked| {
                    tracked.iter().all(|known| known.symbol != symbol)
                })
                .await;
                Ok(Answer::empty(StatusCode::NO_CONTENT))
            }
            Reply::Untracked { existed: false } => Err(not_tracked(&symbol)),
            Reply::Unavailable { why } => Err(Problem::new(Kind::WriterUnavailable, &*why)),
            _ => Err(unfitting()),
        }
    })
}

/// The tracked entry that this text means: the one of that symbol, or else the one of that pair,
/// so that `SOLUSDTTRC` and `SOLUSDT` find each other.
fn find(call: &Call, text: &str) -> Option<TrackedSymbol> {
    let symbol = plain_symbol(text);
    let tracked = call.api.view.tracked();
    let by_symbol = tracked.iter().find(|known| *known.symbol == *symbol);
    let found = by_symbol.or_else(|| {
        let pair = call.api.view.parse_pair(text).ok()?.canonical();
        tracked.iter().find(|known| known.pair.canonical() == pair)
    });
    found.cloned()
}

/// Waits until the view shows a change that the Writer has made, so that whoever got the answer
/// can read it back. When it takes too long, the change is true all the same.
async fn shown(call: &Call, is_shown: impl Fn(&[TrackedSymbol]) -> bool) {
    let wait = async {
        while !is_shown(&call.api.view.tracked()) {
            tokio::time::sleep(SHOWN_POLL).await;
        }
    };
    let _ = tokio::time::timeout(SHOWN_WITHIN, wait).await;
}

pub(crate) async fn ask(call: &Call, command: Command) -> Result<Reply, Problem> {
    ask_within(call, command, PATIENCE).await
}

/// Asks the Writer, and waits this long for its answer.
pub(crate) async fn ask_within(
    call: &Call,
    command: Command,
    patience: Duration,
) -> Result<Reply, Problem> {
    call.api
        .bus
        .request(command, patience)
        .await
        .map_err(|error| match error {
            BusError::Unavailable | BusError::NoAnswer(_) => {
                Problem::new(Kind::WriterUnavailable, error.to_string())
            }
        })
}

pub(crate) fn unfitting() -> Problem {
    Problem::new(
        Kind::WriterUnavailable,
        "the Writer's answer did not fit the question",
    )
}

fn not_tracked(symbol: &str) -> Problem {
    Problem::new(Kind::UnknownSymbol, format!("{symbol} is not tracked"))
}

/// One spelling per symbol: upper case, no separator.
fn plain_symbol(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

/// The symbol in a body, every mistake named by its pointer.
fn symbol_of(body: Option<&Value>) -> Result<String, Problem> {
    let mistake = |errors| Problem::with_errors(Kind::InvalidBody, errors);
    let Some(Value::Object(members)) = body else {
        return Err(mistake(vec![FieldError::pointer(
            "",
            "must be an object with a symbol",
        )]));
    };
    let mut errors = Vec::new();
    for name in members.keys().filter(|name| *name != "symbol").take(20) {
        let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        errors.push(FieldError::pointer(
            &pointer,
            "is not a member of this document",
        ));
    }
    let symbol = match members.get("symbol") {
        None => Err("is required"),
        Some(Value::String(text)) if Form::Symbol.accepts(text) => Ok(text.clone()),
        Some(Value::String(_)) => Err(Form::Symbol.words()),
        Some(_) => Err("must be a string"),
    };
    match symbol {
        Ok(symbol) if errors.is_empty() => Ok(symbol),
        Ok(_) => Err(mistake(errors)),
        Err(detail) => {
            errors.push(FieldError::pointer("/symbol", detail));
            Err(mistake(errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_in_the_body_is_pointed_at() {
        let check = |body: Value| {
            let problem = symbol_of(Some(&body)).unwrap_err();
            problem
                .errors
                .into_iter()
                .filter_map(|error| error.pointer)
                .collect::<Vec<_>>()
        };
        assert_eq!(check(json!([])), [""]);
        assert_eq!(check(json!({})), ["/symbol"]);
        assert_eq!(check(json!({"symbol": 1})), ["/symbol"]);
        assert_eq!(check(json!({"symbol": "B"})), ["/symbol"]);
        assert_eq!(check(json!({"symbol": "BTCUSDT", "a/b": 1})), ["/a~1b"]);
        assert_eq!(
            check(json!({"symbols": "BTCUSDT"})),
            ["/symbols", "/symbol"]
        );
    }

    #[test]
    fn the_documented_pattern_of_a_symbol_is_the_accepted_one() {
        let schema = serde_json::to_value(schemars::schema_for!(TrackRequest)).unwrap();
        assert_eq!(
            schema["properties"]["symbol"]["pattern"],
            json!(Form::Symbol.pattern())
        );
        assert_eq!(
            schema["properties"]["symbol"]["maxLength"],
            json!(Form::Symbol.length_max())
        );
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}
