//! What the simulated Coinbase, Kraken, Bybit and OKX share: a market of their own, its books cut
//! to the depths that clients subscribed, and the subscribers.
//!
//! | part | what it holds |
//! |---|---|
//! | `book` | a book as clients see it, and the way from one to the next; pure |
//! | `feed` | one stream of one symbol: what was sent last, what is due; pure |
//! | `scene` | what a venue needs to write a frame: texts of prices, sizes, times |
//! | `desk` | one client's message, worked off without anything coming in between |

pub(crate) mod book;
pub(crate) mod desk;
pub(crate) mod feed;
pub(crate) mod scene;

use crate::config::{ExchangeLimits, SimConfig};
use crate::faults::{Channel, FaultKind, Stage};
use crate::http::server::Origin;
use crate::market::reference::{Reference, hash_name, mix};
use crate::market::symbol::SymbolMarket;
use crate::market::{Market, MarketEvent, MarketEventKind, listings};
use crate::shared::Shared;
use crate::state::VenueState;
use crate::venue::Venue;
use crate::ws::connection::{Connection, Session, Stream};
use crate::ws::hub::Hub;
use crate::ws::outlet::{Delivery, Outgoing, Outlet};
use crate::ws::window::RateWindow;
use crate::{bybit, coinbase, kraken, okx};
use book::{Poison, Window};
use feed::{Feed, Happening};
use parking_lot::Mutex;
use scene::Scene;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// Streams look at the market this often, virtual milliseconds: what a frame holds depends on
/// the market at such a moment, and not on the pace of the machine.
pub(crate) const BEAT_MS: u64 = 10;

/// How a venue writes a frame; `None` when it has none for this.
pub(crate) type Write = fn(&Scene<'_>, &Happening) -> Option<String>;

/// One running exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) venue: Venue,
    pub(crate) hub: Hub<()>,
    pub(crate) limits: ExchangeLimits,
    pub(crate) state: Mutex<State>,
    write: Write,
    connections: Mutex<RateWindow>,
    requests: Mutex<RateWindow>,
}

/// The market and what was told of it.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) market: Market,
    /// By stream name.
    pub(crate) feeds: BTreeMap<Arc<str>, Feed>,
    /// Where the numbering of a symbol's changes begins, if not at zero.
    pub(crate) first_ids: HashMap<Arc<str>, u64>,
    seed: u64,
    events: Vec<MarketEvent>,
}

impl State {
    /// The number of a symbol's last change as it is sent.
    pub(crate) fn sequence(&self, symbol: &str) -> u64 {
        self.market
            .symbol(symbol)
            .map_or(0, |symbol| sequence(symbol, &self.first_ids))
    }

    /// A number for a name that is the same for the same seed.
    pub(crate) fn number(&self, name: &str) -> u64 {
        mix(self.seed, hash_name(name))
    }
}

fn sequence(symbol: &SymbolMarket, first_ids: &HashMap<Arc<str>, u64>) -> u64 {
    let first = first_ids.get(&symbol.spec.name).copied().unwrap_or(0);
    symbol.id().saturating_sub(first)
}

impl Exchange {
    pub(crate) fn new(venue: Venue, config: &SimConfig, reference: Reference) -> Self {
        let (limits, write): (_, Write) = match venue {
            Venue::Coinbase => (&config.coinbase.limits, coinbase::frames::write),
            Venue::Kraken => (&config.kraken.limits, kraken::frames::write),
            Venue::Bybit => (&config.bybit.limits, bybit::frames::write),
            _ => (&config.okx.limits, okx::frames::write),
        };
        let specs = listings::symbols(venue, config.extra_symbols_elsewhere);
        let habit = listings::habit(venue);
        let state = State {
            market: Market::of(reference, config.activity_percent, habit, specs),
            feeds: BTreeMap::new(),
            first_ids: HashMap::new(),
            seed: mix(config.seed, habit.salt),
            events: Vec::new(),
        };
        let window = |most: usize, within_ms| Mutex::new(RateWindow::new(most, within_ms));
        Self {
            venue,
            hub: Hub::default(),
            state: Mutex::new(state),
            write,
            connections: window(limits.connections, limits.connections_within_ms),
            requests: window(limits.requests, limits.requests_within_ms),
            limits: limits.clone(),
        }
    }

    /// Whether one more connection may be opened.
    pub(crate) fn allows_connection(&self, now_ms: u64) -> bool {
        self.connections.lock().allows(now_ms)
    }

    /// Whether one more REST request may be asked.
    pub(crate) fn allows_request(&self, now_ms: u64) -> bool {
        self.requests.lock().allows(now_ms)
    }

    /// Moves the market on and sends what is due on the way.
    pub(crate) fn advance(&self, shared: &Shared, step: u64) {
        let mut state = self.state.lock();
        let mut events = std::mem::take(&mut state.events);
        let mut next = (state.market.step() / BEAT_MS + 1) * BEAT_MS;
        while next <= step {
            events.clear();
            state.market.advance_to(next, &mut events);
            self.beat(shared, &mut state, &events);
            next += BEAT_MS;
        }
        state.events = events;
    }

    fn beat(&self, shared: &Shared, state: &mut State, events: &[MarketEvent]) {
        let State {
            market,
            feeds,
            first_ids,
            ..
        } = state;
        let step = market.step();
        for (stream, feed) in feeds {
            let name = feed.topic.symbol.clone();
            for event in events.iter().filter(|event| event.symbol == name) {
                if let MarketEventKind::Trade(trade) = event.kind {
                    feed.hold(trade);
                }
            }
            if !feed.is_due(step) {
                continue;
            }
            if !self.hub.is_wanted(stream) {
                feed.forget_trades();
                continue;
            }
            let Some(symbol) = market.symbol(&name) else {
                continue;
            };
            let sequence = sequence(symbol, first_ids);
            let wrong = shared.board.wrong_price(self.venue, Channel::Ws, &name);
            let poison = Poison::of(wrong);
            if let Some(happening) = feed.flush(symbol, step, sequence, &poison) {
                self.tell(shared, feed, symbol, &poison, happening);
            }
        }
    }

