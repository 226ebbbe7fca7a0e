//! The client against a small server on loopback.

use super::*;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::header::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::io::Write;
use std::time::SystemTime;
use tokio::net::TcpListener;

type Answer = Response<BoxBody<Bytes, std::io::Error>>;

fn full(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    let body = Full::new(Bytes::copy_from_slice(body)).map_err(|never: Infallible| match never {});
    response.body(body.boxed()).unwrap()
}

/// Serves on a free port until the test ends; returns the root URL.
async fn serve<F>(answer: F) -> String
where
    F: Fn(Request<Incoming>) -> Answer + Clone + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let response = answer(request);
                    async move { Ok::<_, Infallible>(response) }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    root
}

fn fetch(url: String) -> Fetch {
    Fetch {
        shown: None,
        url,
        headers: Vec::new(),
        validators: None,
        timeout: Duration::from_secs(20),
        max_body_bytes: 1_000,
    }
}

async fn get(fetch: Fetch) -> Result<Fetched, FetchError> {
    HttpClient::new("kurs-test/1").unwrap().get(fetch).await
}

fn gzipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_body_comes_with_its_headers_type_and_validators() {
    let root = serve(|request| {
        assert_eq!(request.uri(), "/table?symbols=RUB");
        assert_eq!(request.headers()["user-agent"], "kurs-test/1");
        assert_eq!(request.headers()["x-key"], "hidden");
        assert!(!request.headers().contains_key("if-none-match"));
        full(
            200,
            &[
                ("etag", "\"abc\""),
                ("content-type", "Text/XML"),
                ("x-weight", "7"),
                ("last-modified", "Sat, 25 Apr 2026 09:00:00 GMT"),
            ],
            b"rates",
        )
    })
    .await;
    let mut wanted = fetch(format!("{root}/table?symbols=RUB"));
    wanted.headers.push(Header {
        name: "x-key".into(),
        value: "hidden".into(),
        secret: true,
    });
    let Ok(Fetched::Body {
        bytes,
        validators,
        content_type,
        headers,
    }) = get(wanted).await
    else {
        panic!("no body");
    };
    assert_eq!(&bytes[..], b"rates");
    assert_eq!(validators.etag.as_deref(), Some("\"abc\""));
    assert_eq!(
        validators.last_modified.as_deref(),
        Some("Sat, 25 Apr 2026 09:00:00 GMT")
    );
    assert_eq!(content_type.as_deref(), Some("text/xml"));
    assert!(headers.contains(&("x-weight".to_owned(), "7".to_owned())));
}

#[tokio::test]
async fn the_date_stands_in_for_a_missing_last_modified() {
    let root = serve(|_| full(200, &[("date", "Sat, 25 Apr 2026 10:00:00 GMT")], b"x")).await;
    let Ok(Fetched::Body { validators, .. }) = get(fetch(root)).await else {
        panic!("no body")
    };
    assert_eq!(validators.etag, None);
    assert_eq!(
        validators.last_modified.as_deref(),
        Some("Sat, 25 Apr 2026 10:00:00 GMT")
    );
}

#[tokio::test]
async fn validators_are_sent_and_304_means_not_modified() {
    let root = serve(|request| {
        assert_eq!(request.headers()["if-none-match"], "\"abc\"");
        assert_eq!(
            request.headers()["if-modified-since"],
            "Sat, 25 Apr 2026 09:00:00 GMT"
        );
        full(304, &[], b"")
    })
    .await;
    let mut wanted = fetch(root);
    wanted.validators = Some(Validators {
        etag: Some("\"abc\"".into()),
        last_modified: Some("Sat, 25 Apr 2026 09:00:00 GMT".into()),
    });
    assert!(matches!(get(wanted).await, Ok(Fetched::NotModified)));
}

#[tokio::test]
async fn an_unasked_304_is_refused() {
    let root = serve(|_| full(304, &[], b"")).await;
    assert!(matches!(
        get(fetch(root)).await,
        Err(FetchError::Refused { status: 304, .. })
    ));
}

#[tokio::test]
async fn limits_carry_their_retry_after_and_body() {
    for (status, header, expect) in [
        (429, Some("7"), Some(Duration::from_secs(7))),
        (418, Some("120"), Some(Duration::from_secs(120))),
        (503, Some("3"), Some(Duration::from_secs(3))),
        (429, None, None),
        (429, Some("soon"), None),
    ] {
        let root = serve(move |_| {
            let headers: Vec<_> = header
                .map(|value| ("retry-after", value))
                .into_iter()
                .collect();
            full(status, &headers, b"{\"error\":\"slow down\"}")
        })
        .await;
        let Err(FetchError::Limited {
            status: got,
            retry_after,
            body,
        }) = get(fetch(root)).await
        else {
            panic!("{status} was no limit");
        };
        assert_eq!((got, retry_after), (status, expect));
        assert_eq!(&body[..], b"{\"error\":\"slow down\"}");
    }
}

#[test]
fn a_retry_after_date_is_counted_from_the_answers_own_date() {
    let check = |date: Option<&'static str>, until: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static(until));
        if let Some(date) = date {
            headers.insert("date", HeaderValue::from_static(date));
        }
        client::retry_after(&headers, SystemTime::UNIX_EPOCH + Duration::from_secs(10))
    };
    let date = Some("Sat, 25 Apr 2026 09:59:30 GMT");
    assert_eq!(
        check(date, "Sat, 25 Apr 2026 10:00:00 GMT"),
        Some(Duration::from_secs(30))
    );
    assert_eq!(
        check(date, "Sat, 25 Apr 2026 09:00:00 GMT"),
        Some(Duration::ZERO)
    );
    assert_eq!(
        check(None, "Thu, 01 Jan 1970 00:01:00 GMT"),
        Some(Duration::from_secs(50))
    );
    assert_eq!(check(date, "-5"), None);
}

