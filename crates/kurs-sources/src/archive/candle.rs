//! A candle as an archive has it, and what every such candle must fulfil.

use super::error::{ArchiveError, Flaw};
use kurs_core::{Price, Wall};
use kurs_store::Interval;
use serde_json::value::RawValue;
use std::ops::Range;

/// A candle of an archive, all its prices checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivedCandle {
    /// Its begin.
    pub start: Wall,
    /// First price.
    pub open: Price,
    /// Greatest price.
    pub high: Price,
    /// Least price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Trades in it; 0 where the archive does not say, or where there were none.
    pub count: u64,
    /// False where nothing was traded and the archive repeats the price before.
    pub traded: bool,
}

/// A candle's four prices as texts: open, high, low, close.
#[derive(Debug, Clone, Copy)]
pub struct Texts<'a>(pub [&'a str; 4]);

impl ArchivedCandle {
    /// Reads the prices and checks them against each other.
    ///
    /// # Errors
    /// [`Flaw::Price`] or [`Flaw::Contradiction`].
    pub fn read(start: Wall, texts: Texts<'_>, count: u64, traded: bool) -> Result<Self, Flaw> {
        let [open, high, low, close] = texts.0.map(|text| {
            Price::parse(text)
                .map(Price::normalized)
                .map_err(|_| Flaw::Price)
        });
        let (open, high, low, close) = (open?, high?, low?, close?);
        if high < open || high < close || low > open || low > close {
            return Err(Flaw::Contradiction);
        }
        Ok(Self {
            start,
            open,
            high,
            low,
            close,
            count,
            traded,
        })
    }
}

/// In which order a page comes, and so at which end a page that was cut short lacks candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Rising times.
    OldestFirst,
    /// Falling times.
    NewestFirst,
}

/// Checks a page and brings it into rising order. Candles beyond `span` are left out.
///
/// # Errors
/// [`Flaw`] when candles come twice, out of order, misplaced, or all from elsewhere.
pub fn in_order(
    mut page: Vec<ArchivedCandle>,
    order: Order,
    interval: Interval,
    span: &Range<Wall>,
) -> Result<Vec<ArchivedCandle>, Flaw> {
    if order == Order::NewestFirst {
        page.reverse();
    }
    for (earlier, later) in page.iter().zip(page.iter().skip(1)) {
        if earlier.start == later.start {
            return Err(Flaw::Twice);
        }
        if earlier.start > later.start {
            return Err(Flaw::Disordered);
        }
    }
    if page
        .iter()
        .any(|candle| interval.start_of(candle.start) != candle.start)
    {
        return Err(Flaw::Misplaced);
    }
    let was_empty = page.is_empty();
    page.retain(|candle| span.contains(&candle.start));
    if page.is_empty() && !was_empty {
        return Err(Flaw::NotAsked);
    }
    Ok(page)
}

/// One row of a page: an array of texts and numbers.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(pub &'a [&'a RawValue]);

/// Columns a row may have.
const COLUMNS_MAX: usize = 32;

impl<'a> Row<'a> {
    /// The text of a column, or the number as written.
    ///
    /// # Errors
    /// [`ArchiveError::Unreadable`] when there is no such column.
    pub fn text(&self, column: usize) -> Result<&'a str, ArchiveError> {
        let raw = self
            .0
            .get(column)
            .filter(|_| self.0.len() <= COLUMNS_MAX)
            .ok_or_else(|| unreadable("a row without all its columns"))?
            .get();
        // Numbers need no escapes; what has some is no number and will be refused as one.
        Ok(raw
            .strip_prefix('"')
            .and_then(|inner| inner.strip_suffix('"'))
            .unwrap_or(raw))
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`ArchiveError::Unreadable`] when it is none.
    pub fn whole(&self, column: usize) -> Result<i64, ArchiveError> {
        self.text(column)?
            .parse()
            .map_err(|_| unreadable("a time or a count that is no number"))
    }

    /// Four prices, by their columns: open, high, low, close.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn prices(&self, columns: [usize; 4]) -> Result<Texts<'a>, ArchiveError> {
        let [open, high, low, close] = columns;
        Ok(Texts([
            self.text(open)?,
            self.text(high)?,
            self.text(low)?,
            self.text(close)?,
        ]))
    }

    /// True when a column holds a number above zero.
    ///
    /// # Errors
    /// As [`Row::text`].
    pub fn is_above_zero(&self, column: usize) -> Result<bool, ArchiveError> {
        kurs_core::price::parse_decimal(self.text(column)?)
            .map(|value| !value.is_zero() && value.is_sign_positive())
            .map_err(|_| unreadable("a volume that is no number"))
    }
}

