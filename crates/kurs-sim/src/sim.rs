//! Starting the venues, and every lever on them.

use crate::binance::{self, Binance};
use crate::capture::{CaptureError, Player};
use crate::config::SimConfig;
use crate::faults::{Board, Channel, Close, Fault, FaultKind, FaultWord};
use crate::http::registry::Registry;
use crate::http::server;
use crate::market::reference::Reference;
use crate::market::{Market, Trading};
use crate::pins::{Pin, Pins};
use crate::shared::Shared;
use crate::state::{Ledger, SimState};
use crate::venue::{Venue, VenueUrls};
use kurs_core::{Clock, SystemClock};
use parking_lot::Mutex;
use rust_decimal::Decimal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The market moves on this often.
const PULSE: Duration = Duration::from_millis(5);
/// After a pause of the machine the market does not try to catch up more than this.
const CATCH_UP_MAX_MS: u64 = 250;

/// Starts simulated venues.
#[derive(Debug, Clone, Copy)]
pub struct Sim;

/// Why a sim cannot start.
#[derive(Debug, Error)]
pub enum SimError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: std::io::Error,
    },
    /// The capture cannot be played.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// More faults than a sim takes hold from the start.
    #[error("a sim takes at most 256 faults")]
    TooManyFaults,
}

impl Sim {
    /// Starts all venues on one address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`SimError`] when the address is taken or the capture cannot be read.
    pub async fn start(config: SimConfig, address: SocketAddr) -> Result<SimHandle, SimError> {
        Self::start_with_clock(config, address, Arc::new(SystemClock::new())).await
    }

    /// The same with a clock of the caller's: it dates the tables of the banks, so that a test
    /// can choose the day. Pace and deadlines of connections follow the real clock.
    ///
    /// # Errors
    /// As [`Sim::start`].
    pub async fn start_with_clock(
        config: SimConfig,
        address: SocketAddr,
        clock: Arc<dyn Clock>,
    ) -> Result<SimHandle, SimError> {
        let listen = |why| SimError::Listen { address, why };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let player = config.capture.clone().map(Player::load).transpose()?;
        let wall = clock.now().wall;
        let hour = u64::try_from(wall.unix_ms() / 3_600_000).unwrap_or(0);
        let reference = Reference::new(config.seed, hour);
        let shared = Arc::new(Shared {
            market: Mutex::new(Market::new(
                reference,
                config.activity_percent,
                config.extra_symbols,
            )),
            reference,
            pins: Pins::default(),
            board: Board::new(config.seed),
            ledger: Ledger::default(),
            registry: Arc::new(Registry::default()),
            binance: Binance::new(&config.binance, player.clone()),
            started: Instant::now(),
            clock,
            config,
        });
        for word in &shared.config.faults {
            if !shared
                .board
                .set(word.venue, word.fault.clone(), Instant::now())
            {
                return Err(SimError::TooManyFaults);
            }
        }
        let mut tasks = vec![
            tokio::spawn(server::run(listener, shared.clone())),
            tokio::spawn(pulse(shared.clone())),
        ];
        if let Some(player) = player {
            tasks.push(tokio::spawn(player.run(shared.clone())));
        }
        Ok(SimHandle {
            address,
            shared,
            tasks,
        })
    }
}

/// Moves the market on and sends what happens; ends the connections of venues that flap.
async fn pulse(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PULSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut last, mut step) = (Instant::now(), 0);
    let mut events = Vec::new();
    loop {
        ticks.tick().await;
        let now = Instant::now();
        let passed = u64::try_from(now.duration_since(last).as_millis()).unwrap_or(u64::MAX);
        if passed == 0 {
            continue;
        }
        last += Duration::from_millis(passed);
        step += passed.min(CATCH_UP_MAX_MS);
        events.clear();
        shared.market.lock().advance_to(step, &mut events);
        binance::publish(&shared, &events);
        for (venue, channel) in shared.board.gone_down(now) {
            shared.registry.close(Some(venue), channel, Close::Reset);
        }
    }
}

/// A running sim. Dropping it ends every task and connection.
#[derive(Debug)]
pub struct SimHandle {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl SimHandle {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Complete URLs for the configuration of the sources.
    #[must_use]
    pub fn urls(&self) -> VenueUrls {
        VenueUrls::of(self.address)
    }

    /// Puts a fault in force until it is healed. Faults add up. [`FaultKind::Cut`],
    /// [`FaultKind::Reset`] and [`FaultKind::Flap`] end living connections at once. False when
    /// there are too many.
    pub fn fault(&self, venue: Venue, fault: Fault) -> bool {
        set_fault(&self.shared, FaultWord { venue, fault })
    }

    /// Ends all faults of a venue.
    pub fn heal(&self, venue: Venue) {
        self.shared.board.heal(Some(venue));
    }

    /// Ends all faults.
    pub fn heal_all(&self) {
        self.shared.board.heal(None);
    }

