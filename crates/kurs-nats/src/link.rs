//! One connection, from its begin to its end.
//!
//! The client library can reconnect by itself, but then it first sends what it still held: behind
//! a lost part of the flow, so that order is lost. Here a connection that ends is never taken up
//! again: whatever was not confirmed goes over a new one, in order.

use crate::names::Names;
use crate::streams::{self, Facts};
use crate::{NatsConfig, NatsOptions, login};
use async_nats::jetstream::{self, context::ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, StateTeller};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// Longest wait for an answer of the server.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);
/// A connection that is silent for this long is asked for a sign of life; it ends when three
/// questions in a row stay without an answer.
const PING_EVERY: Duration = Duration::from_secs(1);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(1);
/// How often a connection is looked at that has not said that it ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why something did not work, for the log. Who calls tries again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Trouble(pub(crate) String);

/// A living connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) jetstream: jetstream::Context,
    /// What the streams were like when it began.
    pub(crate) facts: Facts,
    ended: watch::Sender<bool>,
}

impl Link {
    /// Gives it up: a new one is made.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Waits for its end.
    pub(crate) async fn ended(&self) {
        // The sender is in `self`: it cannot be gone.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}

/// The current connection, none while there is none.
#[derive(Debug, Clone)]
pub(crate) struct Links(watch::Receiver<Option<Arc<Link>>>);

impl Links {
    /// Waits for a connection; `None` when the bus has ended.
    pub(crate) async fn link(&mut self) -> Option<Arc<Link>> {
        let links = self
            .0
            .wait_for(|link| link.as_ref().is_some_and(|link| !*link.ended.borrow()));
        links.await.ok().and_then(|link| link.clone())
    }

    /// Ends the current connection.
    pub(crate) fn end(&self) {
        if let Some(link) = &*self.0.borrow() {
            link.end();
        }
    }

    /// [`Links::link`], but `None` as well when there is no connection in time.
    pub(crate) async fn link_within(&mut self, patience: Duration) -> Option<Arc<Link>> {
        tokio::time::timeout(patience, self.link()).await.ok()?
    }
}

/// Keeps one connection up.
pub(crate) struct Keeper {
    options: NatsOptions,
    names: Names,
    counters: Arc<BusCounters>,
    links: watch::Sender<Option<Arc<Link>>>,
    state: StateTeller,
}

impl Keeper {
    pub(crate) fn new(
        options: NatsOptions,
        names: Names,
        counters: Arc<BusCounters>,
        state: StateTeller,
    ) -> (Self, Links) {
        let (links, follow) = watch::channel(None);
        let keeper = Self {
            options,
            names,
            counters,
            links,
            state,
        };
        (keeper, Links(follow))
    }

    pub(crate) async fn run(self) {
        let mut backoff = Backoff::new(self.options.seed, PAUSE_FIRST, PAUSE_MOST);
        let (mut is_first, mut told) = (true, String::new());
        loop {
            match self.connect().await {
                Ok(link) => {
                    backoff.reset();
                    if !std::mem::take(&mut is_first) {
                        count(&self.counters.reconnects, 1);
                    }
                    told.clear();
                    let version = link.client.server_info().version;
                    info!(address = %self.options.address, version, "NATS is connected");
                    self.state.connected(&version);
                    let link = Arc::new(link);
                    self.links.send_replace(Some(Arc::clone(&link)));
                    watched(&link).await;
                    self.links.send_replace(None);
                    warn!(address = %self.options.address, "NATS is away: the connection ended");
                    self.state.away("the connection ended");
                }
                Err(Trouble(why)) => {
                    // Once per reason, however long it lasts.
                    if told != why {
                        warn!(address = %self.options.address, %why, "NATS is away");
                        told.clone_from(&why);
                    }
                    self.state.away(&why);
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    async fn connect(&self) -> Result<Link, Trouble> {
        let (ended, _) = watch::channel(false);
        let config = &self.options.config;
        let client = client(&self.options, &ended).await?;
        let jetstream = jetstream(client.clone(), config);
        let facts = streams::ensure(&jetstream, &self.names, config).await?;
        Ok(Link {
            client,
            jetstream,
            facts,
            ended,
        })
    }
}

/// A new connection, over which nobody connects a second time.
pub(crate) async fn client(
    options: &NatsOptions,
    ended: &watch::Sender<bool>,
) -> Result<Client, Trouble> {
    let is_linked = Arc::new(AtomicBool::new(false));
    let connect = connect_options(options, ended, &is_linked);
    let servers = &options.address.servers;
    let servers: Vec<String> = servers
        .iter()
        .map(|server| format!("nats://{server}"))
        .collect();
    // The library waits so long for each server, but not for the look-up of its name.
    let most = u32::try_from(servers.len()).unwrap_or(u32::MAX);
    let patience = options.config.connect_timeout().saturating_mul(most) + ANSWER;
    let client = tokio::time::timeout(patience, connect.connect(servers))
        .await
        .map_err(|_| Trouble("no server answers".to_owned()))?
        .map_err(|error| Trouble(error.to_string()))?;
    is_linked.store(true, Ordering::Relaxed);
    Ok(client)
}

pub(crate) fn jetstream(client: Client, config: &NatsConfig) -> jetstream::Context {
    ContextBuilder::new()
        .timeout(ANSWER)
        // The publisher has a window of its own; this bound only has to be wider.
        .max_ack_inflight(config.window * 4 + 64)
        .backpressure_on_inflight(true)
        .build(client)
}

fn connect_options(
    options: &NatsOptions,
    ended: &watch::Sender<bool>,
    is_linked: &Arc<AtomicBool>,
) -> ConnectOptions {
    let (address, config) = (&options.address, &options.config);
    let login = login::Login::new(address, config.credentials_file.clone());
    let is_linked = Arc::clone(is_linked);
    let ended = ended.clone();
    let mut connect = ConnectOptions::with_auth_callback(move |challenge| {
        // Whoever has been connected must not take up the connection again.
        let answer = if is_linked.load(Ordering::Relaxed) {
            Err(async_nats::AuthError::new("this connection has ended"))
        } else {
            login.answer(&challenge)
        };
        std::future::ready(answer)
    })
    .event_callback(move |event| {
        match event {
            Event::Disconnected | Event::Closed => {
                ended.send_replace(true);
            }
            Event::ServerError(error) => warn!(%error, "NATS complains"),
            _ => {}
        }
        std::future::ready(())
    })
    .name(&options.name)
    .connection_timeout(config.connect_timeout())
    .reconnect_delay_callback(|_| Duration::ZERO)
    .max_reconnects(address.servers.len())
    .ignore_discovered_servers()
    .ping_interval(PING_EVERY)
    .request_timeout(Some(ANSWER))
    .require_tls(address.is_tls);
    if let Some(file) = &config.ca_file {
        connect = connect.add_root_certificates(file.clone());
    }
    connect
}

/// Waits for the end of a connection, also when the library failed to tell of it.
async fn watched(link: &Link) {
    let looks = async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if link.client.connection_state() != async_nats::connection::State::Connected {
                link.end();
                return;
            }
        }
    };
    tokio::select! {
        () = link.ended() => {}
        () = looks => {}
    }
}
