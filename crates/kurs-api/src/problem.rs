//! Problem documents (RFC 9457): the body of every 4xx and 5xx answer.

use http::StatusCode;
use kurs_reader::RateDocument;
use kurs_telemetry::Check;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// Media type of problem documents.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Where the kinds of problems are explained; the `type` of a problem is a place on this page.
pub const PROBLEMS_PAGE: &str = "/docs/problems";

macro_rules! kinds {
    ($($variant:ident = $status:ident, $slug:literal, $title:literal, $about:literal;)*) => {
        /// Kinds of problems. The slug is part of the API: it never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $about] $variant,)*
        }

        impl Kind {
            /// All kinds, in the order of the page that explains them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Status code.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// Last part of the type URI.
            #[must_use]
            pub const fn slug(self) -> &'static str {
                match self { $(Self::$variant => $slug,)* }
            }

            /// `type`, a URI reference that stays the same for ever.
            #[must_use]
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$variant => concat!("/docs/problems#", $slug),)* }
            }

            /// One phrase, the same for every problem of the kind.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What it means and what to do, for the page.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

kinds! {
    InvalidParameter = BAD_REQUEST, "invalid-parameter", "A parameter is not valid",
        "A parameter is unknown, missing, repeated or not of the documented form. `errors` names each one.";
    MalformedPair = BAD_REQUEST, "malformed-pair", "Not a pair",
        "One element of a batch is no pair such as BTC-USD; the others are answered.";
    InvalidBody = BAD_REQUEST, "invalid-body", "The body is not valid",
        "The body is no JSON document of the documented form. `errors` points at each mistake.";
    MalformedRequest = BAD_REQUEST, "malformed-request", "The request is not valid HTTP",
        "The head of the request could not be read as HTTP/1.1.";
    Unauthorized = UNAUTHORIZED, "unauthorized", "Say who asks",
        "The route needs a key or a token, or the one that was sent is not good; `detail` says why. Send it as `Authorization: Bearer ...` or `X-Api-Key: ...`.";
    Forbidden = FORBIDDEN, "forbidden", "Not allowed",
        "The key or token lacks the scope that the route needs; or a change came without a key. As long as there is no key, changes are accepted from the loopback address of the server.";
    UpgradeRequired = UPGRADE_REQUIRED, "upgrade-required", "Switch to WebSocket",
        "The route speaks WebSocket only; `/api/v1/stream` has the same events over HTTP.";
    UnknownRoute = NOT_FOUND, "unknown-route", "No such route",
        "The path is not part of the API; /openapi.json lists what is.";
    UnknownAsset = NOT_FOUND, "unknown-asset", "No such asset",
        "No source gives a price of this asset.";
    UnknownPair = NOT_FOUND, "unknown-pair", "No such pair",
        "The pair cannot be priced from any market that is followed.";
    UnknownSource = NOT_FOUND, "unknown-source", "No such source",
        "No source of this name is enabled.";
    UnknownBook = NOT_FOUND, "unknown-book", "No such order book",
        "The source keeps no order book of the symbol: it is polled, or it does not follow the symbol.";
    UnknownSymbol = NOT_FOUND, "unknown-symbol", "No such symbol",
        "The symbol is not tracked.";
    UnknownKey = NOT_FOUND, "unknown-key", "No such key",
        "There is no API key of this id.";
    UnknownAlert = NOT_FOUND, "unknown-alert", "No such alert",
        "There is no alert of this id.";
    NoRateThen = NOT_FOUND, "no-rate-then", "No rate was served then",
        "At the moment asked for, no rate of the pair was served as fresh; `detail` says why. `rate` holds the last one if there was one: `allow_stale=true` turns this answer into a 200 with its state.";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed",
        "The route does not know the method; `Allow` lists those it knows.";
    NotAcceptable = NOT_ACCEPTABLE, "not-acceptable", "No acceptable form",
        "The `Accept` header excludes every form this route has.";
    KeyIsOver = CONFLICT, "key-is-over", "The key is over",
        "The key was revoked or rotated before; nothing was changed.";
    PreconditionFailed = PRECONDITION_FAILED, "precondition-failed", "Another change came first",
        "What is to be changed has another version than `If-Match` names; nothing was changed. Read them again, and decide anew.";
    TooManyAlerts = CONFLICT, "too-many-alerts", "Too many alerts",
        "There are as many alerts as there may be, or as many of this target; nothing was changed. Remove one first.";
    InvalidAlert = UNPROCESSABLE_ENTITY, "invalid-alert", "It cannot be watched or told so",
        "The body is of the documented form, but its parts do not go together or cannot be: a field is missing for the kind of condition, a value is out of range, the URL is none that may be reached, or the `Idempotency-Key` came before with another alert. `errors` names every mistake.";
    InvalidSetting = UNPROCESSABLE_ENTITY, "invalid-setting", "It cannot be set so",
        "A key is none that may be set, or a value is not valid, alone or together with the rest of the configuration; nothing was changed. `errors` names every mistake.";
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "The body took too long",
        "The body of the request did not arrive in time.";
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large",
        "The body of the request is larger than the server accepts.";
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The URI is too long",
        "The path with its query is longer than the server accepts.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type",
        "The body must be sent as `application/json`, not compressed.";
    NotListed = UNPROCESSABLE_ENTITY, "not-listed", "No venue lists it",
        "No enabled streaming venue lists the symbol, or it cannot be split into two known assets.";
    QuotaExceeded = TOO_MANY_REQUESTS, "quota-exceeded", "Too many requests",
        "The quota of the key, or of the address when no key was sent, is used up; `RateLimit-Policy` tells it. Try again after `Retry-After` seconds.";
    AbnormalUsage = TOO_MANY_REQUESTS, "abnormal-usage-detected", "Too many wrong keys",
        "Too many wrong keys or tokens came from the address. Try again after `Retry-After` seconds, with the right one.";
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "The head is too large",
        "The head of the request has too many fields or bytes.";
    Internal = INTERNAL_SERVER_ERROR, "internal", "A mistake of the server",
        "The server made a mistake. It is logged under the request id in `instance`.";
    RateExpired = SERVICE_UNAVAILABLE, "rate-expired", "The rate has expired",
        "The last rate is too old to be used as fresh; `rate` holds it. `allow_stale=true` turns this answer into a 200 with the rate's state.";
    RateSuspect = SERVICE_UNAVAILABLE, "rate-suspect", "The rate is in doubt",
        "The rate is within its validity, but too few sources support it or they contradict each other, and the form asked for has no place to say so; `rate` holds it with its state. `allow_stale=true` turns this answer into a 200.";
    NoRateYet = SERVICE_UNAVAILABLE, "no-rate-yet", "No rate yet",
        "The pair is followed, but no source has given a price for it yet.";
    BookNotReady = SERVICE_UNAVAILABLE, "book-not-ready", "The order book is not in step",
        "The order book is being brought back in step with its venue; `detail` says why. A book that is not in step, one-sided or crossed is never shown.";
    NotReady = SERVICE_UNAVAILABLE, "not-ready", "Not ready",
        "This instance is starting or draining; `checks` says why.";
    WriterUnavailable = SERVICE_UNAVAILABLE, "writer-unavailable", "This cannot be done at present",
        "No Writer answered in time, so nothing was changed. Try again.";
    KeysUnavailable = SERVICE_UNAVAILABLE, "keys-unavailable", "The keys are not known yet",
        "This instance has not read the keys from the store yet, so it cannot tell a right one from a wrong one. Try again.";
    StoreUnavailable = SERVICE_UNAVAILABLE, "store-unavailable", "The store cannot be asked",
        "History, settings, alerts or the audit log cannot be read at present. Rates go on.";
    NotRecordedYet = SERVICE_UNAVAILABLE, "not-recorded-yet", "Not recorded yet",
        "What was published at the moment asked for is not stored yet, at the latest a few seconds after it; or the store was away. Try again after `Retry-After` seconds.";
    TooBusy = SERVICE_UNAVAILABLE, "temporary-reduced-capacity", "Too busy",
        "The server is at a limit of its own. Try again after `Retry-After` seconds.";
}

