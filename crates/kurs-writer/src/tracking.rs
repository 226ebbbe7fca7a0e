//! Tracked symbols, and the commands that change them.

use crate::audit;
use crate::inbox::Inbox;
use crate::scope::{Part, Scope};
use kurs_bus::{Actor, Body, Command, Reply, Request};
use kurs_core::{Clock, Pair, TrackedSymbol};
use kurs_sources::Source;
use kurs_store::{AuditEntry, Fence, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Most symbols that can be tracked.
pub const SYMBOLS_MAX: usize = 5_000;
/// How long the venues may take to say whether they list a symbol.
const LISTING_PATIENCE: Duration = Duration::from_secs(4);

/// How often it is looked whether anybody still wants what he asked about.
const FORGET_EVERY: Duration = Duration::from_secs(5);

/// What the keeper of the tracked symbols is told.
pub enum Order {
    /// A Reader wants a change.
    Change(Request),
    /// The Writer that leads tells what is tracked.
    Heard(Arc<[TrackedSymbol]>),
    /// This Writer leads from now on: it makes the changes.
    Lead(Fence),
    /// It does not lead any more.
    Rest,
    /// Somebody asks about a pair that may not be followed by this Writer.
    Want(Pair),
}

/// Keeps the tracked symbols: in the store, on the bus, and in what the sources follow.
pub struct Tracking {
    /// Where they are kept.
    pub store: Arc<dyn Store>,
    /// Where the list is told.
    pub inbox: Arc<Inbox>,
    /// Who may list a symbol.
    pub sources: Vec<Arc<dyn Source>>,
    /// What the sources follow.
    pub followed: watch::Sender<Arc<[Pair]>>,
    /// What is tracked and followed by other Writers only.
    pub elsewhere: watch::Sender<Arc<[Pair]>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Which of them this Writer follows.
    pub scope: Scope,
    symbols: Vec<TrackedSymbol>,
    lead: Option<Fence>,
}

impl Tracking {
    /// Nothing is tracked yet.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        inbox: Arc<Inbox>,
        sources: Vec<Arc<dyn Source>>,
        followed: watch::Sender<Arc<[Pair]>>,
        elsewhere: watch::Sender<Arc<[Pair]>>,
        clock: Arc<dyn Clock>,
        scope: Scope,
    ) -> Self {
        Self {
            store,
            inbox,
            sources,
            followed,
            elsewhere,
            clock,
            scope,
            symbols: Vec::new(),
            lead: None,
        }
    }

    /// Takes the stored symbols; on the very first start the configured pairs are put in. A
    /// symbol that somebody removed stays removed, whatever the configuration says.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked.
    pub async fn load(&mut self, configured: &[Pair]) -> Result<(), StoreError> {
        self.store
            .seed(configured.iter().map(|pair| self.symbol(*pair)).collect())
            .await?;
        self.symbols = self.store.tracked().await?;
        self.tell();
        Ok(())
    }

    /// Follows the configured pairs although the store cannot be asked, so that rates live.
    pub fn load_without_store(&mut self, configured: &[Pair]) {
        self.symbols = configured.iter().map(|pair| self.symbol(*pair)).collect();
        self.tell();
    }

    fn symbol(&self, pair: Pair) -> TrackedSymbol {
        let symbol = format!("{}{}", pair.base, pair.quote).into();
        TrackedSymbol {
            symbol,
            pair: pair.canonical(),
            added_at: self.clock.now().wall,
        }
    }

    /// Does what it is told, one after the other, until nobody tells anything any more or
    /// `stopped` turns true. A change that was begun is answered first.
    pub async fn serve(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        mut part: watch::Receiver<Part>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let mut looks = tokio::time::interval(FORGET_EVERY);
        loop {
            let order = tokio::select! {
                _ = stopped.wait_for(|ended| *ended) => return,
                Ok(()) = part.changed() => {
                    let part = part.borrow_and_update().clone();
                    self.scope.set_part(part);
                    self.follow();
                    continue;
                }
                _ = looks.tick() => {
                    if self.scope.forget(self.clock.mono()) {
                        self.follow();
                    }
                    continue;
                }
                order = orders.recv() => order,
            };
            match order {
                None => return,
                Some(Order::Change(request)) => self.change(request).await,
                Some(Order::Heard(symbols)) if self.lead.is_none() => {
                    if *self.symbols != *symbols {
                        self.symbols = symbols.to_vec();
                        self.follow();
                    }
                }
                Some(Order::Heard(_)) => {}
                Some(Order::Lead(fence)) => {
                    self.lead = Some(fence);
                    // What the former Writer wrote down last may not have been heard.
                    match self.store.tracked().await {
                        Ok(symbols) => self.symbols = symbols,
                        Err(error) => {
                            tracing::warn!(%error, "cannot read the tracked symbols again");
                        }
                    }
                    self.tell();
                }
                Some(Order::Rest) => self.lead = None,
                Some(Order::Want(pair)) => {
                    self.scope.want(self.clock.mono(), pair);
                    self.follow();
                }
            }
        }
    }

    async fn change(&mut self, request: Request) {
        let Some(fence) = self.lead else {
            let why = "another Writer has just taken over, ask again".into();
            let _ = request.reply.send(Reply::Unavailable { why });
            return;
        };
        let reply = match request.command {
            Command::Track { symbol, pair, by } => {
                self.track(symbol, pair.canonical(), by.as_deref(), fence)
                    .await
            }
            Command::Untrack { symbol, by } => self.untrack(&symbol, by.as_deref(), fence).await,
            // They are answered elsewhere, before they could come here.
            Command::Book { .. } | Command::Change { .. } => return,
        };
        // Nobody may be waiting any more; the change stands all the same.
        let _ = request.reply.send(reply);
    }

    async fn track(
        &mut self,
        symbol: Arc<str>,
        pair: Pair,
        by: Option<&Actor>,
        fence: Fence,
    ) -> Reply {
        if let Some(known) = self
            .symbols
            .iter()
            .find(|known| known.symbol == symbol || known.pair == pair)
        {
            return Reply::Tracked {
                symbol: known.clone(),
                created: false,
            };
        }
        if self.symbols.len() >= SYMBOLS_MAX {
            let why =
                format!("{SYMBOLS_MAX} symbols are tracked already, which is the most").into();
            return Reply::Unavailable { why };
        }
        match self.is_listed(pair).await {
            Ok(true) => {}
            Ok(false) => {
                let why = format!("no enabled streaming venue lists {pair}").into();
                return Reply::NotListed { why };
            }
            Err(why) => return Reply::Unavailable { why },
        }
        let tracked = TrackedSymbol {
            symbol,
            pair,
            added_at: self.clock.now().wall,
        };
        let entry = AuditEntry {
            after: Some(audit::json(&tracked.pair)),
            ..audit::entry(by, tracked.added_at, "track_symbol", &tracked.symbol)
        };
        let store = &self.store;
        let stored = store.track_noted(tracked.clone(), Some(entry), Some(fence));
        if let Err(error) = stored.await {
            return Reply::Unavailable {
                why: format!("nothing was changed: {error}").into(),
            };
        }
        tracing::info!(pair = %pair, symbol = %tracked.symbol, "tracks a new symbol");
        self.symbols.push(tracked.clone());
        self.tell();
        Reply::Tracked {
            symbol: tracked,
            created: true,
        }
    }

    async fn untrack(&mut self, symbol: &str, by: Option<&Actor>, fence: Fence) -> Reply {
        let Some(at) = self
            .symbols
            .iter()
            .position(|known| &*known.symbol == symbol)
        else {
            return Reply::Untracked { existed: false };
        };
        let entry = AuditEntry {
            before: self.symbols.get(at).map(|gone| audit::json(&gone.pair)),
            ..audit::entry(by, self.clock.now().wall, "untrack_symbol", symbol)
        };
        let store = &self.store;
        let removed = store.untrack_noted(symbol, Some(entry), Some(fence)).await;
        if let Err(error) = removed {
            return Reply::Unavailable {
                why: format!("nothing was changed: {error}").into(),
            };
        }
        let removed = self.symbols.remove(at);
        tracing::info!(pair = %removed.pair, symbol, "does not track a symbol any more");
        self.tell();
        Reply::Untracked { existed: true }
    }

    /// Asks all streaming venues at once. One that lists it is enough; `false` needs an answer
    /// of every one.
    async fn is_listed(&self, pair: Pair) -> Result<bool, Arc<str>> {
        let mut asked = tokio::task::JoinSet::new();
        for source in self.sources.iter().filter(|source| source.follows_pairs()) {
            let source = Arc::clone(source);
            asked.spawn(async move { source.lists(pair).await });
        }
        let mut unanswered = None;
        let deadline = tokio::time::Instant::now() + LISTING_PATIENCE;
        loop {
            match tokio::time::timeout_at(deadline, asked.join_next()).await {
                Ok(Some(Ok(Ok(true)))) => return Ok(true),
                Ok(Some(Ok(Ok(false)))) => {}
                Ok(Some(Ok(Err(error)))) => unanswered = Some(error.to_string()),
                Ok(Some(Err(error))) => unanswered = Some(error.to_string()),
                Ok(None) => break,
                Err(_) => {
                    unanswered = Some("a venue did not answer in time".to_owned());
                    break;
                }
            }
        }
        unanswered.map_or(Ok(false), |why| Err(why.into()))
    }

    /// Tells the sources what to follow, and the Readers what is tracked.
    fn tell(&self) {
        self.follow();
        self.inbox
            .publish(Body::Tracked(self.symbols.clone().into()));
    }

    fn follow(&self) {
        let tracked = self.symbols.iter().map(|symbol| symbol.pair);
        let pairs: Arc<[Pair]> = self.scope.of(tracked.clone()).into();
        let is_elsewhere = |pair: &Pair| pairs.binary_search(pair).is_err();
        self.elsewhere
            .send_replace(tracked.filter(is_elsewhere).collect());
        self.followed.send_if_modified(|followed| {
            let is_new = **followed != *pairs;
            *followed = pairs;
            is_new
        });
    }
}
