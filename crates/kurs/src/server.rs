//! The server's life: build, bind, run, drain.

mod grpc;
mod sockets;

use crate::compose::Built;
use crate::config::{Inputs, Loaded, Role};
use crate::exit::{Exit, Failure};
use crate::reload::Reload;
use kurs_api::{Surface, Tls};
use kurs_sim::market::past::Past;
use kurs_telemetry::LogHandle;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal as unix_signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the Writer may take to store what it accepted.
const WRITER_END: Duration = Duration::from_secs(10);

/// How often it is looked whether the configuration file or the certificate has changed.
const FILE_CHECK: Duration = Duration::from_secs(2);

/// SIGXFSZ, the same number on Linux (x86, ARM), macOS and the BSDs.
const FILE_SIZE_EXCEEDED: i32 = 25;

/// What a server is started from.
pub struct Start {
    /// What the configuration was made from, to read it again.
    pub inputs: Inputs,
    /// The configuration.
    pub loaded: Loaded,
    /// When all sources are pointed at simulated venues: what was before they began.
    pub past: Option<Past>,
    /// The log, whose level may change.
    pub log: LogHandle,
}

/// Runs the server until a signal ends it. A second signal ends it at once.
///
/// # Errors
/// When it cannot start, or was told twice to end.
pub async fn run(start: Start) -> Result<Exit, Failure> {
    let Start {
        inputs,
        loaded,
        past,
        log,
    } = start;
    let config = loaded.config.clone();
    sockets::raise_file_limit();
    // Before anything says that it is ready: a SIGHUP without a listener ends the process.
    let mut signals = Signals::new()?;
    let mut hangup = unix_signal(SignalKind::hangup())?;
    // A file that may not grow any more is trouble of the store, not the end of the program.
    let _file_size = unix_signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED))?;
    let (stop, stopped) = watch::channel(false);
    let listeners = bind(&config.http.addr, config.http.ops_addr).await?;
    let grpc_listener = grpc::bind(&config).await?;
    let built = Arc::new(crate::compose::build(&config, past.is_some())?);
    let metrics = built.metrics.process.clone();
    built.follow_configuration(Reload::new(inputs, loaded, log, metrics));
    let mut roles = JoinSet::new();
    roles.spawn(crate::compose::start_roles(
        Arc::clone(&built),
        config.clone(),
        stopped.clone(),
    ));
    let (is_there, has_past) = watch::channel(false);
    if let Some(past) = past {
        let (built, stopped) = (Arc::clone(&built), stopped.clone());
        roles.spawn(crate::compose::past::invent(built, past, is_there, stopped));
    } else {
        is_there.send_replace(true);
    }
    let mut api = JoinSet::new();
    let (end_api, api_ended) = watch::channel(false);
    let tls = serve(&mut api, &built, &config, listeners, has_past, &api_ended)?;
    let certificate = tls.as_ref();
    grpc::serve(
        &mut api,
        &built,
        &config,
        grpc_listener,
        certificate,
        &api_ended,
    )?;
    let renew = |at_once| {
        if let Some(tls) = &tls {
            tls.renew(&built.health, at_once);
        }
    };
    let mut file_checks = tokio::time::interval(FILE_CHECK);
    file_checks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let exit = loop {
        tokio::select! {
            exit = signals.next() => break exit,
            _ = hangup.recv() => {
                built.reload();
                renew(true);
            }
            _ = file_checks.tick() => {
                built.reload_if_file_changed();
                renew(false);
            }
        }
    };
    tokio::select! {
        () = drain(&built, &config, &end_api, &stop, api, roles) => Ok(exit),
        exit = signals.next() => {
            tracing::warn!("told a second time to end: leaving at once");
            // What was cut off is no good end, whichever signal it was.
            let exit = if exit == Exit::Ok { Exit::Failure } else { exit };
            Err(Failure::silent(exit))
        }
    }
}

/// Readiness goes first, then the API, then the roles: what was accepted is answered and stored.
pub(crate) async fn drain(
    built: &Built,
    config: &crate::config::Config,
    end_api: &watch::Sender<bool>,
    stop: &watch::Sender<bool>,
    mut api: JoinSet<()>,
    mut roles: JoinSet<()>,
) {
    built.health.start_draining();
    let delay = config.shutdown.delay.0;
    tracing::info!(delay_ms = delay.as_millis(), "ending: not ready any more");
    tokio::time::sleep(delay).await;
    end_api.send_replace(true);
    let api_end = async { while api.join_next().await.is_some() {} };
    // A little more than the API takes to cut what does not end.
    let patience = config.shutdown.grace.0 + Duration::from_secs(1);
    if tokio::time::timeout(patience, api_end).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
    stop.send_replace(true);
    let roles_end = async { while roles.join_next().await.is_some() {} };
    if tokio::time::timeout(WRITER_END, roles_end).await.is_err() {
        tracing::error!("some parts did not end in time");
    }
    tracing::info!("ended");
}