/// One mistake in a request: which part, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// Name of the path or query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// JSON pointer into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What is wrong, for people.
    pub detail: String,
}

impl FieldError {
    /// A mistake in a parameter.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self {
            parameter: Some(clean(name)),
            pointer: None,
            detail: detail.into(),
        }
    }

    /// A mistake in the body, at a JSON pointer; the whole body is the empty pointer.
    #[must_use]
    pub fn pointer(pointer: &str, detail: impl Into<String>) -> Self {
        Self {
            parameter: None,
            pointer: Some(clean(pointer)),
            detail: detail.into(),
        }
    }
}

/// What a client sent, short enough and plain enough to be sent back.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut kept: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().count() > 64 {
        kept.push('…');
    }
    kept
}

/// A problem on its way to the client.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// What happened this time, for people.
    pub detail: String,
    /// Every mistake found in the request.
    pub errors: Vec<FieldError>,
    /// Seconds after which another attempt makes sense.
    pub retry_after_seconds: Option<u32>,
    /// The methods of a 405.
    pub allow: Option<String>,
    /// A further member: its name and its JSON.
    pub extra: Option<(&'static str, Box<RawValue>)>,
}

impl Problem {
    /// A problem with its detail. Kinds of status 503 ask for another attempt after a second.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let unavailable = kind.status() == StatusCode::SERVICE_UNAVAILABLE;
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: unavailable.then_some(1),
            allow: None,
            extra: None,
        }
    }

    /// A request whose parameters or body are wrong in these ways.
    #[must_use]
    pub fn with_errors(kind: Kind, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [one] => {
                let name = one
                    .parameter
                    .as_deref()
                    .or(one.pointer.as_deref())
                    .unwrap_or("");
                if name.is_empty() {
                    one.detail.clone()
                } else {
                    format!("{name}: {}", one.detail)
                }
            }
            many => format!("{} mistakes, see errors", many.len()),
        };
        Self {
            errors,
            ..Self::new(kind, detail)
        }
    }

    /// One wrong parameter.
    #[must_use]
    pub fn parameter(name: &str, detail: impl Into<String>) -> Self {
        Self::with_errors(
            Kind::InvalidParameter,
            vec![FieldError::parameter(name, detail)],
        )
    }

    /// Adds a member of its own to the document.
    #[must_use]
    pub fn with_extra<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.extra = serde_json::value::to_raw_value(value)
            .ok()
            .map(|json| (name, json));
        self
    }

    /// Asks for another attempt after this many seconds instead of one.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// The document, for the request of this id.
    #[must_use]
    pub fn document(&self, request_id: &str) -> Vec<u8> {
        let document = Document {
            kind: self.kind.type_uri(),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            instance: request_id,
            errors: &self.errors,
            extra: self.extra.as_ref().map(|(name, json)| Extra { name, json }),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(flatten)]
    extra: Option<Extra<'a>>,
}

