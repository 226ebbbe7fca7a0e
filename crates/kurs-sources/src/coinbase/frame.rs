//! What a frame says, once it is read.

use crate::levels::{Number, shortened};
use crate::venue::codec::{Channel, Said, Symbols};
use kurs_book::{Ids, Kind};
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;
use std::ops::Range;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Snapshot,
    Update,
    Ticker,
    Heartbeat,
    Match,
    LastMatch,
    Error,
    /// All that is subscribed: the answer to a command that was accepted.
    Subscriptions,
    /// Channels that are not subscribed.
    Other,
}

impl Type {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "l2update" => Self::Update,
            "snapshot" => Self::Snapshot,
            "ticker" => Self::Ticker,
            "heartbeat" => Self::Heartbeat,
            "match" => Self::Match,
            "last_match" => Self::LastMatch,
            "error" => Self::Error,
            "subscriptions" => Self::Subscriptions,
            _ => Self::Other,
        }
    }

    pub(super) const fn channel(self) -> Option<Channel> {
        match self {
            Self::Snapshot | Self::Update => Some(Channel::Book),
            Self::Ticker => Some(Channel::Top),
            Self::Heartbeat => Some(Channel::Heartbeat),
            Self::Match | Self::LastMatch => Some(Channel::Trades),
            Self::Error | Self::Subscriptions | Self::Other => None,
        }
    }
}

/// The product of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Product {
    #[default]
    Unnamed,
    NotFollowed,
    Followed(u32),
}

/// What was read of a frame, as far as the reading came.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) kind: Option<Type>,
    pub(super) product: Product,
    pub(super) has_type: bool,
    pub(super) has_product: bool,
    pub(super) has_changes: bool,
    pub(super) has_bids: bool,
    pub(super) has_asks: bool,
    /// A level was no level.
    pub(super) is_broken: bool,
    pub(super) at: Option<Wall>,
    pub(super) sequence: Option<u64>,
    pub(super) bid: Option<Number>,
    pub(super) bid_size: Option<Number>,
    pub(super) ask: Option<Number>,
    pub(super) ask_size: Option<Number>,
    pub(super) trade_id: Option<u64>,
    pub(super) price: Option<Number>,
    pub(super) message: String,
    pub(super) reason: String,
}

impl Frame {
    /// Says what was read. `is_whole`: the text was valid to its end.
    pub(super) fn say(
        &self,
        is_whole: bool,
        changes: Range<usize>,
        symbols: &dyn Symbols,
        said: &mut Vec<Said>,
    ) {
        let Some(kind) = self.kind else {
            return said.push(Said::Unreadable);
        };
        let Some(channel) = kind.channel() else {
            return match kind {
                _ if !is_whole => said.push(Said::Unreadable),
                Type::Error => self.refusal(symbols, said),
                // Answers name no command; they come in the order of the commands.
                Type::Subscriptions => said.push(Said::Accepted { command: None }),
                _ => said.push(Said::Other),
            };
        };
        said.push(match self.product {
            Product::NotFollowed if is_whole => Said::Other,
            Product::Unnamed | Product::NotFollowed => Said::Unreadable,
            Product::Followed(symbol) => {
                let impossible = Said::Impossible { symbol, channel };
                if is_whole {
                    self.about(kind, symbol, changes).unwrap_or(impossible)
                } else {
                    // Whatever it was going to say, this product's next message does not
                    // follow the last one.
                    impossible
                }
            }
        });
    }

    fn about(&self, kind: Type, symbol: u32, changes: Range<usize>) -> Option<Said> {
        match kind {
            Type::Snapshot | Type::Update => {
                let (kind, is_there) = if kind == Type::Update {
                    (Kind::Diff, self.has_changes)
                } else {
                    (Kind::Snapshot, self.has_bids && self.has_asks)
                };
                (is_there && !self.is_broken).then_some(Said::Book {
                    symbol,
                    kind,
                    ids: Ids::None,
                    checksum: None,
                    changes,
                    at: self.at,
                })
            }
            Type::Ticker => self.top(symbol),
            Type::Heartbeat => Some(Said::Alive {
                symbol,
                channel: Channel::Heartbeat,
            }),
            Type::Match => self.trade(symbol),
            // Sent once after subscribing. It may be hours old, so it dates nothing.
            Type::LastMatch => Some(Said::Other),
            Type::Error | Type::Subscriptions | Type::Other => None,
        }
    }

    fn top(&self, symbol: u32) -> Option<Said> {
        let (bid, ask) = (self.bid?, self.ask?);
        if is_zero(bid) || is_zero(ask) {
            return Some(Said::NoTop { symbol });
        }
        Some(Said::Top {
            symbol,
            bid: level(bid, self.bid_size)?,
            ask: level(ask, self.ask_size)?,
            id: self.sequence,
            at: self.at,
        })
    }

    fn trade(&self, symbol: u32) -> Option<Said> {
        let (id, price) = (self.trade_id?, self.price?.price()?);
        let Some(at) = self.at else {
            return Some(Said::Other);
        };
        Some(Said::Trade {
            symbol,
            id,
            price,
            traded_at: at,
            sent_at: at,
        })
    }

    /// A bad product spoils its whole command. The venue names the product in its reason, or
    /// nobody; the others of the command are asked for again, one by one.
    fn refusal(&self, symbols: &dyn Symbols, said: &mut Vec<Said>) {
        let why = if self.reason.is_empty() {
            self.message.clone()
        } else {
            shortened(&format!("{}: {}", self.message, self.reason))
        };
        let is_unknown = self.reason.contains("not a valid product");
        let before = said.len();
        let is_symbol = |symbol: char| symbol.is_ascii_alphanumeric() || symbol == '-';
        for text in [&self.reason, &self.message] {
            for symbol in text
                .split(|symbol| !is_symbol(symbol))
                .filter(|word| word.contains('-'))
                .filter_map(|word| symbols.find(word))
            {
                let refused = |channel| Said::StreamRefused {
                    symbol,
                    channel,
                    why: match is_unknown {
                        true => shortened(&format!("unknown symbol: {}", self.reason)),
                        false => why.clone(),
                    },
                };
                said.extend(Channel::ALL.map(refused));
            }
            if said.len() > before {
                break;
            }
        }
        let command = None;
        said.push(Said::Refused { command, why });
    }
}

fn is_zero(number: Number) -> bool {
    number.0.is_some_and(|value| value.is_zero())
}

/// Frames before about 2022 have no sizes; a size of zero beside a price says nothing either.
fn level(price: Number, size: Option<Number>) -> Option<(Price, Option<Decimal>)> {
    let size = match size {
        Some(size) => Some(size.size()?).filter(|size| !size.is_zero()),
        None => None,
    };
    Some((price.price()?, size))
}
