//! From path to answer.

use crate::config::GrpcConfig;
use crate::connection::{Connection, OpenCall};
use crate::gate::{Gate, Scope, Who};
use crate::proto::{self, SubscribeRequest};
use crate::rates::{self, plain, shown};
use crate::refusal::Refusal;
use crate::subscribe::{Stream, Subscription, framed};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use kurs_auth::TrustedProxies;
use kurs_reader::RateView;
use kurs_stream::places::address_of;
use kurs_stream::{Hub, Place, Position, Topic};
use kurs_telemetry::metrics::StreamMetrics;
use prost::Message;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::codec::Codec;
use tonic::{Code, Status, Streaming};
use tower_service::Service;

/// Longest text of a position.
const POSITION_MAX: usize = 4_096;
/// Why a topic is none, at most so many characters.
const WHY_CHARACTERS_MAX: usize = 200;
/// Mistakes that are named in one answer, at most.
const MISTAKES_MAX: usize = 20;

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

/// One of the standard services, made by others.
pub(crate) type Standard = Arc<dyn Fn(Request<Incoming>) -> Answering + Send + Sync>;

/// What calls are answered from.
pub(crate) struct Calls {
    pub(crate) config: GrpcConfig,
    pub(crate) view: Arc<RateView>,
    pub(crate) streams: Arc<Hub>,
    pub(crate) metrics: StreamMetrics,
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) proxies: Option<TrustedProxies>,
    /// By the full name of the service.
    pub(crate) standard: Vec<(&'static str, Standard)>,
    /// Ends what is open of the standard services.
    pub(crate) closing: crate::server::Closing,
}

/// Makes a service of others one of ours.
pub(crate) fn standard<S>(service: S) -> Standard
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    // None of them has anything to be waited for before a call.
    Arc::new(move |request| Box::pin(service.clone().call(request)))
}

/// The end of an answer.
pub(crate) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
    }
    trailers
}

fn answer(body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    let grpc = HeaderValue::from_static("application/grpc");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, grpc);
    answer
}

