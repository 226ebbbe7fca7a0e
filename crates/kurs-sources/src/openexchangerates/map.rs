//! From the table of Open Exchange Rates to pairs and prices.

use super::config::Config;
use super::wire::Table;
use crate::iso4217;
use crate::protocol::{Entry, Picture};
use kurs_core::{Now, Quote};

/// The rates of the base in the currencies of ISO 4217 and those the user named. Historical
/// codes linger in such tables, hence the list. A table that is too old has a picture that has
/// already expired.
#[must_use]
pub fn picture(table: &Table, config: &Config, now: Now) -> Picture {
    let wanted = |code| iso4217::is_current(code) || config.more_currencies.contains(&code);
    let entries = table
        .rates
        .rates
        .iter()
        .filter(|(pair, _)| wanted(pair.quote))
        .map(|(pair, price)| Entry {
            pair: *pair,
            quote: Quote::Single(*price),
            observed_at: Some(table.published_at),
        })
        .collect();
    let frozen = now.wall.since(table.published_at) > config.max_observed_age.0;
    Picture {
        entries,
        valid_until: frozen.then(|| table.published_at.plus(config.max_observed_age.0)),
        rejected: table.rates.rejected.clone(),
        ..Picture::default()
    }
}
