//! What goes over the topics of v5 public spot. Numbers are strings without padding.

use crate::exchange::book::{Diff, Level};
use crate::exchange::feed::Happening;
use crate::exchange::scene::{Digits, Scene};
use crate::market::Trade;
use rust_decimal::Decimal;

/// One frame.
pub(crate) fn write(scene: &Scene<'_>, happening: &Happening) -> Option<String> {
    let shown = scene.shown;
    Some(match happening {
        // A repeated snapshot has the number of the last one.
        Happening::Whole | Happening::Same => book(scene, "snapshot", &shown.bids, &shown.asks),
        Happening::Update(Diff { bids, asks }) => book(scene, "delta", bids, asks),
        Happening::Ticker { .. } => ticker(scene),
        Happening::Trades(trades) => public_trades(scene, trades),
        Happening::LastTrade | Happening::Heartbeat => return None,
    })
}

/// `["78715","1.271882"],...`
pub(crate) fn levels(
    levels: &[Level],
    price: impl Fn(u64) -> String,
    size: impl Fn(u64) -> String,
) -> String {
    let level = |(ticks, lots): &Level| format!(r#"["{}","{}"]"#, price(*ticks), size(*lots));
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

fn book(scene: &Scene<'_>, kind: &str, bids: &[Level], asks: &[Level]) -> String {
    let topic = &scene.feed.topic;
    let side = |side: &[Level]| {
        levels(
            side,
            |ticks| scene.ticks(ticks, Digits::Short),
            |lots| scene.lots(lots, Digits::Short),
        )
    };
    let ts = scene.ms();
    format!(
        r#"{{"topic":"{}","ts":{ts},"type":"{kind}","data":{{"s":"{}","b":[{}],"a":[{}],"u":{},"seq":{}}},"cts":{}}}"#,
        topic.stream,
        topic.symbol,
        side(bids),
        side(asks),
        scene.feed.count,
        scene.feed.sequence,
        ts - 3,
    )
}

/// Change of a day as a fraction, as the venue tells it.
pub(crate) fn change(open: Decimal, close: Decimal) -> String {
    let change = close
        .checked_sub(open)
        .and_then(|moved| moved.checked_div(open));
    Digits::Short.write(change.unwrap_or_default().round_dp(4))
}

fn ticker(scene: &Scene<'_>) -> String {
    let Scene { symbol, feed, .. } = scene;
    let summary = &symbol.summary;
    let price = |price| scene.price(price, Digits::Short);
    // Known for assets with an index, empty for the others.
    let index = match &*symbol.spec.quote {
        "USDT" => price(summary.close),
        _ => String::new(),
    };
    format!(
        r#"{{"topic":"{}","ts":{},"type":"snapshot","cs":{},"data":{{"symbol":"{}","lastPrice":"{}","highPrice24h":"{}","lowPrice24h":"{}","prevPrice24h":"{}","volume24h":"{}","turnover24h":"{}","price24hPcnt":"{}","usdIndexPrice":"{index}"}}}}"#,
        feed.topic.stream,
        scene.ms(),
        symbol.id(),
        feed.topic.symbol,
        price(symbol.last_trade.price),
        price(summary.high),
        price(summary.low),
        price(summary.open),
        Digits::Short.write(summary.volume),
        Digits::Short.write(summary.quote_volume),
        change(summary.open, summary.close),
    )
}

fn public_trades(scene: &Scene<'_>, trades: &[Trade]) -> String {
    let ts = scene.ms();
    let symbol = &scene.feed.topic.symbol;
    let row = |trade: &Trade| {
        format!(
            r#"{{"i":"22{:017}","T":{ts},"p":"{}","v":"{}","S":"{}","s":"{symbol}","BT":false,"RPI":false,"seq":{}}}"#,
            trade.id,
            scene.price(trade.price, Digits::Short),
            Digits::Short.write(trade.quantity),
            if trade.buyer_is_maker { "Sell" } else { "Buy" },
            scene.feed.sequence,
        )
    };
    let rows: Vec<String> = trades.iter().map(row).collect();
    format!(
        r#"{{"topic":"{}","ts":{ts},"type":"snapshot","data":[{}]}}"#,
        scene.feed.topic.stream,
        rows.join(",")
    )
}
