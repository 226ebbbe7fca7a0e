//! Every lever on a running sim, for [`crate::SimHandle`] and the control routes alike.

use crate::binance;
use crate::capture::Player;
use crate::faults::{Close, FaultKind, FaultWord};
use crate::market::Market;
use crate::okx;
use crate::pins::Pin;
use crate::shared::Shared;
use crate::state::SimState;
use crate::venue::Venue;
use std::time::Instant;

/// The notice of a venue that has one; returns how many were told.
pub(crate) fn announce_shutdown(shared: &Shared, venue: Venue) -> usize {
    match venue {
        Venue::Binance => binance::announce_shutdown(shared),
        Venue::Okx => okx::announce_shutdown(shared),
        _ => 0,
    }
}

/// Does something with the market of an exchange; `None` for a venue that is none.
pub(crate) fn with_market<R>(
    shared: &Shared,
    venue: Venue,
    act: impl FnOnce(&mut Market) -> R,
) -> Option<R> {
    if venue == Venue::Binance {
        return Some(act(&mut shared.market.lock()));
    }
    let exchange = shared.exchange(venue)?;
    Some(act(&mut exchange.state.lock().market))
}

pub(crate) fn set_fault(shared: &Shared, word: FaultWord) -> bool {
    let FaultWord { venue, fault } = word;
    if !fault.kind.fits(venue) {
        return false;
    }
    if fault.kind == FaultKind::Restart {
        if let Some(exchange) = shared.exchange(venue) {
            exchange.restart(fault.scope.symbol.as_deref());
        }
        return true;
    }
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
    if !venue.has_streams() {
        return match pin {
            None => shared.pins.set(venue, symbol, None),
            Some(Pin::Price(price)) => shared.pins.set(venue, symbol, Some(price)),
            Some(Pin::Sides { .. }) => false,
        };
    }
    let act = |market: &mut Market| {
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
    };
    with_market(shared, venue, act) == Some(true)
}

pub(crate) fn report(shared: &Shared) -> SimState {
    let up_ms = shared.up_ms();
    let mut venues = shared.ledger.report();
    let binance = venues.entry(Venue::Binance).or_default();
    binance.ws_connections_now = shared.binance.hub.len();
    binance.ws_streams = shared.binance.hub.streams();
    binance.weight_used = shared.binance.limits.lock().used(up_ms);
    for exchange in &shared.exchanges {
        let state = venues.entry(exchange.venue).or_default();
        state.ws_connections_now = exchange.hub.len();
        state.ws_streams = exchange.hub.streams();
    }
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