#[tokio::test]
async fn refusals_and_server_errors_are_told_apart() {
    for status in [301, 302, 400, 401, 403, 404, 451] {
        let root =
            serve(move |_| full(status, &[("location", "/elsewhere")], &[b'x'; 9_000])).await;
        match get(fetch(root)).await {
            Err(FetchError::Refused { status: got, body }) => {
                assert_eq!((got, body.len()), (status, 4_096));
            }
            other => panic!("{status} gave {other:?}"),
        }
    }
    for status in [500, 502, 503, 504] {
        let root = serve(move |_| full(status, &[], b"oops")).await;
        let got = get(fetch(root)).await;
        assert!(
            matches!(got, Err(FetchError::ServerError { status: s }) if s == status),
            "{got:?}"
        );
    }
    let root = serve(|_| full(204, &[], b"")).await;
    assert!(matches!(get(fetch(root)).await, Err(FetchError::Broken(_))));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_even_when_it_was_compressed() {
    let root = serve(|_| full(200, &[], &[b'x'; 1_001])).await;
    assert!(matches!(
        get(fetch(root)).await,
        Err(FetchError::TooLarge(1_000))
    ));
    let root = serve(|_| full(200, &[], &[b'x'; 1_000])).await;
    assert!(matches!(get(fetch(root)).await, Ok(Fetched::Body { .. })));
    let bomb = gzipped(&[b'x'; 100_000]);
    assert!(bomb.len() < 1_000);
    let root = serve(move |_| full(200, &[("content-encoding", "gzip")], &bomb)).await;
    assert!(matches!(
        get(fetch(root)).await,
        Err(FetchError::TooLarge(1_000))
    ));
}

#[tokio::test]
async fn gzip_is_undone_and_broken_gzip_is_an_error() {
    let packed = gzipped(b"rates");
    let root = serve(move |_| full(200, &[("content-encoding", "gzip")], &packed)).await;
    let Ok(Fetched::Body { bytes, .. }) = get(fetch(root)).await else {
        panic!("no body")
    };
    assert_eq!(&bytes[..], b"rates");
    let mut cut = gzipped(b"rates of many currencies");
    cut.truncate(15);
    for body in [b"no gzip at all".to_vec(), cut] {
        let root = serve(move |_| full(200, &[("content-encoding", "gzip")], &body)).await;
        let got = get(fetch(root)).await;
        assert!(matches!(got, Err(FetchError::Broken(_))), "{got:?}");
    }
}

#[tokio::test]
async fn a_body_that_stops_coming_times_out() {
    let root = serve(|_| {
        let first = Ok(Frame::data(Bytes::from_static(b"rat")));
        let stream = futures_util::StreamExt::chain(
            futures_util::stream::iter([first]),
            futures_util::stream::pending(),
        );
        Response::new(BodyExt::boxed(StreamBody::new(stream)))
    })
    .await;
    let mut wanted = fetch(root);
    wanted.timeout = Duration::from_millis(200);
    assert!(matches!(get(wanted).await, Err(FetchError::TimedOut(_))));
}

#[tokio::test]
async fn a_body_cut_short_is_broken() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1_024]).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nrat")
            .await
            .unwrap();
    });
    let got = get(fetch(root)).await;
    assert!(matches!(got, Err(FetchError::Broken(_))), "{got:?}");
}

#[tokio::test]
async fn nobody_listening_is_unreachable_and_no_secret_is_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut wanted = fetch(format!(
        "http://user:pass@{address}/latest.json?app_id=s3cret"
    ));
    wanted.headers.push(Header {
        name: "authorization".into(),
        value: "Token s3cret".into(),
        secret: true,
    });
    assert!(!format!("{:?}", wanted.headers).contains("s3cret"));
    let error = get(wanted).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(
        text.contains(&format!("http://{address}/latest.json")),
        "{text}"
    );
    assert!(!text.contains("s3cret") && !text.contains("pass"), "{text}");
}

#[tokio::test]
async fn a_wrong_url_or_header_is_told_without_a_request() {
    let error = get(fetch("not a url".into())).await.unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error:?}");
    let mut wanted = fetch("http://127.0.0.1:9/".into());
    wanted.headers.push(Header {
        name: "x-key".into(),
        value: "s3cret\n".into(),
        secret: true,
    });
    let error = get(wanted).await.unwrap_err().to_string();
    assert!(
        error.contains("x-key") && !error.contains("s3cret"),
        "{error}"
    );
}

#[test]
fn the_wait_a_server_names_is_told_in_words() {
    let limited = |retry_after| FetchError::Limited {
        status: 429,
        retry_after,
        body: Bytes::new(),
    };
    assert_eq!(
        limited(Some(Duration::from_secs(7))).to_string(),
        "limited by the server (HTTP 429), retry after 7 s"
    );
    assert_eq!(
        limited(Some(Duration::from_millis(2_001))).to_string(),
        "limited by the server (HTTP 429), retry after 3 s"
    );
    assert_eq!(
        limited(None).to_string(),
        "limited by the server (HTTP 429), no time named"
    );
    assert_eq!(
        FetchError::TimedOut(Duration::from_millis(1_500)).to_string(),
        "no answer within 1500 ms"
    );
}
