//! From a request to an answer.

use crate::accept;
use crate::answer::{self, Answer, Outcome, X_REQUEST_ID, finish, respond_problem};
use crate::auth::{self, Admitted};
use crate::body::Body;
use crate::call::Call;
use crate::conditional::Caching;
use crate::connection::ConnectionState;
use crate::cors;
use crate::host;
use crate::hot;
use crate::incoming;
use crate::parameter::Arguments;
use crate::problem::{Kind, Problem, clean};
use crate::request_id;
use crate::route::{Handler, Route, Side};
use crate::state::ApiState;
use crate::table::{Found, PathEntry, wrong_method};
use futures_util::FutureExt;
use http::header::{ALLOW, STRICT_TRANSPORT_SECURITY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use kurs_auth::Caller;
use kurs_auth::TrustedProxies;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Which routes a listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Everything.
    All,
    /// All but probes and metrics.
    Public,
    /// Probes and metrics.
    Operations,
}

impl Surface {
    pub(crate) const fn serves(self, side: Side) -> bool {
        match self {
            Self::All => true,
            Self::Public => matches!(side, Side::Public),
            Self::Operations => matches!(side, Side::Operations),
        }
    }
}

/// Answers the requests of one connection.
#[derive(Debug)]
pub(crate) struct ApiService {
    pub(crate) api: Arc<ApiState>,
    pub(crate) connection: Arc<ConnectionState>,
    pub(crate) peer: IpAddr,
    pub(crate) surface: Surface,
    /// The peer is one of them: it hands on what others ask.
    pub(crate) proxies: Option<Arc<TrustedProxies>>,
    /// What every answer says of TLS.
    pub(crate) hsts: Option<HeaderValue>,
}

/// An answer, at hand or being made. The one at hand needs no box.
pub(crate) enum Answering {
    /// At hand.
    Done(Option<Response<Body>>),
    /// Being made.
    Working(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Done(response) => response
                .take()
                .map_or(Poll::Pending, |ready| Poll::Ready(Ok(ready))),
            Self::Working(work) => work.as_mut().poll(context).map(Ok),
        }
    }
}

impl hyper::service::Service<Request<Incoming>> for ApiService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        let began = Instant::now();
        self.connection.request_began();
        if !request.body().is_end_stream() {
            self.connection.body_announced();
        }
        let peer = match &self.proxies {
            None => self.peer,
            Some(proxies) => proxies.client(self.peer, request.headers()),
        };
        if self.surface != Surface::Operations
            && let Some(ready) = hot::ready(&self.api, &request, peer)
        {
            let (get, head) = &self.api.hot_metrics;
            let counters = if ready.is_head { head } else { get };
            let mut response = ready.respond(request);
            self.api.say_goodbye(response.headers_mut());
            say_tls(self.hsts.as_ref(), response.headers_mut());
            counters.observe(response.status().as_u16(), began.elapsed());
            self.connection.answer_made();
            return Answering::Done(Some(response));
        }
        let api = Arc::clone(&self.api);
        let connection = Arc::clone(&self.connection);
        let (surface, hsts) = (self.surface, self.hsts.clone());
        // HTTP/1.0 knows no chunks, and HTTP/2 has frames of its own.
        let has_chunks = request.version() == Version::HTTP_11;
        Answering::Working(Box::pin(async move {
            let draining = Arc::clone(&api);
            let mut response = respond(api, request, peer, surface, began).await;
            say_tls(hsts.as_ref(), response.headers_mut());
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                return response;
            }
            draining.say_goodbye(response.headers_mut());
            match response.body_mut() {
                Body::Events(events) => {
                    events.over(connection, draining.streams.write_patience(), has_chunks);
                }
                Body::Empty | Body::Full(_) => connection.answer_made(),
            }
            response
        }))
    }
}