    /// Closes the living connections of a venue once, without a goodbye; returns how many.
    pub fn cut(&self, venue: Venue, channel: Option<Channel>) -> usize {
        self.shared.registry.close(Some(venue), channel, Close::Cut)
    }

    /// The same with a TCP reset.
    pub fn reset(&self, venue: Venue, channel: Option<Channel>) -> usize {
        self.shared
            .registry
            .close(Some(venue), channel, Close::Reset)
    }

    /// Sends Binance's `serverShutdown` notice to every connection; returns how many.
    pub fn shutdown_notice(&self) -> usize {
        binance::announce_shutdown(&self.shared)
    }

    /// Sets a price by hand. `symbol` is the venue's own word: `BTCUSDT`, `bitcoin/usd`, and the
    /// currency (`RUB`) for the tables. False when the venue has no such symbol or the price
    /// does not fit its ticks.
    pub fn pin(&self, venue: Venue, symbol: &str, pin: Pin) -> bool {
        set_pin(&self.shared, venue, symbol, Some(pin))
    }

    /// Lets a pinned price go on by itself.
    pub fn release(&self, venue: Venue, symbol: &str) -> bool {
        set_pin(&self.shared, venue, symbol, None)
    }

    /// Makes a Binance symbol known (and its streams alive) or unknown.
    pub fn list(&self, symbol: &str, known: bool) -> bool {
        let mut market = self.shared.market.lock();
        if known {
            market.list(symbol)
        } else {
            market.unlist(symbol)
        }
    }

    /// Halts a Binance symbol or lets it trade again.
    pub fn set_trading(&self, symbol: &str, trading: Trading) -> bool {
        self.shared.market.lock().set_trading(symbol, trading)
    }

    /// Best bid and ask of a Binance symbol at this moment.
    #[must_use]
    pub fn top(&self, symbol: &str) -> Option<(Decimal, Decimal)> {
        let top = self.shared.market.lock().symbol(symbol)?.top()?;
        Some((top.bid.0, top.ask.0))
    }

    /// What the clients did.
    #[must_use]
    pub fn state(&self) -> SimState {
        report(&self.shared)
    }

    /// The capture that is played, if one is.
    #[must_use]
    pub fn player(&self) -> Option<Player> {
        self.shared.binance.player.clone()
    }

    /// Ends every connection and waits for the tasks.
    pub async fn stop(mut self) {
        self.end();
        for task in std::mem::take(&mut self.tasks) {
            // An aborted task is what is wanted.
            let _ = task.await;
        }
    }

    fn end(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.shared.board.heal(None);
        self.shared.registry.close(None, None, Close::Cut);
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.end();
    }
}

pub(crate) fn set_fault(shared: &Shared, word: FaultWord) -> bool {
    let FaultWord { venue, fault } = word;
    let how = match &fault.kind {
        FaultKind::Cut => Some(Close::Cut),
        FaultKind::Reset | FaultKind::Flap { .. } => Some(Close::Reset),
        _ => None,
    };
    let channel = fault.scope.channel;
    let set = shared.board.set(venue, fault, Instant::now());
    if let Some(how) = how.filter(|_| set) {
        shared.registry.close(Some(venue), channel, how);
    }
    set
}

pub(crate) fn set_pin(shared: &Shared, venue: Venue, symbol: &str, pin: Option<Pin>) -> bool {
    if venue != Venue::Binance {
        return match pin {
            None => shared.pins.set(venue, symbol, None),
            Some(Pin::Price(price)) => shared.pins.set(venue, symbol, Some(price)),
            Some(Pin::Sides { .. }) => false,
        };
    }
    let mut market = shared.market.lock();
    let Some(known) = market.symbol(symbol) else {
        return false;
    };
    let tick = known.spec.tick();
    let sides = match pin {
        None => None,
        Some(Pin::Sides { bid, ask }) => Some((bid, ask)),
        // One tick to each side: the middle is the price.
        Some(Pin::Price(price)) => match (price.checked_sub(tick), price.checked_add(tick)) {
            (Some(bid), Some(ask)) => Some((bid, ask)),
            _ => return false,
        },
    };
    market.pin(symbol, sides)
}

pub(crate) fn report(shared: &Shared) -> SimState {
    let up_ms = shared.up_ms();
    let mut venues = shared.ledger.report();
    let binance = venues.entry(Venue::Binance).or_default();
    binance.ws_connections_now = shared.binance.hub.len();
    binance.ws_streams = shared.binance.hub.streams();
    binance.weight_used = shared.binance.limits.lock().used(up_ms);
    for venue in Venue::ALL {
        venues.entry(venue).or_default();
    }
    SimState {
        up_ms,
        tcp_connections_now: shared.registry.len(),
        venues,
        faults: shared.board.list(),
        capture: shared.binance.player.as_ref().map(Player::state),
    }
}
