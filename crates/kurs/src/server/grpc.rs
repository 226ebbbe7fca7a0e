//! gRPC, on a socket of its own beside HTTP.

use super::{listen, until};
use crate::compose::Built;
use crate::config::{Config, Role};
use crate::exit::Failure;
use kurs_api::Tls;
use kurs_auth::TrustedProxies;
use kurs_grpc::{AtTheDoors, GrpcParts};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The socket, if gRPC is wanted and there are rates to tell.
pub(super) async fn bind(config: &Config) -> Result<Option<TcpListener>, Failure> {
    match config.grpc.addr.filter(|_| config.runs(Role::Reader)) {
        Some(addr) => listen("grpc.addr", addr).await.map(Some),
        None => Ok(None),
    }
}

/// Starts gRPC on its socket and says where it is.
pub(super) fn serve(
    tasks: &mut JoinSet<()>,
    built: &Arc<Built>,
    config: &Config,
    listener: Option<TcpListener>,
    tls: Option<&Arc<Tls>>,
    ended: &watch::Receiver<bool>,
) -> Result<(), Failure> {
    let Some(listener) = listener else {
        return Ok(());
    };
    let tls = tls.filter(|_| !config.grpc.plaintext);
    let address = listener.local_addr()?;
    tracing::info!("gRPC: {}://{address}", super::scheme(tls.is_some()));
    let http = &config.http;
    let parts = GrpcParts {
        view: Arc::clone(&built.view),
        streams: Arc::clone(&built.streams),
        metrics: built.metrics.streams.clone(),
        health: Arc::clone(&built.health),
        gate: Arc::new(AtTheDoors::new(
            Arc::clone(&built.doors),
            Arc::clone(&built.clock),
        )),
        proxies: TrustedProxies::new(&http.trusted_proxies, http.proxy_header),
        tls: tls.map(|tls| tls.http2()),
    };
    let mut settings = config.grpc.clone();
    let grace_ms = u64::try_from(config.shutdown.grace.0.as_millis()).unwrap_or(u64::MAX);
    settings.drain_ms = settings.drain_ms.min(grace_ms);
    let end = until(ended.clone());
    tasks.spawn(async move {
        let cut = kurs_grpc::serve(listener, settings, parts, end).await;
        if cut > 0 {
            tracing::warn!(
                connections = cut,
                "cut gRPC connections that did not end in time"
            );
        }
    });
    Ok(())
}