    fn tell(
        &self,
        shared: &Shared,
        feed: &Feed,
        symbol: &SymbolMarket,
        poison: &Poison,
        mut happening: Happening,
    ) {
        let mut shown = None;
        let name = &*feed.topic.symbol;
        if let Happening::Update(diff) = &mut happening
            && shared.board.take(self.venue, &FaultKind::Crossed, name)
            && let Some(phantom) = feed.window.phantom_bid()
        {
            diff.bids.push(phantom);
            shown = Some(feed.window.with_bid(phantom, feed.topic.depth()));
        }
        let shown = shown.as_ref().unwrap_or(&feed.window);
        let stage = match happening {
            Happening::Update(_) => Stage::Diff,
            _ => Stage::Frame,
        };
        let Some(text) = self.frame(shared, feed, symbol, shown, poison, &happening) else {
            return;
        };
        let delivery = Delivery {
            shared,
            venue: self.venue,
            stage,
            symbol: Some(name),
            now: Instant::now(),
        };
        self.hub
            .publish(&delivery, &feed.topic.stream, |()| text.clone());
    }

    fn frame(
        &self,
        shared: &Shared,
        feed: &Feed,
        symbol: &SymbolMarket,
        shown: &Window,
        poison: &Poison,
        happening: &Happening,
    ) -> Option<Utf8Bytes> {
        let scene = Scene {
            shared,
            feed,
            symbol,
            shown,
            poison,
            wall: shared.wall(),
        };
        (self.write)(&scene, happening).map(Utf8Bytes::from)
    }

    /// Begins the numbering of the books anew, of one symbol or of all.
    pub(crate) fn restart(&self, symbol: Option<&str>) {
        let mut state = self.state.lock();
        let names: Vec<Arc<str>> = state
            .market
            .symbols()
            .map(|known| known.spec.name.clone())
            .filter(|name| symbol.is_none_or(|only| only == &**name))
            .collect();
        for name in names {
            if self.venue == Venue::Okx {
                let id = state.market.symbol(&name).map_or(0, |known| known.id());
                // The next number is a small one, and not the same after every restart.
                let first = id.saturating_sub(1_000 + id % 1_000);
                state.first_ids.insert(name.clone(), first);
            } else {
                for feed in state.feeds.values_mut() {
                    if feed.topic.symbol == name {
                        feed.restart();
                    }
                }
            }
        }
    }
}

/// Serves one connection to its end.
pub(crate) async fn live(stream: Stream, venue: Venue, shared: &Arc<Shared>, origin: Origin) {
    let Some(exchange) = shared.exchange(venue) else {
        return;
    };
    let (sender, receiver) = mpsc::channel(exchange.limits.queued_frames_max.max(1));
    let switch = origin.switch.clone();
    let outlet = Outlet { sender, switch };
    let id = exchange.hub.join(outlet.clone(), ());
    let present = exchange.hub.len();
    shared.ledger.with(venue, |state| {
        state.ws_connections_total += 1;
        state.ws_connections_max = state.ws_connections_max.max(present);
    });
    let client = Client {
        shared,
        exchange,
        id,
        outlet,
    };
    tokio::select! {
        () = serve(stream, receiver, client) => {}
        () = origin.switch.closed() => {}
    }
    exchange.hub.leave(id);
}

async fn serve(stream: Stream, receiver: mpsc::Receiver<Outgoing>, client: Client<'_>) {
    let (shared, venue) = (client.shared, client.exchange.venue);
    let session: Box<dyn Session + '_> = match venue {
        Venue::Coinbase => Box::new(coinbase::session::CoinbaseSession::new(client)),
        Venue::Kraken => Box::new(kraken::session::KrakenSession::new(client)),
        Venue::Bybit => Box::new(bybit::session::BybitSession::new(client)),
        _ => Box::new(okx::session::OkxSession::new(client)),
    };
    Connection::new(stream, receiver, session, venue, shared)
        .run()
        .await;
}

/// One connection as its session knows it.
pub(crate) struct Client<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) exchange: &'a Exchange,
    pub(crate) id: u64,
    pub(crate) outlet: Outlet,
}

impl<'a> Client<'a> {
    /// Opens the desk: until it is dropped nothing else is sent to anybody of this venue.
    pub(crate) fn desk(&self) -> desk::Desk<'_> {
        desk::Desk::new(self)
    }

    /// Counts something in the ledger of the venue.
    pub(crate) fn count(&self, act: impl FnOnce(&mut VenueState)) {
        self.shared.ledger.with(self.exchange.venue, act);
    }

    /// Counts a received message.
    pub(crate) fn count_message(&self) {
        self.count(|state| state.ws_messages_received += 1);
    }

    /// Whether silence holds back what belongs to no symbol.
    pub(crate) fn is_stalled(&self) -> bool {
        Delivery::of_venue(self.shared, self.exchange.venue).is_stalled()
    }

    /// A connection's own number, the same for the same seed and order of connections.
    pub(crate) fn number(&self) -> u64 {
        let seed = hash_name(self.exchange.venue.as_str());
        mix(mix(self.shared.config.seed, seed), self.id)
    }
}
