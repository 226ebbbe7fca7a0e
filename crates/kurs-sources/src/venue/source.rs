//! The source that runs a desk: its connections, its polls, its listing.

use super::codec::Codec;
use super::config::Config;
use super::desk::{Desk, DeskParts, Waits};
use super::door::Door;
use super::follower::Follower;
use super::listing::{ANSWER_HOLDS, Listing};
use super::poll::{Poller, tell_time};
use super::rest::Rest;
use super::session::Session;
use super::sites::Site;
use super::snapshots::Snapshots;
use crate::book::BookView;
use crate::input::Machine;
use crate::source::{Context, EventSink, ListingError, Source};
use crate::stats::SourceStats;
use async_trait::async_trait;
use kurs_book::Scheme;
use kurs_core::{Clock, Pair, SourceId, SourceKind, Wall};
use kurs_net::http::HttpClient;
use kurs_net::{Proxies, Settings, WebSocket};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A streaming venue as a source.
pub struct Venue {
    id: SourceId,
    priority: u16,
    codec: Arc<dyn Codec>,
    waits: Waits,
    poll: Duration,
    stream_url: String,
    connection: Settings,
    user_agent: String,
    proxies: Arc<Proxies>,
    stats: Arc<SourceStats>,
    rest: Arc<Rest>,
    listing: Arc<Listing>,
    /// The desk, while it runs.
    door: Mutex<Option<Arc<Door>>>,
}

/// What a venue reaches the world with.
#[derive(Debug, Clone)]
pub struct VenueMeans {
    /// For REST; it has its own proxies.
    pub http: HttpClient,
    /// For the WebSocket.
    pub proxies: Arc<Proxies>,
    /// How the WebSocket client introduces itself.
    pub user_agent: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Venue {
    /// The source under this name, `binance` or `sim:binance`.
    #[must_use]
    pub fn new<S: Site>(
        config: &Config<S>,
        codec: Arc<dyn Codec>,
        id: SourceId,
        means: VenueMeans,
    ) -> Self {
        let VenueMeans {
            http,
            proxies,
            user_agent,
            clock,
        } = means;
        let facts = codec.facts();
        let stats = Arc::new(SourceStats::new("websocket", clock.now().wall));
        let base = config.rest_base();
        let rest = Rest::new(http, base, codec.clone(), clock.clone(), stats.clone());
        let rest = Arc::new(rest);
        let listing = Arc::new(Listing::new(rest.clone(), codec.clone(), clock));
        Self {
            id,
            priority: config.priority,
            waits: config.waits(&facts),
            poll: Duration::from_millis(config.poll_ms),
            stream_url: config.stream_url(),
            connection: config.connection(&facts),
            codec,
            user_agent,
            proxies,
            stats,
            rest,
            listing,
            door: Mutex::new(None),
        }
    }
}

impl Venue {
    fn desk(
        &self,
        events: Arc<dyn EventSink>,
        depth: Arc<[Pair]>,
        stats: Arc<SourceStats>,
    ) -> Desk {
        Desk::new(DeskParts {
            source: self.id,
            codec: self.codec.clone(),
            waits: self.waits.clone(),
            depth,
            events,
            stats,
        })
    }
}

#[async_trait]
impl Source for Venue {
    fn id(&self) -> SourceId {
        self.id
    }

    fn kind(&self) -> SourceKind {
        SourceKind::Exchange
    }

    fn priority(&self) -> u16 {
        self.priority
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

    fn book(&self, pair: Pair, levels: usize) -> Option<BookView> {
        let door = self.door.lock().clone()?;
        door.look(|desk| desk.book(pair, levels))
    }

    fn machine(&self, events: Arc<dyn EventSink>, depth: Arc<[Pair]>) -> Option<Box<dyn Machine>> {
        let stats = Arc::new(SourceStats::new("websocket", Wall::default()));
        Some(Box::new(self.desk(events, depth, stats)))
    }

    async fn run(self: Arc<Self>, context: Context) {
        let Context {
            clock,
            events,
            pairs,
            depth,
            tap,
            seed,
            // Its streams are followed by standbys too.
            polls: _,
            mut shutdown,
        } = context;
        let desk = self.desk(events, depth, self.stats.clone());
        let (streams, desired) = watch::channel(Arc::from([]));
        let door = Arc::new(Door::new(desk, tap, streams));
        *self.door.lock() = Some(door.clone());
        let socket = WebSocket {
            url: self.stream_url.clone(),
            user_agent: self.user_agent.clone(),
            settings: self.connection.clone(),
            proxies: self.proxies.clone(),
            clock: clock.clone(),
            seed,
        };
        let mut session = Session::new(door.clone(), self.codec.clone(), self.id);
        let poller = Poller {
            door: door.clone(),
            rest: self.rest.clone(),
            codec: self.codec.clone(),
            clock: clock.clone(),
            pause: self.poll,
            seed: seed.rotate_left(17),
        };
        let follower = Follower {
            door: door.clone(),
            listing: self.listing.clone(),
            clock: clock.clone(),
            pairs,
        };
        // The socket has a task of its own, so that nothing delays its pongs; dropping the set
        // ends the others.
        let mut beside = JoinSet::new();
        beside.spawn(poller.run());
        beside.spawn(follower.run());
        beside.spawn(tell_time(door.clone(), clock.clone()));
        if self.codec.facts().scheme == Scheme::IdRange {
            let snapshots = Snapshots {
                door,
                rest: self.rest.clone(),
                codec: self.codec.clone(),
                clock,
            };
            beside.spawn(snapshots.run());
        }
        let stop = shutdown.clone();
        let mut stream = JoinSet::new();
        stream.spawn(async move { socket.run(&mut session, desired, stop).await });
        // An error means that nobody is left who could ever say stop.
        let _ = shutdown.wait_for(|stop| *stop).await;
        beside.shutdown().await;
        while stream.join_next().await.is_some() {}
        *self.door.lock() = None;
    }
}