struct Extra<'a> {
    name: &'static str,
    json: &'a RawValue,
}

impl Serialize for Extra<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, self.json)?;
        map.end()
    }
}

/// A problem document as the API describes it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemSchema {
    /// Kind of problem: a reference to its explanation, the same for ever.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The status code again.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What happened this time, for people.
    detail: String,
    /// Id of the request.
    instance: String,
    /// Every mistake found in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
    /// The last rate, where that is what is not good enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<RateDocument>,
    /// What is not as it should be, of an instance that is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_every_member_and_names_each_mistake() {
        let problem = Problem::parameter("amount", "must be greater than zero")
            .with_extra("rate", &serde_json::json!({"value": "1.50"}));
        let document: serde_json::Value =
            serde_json::from_slice(&problem.document("abcdefgh")).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "type": "/docs/problems#invalid-parameter",
                "title": "A parameter is not valid",
                "status": 400,
                "detail": "amount: must be greater than zero",
                "instance": "abcdefgh",
                "errors": [{"parameter": "amount", "detail": "must be greater than zero"}],
                "rate": {"value": "1.50"},
            })
        );
    }

    #[test]
    fn slugs_are_unique_and_statuses_are_errors() {
        let slugs: std::collections::BTreeSet<_> =
            Kind::ALL.iter().map(|kind| kind.slug()).collect();
        assert_eq!(slugs.len(), Kind::ALL.len());
        assert!(Kind::ALL.iter().all(|kind| kind.status().as_u16() >= 400));
        assert!(
            Kind::ALL
                .iter()
                .all(|kind| kind.type_uri().starts_with(PROBLEMS_PAGE))
        );
    }

    #[test]
    fn what_is_echoed_is_short_and_has_no_control_characters() {
        assert_eq!(clean("a\r\nb"), "a\u{fffd}\u{fffd}b");
        assert_eq!(clean(&"x".repeat(100)).chars().count(), 65);
    }
}
