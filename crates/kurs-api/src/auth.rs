//! Who asks: from the headers of a request to who is let in, and what the answer says of it.

use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::private_max_age;
use crate::problem::{Kind, Problem};
use http::header::{AUTHORIZATION, CACHE_CONTROL, FORWARDED, HOST, ORIGIN, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue};
use kurs_auth::ticket::TICKET_LIFE;
use kurs_auth::{Caller, Credential, Entropy, Left, Passage, Quota, Refused, Scope};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// What an answer to somebody known depends on.
const BY_CALLER: HeaderValue = HeaderValue::from_static("Authorization, X-Api-Key");
/// Seconds by which those who were told to wait are spread, at most.
const SPREAD_SECONDS: u64 = 3;

/// Problems that any route with a scope may answer with.
pub(crate) const PROBLEMS: [Kind; 5] = [
    Kind::Unauthorized,
    Kind::Forbidden,
    Kind::QuotaExceeded,
    Kind::AbnormalUsage,
    Kind::KeysUnavailable,
];

/// What the headers show, and a ticket of the query.
pub(crate) fn shown<'a>(headers: &'a HeaderMap, ticket: Option<&'a str>) -> Credential<'a> {
    let texts = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().ok())
    };
    Credential::read(texts(AUTHORIZATION), texts(X_API_KEY), ticket)
}

/// The answer to somebody who is not let in, without the headers of [`challenge`].
pub(crate) fn problem(refused: &Refused, request_id: &str) -> Problem {
    let kind = match refused {
        Refused::Unknown(_)
        | Refused::Unreadable
        | Refused::Key(_)
        | Refused::Token(_)
        | Refused::Ticket => Kind::Unauthorized,
        Refused::Scope(_) => Kind::Forbidden,
        Refused::TooOften { .. } => Kind::QuotaExceeded,
        Refused::TooManyFailures { .. } => Kind::AbnormalUsage,
        Refused::NotReady => Kind::KeysUnavailable,
    };
    let problem = Problem::new(kind, refused.to_string());
    match refused {
        Refused::TooOften { retry_seconds, .. } | Refused::TooManyFailures { retry_seconds } => {
            // Not all at once: by the id of the request, which is random.
            let mut hasher = DefaultHasher::new();
            hasher.write(request_id.as_bytes());
            let spread = u32::try_from(hasher.finish() % (SPREAD_SECONDS + 1)).unwrap_or(0);
            problem.retry_after(retry_seconds.saturating_add(spread))
        }
        _ => problem,
    }
}

/// Why they were not let in, as metrics name it.
pub(crate) const fn reason(refused: &Refused) -> &'static str {
    match refused {
        Refused::Unknown(_)
        | Refused::Unreadable
        | Refused::Key(_)
        | Refused::Token(_)
        | Refused::Ticket => "unauthorized",
        Refused::Scope(_) => "forbidden",
        Refused::TooOften { .. } => "quota",
        Refused::TooManyFailures { .. } => "failures",
        Refused::NotReady => "keys_unavailable",
    }
}

/// Says what would let them in, or how long to wait.
pub(crate) fn challenge(refused: &Refused, headers: &mut HeaderMap) {
    let text = match refused {
        Refused::Unknown(scope) => format!("Bearer realm=\"kurs\", scope=\"{scope}\""),
        Refused::Scope(scope) => {
            format!("Bearer realm=\"kurs\", error=\"insufficient_scope\", scope=\"{scope}\"")
        }
        Refused::Unreadable | Refused::Key(_) | Refused::Token(_) | Refused::Ticket => {
            "Bearer realm=\"kurs\", error=\"invalid_token\"".to_owned()
        }
        Refused::TooOften {
            quota,
            retry_seconds,
        } => {
            let left = Left {
                requests: 0,
                reset_seconds: *retry_seconds,
            };
            say_left(*quota, left, headers);
            return;
        }
        Refused::TooManyFailures { .. } | Refused::NotReady => return,
    };
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(WWW_AUTHENTICATE, value);
    }
}

/// What an answer says of whom it is for.
pub(crate) fn stamp(passage: &Passage, headers: &mut HeaderMap) {
    if let Some((quota, left)) = passage.left {
        say_left(quota, left, headers);
    }
    if passage.caller.is_anonymous() {
        return;
    }
    let vary = match headers.get(VARY).map(HeaderValue::as_bytes) {
        None => BY_CALLER,
        Some(others) => {
            let both = [others, b", ", BY_CALLER.as_bytes()].concat();
            HeaderValue::from_bytes(&both).unwrap_or(BY_CALLER)
        }
    };
    headers.insert(VARY, vary);
    if let Some(value) = headers.get_mut(CACHE_CONTROL)
        && (value.as_bytes().starts_with(b"max-age=") || value == "no-cache")
    {
        let private = [b"private, ", value.as_bytes()].concat();
        *value = HeaderValue::from_bytes(&private)
            .unwrap_or_else(|_| HeaderValue::from_static("no-store"));
    }
}

/// The same for the short way, which has its `Cache-Control` not made yet.
pub(crate) fn stamp_ready(passage: &Passage, valid_for: Duration, headers: &mut HeaderMap) {
    if let Some((quota, left)) = passage.left {
        say_left(quota, left, headers);
    }
    if !passage.caller.is_anonymous() {
        headers.insert(VARY, BY_CALLER);
        headers.insert(CACHE_CONTROL, private_max_age(valid_for));
    }
}

