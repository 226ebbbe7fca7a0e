//! The short way of `GET /api/v1/rates/{base}/{quote}`: no table, no parameters, no box, no copy
//! of the body. Whatever is unusual about a request sends it the general way, so this file
//! decides nothing that is not decided there too; a test compares the two.

use crate::answer::{NO_REFERRER, NOSNIFF, POLICY, SUPPORTED_VERSIONS, VERSION_ONE, X_REQUEST_ID};
use crate::body::Body;
use crate::compress::COMPRESSED_ABOVE;
use crate::conditional::max_age;
use crate::service::id_of;
use crate::state::ApiState;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use kurs_reader::Rendered;
use std::sync::Arc;

const PREFIX: &str = "/api/v1/rates/";
const APPLICATION_JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Which way a request goes.
pub(crate) enum Way {
    /// Answered here.
    Short {
        /// The answer.
        response: Response<Body>,
        /// True for HEAD.
        is_head: bool,
    },
    /// To be answered by the table of routes.
    General(Request<Incoming>),
}

/// Answers a request, or gives it back for the general way.
pub(crate) fn answer(api: &ApiState, request: Request<Incoming>) -> Way {
    // What is logged request by request goes the way that logs.
    if tracing::enabled!(tracing::Level::DEBUG) {
        return Way::General(request);
    }
    let is_head = match *request.method() {
        Method::GET => false,
        Method::HEAD => true,
        _ => return Way::General(request),
    };
    let uri = request.uri();
    let Some((base, quote)) = uri
        .path()
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('/'))
    else {
        return Way::General(request);
    };
    let Some(asked) = plain(request.headers()).filter(|_| uri.query().is_none()) else {
        return Way::General(request);
    };
    let Some(rendered) =
        find(api, base, quote).filter(|found| found.body.len() <= COMPRESSED_ABOVE)
    else {
        return Way::General(request);
    };
    let not_modified = match asked.if_none_match {
        None => false,
        Some(value) if value.as_bytes() == &*rendered.etag => true,
        // Lists, stars and weak tags are read the general way.
        Some(value) if value.as_bytes().contains(&b',') || value.as_bytes().contains(&b'*') => {
            return Way::General(request);
        }
        Some(value) => value.as_bytes().strip_prefix(b"W/") == Some(&*rendered.etag),
    };
    let Ok(etag) = HeaderValue::from_maybe_shared(rendered.etag.clone()) else {
        return Way::General(request);
    };
    let request_id = id_of(api, asked.request_id);
    let left = rendered.valid_until.since(api.view.now().mono);
    let cache = max_age(left);
    // The map of the request becomes that of the answer: hyper keeps it for the next request,
    // so that neither is ever allocated again.
    let (parts, _) = request.into_parts();
    let mut headers = parts.headers;
    headers.clear();
    headers.insert(CACHE_CONTROL, cache);
    headers.insert(ETAG, etag);
    headers.insert(X_REQUEST_ID, request_id);
    headers.insert(SUPPORTED_VERSIONS, VERSION_ONE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    let mut response = if not_modified {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        headers.insert(CONTENT_TYPE, APPLICATION_JSON);
        Response::new(Body::full(rendered.body.clone()))
    };
    *response.headers_mut() = headers;
    Way::Short { response, is_head }
}

fn find(api: &ApiState, base: &str, quote: &str) -> Option<Arc<Rendered>> {
    let upper = |name: &str| {
        (1..=16).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if !upper(base) || !upper(quote) || base == quote {
        return None;
    }
    if let Some(rendered) = api.view.hot(base, quote) {
        return Some(rendered);
    }
    // Derived rates are kept ready by the view too, under their pair.
    let pair = kurs_core::Pair::new(base.parse().ok()?, quote.parse().ok()?);
    api.view.rate(pair, None).ok().map(|answer| answer.rendered)
}

/// What the short way has to know of a request's headers.
#[derive(Default)]
struct Asked<'a> {
    if_none_match: Option<&'a HeaderValue>,
    request_id: Option<&'a HeaderValue>,
}

/// One pass over the headers; `None` when one of them wants more than the short way can do.
fn plain(headers: &HeaderMap) -> Option<Asked<'_>> {
    let mut asked = Asked::default();
    for (name, value) in headers {
        if *name == ACCEPT {
            if !matches!(value.as_bytes(), b"*/*" | b"application/json") {
                return None;
            }
        } else if *name == IF_NONE_MATCH {
            if asked.if_none_match.replace(value).is_some() {
                return None;
            }
        } else if *name == ORIGIN {
            return None;
        } else if *name == X_REQUEST_ID {
            if asked.request_id.is_some() {
                return None;
            }
            asked.request_id = Some(value);
        }
    }
    Some(asked)
}