/// The sockets of the API and, if it is apart, of probes and metrics.
pub(crate) struct Listeners {
    api: TcpListener,
    operations: Option<TcpListener>,
}

pub(crate) async fn bind(
    addr: &SocketAddr,
    ops_addr: Option<SocketAddr>,
) -> Result<Listeners, Failure> {
    let api = listen("http.addr", *addr).await?;
    let operations = match ops_addr {
        Some(addr) => Some(listen("http.ops_addr", addr).await?),
        None => None,
    };
    Ok(Listeners { api, operations })
}

async fn listen(key: &str, addr: SocketAddr) -> Result<TcpListener, Failure> {
    sockets::listener(addr).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AddrInUse => "another program listens there; end it or set another",
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need a right of their own; set another"
            }
            std::io::ErrorKind::AddrNotAvailable => "this machine has no such address; set another",
            _ => "set another",
        };
        Failure::new(
            Exit::Failure,
            format!("cannot listen on {addr}: {error}; {hint} {key}"),
        )
    })
}

/// Starts the API on its sockets and says where it is. Returns what TLS serves, to renew it.
pub(crate) fn serve(
    tasks: &mut JoinSet<()>,
    built: &Arc<Built>,
    config: &crate::config::Config,
    listeners: Listeners,
    has_past: watch::Receiver<bool>,
    ended: &watch::Receiver<bool>,
) -> Result<Option<Arc<Tls>>, Failure> {
    let tls = Tls::load(&config.http.tls).map_err(|error| {
        let message = format!("{error}; http.tls.cert_file and http.tls.key_file name the files");
        Failure::new(Exit::Failure, message)
    })?;
    let state = Arc::new(crate::compose::api(built, config)?);
    let mut limits = config.http.limits.clone();
    let grace_ms = u64::try_from(config.shutdown.grace.0.as_millis()).unwrap_or(u64::MAX);
    limits.drain_ms = limits.drain_ms.min(grace_ms);
    let address = listeners.api.local_addr()?;
    let surface = if !config.runs(Role::Reader) {
        // Who serves no rates has probes and metrics all the same.
        Surface::Operations
    } else if listeners.operations.is_some() {
        Surface::Public
    } else {
        Surface::All
    };
    let sockets = [
        Some((listeners.api, surface, tls.clone())),
        // Apart it is for those who are near; containers and balancers probe it without TLS.
        listeners
            .operations
            .map(|socket| (socket, Surface::Operations, None)),
    ];
    for (socket, surface, tls) in sockets.into_iter().flatten() {
        if matches!(surface, Surface::Operations) {
            let scheme = scheme(tls.is_some());
            tracing::info!("probes and metrics: {scheme}://{}", socket.local_addr()?);
        }
        let end = until(ended.clone());
        let (state, limits) = (Arc::clone(&state), limits.clone());
        tasks.spawn(async move {
            let cut = kurs_api::serve_tls(socket, state, surface, limits, tls, end).await;
            if cut > 0 {
                tracing::warn!(
                    connections = cut,
                    "cut connections that did not end in time"
                );
            }
        });
    }
    let url = format!("{}://{address}", scheme(tls.is_some()));
    tracing::info!("listening on {url}");
    tasks.spawn(announce(Arc::clone(built), url, has_past, ended.clone()));
    Ok(tls)
}

const fn scheme(is_tls: bool) -> &'static str {
    if is_tls { "https" } else { "http" }
}

/// Says where kurs serves once it can: the first picture of all rates is there, and in a demo the
/// past of its directions.
async fn announce(
    built: Arc<Built>,
    url: String,
    has_past: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
) {
    let started = async {
        while !built.health.is_started() {
            tokio::time::sleep(crate::compose::START_CHECK).await;
        }
        until(has_past).await;
    };
    tokio::select! {
        () = started => tracing::info!("kurs is ready: {url}  (docs: /docs)"),
        () = until(ended) => {}
    }
}

/// Done when the flag turns true, or nobody can turn it any more.
async fn until(mut flag: watch::Receiver<bool>) {
    let _ = flag.wait_for(|set| *set).await;
}

/// The signals that end a program. Listened to from its making on, so that none is missed
/// between two waits.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix_signal(SignalKind::terminate())?,
            interrupt: unix_signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for SIGTERM (ends well) or SIGINT (130).
    pub async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.terminate.recv() => Exit::Ok,
            _ = self.interrupt.recv() => Exit::Interrupted,
        }
    }
}
