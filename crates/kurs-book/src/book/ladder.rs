//! One side of a book.

use super::leaves::Leaves;
use crate::update::Side;
use kurs_core::{Level, Price};
use std::collections::BTreeMap;

/// Digits of a price that its key holds.
const KEY_DIGITS: u32 = 17;
/// Bits for that many digits.
const KEY_BITS: u32 = 57;

/// The levels of one side.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    side: Side,
    leaves: Leaves,
    /// All the levels, instead of in `leaves`, as soon as one price has more digits than a key
    /// can hold: no venue sends such prices, but a book that came across one must not be wrong.
    long: Option<BTreeMap<Price, Level>>,
}

/// A number that is in order as the prices are: the exponent of the first digit, then the
/// digits. Equal prices have the same key however many zeros they end with. `None` when the
/// price has more digits.
#[inline]
fn key_of(price: Price) -> Option<u64> {
    let value = price.value();
    let mantissa = value.mantissa();
    // The price is below 10^29 and has at most 28 decimals: 0..=56.
    let exponent = |digits: u32| u64::from(28 + digits - value.scale()) << KEY_BITS;
    match u64::try_from(mantissa) {
        Ok(short) if short < 10_u64.pow(KEY_DIGITS) => {
            let digits = short.ilog10();
            Some(exponent(digits) | (short * TENS[(KEY_DIGITS - 1 - digits) as usize]))
        }
        _ => {
            let digits = mantissa.ilog10();
            let cut = 10_i128.pow(digits + 1 - KEY_DIGITS);
            let kept = u64::try_from(mantissa / cut).ok()?;
            (mantissa % cut == 0).then_some(exponent(digits) | kept)
        }
    }
}

const TENS: [u64; KEY_DIGITS as usize] = {
    let mut tens = [1; KEY_DIGITS as usize];
    let mut index = 1;
    while index < tens.len() {
        tens[index] = tens[index - 1] * 10;
        index += 1;
    }
    tens
};

impl Ladder {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            leaves: Leaves::default(),
            long: None,
        }
    }

    #[inline]
    pub(super) fn set(&mut self, level: Level) {
        let is_removed = level.size.is_zero() || level.size.is_sign_negative();
        if self.long.is_none()
            && let Some(key) = key_of(level.price)
        {
            // The best level has the greatest key on either side.
            let key = match self.side {
                Side::Bid => key,
                Side::Ask => !key,
            };
            if is_removed {
                self.leaves.remove(key);
            } else {
                self.leaves.put(key, level);
            }
            return;
        }
        self.set_long(level, is_removed);
    }

    #[cold]
    fn set_long(&mut self, level: Level, is_removed: bool) {
        let long = self.long.get_or_insert_with(|| {
            let levels = self.leaves.iter().map(|level| (level.price, level));
            let long = levels.collect();
            self.leaves.clear();
            long
        });
        // The digits of the price are those that were sent last.
        long.remove(&level.price);
        if !is_removed {
            long.insert(level.price, level);
        }
    }

    #[inline]
    pub(super) fn best(&self) -> Option<Level> {
        match (&self.long, self.side) {
            (None, _) => self.leaves.best(),
            (Some(long), Side::Bid) => long.last_key_value().map(|(_, level)| *level),
            (Some(long), Side::Ask) => long.first_key_value().map(|(_, level)| *level),
        }
    }

    /// Best first.
    pub(super) fn iter(&self) -> impl Iterator<Item = Level> {
        let (down, up) = match self.side {
            Side::Bid => (self.long.as_ref(), None),
            Side::Ask => (None, self.long.as_ref()),
        };
        let down = down.into_iter().flat_map(|long| long.values().rev());
        let up = up.into_iter().flat_map(BTreeMap::values);
        self.leaves.iter().chain(down.chain(up).copied())
    }

    pub(super) fn len(&self) -> usize {
        self.long.as_ref().map_or(self.leaves.len(), BTreeMap::len)
    }

    pub(super) fn cut(&mut self, depth: usize) {
        while self.leaves.len() > depth {
            self.leaves.remove_worst();
        }
        if let Some(long) = &mut self.long {
            while long.len() > depth {
                match self.side {
                    Side::Bid => long.pop_first(),
                    Side::Ask => long.pop_last(),
                };
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.leaves.clear();
        self.long = None;
    }
}

#[cfg(test)]
impl Ladder {
    pub(super) const fn leaves_ever(&self) -> usize {
        self.leaves.ever()
    }
}
