//! What can go wrong, on demand: as Rust values, as JSON for the control route, and as words for
//! a command line (`binance:stall`, `coingecko:429:retry_after=30`). One parser reads both texts.

mod board;
mod garbage;
mod word;

pub(crate) use garbage::Garbage;

pub(crate) use board::{Board, Close, Occasion, Stage, Verdict};
pub use word::{FaultError, FaultWord};

use crate::venue::Venue;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A fault of one venue, in force until it is healed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// To what it happens.
    pub scope: Scope,
}

/// Narrows a fault; the default hits everything of the venue, for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Only WebSocket or only REST.
    pub channel: Option<Channel>,
    /// Only this symbol, in the venue's own word. Streams: that of the frame; REST: the `symbol`
    /// parameter of the request, for wrong prices every place where the symbol is printed
    /// (`BTCUSDT`, `bitcoin`, `RUB`).
    pub symbol: Option<String>,
    /// Only REST paths that end so (`/api/v3/depth`).
    pub route: Option<String>,
    /// Heals by itself after so many hits.
    pub times: Option<u32>,
}

/// The two ways to a venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// WebSocket connections.
    Ws,
    /// REST requests.
    Rest,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Living connections are closed without a goodbye, and so is every new one.
    Cut,
    /// The same with a TCP reset.
    Reset,
    /// New connections are reset as soon as they name the venue; living ones are left alone.
    Refuse,
    /// Silence on a living connection; a REST request gets no answer while it lasts.
    Stall {
        /// Whether pings are still sent and answered.
        pongs: bool,
    },
    /// Every frame and answer comes this much later.
    Delay(Duration),
    /// So many in a hundred frames are lost; a REST connection closes instead of answering.
    Drop {
        /// 0 to 100.
        percent: u8,
    },
    /// So many in a hundred frames come twice.
    Duplicate {
        /// 0 to 100.
        percent: u8,
    },
    /// So many in a hundred frames or answers are broken in the middle.
    Malformed {
        /// 0 to 100.
        percent: u8,
    },
    /// REST requests and WebSocket handshakes are answered with this status.
    Status {
        /// 400 to 599.
        status: u16,
        /// The Retry-After header, seconds.
        retry_after_seconds: Option<u64>,
    },
    /// Prices are wrong.
    WrongPrice(WrongPrice),
    /// Down (as by [`FaultKind::Reset`]) for the first half of each period, up for the other.
    Flap {
        /// Length of one down and one up together.
        period: Duration,
    },
    /// So many in a hundred diffs of an order book are lost; other frames are not.
    Gap {
        /// 0 to 100.
        percent: u8,
    },
    /// Book frames carry a wrong checksum (Kraken; OKX when it sends checksums at all).
    Checksum,
    /// Diffs bring a bid above the best ask, which is never taken back.
    Crossed,
    /// REST depth snapshots are older than any diff a client can have buffered (Binance).
    StaleSnapshot,
    /// The numbering of the books begins anew, once, at the moment the fault is set: Bybit sends a
    /// snapshot with `u` 1, OKX an update whose `seqId` is smaller than its `prevSeqId`.
    Restart,
    /// Living connections are flooded with nonsense, as fast as the client takes it.
    Garbage,
}

impl FaultKind {
    /// Whether a venue has the thing this fault breaks.
    #[must_use]
    pub const fn fits(&self, venue: Venue) -> bool {
        match self {
            Self::Checksum => matches!(venue, Venue::Kraken | Venue::Okx),
            Self::StaleSnapshot => matches!(venue, Venue::Binance),
            Self::Restart => matches!(venue, Venue::Bybit | Venue::Okx),
            Self::Gap { .. } | Self::Crossed | Self::Garbage => venue.has_streams(),
            _ => true,
        }
    }
}

/// How a price is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongPrice {
    /// The true price times this.
    Factor(Decimal),
    /// This text stands in its place, whatever it is: `NaN`, `1e308`, `-1`.
    Raw(String),
}

impl Fault {
    /// A fault of the whole venue.
    #[must_use]
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            scope: Scope::default(),
        }
    }

    /// Silence; pings go on.
    #[must_use]
    pub fn stall() -> Self {
        Self::new(FaultKind::Stall { pongs: true })
    }

    /// This status on every request.
    #[must_use]
    pub fn status(status: u16, retry_after_seconds: Option<u64>) -> Self {
        Self::new(FaultKind::Status {
            status,
            retry_after_seconds,
        })
    }

    /// Every price times this.
    #[must_use]
    pub fn wrong_factor(factor: Decimal) -> Self {
        Self::new(FaultKind::WrongPrice(WrongPrice::Factor(factor)))
    }

    /// This text instead of every price.
    #[must_use]
    pub fn wrong_text(text: &str) -> Self {
        Self::new(FaultKind::WrongPrice(WrongPrice::Raw(text.to_owned())))
    }

    /// The next diff of a book is lost.
    #[must_use]
    pub fn gap() -> Self {
        Self::new(FaultKind::Gap { percent: 100 }).times(1)
    }

    /// So many in a hundred diffs are lost.
    #[must_use]
    pub fn gaps(percent: u8) -> Self {
        Self::new(FaultKind::Gap { percent })
    }

    /// Only on WebSocket, or only on REST.
    #[must_use]
    pub fn on(mut self, channel: Channel) -> Self {
        self.scope.channel = Some(channel);
        self
    }

    /// Only for this symbol.
    #[must_use]
    pub fn for_symbol(mut self, symbol: &str) -> Self {
        self.scope.symbol = Some(symbol.to_owned());
        self
    }

    /// Only for REST paths that end so.
    #[must_use]
    pub fn for_route(mut self, route: &str) -> Self {
        self.scope.route = Some(route.to_owned());
        self
    }

    /// Heals by itself after so many hits.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.scope.times = Some(times);
        self
    }
}

impl WrongPrice {
    /// What stands in place of this price; `scale` is the number of decimals of the true text.
    pub(crate) fn spoil(&self, price: Decimal) -> String {
        match self {
            Self::Raw(text) => text.clone(),
            Self::Factor(factor) => match price.checked_mul(*factor) {
                Some(mut wrong) => {
                    wrong.rescale(price.scale());
                    wrong.to_string()
                }
                None => "1e308".to_owned(),
            },
        }
    }
}

/// The text of a price on the wire, spoiled if a fault says so.
pub(crate) fn price_text(price: Decimal, wrong: Option<&WrongPrice>) -> String {
    wrong.map_or_else(|| price.to_string(), |wrong| wrong.spoil(price))
}
