//! What handlers return, and how it becomes an HTTP answer: validators, compression and the
//! headers that every answer has.

use crate::accept::{self, Coding};
use crate::body::Body;
use crate::compress::{COMPRESSED_ABOVE, Effort, compress};
use crate::conditional::{Caching, content_etag, none_match_hits, version_etag, weakened};
use crate::problem::{Kind, PROBLEM_JSON, Problem};
use crate::stream::{EVENT_STREAM, EventBody};
use crate::v1::pictures::PNG;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    REFERRER_POLICY, RETRY_AFTER, UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use kurs_reader::Rendered;
use serde::Serialize;
use std::sync::{Arc, OnceLock};

pub(crate) const JSON: &str = "application/json";

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const SUPPORTED_VERSIONS: HeaderName = HeaderName::from_static("api-supported-versions");
pub(crate) const VERSION_ONE: HeaderValue = HeaderValue::from_static("1");
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
pub(crate) const POLICY_TEXT: &str = "default-src 'self'; frame-ancestors 'none'";
pub(crate) const POLICY: HeaderValue = HeaderValue::from_static(POLICY_TEXT);
pub(crate) const NO_REFERRER_TEXT: &str = "no-referrer";
pub(crate) const NO_REFERRER: HeaderValue = HeaderValue::from_static(NO_REFERRER_TEXT);

/// A handler's outcome.
pub(crate) type Outcome = Result<Answer, Problem>;

/// A body that lives as long as the server, with its tag and compressed forms.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) body: Bytes,
    media: &'static str,
    etag: HeaderValue,
    compressed: [OnceLock<Option<Bytes>>; 3],
}

impl Asset {
    pub(crate) fn new(body: impl Into<Bytes>, media: &'static str) -> Arc<Self> {
        let body = body.into();
        let etag = content_etag(&body);
        Arc::new(Self {
            body,
            media,
            etag,
            compressed: [const { OnceLock::new() }; 3],
        })
    }
}

#[derive(Debug)]
enum Content {
    Empty,
    Bytes(Bytes),
    Rendered(Arc<Rendered>),
    Asset(Arc<Asset>),
    /// Events; none for the head only.
    Events(Option<Box<EventBody>>),
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    content: Content,
    media: &'static str,
    etag: Option<HeaderValue>,
    caching: Caching,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// True when the form of the body depends on `Accept`.
    by_accept: bool,
}

impl Answer {
    fn new(status: StatusCode, content: Content, media: &'static str) -> Self {
        Self {
            status,
            content,
            media,
            etag: None,
            caching: Caching::NoStore,
            headers: Vec::new(),
            by_accept: false,
        }
    }

