//! The least that hyper can do for the same answer.

use super::{CACHE_CONTROL, ETAG};
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL as CACHE_CONTROL_NAME, CONTENT_TYPE, ETAG as ETAG_NAME, IF_NONE_MATCH,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// Serves the bytes of a file until it is killed.
pub(crate) fn serve(address: SocketAddr, body: &Path) -> Result<()> {
    let body = Bytes::from(std::fs::read(body).context("cannot read the body")?);
    super::kurs::runtime()?.block_on(async move {
        let listener = TcpListener::bind(address).await.context("cannot listen")?;
        loop {
            let (socket, _) = listener.accept().await.context("cannot accept")?;
            socket.set_nodelay(true)?;
            let body = body.clone();
            let service =
                service_fn(move |request| ready(Ok::<_, Infallible>(answer(&request, &body))));
            let mut http = http1::Builder::new();
            http.pipeline_flush(true).header_read_timeout(None);
            // A connection that ends early ends with its client.
            tokio::spawn(http.serve_connection(TokioIo::new(socket), service));
        }
    })
}

fn answer(request: &Request<Incoming>, body: &Bytes) -> Response<Full<Bytes>> {
    let unchanged = request
        .headers()
        .get(IF_NONE_MATCH)
        .is_some_and(|tag| tag == ETAG);
    let mut response = if unchanged {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Full::new(body.clone()));
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(ETAG_NAME, HeaderValue::from_static(ETAG));
    headers.insert(CACHE_CONTROL_NAME, HeaderValue::from_static(CACHE_CONTROL));
    response
}
