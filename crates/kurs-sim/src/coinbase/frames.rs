//! What goes over the streams of the Exchange feed.

use crate::exchange::book::{Diff, Level};
use crate::exchange::feed::Happening;
use crate::exchange::scene::{Digits, Scene};
use crate::market::Trade;

/// One frame.
pub(crate) fn write(scene: &Scene<'_>, happening: &Happening) -> Option<String> {
    Some(match happening {
        Happening::Whole => snapshot(scene),
        Happening::Update(diff) => l2update(scene, diff),
        Happening::Ticker { .. } => ticker(scene),
        Happening::Heartbeat => heartbeat(scene),
        Happening::LastTrade => trade(scene, "last_match", &scene.symbol.last_trade),
        // One frame for a burst would be another shape; the newest of a burst stands for it, as
        // messages of this channel may be dropped.
        Happening::Trades(trades) => trade(scene, "match", trades.last()?),
        Happening::Same => return None,
    })
}

fn snapshot(scene: &Scene<'_>) -> String {
    let side = |levels: &[Level]| {
        let level = |(ticks, lots): &Level| {
            format!(
                r#"["{}","{}"]"#,
                scene.ticks(*ticks, Digits::Padded(scene.price_decimals())),
                scene.lots(*lots, Digits::Padded(8))
            )
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    format!(
        r#"{{"type":"snapshot","product_id":"{}","asks":[{}],"bids":[{}],"time":"{}"}}"#,
        scene.feed.topic.symbol,
        side(&scene.shown.asks),
        side(&scene.shown.bids),
        scene.time(),
    )
}

/// Padding varies from frame to frame, as it does on the real feed.
fn l2update(scene: &Scene<'_>, diff: &Diff) -> String {
    let twist = scene.twist();
    let prices = match twist % 4 {
        0 => Digits::Padded(8),
        _ => Digits::Padded(scene.price_decimals()),
    };
    let sizes = match twist / 4 % 3 {
        0 => Digits::Padded(8),
        _ => Digits::Short,
    };
    let gone = ["0", "0.00", "0.00000000"];
    let mut changes = Vec::new();
    for (side, levels) in [("buy", &diff.bids), ("sell", &diff.asks)] {
        for (ticks, lots) in levels {
            let size = match *lots {
                0 => {
                    let index = usize::try_from((twist / 12 + ticks) % 3).unwrap_or(0);
                    gone.get(index).copied().unwrap_or("0").to_owned()
                }
                lots => scene.lots(lots, sizes),
            };
            let price = scene.ticks(*ticks, prices);
            changes.push(format!(r#"["{side}","{price}","{size}"]"#));
        }
    }
    format!(
        r#"{{"type":"l2update","product_id":"{}","changes":[{}],"time":"{}"}}"#,
        scene.feed.topic.symbol,
        changes.join(","),
        scene.time(),
    )
}

fn ticker(scene: &Scene<'_>) -> String {
    let Scene { symbol, feed, .. } = scene;
    let padded = Digits::Padded(scene.price_decimals());
    let trade = &symbol.last_trade;
    let best = |levels: &[Level]| match levels.first() {
        Some((ticks, lots)) => (
            scene.ticks(*ticks, padded),
            scene.lots(*lots, Digits::Padded(8)),
        ),
        None => ("0".to_owned(), "0".to_owned()),
    };
    let (bid, bid_size) = best(&feed.window.bids);
    let (ask, ask_size) = best(&feed.window.asks);
    let summary = &symbol.summary;
    let volume = Digits::Padded(8).write(summary.volume);
    format!(
        r#"{{"type":"ticker","sequence":{},"product_id":"{}","price":"{}","open_24h":"{}","volume_24h":"{volume}","low_24h":"{}","high_24h":"{}","volume_30d":"{volume}","best_bid":"{bid}","best_bid_size":"{bid_size}","best_ask":"{ask}","best_ask_size":"{ask_size}","side":"{}","time":"{}","trade_id":{},"last_size":"{}"}}"#,
        symbol.id(),
        feed.topic.symbol,
        scene.price(trade.price, padded),
        scene.price(summary.open, Digits::Short),
        scene.price(summary.low, Digits::Short),
        scene.price(summary.high, Digits::Short),
        // Here the taker's side, in `match` the maker's.
        if trade.buyer_is_maker { "sell" } else { "buy" },
        scene.time(),
        trade.id,
        Digits::Short.write(trade.quantity),
    )
}

fn trade(scene: &Scene<'_>, kind: &str, trade: &Trade) -> String {
    format!(
        r#"{{"type":"{kind}","trade_id":{id},"maker_order_id":"00000000-0000-4000-8000-{id:012x}","taker_order_id":"00000000-0000-4000-9000-{id:012x}","side":"{}","size":"{}","price":"{}","product_id":"{}","sequence":{},"time":"{}"}}"#,
        if trade.buyer_is_maker { "buy" } else { "sell" },
        Digits::Short.write(trade.quantity),
        scene.price(trade.price, Digits::Padded(scene.price_decimals())),
        scene.feed.topic.symbol,
        scene.symbol.id(),
        scene.time(),
        id = trade.id,
    )
}

fn heartbeat(scene: &Scene<'_>) -> String {
    format!(
        r#"{{"type":"heartbeat","sequence":{},"last_trade_id":{},"product_id":"{}","time":"{}"}}"#,
        scene.symbol.id(),
        scene.symbol.last_trade.id,
        scene.feed.topic.symbol,
        scene.time(),
    )
}
