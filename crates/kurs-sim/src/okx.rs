//! Simulated OKX: v5 public.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | requests, topics, acknowledgements, error frames; pure |
//! | `frames` | what goes over a channel; pure |
//! | `session` | the rules of one WebSocket connection |
//! | `rest` | the REST routes |
//! | `candles` | candles of the past |

pub(crate) mod candles;
pub(crate) mod frames;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod session;

use crate::shared::Shared;
use crate::venue::Venue;

/// The notice that the server goes down, to every connection; returns how many were told.
pub(crate) fn announce_shutdown(shared: &Shared) -> usize {
    let Some(exchange) = shared.exchange(Venue::Okx) else {
        return 0;
    };
    exchange
        .hub
        .tell_all(|()| protocol::notice_of_upgrade().into())
}