/// `RateLimit-Policy` and `RateLimit`: conventions 12.
fn say_left(quota: Quota, left: Left, headers: &mut HeaderMap) {
    let mut put = |name: HeaderName, first: (&str, u32), second: (&str, u32)| {
        let mut text = String::with_capacity(40);
        let ((one, a), (two, b)) = (first, second);
        let _ = write!(text, "\"default\";{one}={a};{two}={b}");
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name, value);
        }
    };
    let window = quota.window_seconds;
    put(RATE_LIMIT_POLICY, ("q", quota.requests), ("w", window));
    put(RATE_LIMIT, ("r", left.requests), ("t", left.reset_seconds));
}

/// Why a change is not taken from here while there is no key: only from the server's own machine,
/// and there neither from a proxy, which hands on what others want, nor from a browser's page of
/// another host.
pub(crate) fn why_not_local(peer: IpAddr, headers: &HeaderMap) -> Option<&'static str> {
    if !peer.to_canonical().is_loopback() {
        return Some(
            "without a key, changes are accepted from the loopback address only, until there is a key",
        );
    }
    let handed_on = ["x-forwarded-for", "x-real-ip", "x-forwarded-host"];
    if headers.contains_key(FORWARDED) || handed_on.iter().any(|name| headers.contains_key(*name)) {
        return Some("without a key, changes are not accepted through a proxy");
    }
    let local = |text: &str| {
        let host = text.rsplit_once("//").map_or(text, |(_, host)| host);
        let name = match host.strip_prefix('[') {
            Some(v6) => v6.split(']').next().unwrap_or(""),
            None => host.split(':').next().unwrap_or(""),
        };
        name.eq_ignore_ascii_case("localhost")
            || name
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    };
    for name in [HOST, ORIGIN] {
        let mut values = headers.get_all(&name).iter();
        if !values.all(|value| value.to_str().is_ok_and(local)) {
            return Some("without a key, changes are not accepted from pages of other hosts");
        }
    }
    None
}

/// Lets a request in, from headers alone.
pub(crate) struct Admitted {
    /// Who asks, or why they are not let in.
    pub(crate) passage: Result<Passage, Refused>,
    /// Why they are not let in although they are nobody wrong: not from here.
    pub(crate) not_local: Option<&'static str>,
}

impl Admitted {
    /// A route that everybody may ask.
    pub(crate) fn anybody() -> Self {
        let passage = Passage {
            caller: Caller::anonymous(kurs_auth::Scopes::NONE),
            left: None,
            must_be_local: false,
        };
        Self {
            passage: Ok(passage),
            not_local: None,
        }
    }
}

/// A ticket, good once.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TicketDocument {
    /// The ticket: `ticket=` in the query of a stream.
    ticket: String,
    /// How long it is good.
    expires_in_seconds: u64,
}

/// `POST /api/v1/stream/ticket`.
pub(crate) fn ticket(call: &Call) -> Outcome {
    let mut entropy = Entropy::default();
    let (caller, now) = (call.caller.clone(), call.api.view.now());
    let ticket = call
        .api
        .doors
        .ticket(caller, now, |bytes| entropy.fill(bytes));
    let ticket = ticket.filter(|_| entropy.is_good()).ok_or_else(|| {
        Problem::new(Kind::TooBusy, "too many tickets wait to be used").retry_after(5)
    })?;
    Ok(Answer::json(&TicketDocument {
        ticket: ticket.reveal().to_owned(),
        expires_in_seconds: TICKET_LIFE.as_secs(),
    }))
}

/// What a route needs when it is asked like this.
pub(crate) const fn needed(declared: Option<Scope>, asks_for_past: bool) -> Option<Scope> {
    match declared {
        Some(Scope::Read) if asks_for_past => Some(Scope::History),
        declared => declared,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn check(fields: &[(&'static str, &str)], expect: Credential<'_>) {
        let headers = headers(fields);
        assert!(shown(&headers, None) == expect, "{fields:?}");
    }

    #[test]
    fn one_key_or_token_is_read_and_more_than_one_is_not() {
        check(&[], Credential::None);
        check(
            &[("authorization", "Bearer abc")],
            Credential::Bearer("abc"),
        );
        check(
            &[("authorization", "bearer  abc ")],
            Credential::Bearer("abc"),
        );
        check(&[("x-api-key", " k ")], Credential::Key("k"));
        for wrong in [
            &[("authorization", "Bearer")][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer a b")],
            &[("authorization", "Bearer a,Bearer b")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[("authorization", "Bearer a"), ("x-api-key", "a")],
            &[("x-api-key", "a"), ("x-api-key", "a")],
            &[("x-api-key", "")],
        ] {
            check(wrong, Credential::Unreadable);
        }
        // Meant for a proxy.
        check(&[("authorization", "Basic dXNlcg==")], Credential::None);
        let both = headers(&[("x-api-key", "a")]);
        assert!(shown(&both, Some("t")) == Credential::Unreadable);
        assert!(shown(&HeaderMap::new(), Some("t")) == Credential::Ticket("t"));
    }

    #[test]
    fn the_wait_is_at_least_what_is_needed_and_not_the_same_for_all() {
        let refused = Refused::TooManyFailures { retry_seconds: 7 };
        let wait = |id: u32| {
            problem(&refused, &format!("{id:08}"))
                .retry_after_seconds
                .unwrap()
        };
        let waits: std::collections::BTreeSet<u32> = (0..100).map(wait).collect();
        assert_eq!(waits, (7..=10).collect());
    }

    #[test]
    fn the_past_needs_history() {
        assert_eq!(needed(Some(Scope::Read), true), Some(Scope::History));
        assert_eq!(needed(Some(Scope::Read), false), Some(Scope::Read));
        assert_eq!(needed(None, true), None);
    }
}
