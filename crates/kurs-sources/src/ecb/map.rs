//! From a day of the ECB to prices with their validity.

use super::calendar;
use super::config::Config;
use super::wire::Day;
use crate::protocol::{Entry, Picture};
use crate::zone;
use jiff::civil::{Time, time};
use kurs_core::{Quote, Wall};

/// The banks agree on the rates of a day at about this time, Frankfurt time.
const AGREED_AT: Time = time(14, 15, 0, 0);

/// The rates of the day. They hold until those of the next working day are there, a grace for
/// late publication included: Friday's over the weekend.
#[must_use]
pub fn picture(day: &Day, config: &Config) -> Picture {
    let observed_at = zone::at(day.date, AGREED_AT, &zone::frankfurt());
    let entries = day
        .rates
        .rates
        .iter()
        .map(|(pair, price)| Entry {
            pair: *pair,
            quote: Quote::Single(*price),
            observed_at: Some(observed_at),
        })
        .collect();
    Picture {
        entries,
        valid_until: Some(valid_until(day, config)),
        rejected: day.rates.rejected.clone(),
        ..Picture::default()
    }
}

fn valid_until(day: &Day, config: &Config) -> Wall {
    let next = calendar::next_working_day(day.date);
    zone::at(next, config.published_at.time(), &zone::frankfurt()).plus(config.grace.0)
}