    /// No body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self::new(status, Content::Empty, JSON)
    }

    /// Finished text. Its tag is made of its content.
    pub(crate) fn text(text: impl Into<Bytes>, media: &'static str) -> Self {
        let text = text.into();
        let etag = Some(content_etag(&text));
        Self {
            etag,
            ..Self::new(StatusCode::OK, Content::Bytes(text), media)
        }
    }

    /// A document as JSON.
    pub(crate) fn json<T: Serialize>(document: &T) -> Self {
        Self::text(serde_json::to_vec(document).unwrap_or_default(), JSON)
    }

    /// A shared body of the view.
    pub(crate) fn rendered(rendered: Arc<Rendered>, caching: Caching) -> Self {
        let etag = HeaderValue::from_maybe_shared(rendered.etag.clone()).ok();
        Self {
            etag,
            caching,
            ..Self::new(StatusCode::OK, Content::Rendered(rendered), JSON)
        }
    }

    /// A file of the server.
    pub(crate) fn asset(asset: &Arc<Asset>) -> Self {
        Self {
            etag: Some(asset.etag.clone()),
            caching: Caching::Revalidate,
            ..Self::new(
                StatusCode::OK,
                Content::Asset(Arc::clone(asset)),
                asset.media,
            )
        }
    }

    /// A stream of events; `None` when only its head is asked for.
    pub(crate) fn events(body: Option<EventBody>) -> Self {
        let content = Content::Events(body.map(Box::new));
        let answer = Self::new(StatusCode::OK, content, EVENT_STREAM);
        // A proxy that collects what it hands on would hold events back.
        answer.with_header(HeaderName::from_static("x-accel-buffering"), "no")
    }

    /// The connection goes on with another protocol.
    pub(crate) fn switching() -> Self {
        Self::empty(StatusCode::SWITCHING_PROTOCOLS)
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn cached(mut self, caching: Caching) -> Self {
        self.caching = caching;
        self
    }

    /// The tag of its content begins with this version.
    pub(crate) fn of_version(mut self, version: u64) -> Self {
        self.etag = Some(version_etag(version, &self.body()));
        self
    }

    /// With this tag in the place of that of its content.
    pub(crate) fn tagged(mut self, etag: HeaderValue) -> Self {
        self.etag = Some(etag);
        self
    }

    pub(crate) fn varies_by_accept(mut self) -> Self {
        self.by_accept = true;
        self
    }

    /// Adds a header; a value that is no header text is left out.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    fn body(&self) -> Bytes {
        match &self.content {
            Content::Empty | Content::Events(_) => Bytes::new(),
            Content::Bytes(bytes) => bytes.clone(),
            Content::Rendered(rendered) => rendered.body.clone(),
            Content::Asset(asset) => asset.body.clone(),
        }
    }

    /// The compressed body, kept beside the body when that is shared.
    fn compressed(&self, coding: Coding) -> Option<Bytes> {
        let place = coding as usize;
        match &self.content {
            Content::Empty | Content::Events(_) => None,
            Content::Bytes(bytes) => compress(coding, bytes, Effort::Quick),
            Content::Rendered(rendered) => {
                let kept = rendered.compressed.get(place)?.get_or_init(|| {
                    compress(coding, &rendered.body, Effort::Quick).unwrap_or_default()
                });
                (!kept.is_empty()).then(|| kept.clone())
            }
            Content::Asset(asset) => asset
                .compressed
                .get(place)?
                .get_or_init(|| compress(coding, &asset.body, Effort::Thorough))
                .clone(),
        }
    }

    /// The HTTP answer to a request with these headers.
    pub(crate) fn respond(self, method: &Method, request: &HeaderMap) -> Response<Body> {
        let mut headers = HeaderMap::with_capacity(16);
        let body = self.body();
        // What is packed already grows by more of it.
        let compressible = body.len() > COMPRESSED_ABOVE && self.media != PNG;
        let safe = matches!(*method, Method::GET | Method::HEAD);
        let has_body = !matches!(self.content, Content::Empty);
        let mut vary: Vec<&str> = Vec::new();
        if compressible {
            vary.push("Accept-Encoding");
        }
        if self.by_accept {
            vary.push("Accept");
        }
        if !vary.is_empty()
            && let Ok(value) = HeaderValue::from_str(&vary.join(", "))
        {
            headers.insert(VARY, value);
        }
        headers.insert(CACHE_CONTROL, self.caching.header());
        let not_modified = safe
            && self.status == StatusCode::OK
            && self
                .etag
                .as_ref()
                .is_some_and(|etag| none_match_hits(request, etag));
        let coding = if compressible {
            accept::coding(request)
        } else {
            None
        };
        let coded = coding.and_then(|coding| Some((coding, self.compressed(coding)?)));
        if let Some(etag) = &self.etag
            && safe
        {
            let value = if coded.is_some() {
                weakened(etag)
            } else {
                etag.clone()
            };
            headers.insert(ETAG, value);
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if not_modified {
            return response(StatusCode::NOT_MODIFIED, headers, Body::empty());
        }
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.media));
        }
        if let Content::Events(events) = self.content {
            let body = events.map_or(Body::Empty, Body::Events);
            return response(self.status, headers, body);
        }
        let body = match coded {
            Some((coding, bytes)) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
                bytes
            }
            None => body,
        };
        response(
            self.status,
            headers,
            if has_body {
                Body::full(body)
            } else {
                Body::empty()
            },
        )
    }
}

/// The HTTP answer for a problem.
pub(crate) fn respond_problem(problem: &Problem, request_id: &str) -> Response<Body> {
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = problem.retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = &problem.allow
        && let Ok(value) = HeaderValue::from_str(allow)
    {
        headers.insert(ALLOW, value);
    }
    if problem.kind == Kind::UpgradeRequired {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let body = Body::full(Bytes::from(problem.document(request_id)));
    response(problem.kind.status(), headers, body)
}

fn response(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Adds the headers that every answer has.
pub(crate) fn finish(headers: &mut HeaderMap, request_id: HeaderValue) {
    headers.insert(X_REQUEST_ID, request_id);
    headers.insert(SUPPORTED_VERSIONS, VERSION_ONE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
}