/// An answer that is not of the source's form.
pub(super) fn unreadable(why: &str) -> ArchiveError {
    ArchiveError::Unreadable(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candle(minute: i64) -> ArchivedCandle {
        let texts = Texts(["2", "3", "1", "2"]);
        ArchivedCandle::read(Wall::from_unix_seconds(minute * 60), texts, 1, true).unwrap()
    }

    fn minutes(from: i64, to: i64) -> Range<Wall> {
        Wall::from_unix_seconds(from * 60)..Wall::from_unix_seconds(to * 60)
    }

    #[test]
    fn prices_that_are_none_or_contradict_each_other_are_refused() {
        let read = |texts| ArchivedCandle::read(Wall(0), Texts(texts), 0, true).map(|_| ());
        assert_eq!(read(["1.10", "1.2", "1.0", "1.15"]), Ok(()));
        assert_eq!(read(["1", "1", "1", "1"]), Ok(()));
        for texts in [
            ["0", "1", "1", "1"],
            ["1", "1", "-1", "1"],
            ["1", "NaN", "1", "1"],
            ["1", "1", "1", ""],
            ["1", "1e308", "1", "1"],
        ] {
            assert_eq!(read(texts), Err(Flaw::Price), "{texts:?}");
        }
        for texts in [
            ["2", "1", "1", "1"],
            ["1", "1", "2", "1"],
            ["1", "2", "1", "3"],
            ["2", "3", "1", "0.5"],
        ] {
            assert_eq!(read(texts), Err(Flaw::Contradiction), "{texts:?}");
        }
    }

    #[test]
    fn a_page_comes_out_in_rising_order_or_is_refused() {
        let check = |starts: &[i64], order, expect: Result<&[i64], Flaw>| {
            let page = starts.iter().map(|minute| candle(*minute)).collect();
            let found = in_order(page, order, Interval::Minute, &minutes(10, 20));
            let starts = |page: Vec<ArchivedCandle>| -> Vec<i64> {
                page.iter()
                    .map(|candle| candle.start.unix_seconds() / 60)
                    .collect()
            };
            assert_eq!(found.map(starts), expect.map(<[i64]>::to_vec));
        };
        check(&[10, 11, 13], Order::OldestFirst, Ok(&[10, 11, 13]));
        check(&[13, 11, 10], Order::NewestFirst, Ok(&[10, 11, 13]));
        check(&[], Order::NewestFirst, Ok(&[]));
        check(&[9, 10, 20, 21], Order::OldestFirst, Ok(&[10]));
        check(&[13, 11], Order::OldestFirst, Err(Flaw::Disordered));
        check(&[11, 13], Order::NewestFirst, Err(Flaw::Disordered));
        check(&[11, 11], Order::OldestFirst, Err(Flaw::Twice));
        check(&[1, 2], Order::OldestFirst, Err(Flaw::NotAsked));
        let mut off = candle(12);
        off.start = Wall(off.start.0 + 1);
        let found = in_order(
            vec![off],
            Order::OldestFirst,
            Interval::Minute,
            &minutes(10, 20),
        );
        assert_eq!(found, Err(Flaw::Misplaced));
    }
}