/// Tells browsers to come back by TLS only, where it is TLS that they came by.
fn say_tls(hsts: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(hsts) = hsts {
        headers.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}

/// Answers any request, panics of handlers contained.
async fn respond(
    api: Arc<ApiState>,
    request: Request<Incoming>,
    peer: IpAddr,
    surface: Surface,
    began: Instant,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let given = parts
        .headers
        .get(X_REQUEST_ID)
        .filter(|value| request_id::is_accepted(value));
    let request_id = given.cloned().unwrap_or_else(|| api.ids.next().header());
    let id = request_id.to_str().unwrap_or("").to_owned();
    let method = parts.method.clone();
    let headers = parts.headers.clone();
    let path = clean(parts.uri.path());
    let work = route(Arc::clone(&api), parts, body, peer, surface, began, &id);
    let mut response = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            api.panics.inc();
            tracing::error!(request_id = %id, method = %method, path, "a handler panicked");
            let problem =
                Problem::new(Kind::Internal, "the server made a mistake, which is logged");
            respond_problem(&problem, &id)
        }
    };
    finish(response.headers_mut(), request_id);
    cors::allow(&api.origins, &headers, response.headers_mut());
    tracing::debug!(
        request_id = %id,
        client = %peer,
        method = %method,
        path,
        status = response.status().as_u16(),
        traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or(""),
        elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

async fn route(
    api: Arc<ApiState>,
    parts: Parts,
    body: Incoming,
    peer: IpAddr,
    surface: Surface,
    began: Instant,
    id: &str,
) -> Response<Body> {
    let method = parts.method.clone();
    let target_bytes = parts
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let limit = api.config.limits.uri_bytes;
    let table_of = Arc::clone(&api);
    let (response, counters) = if let Some(mistake) = host::mistake(parts.version, &parts.headers) {
        let problem = Problem::new(Kind::MalformedRequest, mistake);
        (respond_problem(&problem, id), &table_of.table.unrouted)
    } else if target_bytes > limit && knows(&table_of, &parts, surface) {
        let problem = Problem::new(Kind::UriTooLong, format!("the limit is {limit} bytes"));
        (respond_problem(&problem, id), &table_of.table.unrouted)
    } else {
        let found = table_of
            .table
            .find(&method, parts.uri.path(), parts.uri.query(), |side| {
                surface.serves(side)
            });
        match found {
            Found::Route(route, arguments, counters) => {
                let headers = parts.headers.clone();
                let Admitted { passage, not_local } =
                    admit(&api, route, &headers, arguments.as_ref().ok(), peer);
                let response = match (passage, not_local) {
                    (Err(refused), _) => {
                        let reason = auth::reason(&refused);
                        api.http_metrics.turned_away(reason).inc();
                        let problem = auth::problem(&refused, id);
                        let mut response = respond_problem(&problem, id);
                        auth::challenge(&refused, response.headers_mut());
                        response
                    }
                    (Ok(_), Some(why)) => {
                        api.http_metrics.turned_away("forbidden").inc();
                        respond_problem(&Problem::new(Kind::Forbidden, why), id)
                    }
                    (Ok(passage), None) => {
                        let caller = passage.caller.clone();
                        let outcome = match arguments {
                            Ok(arguments) => {
                                handle(api, route, arguments, parts, body, (peer, caller)).await
                            }
                            Err(problem) => Err(problem),
                        };
                        let mut response = respond_outcome(outcome, &method, &headers, id);
                        auth::stamp(&passage, response.headers_mut());
                        response
                    }
                };
                (response, counters)
            }
            Found::Options(entry) => (options(&api, entry, &parts.headers), &entry.options),
            Found::WrongMethod(entry) => (
                respond_problem(&wrong_method(&method, entry), id),
                &entry.refused,
            ),
            Found::Nothing if method == Method::OPTIONS && parts.uri.path() == "*" => (
                Answer::empty(StatusCode::NO_CONTENT).respond(&method, &parts.headers),
                &table_of.table.unrouted,
            ),
            Found::Nothing => {
                let detail = format!("{} is not part of the API", clean(parts.uri.path()));
                let problem = Problem::new(Kind::UnknownRoute, detail);
                (respond_problem(&problem, id), &table_of.table.unrouted)
            }
        }
    };
    counters.observe(response.status().as_u16(), began.elapsed());
    response
}

/// False when the path has other methods alone: that is then said, however long the query is.
fn knows(api: &ApiState, parts: &Parts, surface: Surface) -> bool {
    let is_served = |side| surface.serves(side);
    let path = parts.uri.path();
    let found = api.table.find(&parts.method, path, None, is_served);
    !matches!(found, Found::WrongMethod(_))
}

/// Looks who asks, and whether they may.
fn admit(
    api: &ApiState,
    route: &Route,
    headers: &HeaderMap,
    arguments: Option<&Arguments>,
    peer: IpAddr,
) -> Admitted {
    let asks_for_past = match route.handler {
        Handler::LaterWith(parameter, ..) => arguments.is_some_and(|given| given.has(parameter)),
        Handler::Now(_) | Handler::Later(_) => false,
    };
    let Some(scope) = auth::needed(route.scope, asks_for_past) else {
        return Admitted::anybody();
    };
    let ticket = arguments.and_then(|given| given.text("ticket"));
    let shown = auth::shown(headers, ticket);
    let passage = api.doors.admit(shown, scope, peer, api.view.now());
    let must_be_local = passage.as_ref().is_ok_and(|passage| passage.must_be_local);
    Admitted {
        not_local: (must_be_local.then(|| auth::why_not_local(peer, headers))).flatten(),
        passage,
    }
}

async fn handle(
    api: Arc<ApiState>,
    route: &Arc<Route>,
    arguments: Arguments,
    mut parts: Parts,
    body: Incoming,
    (peer, caller): (IpAddr, Caller),
) -> Outcome {
    let offered = route.media_types();
    let media = match accept::media_type(&parts.headers, &offered) {
        Some(media) => media,
        None if offered.is_empty() => answer::JSON,
        None => {
            let detail = format!("this route has {}", offered.join(", "));
            return Err(Problem::new(Kind::NotAcceptable, detail));
        }
    };
    let body = match route.body {
        Some(_) => Some({
            let limits = &api.config.limits;
            let most = route.body_bytes.unwrap_or(0).max(limits.body_bytes);
            incoming::json(&parts.headers, body, limits, most).await?
        }),
        None => None,
    };
    let path = parts
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str())
        .to_owned();
    let call = Call {
        api,
        arguments,
        path,
        media,
        peer,
        caller,
        is_head: parts.method == Method::HEAD,
        upgrade: Mutex::new(parts.extensions.remove()),
        headers: parts.headers,
        body,
    };
    match route.handler {
        Handler::Now(handler) => handler(&call),
        Handler::Later(handler) => handler(call).await,
        Handler::LaterWith(parameter, _, handler) if call.arguments.has(parameter) => {
            handler(call).await
        }
        Handler::LaterWith(_, handler, _) => handler(&call),
    }
}

fn respond_outcome(
    outcome: Outcome,
    method: &Method,
    headers: &HeaderMap,
    id: &str,
) -> Response<Body> {
    match outcome {
        Ok(answer) => answer.respond(method, headers),
        Err(problem) => respond_problem(&problem, id),
    }
}

fn options(api: &ApiState, entry: &PathEntry, request: &HeaderMap) -> Response<Body> {
    let answer = Answer::empty(StatusCode::NO_CONTENT)
        .with_header(ALLOW, &entry.allow)
        .cached(Caching::NoStore);
    let mut response = answer.respond(&Method::OPTIONS, request);
    cors::preflight(&api.origins, request, &entry.allow, response.headers_mut());
    response
}

/// The id of a request as a header value: the client's, when it has the right form.
pub(crate) fn id_of(api: &ApiState, given: Option<&HeaderValue>) -> HeaderValue {
    match given {
        Some(value) if request_id::is_accepted(value) => value.clone(),
        _ => api.ids.next().header(),
    }
}
