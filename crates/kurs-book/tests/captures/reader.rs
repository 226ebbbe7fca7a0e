//! Reads captures: JSON with the digits kept.

use kurs_book::{BookUpdate, Change, Ids, Kind, Side, SyncedBook, Verdict};
use kurs_core::{Level, Mono, Price, price::parse_decimal};
use kurs_testkit::fixtures;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::path::PathBuf;

/// A number as it is written, in quotes or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) String);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().trim_matches('"').to_owned()))
    }
}

pub(crate) fn change(side: Side, price: &str, size: &str) -> Change {
    Change {
        side,
        price: Price::parse(price).unwrap(),
        size: parse_decimal(size).unwrap(),
    }
}

/// Levels whose first two members are price and size.
pub(crate) fn levels(side: Side, levels: &[Vec<Number>]) -> impl Iterator<Item = Change> {
    levels
        .iter()
        .map(move |level| change(side, &level[0].0, &level[1].0))
}

pub(crate) fn both(bids: &[Vec<Number>], asks: &[Vec<Number>]) -> Vec<Change> {
    let asks = levels(Side::Ask, asks);
    levels(Side::Bid, bids).chain(asks).collect()
}

pub(crate) fn take(
    book: &mut SyncedBook,
    kind: Kind,
    ids: Ids,
    checksum: Option<u32>,
    changes: &[Change],
) -> Verdict {
    let update = BookUpdate {
        kind,
        ids,
        checksum,
        changes,
    };
    book.take(Mono(0), update)
}

pub(crate) fn written(level: Level) -> (String, String) {
    (level.price.to_string(), level.size.to_string())
}

/// A capture; `None`, and a note, when the captures are not at hand.
pub(crate) fn capture(path: &str) -> Option<PathBuf> {
    let file = fixtures::file(path);
    if file.is_none() {
        eprintln!("KURS_FIXTURES is not set: {path} was not replayed");
    }
    file
}

/// Received frames, and answers to requests, in order of arrival.
pub(crate) fn frames(path: &std::path::Path) -> impl Iterator<Item = String> + use<> {
    fixtures::lines(path).filter_map(|line| match line.dir {
        fixtures::Direction::Rx | fixtures::Direction::Rest => Some(line.text().to_owned()),
        fixtures::Direction::Open | fixtures::Direction::Tx => None,
    })
}
