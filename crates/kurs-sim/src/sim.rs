//! Starting the venues, and every lever on them.

use crate::binance::{self, Binance};
use crate::capture::{CaptureError, Player};
use crate::config::SimConfig;
use crate::exchange::Exchange;
use crate::faults::{Board, Channel, Close, Fault, FaultWord};
use crate::http::registry::Registry;
use crate::http::server;
use crate::levers::{announce_shutdown, report, set_fault, set_pin, with_market};
use crate::market::reference::Reference;
use crate::market::{Market, Trading};
use crate::pins::{Pin, Pins};
use crate::shared::Shared;
use crate::state::{Ledger, SimState};
use crate::telegram::{self, Telegram};
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
        let exchange = |venue| Exchange::new(venue, &config, reference);
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
            exchanges: [
                exchange(Venue::Coinbase),
                exchange(Venue::Kraken),
                exchange(Venue::Bybit),
                exchange(Venue::Okx),
            ],
            telegram: Telegram::new(config.telegram.clone()),
            started: Instant::now(),
            clock,
            config,
        });
        for word in &shared.config.faults {
            if !set_fault(&shared, word.clone()) {
                return Err(SimError::TooManyFaults);
            }
        }
        let mut tasks = vec![
            tokio::spawn(server::run(listener, shared.clone())),
            tokio::spawn(pulse(shared.clone())),
            tokio::spawn(telegram::deliver(shared.telegram.clone())),
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
        for exchange in &shared.exchanges {
            exchange.advance(&shared, step);
        }
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

    /// The Bot API of Telegram, with its levers.
    #[must_use]
    pub fn telegram(&self) -> Arc<Telegram> {
        self.shared.telegram.clone()
    }

    /// Puts a fault in force until it is healed. Faults add up. [`FaultKind::Cut`](crate::FaultKind::Cut),
    /// [`FaultKind::Reset`](crate::FaultKind::Reset) and [`FaultKind::Flap`](crate::FaultKind::Flap) end living connections at once, and
    /// [`FaultKind::Restart`](crate::FaultKind::Restart) happens at once and is then over. False when there are too many, or
    /// when the venue has nothing that this fault could break.
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
        announce_shutdown(&self.shared, Venue::Binance)
    }

    /// The notice before the server goes down, to every connection of Binance (`serverShutdown`)
    /// or OKX (64008); returns how many. The others have no such notice. Ending the connections
    /// is left to [`SimHandle::cut`].
    pub fn shutdown_notice_of(&self, venue: Venue) -> usize {
        announce_shutdown(&self.shared, venue)
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
        self.list_on(Venue::Binance, symbol, known)
    }

    /// The same on any exchange, in its own word: `FOO-USD`, `FOO/USD`, `FOOUSDT`.
    pub fn list_on(&self, venue: Venue, symbol: &str, known: bool) -> bool {
        let act = |market: &mut Market| {
            if known {
                market.list(symbol)
            } else {
                market.unlist(symbol)
            }
        };
        with_market(&self.shared, venue, act) == Some(true)
    }

    /// Halts a Binance symbol or lets it trade again.
    pub fn set_trading(&self, symbol: &str, trading: Trading) -> bool {
        self.set_trading_on(Venue::Binance, symbol, trading)
    }

    /// The same on any exchange.
    pub fn set_trading_on(&self, venue: Venue, symbol: &str, trading: Trading) -> bool {
        let act = |market: &mut Market| market.set_trading(symbol, trading);
        with_market(&self.shared, venue, act) == Some(true)
    }

    /// Best bid and ask of a Binance symbol at this moment.
    #[must_use]
    pub fn top(&self, symbol: &str) -> Option<(Decimal, Decimal)> {
        self.top_of(Venue::Binance, symbol)
    }

    /// The same of a symbol of any exchange.
    #[must_use]
    pub fn top_of(&self, venue: Venue, symbol: &str) -> Option<(Decimal, Decimal)> {
        let top = with_market(&self.shared, venue, |market| market.symbol(symbol)?.top())??;
        Some((top.bid.0, top.ask.0))
    }

    /// The symbols an exchange lists, in its own words.
    #[must_use]
    pub fn symbols_of(&self, venue: Venue) -> Vec<String> {
        let names = |market: &mut Market| {
            market
                .symbols()
                .map(|symbol| symbol.spec.name.to_string())
                .collect()
        };
        with_market(&self.shared, venue, names).unwrap_or_default()
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
