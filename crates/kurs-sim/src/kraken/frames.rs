//! What goes over the streams of WebSocket v2. Numbers are bare, padded to the precision of the
//! symbol, and the checksum is made of their digits as sent.

use crate::exchange::book::{Diff, Level};
use crate::exchange::feed::Happening;
use crate::exchange::scene::{Digits, Scene};
use crate::faults::FaultKind;
use crate::market::Trade;
use crate::market::symbol::SymbolMarket;
use crate::venue::Venue;
use flate2::Crc;
use serde_json::{Value, json};

/// Levels a side that the checksum covers.
const CHECKED: usize = 10;

/// One frame.
pub(crate) fn write(scene: &Scene<'_>, happening: &Happening) -> Option<String> {
    let shown = scene.shown;
    Some(match happening {
        Happening::Whole => book(scene, "snapshot", &shown.bids, &shown.asks),
        Happening::Update(diff) => {
            let Diff { bids, asks } = disordered(diff, scene.twist());
            book(scene, "update", &bids, &asks)
        }
        Happening::Ticker { first } => ticker(scene, *first),
        Happening::Trades(rows) => trades(scene, "update", rows),
        Happening::LastTrade => trades(scene, "snapshot", &[scene.symbol.last_trade]),
        Happening::Same | Happening::Heartbeat => return None,
    })
}

fn price(scene: &Scene<'_>, ticks: u64) -> String {
    scene.ticks(ticks, Digits::Padded(scene.price_decimals()))
}

fn size(scene: &Scene<'_>, lots: u64) -> String {
    scene.lots(lots, Digits::Padded(scene.symbol.spec.size_decimals()))
}

/// Updates come in no order and now and then name a level twice, the first time with a size that
/// no longer holds.
fn disordered(diff: &Diff, twist: u64) -> Diff {
    let mut diff = diff.clone();
    for (levels, twist) in [(&mut diff.bids, twist), (&mut diff.asks, twist >> 8)] {
        let count = u64::try_from(levels.len()).unwrap_or(1).max(1);
        let turn = usize::try_from(twist % count).unwrap_or(0);
        levels.rotate_left(turn);
        if twist % 16 == 0
            && let Some((ticks, lots)) = levels.last().copied()
            && lots > 0
        {
            levels.insert(0, (ticks, lots + 1));
        }
    }
    diff
}

fn book(scene: &Scene<'_>, kind: &str, bids: &[Level], asks: &[Level]) -> String {
    let side = |levels: &[Level]| {
        let level = |(ticks, lots): &Level| {
            let (price, qty) = (price(scene, *ticks), size(scene, *lots));
            format!(r#"{{"price":{price},"qty":{qty}}}"#)
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    let symbol = &scene.feed.topic.symbol;
    let mut checksum = checksum(scene);
    let board = &scene.shared.board;
    if board.take(Venue::Kraken, &FaultKind::Checksum, symbol) {
        checksum ^= 0x5a5a_5a5a;
    }
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"{symbol}","bids":[{}],"asks":[{}],"checksum":{checksum},"timestamp":"{}"}}]}}"#,
        side(bids),
        side(asks),
        scene.time(),
    )
}

/// CRC32 over the ten best asks from low to high, then the ten best bids from high to low: the
/// digits of price and size, without dot and leading zeros.
fn checksum(scene: &Scene<'_>) -> u32 {
    let mut crc = Crc::new();
    for levels in [&scene.shown.asks, &scene.shown.bids] {
        for (ticks, lots) in levels.iter().take(CHECKED) {
            for number in [price(scene, *ticks), size(scene, *lots)] {
                crc.update(digits(&number).as_bytes());
            }
        }
    }
    crc.sum()
}

fn digits(number: &str) -> String {
    number.replace('.', "").trim_start_matches('0').to_owned()
}

fn ticker(scene: &Scene<'_>, first: bool) -> String {
    let Scene { symbol, feed, .. } = scene;
    let best = |levels: &[Level]| match levels.first() {
        Some((ticks, lots)) => (price(scene, *ticks), size(scene, *lots)),
        // A market without quotes.
        None => ("0".to_owned(), "0".to_owned()),
    };
    let (bid, bid_qty) = best(&feed.window.bids);
    let (ask, ask_qty) = best(&feed.window.asks);
    let summary = &symbol.summary;
    let of = |number| scene.price(number, Digits::Padded(scene.price_decimals()));
    let change = summary.close.saturating_sub(summary.open);
    let percent = change
        .checked_div(summary.open)
        .unwrap_or_default()
        .saturating_mul(rust_decimal::Decimal::ONE_HUNDRED);
    format!(
        r#"{{"channel":"ticker","type":"{}","data":[{{"symbol":"{}","bid":{bid},"bid_qty":{bid_qty},"ask":{ask},"ask_qty":{ask_qty},"last":{},"volume":{},"vwap":{},"low":{},"high":{},"change":{},"change_pct":{},"trades":{},"timestamp":"{}"}}]}}"#,
        if first { "snapshot" } else { "update" },
        feed.topic.symbol,
        of(symbol.last_trade.price),
        Digits::Padded(8).write(summary.volume),
        of(summary.open),
        of(summary.low),
        of(summary.high),
        Digits::Padded(scene.price_decimals()).write(change),
        Digits::Padded(2).write(percent),
        symbol.last_trade.id % 1_000_000,
        scene.time(),
    )
}

