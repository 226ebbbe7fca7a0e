//! The WebSocket part all exchanges share.
//!
//! | part | what it holds |
//! |---|---|
//! | `handshake` | from the HTTP request to the open socket |
//! | `connection` | the loop of one connection, and the `Session` that knows the venue's rules |
//! | `outlet` | the way of a frame to one client, as the faults allow |
//! | `hub` | who is subscribed to what |
//! | `window` | how many events of a kind are allowed in a time |

pub(crate) mod connection;
pub(crate) mod handshake;
pub(crate) mod hub;
pub(crate) mod outlet;
pub(crate) mod window;

use crate::venue::Venue;

/// Whether a path is one where the venue speaks WebSocket, when a client asks for it there.
pub(crate) fn is_stream_path(venue: Venue, path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let bare = path.is_empty();
    match venue {
        Venue::Binance => crate::binance::is_stream_path(path),
        Venue::Coinbase => bare,
        Venue::Kraken => bare || path == "/v2",
        Venue::Bybit => bare || path == "/v5/public/spot",
        Venue::Okx => bare || path == "/ws/v5/public",
        _ => false,
    }
}
