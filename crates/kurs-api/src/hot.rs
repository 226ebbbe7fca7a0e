//! The short way of `GET /api/v1/rates/{base}/{quote}`: no table, no parameters, no box, no copy
//! of the body. Whatever is unusual about a request sends it the general way, so this file
//! decides nothing that is not decided there too; a test compares the two.

use crate::answer::{NO_REFERRER, NOSNIFF, POLICY, SUPPORTED_VERSIONS, VERSION_ONE, X_REQUEST_ID};
use crate::auth::{self, X_API_KEY};
use crate::body::Body;
use crate::compress::COMPRESSED_ABOVE;
use crate::conditional::max_age;
use crate::host::is_host;
use crate::service::id_of;
use crate::state::ApiState;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST,
    IF_NONE_MATCH, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use kurs_auth::{Credential, Passage, Scope};
use kurs_core::{Mono, Pair, RateState};
use kurs_reader::Rendered;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

const PREFIX: &str = "/api/v1/rates/";
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// All that the answer to a plain request needs.
pub(crate) struct Ready {
    pub(crate) is_head: bool,
    not_modified: bool,
    rendered: Arc<Rendered>,
    valid_for: Duration,
    passage: Passage,
    etag: HeaderValue,
    request_id: HeaderValue,
}

/// Looks whether a request can be answered the short way; `None` sends it the general way. Takes
/// the request by reference, since moving it here and back is a cost of its own.
#[inline]
pub(crate) fn ready(api: &ApiState, request: &Request<Incoming>, peer: IpAddr) -> Option<Ready> {
    // What is logged request by request goes the way that logs.
    if tracing::enabled!(tracing::Level::DEBUG) {
        return None;
    }
    let is_head = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        _ => return None,
    };
    let uri = request.uri();
    let (base, quote) = uri.path().strip_prefix(PREFIX)?.split_once('/')?;
    let asked = plain(request.headers()).filter(|_| uri.query().is_none())?;
    // One field without a mistake; all else is the general way's to refuse or to let through.
    asked.host.filter(|host| is_host(host))?;
    let moment = api.view.now();
    let now = moment.mono;
    let rendered = find(api, base, quote, now).filter(|found| {
        // What is not fresh is not to be cached: that is the general way.
        found.state == RateState::Fresh && found.body.len() <= COMPRESSED_ABOVE
    })?;
    let not_modified = match asked.if_none_match.map(HeaderValue::as_bytes) {
        None => false,
        Some(tag) if tag == &*rendered.etag => true,
        // Lists and stars are read the general way.
        Some(tag) if tag.contains(&b',') || tag.contains(&b'*') => return None,
        Some(tag) => tag.strip_prefix(b"W/") == Some(&*rendered.etag),
    };
    let etag = HeaderValue::from_maybe_shared(rendered.etag.clone()).ok()?;
    // Last, since it counts. Who is not let in is told so the general way.
    let passage = api
        .doors
        .admit_known(asked.shown, Scope::Read, peer, moment)
        .ok()?;
    Some(Ready {
        is_head,
        not_modified,
        valid_for: rendered.valid_until.since(now),
        passage,
        etag,
        request_id: id_of(api, asked.request_id),
        rendered,
    })
}

impl Ready {
    /// The answer. The map of the request's headers becomes that of the answer's: hyper keeps it
    /// for the next request, so that neither is ever allocated again.
    #[inline]
    pub(crate) fn respond(self, request: Request<Incoming>) -> Response<Body> {
        let (parts, _) = request.into_parts();
        let mut headers = parts.headers;
        headers.clear();
        headers.insert(CACHE_CONTROL, max_age(self.valid_for));
        auth::stamp_ready(&self.passage, self.valid_for, &mut headers);
        headers.insert(ETAG, self.etag);
        headers.insert(X_REQUEST_ID, self.request_id);
        headers.insert(SUPPORTED_VERSIONS, VERSION_ONE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(REFERRER_POLICY, NO_REFERRER);
        let body = if self.not_modified {
            Body::empty()
        } else {
            headers.insert(CONTENT_TYPE, APPLICATION_JSON);
            Body::full(self.rendered.body.clone())
        };
        let mut response = Response::new(body);
        if self.not_modified {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        *response.headers_mut() = headers;
        response
    }
}

fn find(api: &ApiState, base: &str, quote: &str, now: Mono) -> Option<Arc<Rendered>> {
    let upper = |name: &str| {
        (1..=16).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if !upper(base) || !upper(quote) || base == quote {
        return None;
    }
    let pair = Pair::new(base.parse().ok()?, quote.parse().ok()?);
    if let Some(rendered) = api.view.hot_at(pair, now) {
        return Some(rendered);
    }
    // Derived rates are kept ready by the view too, under their pair.
    api.view.rate(pair, None).ok().map(|answer| answer.rendered)
}

/// What the short way has to know of a request's headers.
struct Asked<'a> {
    shown: Credential<'a>,
    host: Option<&'a HeaderValue>,
    if_none_match: Option<&'a HeaderValue>,
    request_id: Option<&'a HeaderValue>,
}

/// One pass over the headers; `None` when one of them wants more than the short way can do.
fn plain(headers: &HeaderMap) -> Option<Asked<'_>> {
    let mut asked = Asked {
        shown: Credential::None,
        host: None,
        if_none_match: None,
        request_id: None,
    };
    for (name, value) in headers {
        if *name == ACCEPT {
            if !matches!(value.as_bytes(), b"*/*" | b"application/json") {
                return None;
            }
        } else if *name == HOST {
            if asked.host.replace(value).is_some() {
                return None;
            }
        } else if *name == IF_NONE_MATCH {
            if asked.if_none_match.replace(value).is_some() {
                return None;
            }
        } else if *name == ORIGIN {
            return None;
        } else if *name == AUTHORIZATION || *name == X_API_KEY {
            if asked.shown != Credential::None {
                return None;
            }
            asked.shown = if *name == X_API_KEY {
                Credential::api_key(value.to_str().ok())
            } else {
                Credential::authorization(value.to_str().ok()).unwrap_or(Credential::None)
            };
        } else if *name == X_REQUEST_ID {
            if asked.request_id.is_some() {
                return None;
            }
            asked.request_id = Some(value);
        }
    }
    Some(asked)
}