fn trades(scene: &Scene<'_>, kind: &str, trades: &[Trade]) -> String {
    let decimals = Digits::Padded(scene.price_decimals());
    let row = |trade: &Trade| {
        format!(
            r#"{{"symbol":"{}","side":"{}","price":{},"qty":{},"ord_type":"limit","trade_id":{},"timestamp":"{}"}}"#,
            scene.feed.topic.symbol,
            if trade.buyer_is_maker { "sell" } else { "buy" },
            scene.price(trade.price, decimals),
            Digits::Padded(scene.symbol.spec.size_decimals()).write(trade.quantity),
            trade.id,
            scene.time(),
        )
    };
    let rows: Vec<String> = trades.iter().map(row).collect();
    let rows = rows.join(",");
    format!(r#"{{"channel":"trade","type":"{kind}","data":[{rows}]}}"#)
}

/// The first frame of a connection.
pub(crate) fn status(connection_id: u64) -> String {
    format!(
        r#"{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"online","api_version":"v2","connection_id":{connection_id}}}]}}"#
    )
}

/// Sent once a second.
pub(crate) const HEARTBEAT: &str = r#"{"channel":"heartbeat"}"#;

/// The instrument channel: assets and pairs with their precisions, increments with exponents
/// where they are small, as the real channel writes them.
pub(crate) fn instruments<'a>(symbols: impl Iterator<Item = &'a SymbolMarket>) -> String {
    let increment = |decimals: u32| match decimals {
        0 => "1".to_owned(),
        1..=4 => format!(
            "0.{}1",
            "0".repeat(usize::try_from(decimals).unwrap_or(1) - 1)
        ),
        _ => format!("1e-{decimals:02}"),
    };
    let mut pairs = Vec::new();
    let mut assets = std::collections::BTreeMap::<String, Value>::new();
    for symbol in symbols {
        let spec = &symbol.spec;
        let (price, size) = (spec.price_decimals(), spec.size_decimals());
        let (tick, lot) = (increment(price), increment(size));
        for asset in [&spec.base, &spec.quote] {
            assets.insert(
                asset.to_string(),
                json!({"id": &**asset, "status": "enabled", "precision": 10, "precision_display": 8, "borrowable": false}),
            );
        }
        let status = match symbol.trading {
            crate::market::Trading::Trading => "online",
            crate::market::Trading::Halt => "maintenance",
        };
        pairs.push(format!(
            r#"{{"symbol":"{}","base":"{}","quote":"{}","status":"{status}","qty_precision":{size},"qty_increment":{lot},"price_precision":{price},"price_increment":{tick},"cost_precision":{},"cost_min":0.5,"qty_min":{lot},"marginable":false,"has_index":true}}"#,
            spec.name, spec.base, spec.quote, price + 4,
        ));
    }
    let assets: Vec<Value> = assets.into_values().collect();
    format!(
        r#"{{"channel":"instrument","type":"snapshot","data":{{"assets":{},"pairs":[{}]}}}}"#,
        json!(assets),
        pairs.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_lose_the_dot_and_leading_zeros() {
        assert_eq!(digits("45285.2"), "452852");
        assert_eq!(digits("0.00100000"), "100000");
    }

    #[test]
    fn the_known_answer_of_the_sheet_is_met() {
        // The snapshot of the capture of 2026-08-24: BTC/USD, depth 10.
        let asks = "78871.6 4.21103066 78872.2 0.41892437 78872.5 0.08877452 78873.7 0.64976822 78875.5 0.63391066 78876.2 0.02287157 78877.2 0.00810675 78877.8 0.65087492 78877.9 1.89408049 78878.0 4.52243185";
        let bids = "78871.5 0.01266503 78868.4 0.00005100 78867.3 0.00059789 78865.8 0.00030000 78865.7 0.01532403 78864.5 0.00005100 78860.6 0.04618528 78860.5 0.00005100 78859.2 0.20128607 78858.8 0.63404462";
        let mut crc = Crc::new();
        for number in asks.split(' ').chain(bids.split(' ')) {
            crc.update(digits(number).as_bytes());
        }
        assert_eq!(crc.sum(), 1_406_471_562);
    }

    #[test]
    fn a_disordered_update_leads_to_the_same_book() {
        let diff = Diff {
            bids: vec![(5, 1), (4, 0), (3, 7)],
            asks: vec![(6, 2)],
        };
        let mut doubled = 0;
        for twist in 0..4_096 {
            let Diff { bids, asks } = disordered(&diff, twist);
            doubled += usize::from(bids.len() > 3 || asks.len() > 1);
            let last = |levels: &[Level]| {
                levels
                    .iter()
                    .copied()
                    .collect::<std::collections::BTreeMap<_, _>>()
            };
            assert_eq!(last(&bids), last(&diff.bids));
            assert_eq!(last(&asks), last(&diff.asks));
        }
        assert!(doubled > 100);
    }
}
