//! Binance spot: best prices and trades by WebSocket, best prices by REST where that fails.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`Config`]: `sources.binance` |
//! | `wire` | frames as the venue writes them |
//! | `subscribe` | stream numbers and subscribe messages |
//! | `map` | [`Decoder`]: frames to ticks, each change once |
//! | `judge` | whether the venue still speaks its language |
//! | `desk` | the state of every pair and of the source, whichever way data comes |
//! | `session` | the dialect for the WebSocket client |
//! | `rest`, `listing`, `poll` | requests with their limits, which pairs are traded, polling |

pub mod config;
mod desk;
mod judge;
mod listing;
mod map;
mod poll;
mod quick;
mod rest;
mod session;
mod subscribe;
mod wire;

pub use config::Config;
pub use map::{Decoded, Decoder};

use crate::source::{Context, ListingError, Source};
use crate::stats::SourceStats;
use async_trait::async_trait;
use desk::{Desk, Waits};
use kurs_core::{Clock, Pair, SourceId, SourceKind};
use kurs_net::http::HttpClient;
use kurs_net::{Proxies, WebSocket};
use listing::{ANSWER_HOLDS, Listing};
use parking_lot::Mutex;
use poll::{Follower, Poller};
use rest::Rest;
use session::Session;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// The source `binance`.
#[derive(Debug)]
pub struct Binance {
    id: SourceId,
    config: Config,
    user_agent: String,
    proxies: Arc<Proxies>,
    stats: Arc<SourceStats>,
    rest: Arc<Rest>,
    listing: Arc<Listing>,
}

impl Binance {
    /// The source under this name, `binance` or `sim:binance`. `proxies` are used by the
    /// WebSocket; the HTTP client has its own.
    #[must_use]
    pub fn new(
        config: Config,
        id: SourceId,
        user_agent: &str,
        http: HttpClient,
        clock: Arc<dyn Clock>,
        proxies: Arc<Proxies>,
    ) -> Self {
        let stats = Arc::new(SourceStats::new("websocket", clock.now().wall));
        let rest = Arc::new(Rest::new(
            http,
            config.rest_base(),
            clock.clone(),
            stats.clone(),
        ));
        let listing = Arc::new(Listing::new(rest.clone(), clock));
        let user_agent = user_agent.to_owned();
        Self {
            id,
            config,
            user_agent,
            proxies,
            stats,
            rest,
            listing,
        }
    }
}

#[async_trait]
impl Source for Binance {
    fn id(&self) -> SourceId {
        self.id
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Exchange
    }

    fn priority(&self) -> u16 {
        self.config.priority
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn follows_pairs(&self) -> bool {
        true
    }

    async fn lists(&self, pair: Pair) -> Result<bool, ListingError> {
        let (answers, error) = self.listing.look_up(&[pair], ANSWER_HOLDS).await;
        match answers.first() {
            Some((_, listed)) => Ok(*listed),
            None => Err(ListingError {
                source_name: self.id,
                why: error.map_or_else(|| "no answer".to_owned(), |error| error.to_string()),
            }),
        }
    }

    async fn run(self: Arc<Self>, context: Context) {
        let Context {
            clock,
            events,
            pairs,
            seed,
            mut shutdown,
        } = context;
        let waits = Waits {
            silence: self.config.silence(),
            max_age: self.config.max_age(),
            rest_silence: self.config.rest_silence(),
            trades: self.config.trades,
        };
        let desk = Desk::new(self.id, waits, events, self.stats.clone());
        let desk = Arc::new(Mutex::new(desk));
        let poll_now = Arc::new(Notify::new());
        let check_now = Arc::new(Notify::new());
        let (streams, desired) = watch::channel(Arc::from([]));
        let socket = WebSocket {
            url: self.config.stream_url(),
            user_agent: self.user_agent.clone(),
            settings: self.config.connection(),
            proxies: self.proxies.clone(),
            clock: clock.clone(),
            seed,
        };
        let mut session = Session {
            desk: desk.clone(),
            poll_now: poll_now.clone(),
            check_now: check_now.clone(),
        };
        let poller = Poller {
            desk: desk.clone(),
            rest: self.rest.clone(),
            clock: clock.clone(),
            pause: Duration::from_millis(self.config.poll_ms),
            poll_now,
            check_now: check_now.clone(),
            seed: seed.rotate_left(17),
        };
        let listing = self.listing.clone();
        let follower = Follower {
            desk: desk.clone(),
            listing,
            clock: clock.clone(),
            pairs,
            streams,
            check_now,
        };
        // The socket has a task of its own, so that nothing delays its pongs; dropping the set
        // ends the others.
        let mut beside = JoinSet::new();
        beside.spawn(poller.run());
        beside.spawn(follower.run());
        beside.spawn(poll::watch_silence(desk, clock));
        let stop = shutdown.clone();
        let mut stream = JoinSet::new();
        stream.spawn(async move { socket.run(&mut session, desired, stop).await });
        // An error means that nobody is left who could ever say stop.
        let _ = shutdown.wait_for(|stop| *stop).await;
        beside.shutdown().await;
        while stream.join_next().await.is_some() {}
    }
}
