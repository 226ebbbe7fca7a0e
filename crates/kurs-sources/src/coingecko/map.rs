//! From CoinGecko's ids and fields to pairs and prices.

use super::config::Config;
use super::wire::Reply;
use crate::protocol::{Entry, Picture};
use kurs_core::{Asset, Now, Pair, Price, Quote, Wall};

/// The direct pair of every coin with every currency. A pair that was asked for and is not
/// usable is listed as missing, with the reason.
#[must_use]
pub fn picture(reply: &Reply, config: &Config, received: Now) -> Picture {
    let mut picture = Picture::default();
    for (id, asset) in &config.ids {
        let fields = reply.coins.get(id);
        let updated = fields
            .and_then(|fields| fields.get("last_updated_at"))
            .and_then(|text| text.parse().ok())
            .map(Wall::from_unix_seconds);
        let frozen = updated
            .map(|at| received.wall.since(at))
            .filter(|age| *age > config.max_observed_age.0);
        for currency in &config.vs_currencies {
            let Ok(pair) = Pair::of(asset.canonical(), *currency) else {
                continue;
            };
            let usable = match (fields, frozen) {
                (None, _) => Err("not in the answer".to_owned()),
                (_, Some(age)) => Err(format!("last updated {} s ago", age.as_secs())),
                (Some(fields), None) => price(fields, *currency),
            };
            match usable {
                Ok(price) => picture.entries.push(Entry {
                    pair,
                    quote: Quote::Single(price),
                    observed_at: updated,
                }),
                Err(why) => {
                    picture.missing.insert(pair, why);
                }
            }
        }
    }
    picture
}

type Fields = std::collections::BTreeMap<String, String>;

fn price(fields: &Fields, currency: Asset) -> Result<Price, String> {
    let field = currency.as_str().to_ascii_lowercase();
    match fields.get(&field).map(String::as_str) {
        None | Some("null") => Err("not in the answer".into()),
        // A quoted number is no number: Price::parse refuses the quotes.
        Some(text) => Price::parse(text).map_err(|error| error.to_string()),
    }
}
