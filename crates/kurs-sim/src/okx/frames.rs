//! What goes over the channels of v5 public. Everything is a string but `seqId`, `prevSeqId` and
//! `checksum`.

use crate::exchange::book::{Diff, Level, Window};
use crate::exchange::feed::{Happening, Subject};
use crate::exchange::scene::{Digits, Scene};
use crate::faults::FaultKind;
use crate::market::Trade;
use crate::venue::Venue;
use flate2::Crc;

/// Levels a side that the checksum covers.
const CHECKED: usize = 25;

/// One frame.
pub(crate) fn write(scene: &Scene<'_>, happening: &Happening) -> Option<String> {
    let shown = scene.shown;
    let feed = scene.feed;
    let is_book = matches!(feed.topic.subject, Subject::Book { .. });
    let nothing = Diff::default();
    let data = match happening {
        Happening::Whole if is_book => {
            return Some(book(scene, "snapshot", &shown.bids, &shown.asks, None));
        }
        Happening::Update(Diff { bids, asks }) => {
            return Some(book(scene, "update", bids, asks, Some(feed.previous)));
        }
        // Without a change the number follows itself.
        Happening::Same if is_book => {
            let Diff { bids, asks } = &nothing;
            return Some(book(scene, "update", bids, asks, Some(feed.sequence)));
        }
        Happening::Whole | Happening::Same => best(scene),
        Happening::Ticker { .. } => ticker(scene),
        Happening::Trades(trades) => {
            let rows: Vec<String> = trades.iter().map(|trade| trade_row(scene, trade)).collect();
            rows.join(",")
        }
        Happening::LastTrade | Happening::Heartbeat => return None,
    };
    Some(format!(r#"{{"arg":{},"data":[{data}]}}"#, arg(scene)))
}

fn arg(scene: &Scene<'_>) -> String {
    let topic = &scene.feed.topic;
    format!(
        r#"{{"channel":"{}","instId":"{}"}}"#,
        topic.channel, topic.symbol
    )
}

/// `["78722.3","0.38699412","0","10"],...`: price, size, nothing, orders.
pub(crate) fn levels(
    levels: &[Level],
    price: impl Fn(u64) -> String,
    size: impl Fn(u64) -> String,
) -> String {
    let level = |(ticks, lots): &Level| {
        let orders = if *lots == 0 { 0 } else { lots % 11 + 1 };
        format!(r#"["{}","{}","0","{orders}"]"#, price(*ticks), size(*lots))
    };
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

fn sides(scene: &Scene<'_>, bids: &[Level], asks: &[Level]) -> String {
    let side = |side: &[Level]| {
        levels(
            side,
            |ticks| scene.ticks(ticks, Digits::Short),
            |lots| scene.lots(lots, Digits::Short),
        )
    };
    format!(r#""asks":[{}],"bids":[{}]"#, side(asks), side(bids))
}

fn book(
    scene: &Scene<'_>,
    action: &str,
    bids: &[Level],
    asks: &[Level],
    previous: Option<u64>,
) -> String {
    let previous = previous.map_or_else(|| "-1".to_owned(), |previous| previous.to_string());
    format!(
        r#"{{"arg":{},"action":"{action}","data":[{{{},"ts":"{}","checksum":{},"seqId":{},"prevSeqId":{previous}}}]}}"#,
        arg(scene),
        sides(scene, bids, asks),
        scene.ms(),
        checksum(scene),
        scene.feed.sequence,
    )
}

/// Zero since June 2026. Before, and in OKX's clones: CRC32, signed, of the best 25 levels, bid
/// and ask in turn, as they were sent.
fn checksum(scene: &Scene<'_>) -> i32 {
    if !scene.shared.config.okx.checksum {
        return 0;
    }
    let Window { bids, asks } = scene.shown;
    let mut parts = Vec::new();
    for index in 0..CHECKED {
        for levels in [bids, asks] {
            if let Some((ticks, lots)) = levels.get(index) {
                parts.push(scene.ticks(*ticks, Digits::Short));
                parts.push(scene.lots(*lots, Digits::Short));
            }
        }
    }
    let mut crc = Crc::new();
    crc.update(parts.join(":").as_bytes());
    let sum = crc.sum().cast_signed();
    let board = &scene.shared.board;
    if board.take(Venue::Okx, &FaultKind::Checksum, &scene.feed.topic.symbol) {
        return sum ^ 0x5a5a_5a5a;
    }
    sum
}

fn best(scene: &Scene<'_>) -> String {
    let shown = scene.shown;
    let instrument = match scene.feed.topic.subject {
        Subject::Best { depth: 5 } => format!(r#""instId":"{}","#, scene.feed.topic.symbol),
        _ => String::new(),
    };
    format!(
        r#"{{{},{instrument}"ts":"{}","seqId":{}}}"#,
        sides(scene, &shown.bids, &shown.asks),
        scene.ms(),
        scene.feed.sequence,
    )
}

fn ticker(scene: &Scene<'_>) -> String {
    let side = |levels: &[Level]| match levels.first() {
        Some((ticks, lots)) => (
            scene.ticks(*ticks, Digits::Short),
            scene.lots(*lots, Digits::Short),
        ),
        None => (String::new(), String::new()),
    };
    let bid = side(&scene.feed.window.bids);
    let ask = side(&scene.feed.window.asks);
    let price = |price| scene.price(price, Digits::Short);
    ticker_row(scene.symbol, &bid, &ask, price, scene.ms())
}

/// One ticker, of the stream or of REST.
pub(crate) fn ticker_row(
    symbol: &crate::market::symbol::SymbolMarket,
    bid: &(String, String),
    ask: &(String, String),
    price: impl Fn(rust_decimal::Decimal) -> String,
    ts: i64,
) -> String {
    let summary = &symbol.summary;
    let open = price(summary.open);
    format!(
        r#"{{"instType":"SPOT","instId":"{}","last":"{}","lastSz":"{}","askPx":"{}","askSz":"{}","bidPx":"{}","bidSz":"{}","open24h":"{open}","high24h":"{}","low24h":"{}","sodUtc0":"{open}","sodUtc8":"{open}","volCcy24h":"{}","vol24h":"{}","ts":"{ts}"}}"#,
        symbol.spec.name,
        price(symbol.last_trade.price),
        Digits::Short.write(symbol.last_trade.quantity),
        ask.0,
        ask.1,
        bid.0,
        bid.1,
        price(summary.high),
        price(summary.low),
        Digits::Short.write(summary.quote_volume),
        Digits::Short.write(summary.volume),
    )
}

fn trade_row(scene: &Scene<'_>, trade: &Trade) -> String {
    format!(
        r#"{{"instId":"{}","tradeId":"{}","px":"{}","sz":"{}","side":"{}","ts":"{}","count":"1","source":"0","seqId":{}}}"#,
        scene.feed.topic.symbol,
        trade.id,
        scene.price(trade.price, Digits::Short),
        Digits::Short.write(trade.quantity),
        if trade.buyer_is_maker { "sell" } else { "buy" },
        scene.ms(),
        scene.feed.sequence,
    )
}
