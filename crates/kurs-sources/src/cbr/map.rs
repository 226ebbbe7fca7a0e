//! From a table of the Bank of Russia to prices with their validity.

use super::calendar;
use super::config::Config;
use super::wire::Table;
use crate::protocol::{Entry, Picture};
use crate::zone;
use jiff::civil::{Date, Time};
use kurs_core::Quote;

/// The rates of the table, true since the midnight its date began. They hold until the next
/// table takes effect: the one already `coming`, or the one the calendar expects, whichever is
/// later, and the grace besides.
#[must_use]
pub fn picture(table: &Table, coming: Option<Date>, config: &Config) -> Picture {
    let midnight = |date: Date| zone::at(date, Time::midnight(), &zone::moscow());
    let observed_at = midnight(table.date);
    let entries = table
        .rates
        .rates
        .iter()
        .map(|(pair, price)| Entry {
            pair: *pair,
            quote: Quote::Single(*price),
            observed_at: Some(observed_at),
        })
        .collect();
    let next = calendar::next_expected(table.date).max(coming.unwrap_or(table.date));
    Picture {
        entries,
        valid_until: Some(midnight(next).plus(config.grace.0)),
        rejected: table.rates.rejected.clone(),
        ..Picture::default()
    }
}
