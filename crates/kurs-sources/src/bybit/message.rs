//! What a whole frame about a followed stream says.

use super::data::Data;
use crate::venue::codec::Said;
use kurs_book::{Change, Ids, Kind, Side};
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;
use std::ops::Range;

/// A whole frame about a followed stream.
pub(super) struct Message<'a> {
    pub(super) symbol: u32,
    pub(super) kind: Option<Kind>,
    pub(super) sent_at: Option<Wall>,
    pub(super) engine_at: Option<Wall>,
    pub(super) data: &'a Data,
}

impl Message<'_> {
    /// A snapshot may come at any time. `u` = 1 is one, whatever it is called: the venue's
    /// service began anew.
    pub(super) fn book(&self, changes: Range<usize>) -> Option<Said> {
        let (kind, number) = (self.kind?, self.data.number?);
        self.levels_are_there().then_some(Said::Book {
            symbol: self.symbol,
            kind: if number == 1 { Kind::Snapshot } else { kind },
            ids: Ids::Counter(number),
            checksum: None,
            changes,
            at: self.engine_at.or(self.sent_at),
        })
    }

    /// The book of one level comes as snapshots only.
    pub(super) fn top(&self, levels: &[Change]) -> Option<Said> {
        if self.kind? != Kind::Snapshot || !self.levels_are_there() {
            return None;
        }
        let symbol = self.symbol;
        let (Some(bid), Some(ask)) = (best(levels, Side::Bid)?, best(levels, Side::Ask)?) else {
            return Some(Said::NoTop { symbol });
        };
        Some(Said::Top {
            symbol,
            bid,
            ask,
            id: None,
            at: self.engine_at.or(self.sent_at),
        })
    }

    pub(super) fn trade(&self) -> Option<Said> {
        if !self.data.is_there {
            return None;
        }
        let Some(trade) = &self.data.trade else {
            return Some(Said::Other);
        };
        let price = trade.price?;
        let (Some(id), Some(traded_at)) = (trade.id, wall(Some(trade.traded_at))) else {
            return Some(Said::Other);
        };
        Some(Said::Trade {
            symbol: self.symbol,
            id,
            price,
            traded_at,
            sent_at: self.sent_at.unwrap_or(traded_at),
        })
    }

    const fn levels_are_there(&self) -> bool {
        self.data.has_bids && self.data.has_asks && !self.data.is_broken
    }
}

/// The first level of a side: `Some(None)` when it has none, `None` when nothing is offered
/// there, which cannot be.
fn best(levels: &[Change], side: Side) -> Option<Option<(Price, Option<Decimal>)>> {
    let Some(level) = levels.iter().find(|level| level.side == side) else {
        return Some(None);
    };
    (!level.size.is_zero()).then_some(Some((level.price, Some(level.size))))
}

/// Milliseconds since 1970; `None` for what cannot be one.
pub(super) fn wall(milliseconds: Option<i64>) -> Option<Wall> {
    let at = Wall::from_unix_ms(milliseconds.filter(|number| *number > 0)?);
    (at < Wall::MAX).then_some(at)
}