impl Calls {
    /// Answers a call.
    pub(crate) async fn answer(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let call = connection.begin();
        let is_grpc = request
            .headers()
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|media| media.as_bytes().starts_with(b"application/grpc"));
        if request.method() != http::Method::POST || !is_grpc {
            // Whoever this is does not speak gRPC.
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return answer;
        }
        let outcome = self.route(&connection, call, request).await;
        outcome.unwrap_or_else(|status| status.into_http())
    }

    async fn route(
        &self,
        connection: &Arc<Connection>,
        call: OpenCall,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let path = request.uri().path().to_owned();
        let (service, method) = path
            .strip_prefix('/')
            .and_then(|path| path.rsplit_once('/'))
            .unwrap_or_default();
        if service != proto::RATES {
            let known = self.standard.iter().find(|(name, _)| *name == service);
            let (_, service) = known.ok_or_else(unimplemented)?;
            return self.standard(service, connection, call, request).await;
        }
        let view = &self.view;
        let peer = self.client(connection, request.headers());
        match method {
            "GetRate" => {
                self.at_once(peer, request, |asked| rates::get(view, &asked))
                    .await
            }
            "ListRates" => {
                self.at_once(peer, request, |asked| rates::list(view, &asked))
                    .await
            }
            "BatchRates" => {
                self.at_once(peer, request, |asked| rates::batch(view, &asked))
                    .await
            }
            "Subscribe" => self.subscribe(connection, call, request).await,
            _ => Err(unimplemented()),
        }
    }

    /// A call whose answer is made of one message, at once.
    async fn at_once<A, B>(
        &self,
        peer: IpAddr,
        request: Request<Incoming>,
        make: impl FnOnce(A) -> Result<B, Refusal>,
    ) -> Result<Response<Body>, Status>
    where
        A: Message + Default + 'static,
        B: Message,
    {
        self.admit(peer, request.headers(), Scope::Read)?;
        let made = make(self.message(request).await?)?;
        let body = Full::new(framed(&made));
        let end = std::future::ready(Some(Ok(trailers(&Status::ok("")))));
        Ok(answer(Body::new(body.with_trailers(end))))
    }

    async fn subscribe(
        &self,
        connection: &Arc<Connection>,
        call: OpenCall,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let peer = self.client(connection, request.headers());
        let who = self.admit(peer, request.headers(), Scope::Stream)?;
        let deadline = deadline(request.headers())?.map(tokio::time::sleep);
        let asked: SubscribeRequest = self.message(request).await?;
        let topics = self.topics(&asked.topics)?;
        let resume = resume(&asked.resume_from)?;
        let place = self.place(peer)?;
        let listener = self.streams.listen(&topics, resume);
        let listener = listener.map_err(Refusal::of_refused)?;
        let stream = Stream::new(listener, who, self.metrics.clone());
        connection.watch(&stream);
        Ok(answer(Body::new(Subscription {
            stream,
            deadline: deadline.map(Box::pin),
            has_ended: false,
            _call: call,
            _place: place,
        })))
    }

    /// Health and reflection. Some of their answers never end: each has a place among the streams
    /// of its address, and all end with the instance.
    async fn standard(
        &self,
        service: &Standard,
        connection: &Arc<Connection>,
        call: OpenCall,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let place = self.place(self.client(connection, request.headers()))?;
        let answered = timeout(self.config.call(), service(request)).await;
        let Ok(Ok(answer)) = answered else {
            return Err(too_slow());
        };
        let closing = self.closing.clone();
        Ok(answer.map(|body| closing.with(body, (call, place))))
    }

    /// Who asks: the peer, or whose request it hands on.
    fn client(&self, connection: &Connection, headers: &HeaderMap) -> IpAddr {
        match &self.proxies {
            Some(proxies) if proxies.trusts(connection.peer) => {
                proxies.client(connection.peer, headers)
            }
            _ => connection.peer,
        }
    }

    fn place(&self, peer: IpAddr) -> Result<Place, Refusal> {
        let place = self.streams.enter(address_of(peer));
        place.ok_or_else(|| Refusal::busy("too many streams from this address"))
    }

    fn admit(&self, peer: IpAddr, headers: &HeaderMap, scope: Scope) -> Result<Who, Status> {
        self.gate.admit(headers, peer, scope)
    }

    /// The one message of a request.
    async fn message<A>(&self, request: Request<Incoming>) -> Result<A, Status>
    where
        A: Message + Default + 'static,
    {
        let is_plain = request
            .headers()
            .get("grpc-encoding")
            .is_none_or(|encoding| encoding == "identity");
        if !is_plain {
            let mut status = Status::unimplemented("requests are read uncompressed only");
            let accepted = tonic::metadata::MetadataValue::from_static("identity");
            status
                .metadata_mut()
                .insert("grpc-accept-encoding", accepted);
            return Err(status);
        }
        let patience = match deadline(request.headers())? {
            Some(deadline) => deadline.min(self.config.call()),
            None => self.config.call(),
        };
        let decoder = tonic_prost::ProstCodec::<A, A>::default().decoder();
        let most = Some(self.config.request_bytes);
        let mut messages = Streaming::new_request(decoder, request.into_body(), None, most);
        let message = timeout(patience, messages.message()).await;
        let message = message.map_err(|_| too_slow())??;
        message.ok_or_else(|| Status::internal("the request has no message"))
    }

    /// What is to be listened to, under the names that are told: `binance` is `sim:binance` where
    /// that is what runs.
    fn topics(&self, texts: &[String]) -> Result<Vec<Topic>, Refusal> {
        let most = self.streams.topics_max();
        if texts.len() > most {
            let why = format!("one stream has at most {most} topics");
            return Err(Refusal::field("topics", why));
        }
        let mut topics = BTreeSet::new();
        let mut mistakes = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            match Topic::parse(text, |text| self.view.parse_pair(text)) {
                Ok(Topic::Top(source, pair)) => {
                    let source = self.view.find_source(source).unwrap_or(source);
                    topics.insert(Topic::Top(source, pair));
                }
                Ok(topic) => {
                    topics.insert(topic);
                }
                Err(why) => {
                    let why = plain(&why.to_string(), WHY_CHARACTERS_MAX);
                    let why = format!("{}: {why}", shown(text));
                    mistakes.push((format!("topics[{at}]"), why));
                }
            }
        }
        if !mistakes.is_empty() {
            mistakes.truncate(MISTAKES_MAX);
            return Err(Refusal::fields(mistakes));
        }
        if topics.is_empty() {
            topics.insert(Topic::Rates);
        }
        Ok(topics.into_iter().collect())
    }
}

fn resume(text: &str) -> Result<Option<Position>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let position = Some(text).filter(|text| text.len() <= POSITION_MAX);
    let position = position.and_then(|text| text.parse().ok());
    let why = "is no position of an event, such as 0.3-120";
    position
        .map(Some)
        .ok_or_else(|| Refusal::field("resume_from", why))
}

fn unimplemented() -> Status {
    Status::unimplemented("no such method; reflection lists what there is")
}

fn too_slow() -> Status {
    let why = "the request did not come to its end in time";
    Refusal::new(Code::DeadlineExceeded, "REQUEST_TIMEOUT", why).into()
}

/// How long the client waits, by its own word.
fn deadline(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let read = || {
        let text = value.to_str().ok()?;
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let is_number =
            (1..=8).contains(&number.len()) && number.bytes().all(|c| c.is_ascii_digit());
        let number: u64 = Some(number).filter(|_| is_number)?.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number.saturating_mul(3_600)),
            "M" => Duration::from_secs(number.saturating_mul(60)),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    let why = "grpc-timeout is up to eight digits and one of H, M, S, m, u, n";
    read()
        .map(Some)
        .ok_or_else(|| Status::invalid_argument(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_read_in_every_unit() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            deadline(&headers)
        };
        assert_eq!(read("2H").unwrap(), Some(Duration::from_secs(7_200)));
        assert_eq!(read("1M").unwrap(), Some(Duration::from_secs(60)));
        assert_eq!(read("15S").unwrap(), Some(Duration::from_secs(15)));
        assert_eq!(read("100m").unwrap(), Some(Duration::from_millis(100)));
        assert_eq!(
            read("99999999u").unwrap(),
            Some(Duration::from_micros(99_999_999))
        );
        assert_eq!(read("5n").unwrap(), Some(Duration::from_nanos(5)));
        for text in ["", "S", "5", "-1S", "+1S", "123456789S", "1x", "1.5S"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(deadline(&HeaderMap::new()).unwrap(), None);
    }
}
