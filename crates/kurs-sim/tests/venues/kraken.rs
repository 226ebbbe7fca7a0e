use crate::book::Book;
use crate::client::{Socket, get, start};
use flate2::Crc;
use kurs_sim::{SimConfig, SimHandle, Venue};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Deserialize)]
pub(crate) struct Level {
    price: Box<RawValue>,
    qty: Box<RawValue>,
}

#[derive(Deserialize)]
pub(crate) struct Entry {
    pub(crate) symbol: String,
    bids: Vec<Level>,
    asks: Vec<Level>,
    pub(crate) checksum: u32,
    timestamp: String,
}

#[derive(Deserialize)]
struct Frame {
    data: Vec<Entry>,
}

/// A book that keeps the digits as they were sent.
#[derive(Default)]
pub(crate) struct TextBook {
    pub(crate) bids: BTreeMap<Decimal, (String, String)>,
    pub(crate) asks: BTreeMap<Decimal, (String, String)>,
}

pub(crate) fn entry(text: &str) -> Entry {
    let frame: Frame = serde_json::from_str(text).unwrap();
    frame.data.into_iter().next().unwrap()
}

impl TextBook {
    /// Sets the levels, then cuts to the depth.
    pub(crate) fn apply(&mut self, entry: &Entry, depth: usize) {
        for (side, levels) in [(&mut self.bids, &entry.bids), (&mut self.asks, &entry.asks)] {
            for Level { price, qty } in levels {
                let key: Decimal = price.get().parse().unwrap();
                let size: Decimal = qty.get().parse().unwrap();
                if size.is_zero() {
                    side.remove(&key);
                } else {
                    let text = (price.get().to_owned(), qty.get().to_owned());
                    side.insert(key, text);
                }
            }
        }
        while self.bids.len() > depth {
            self.bids.pop_first();
        }
        while self.asks.len() > depth {
            self.asks.pop_last();
        }
    }

    /// Whether an entry that has just been applied deletes a level that better ones have pushed
    /// out of the depth.
    fn was_told_of_the_pushed_out(&self, entry: &Entry) -> bool {
        let deleted = |levels: &[Level]| -> Vec<Decimal> {
            let number = |text: &RawValue| text.get().parse::<Decimal>().unwrap();
            let gone = levels.iter().filter(|level| number(&level.qty).is_zero());
            gone.map(|level| number(&level.price)).collect()
        };
        let worst_bid = self.bids.first_key_value().unwrap().0;
        let worst_ask = self.asks.last_key_value().unwrap().0;
        deleted(&entry.bids).iter().any(|price| price < worst_bid)
            || deleted(&entry.asks).iter().any(|price| price > worst_ask)
    }

    pub(crate) fn checksum(&self) -> u32 {
        let mut crc = Crc::new();
        let asks = self.asks.values().take(10);
        for (price, qty) in asks.chain(self.bids.values().rev().take(10)) {
            for number in [price, qty] {
                let digits = number.replace('.', "");
                crc.update(digits.trim_start_matches('0').as_bytes());
            }
        }
        crc.sum()
    }

    pub(crate) fn top(&self) -> [String; 4] {
        let (bid, ask) = (
            self.bids.last_key_value().unwrap().1.clone(),
            self.asks.first_key_value().unwrap().1.clone(),
        );
        [bid.0, bid.1, ask.0, ask.1]
    }

    pub(crate) fn is_crossed(&self) -> bool {
        self.bids.last_key_value().unwrap().0 >= self.asks.first_key_value().unwrap().0
    }
}

pub(crate) async fn open(sim: &SimHandle) -> Socket {
    let mut socket = Socket::open(&sim.urls().kraken_ws).await;
    let status = socket.json().await;
    assert_eq!(status["channel"], "status");
    let data = &status["data"][0];
    assert_eq!(
        (&data["system"], &data["api_version"]),
        (&json!("online"), &json!("v2"))
    );
    assert!(data["connection_id"].as_u64().unwrap() > 1 << 53);
    socket
}

pub(crate) fn subscription(params: &Value) -> String {
    json!({"method": "subscribe", "params": params, "req_id": 7}).to_string()
}

/// The next text that is no heartbeat.
pub(crate) async fn next(socket: &mut Socket) -> String {
    loop {
        let text = socket.text().await;
        if text != r#"{"channel":"heartbeat"}"# {
            return text;
        }
    }
}

async fn follow(depth: usize, updates_wanted: usize) {
    let sim = start(SimConfig {
        activity_percent: 300,
        ..SimConfig::seeded(11)
    })
    .await;
    let mut socket = open(&sim).await;
    let symbols = ["BTC/USD", "ETH/USD"];
    for params in [
        json!({"channel": "book", "symbol": symbols, "depth": depth}),
        json!({"channel": "ticker", "symbol": symbols, "event_trigger": "bbo"}),
    ] {
        socket.send(&subscription(&params)).await;
    }
    let mut books: BTreeMap<String, TextBook> = BTreeMap::new();
    let (mut updates, mut compared, mut acks, mut doubled) = (0, 0, 0, 0);
    while updates < updates_wanted {
        let text = next(&mut socket).await;
        let frame: Value = serde_json::from_str(&text).unwrap();
        let is_first = frame["type"] == "snapshot";
        match frame["channel"].as_str() {
            None => {
                assert_eq!(
                    (&frame["success"], &frame["req_id"]),
                    (&json!(true), &json!(7))
                );
                acks += 1;
            }
            Some("book") => {
                let entry = entry(&text);
                assert_eq!(entry.timestamp.len(), 27);
                let decimals = if entry.symbol == "BTC/USD" { 1 } else { 2 };
                for (levels, mut seen) in [(&entry.bids, Vec::new()), (&entry.asks, Vec::new())] {
                    for Level { price, qty } in levels {
                        let after_dot = |text: &str| text.split_once('.').unwrap().1.len();
                        assert_eq!(after_dot(price.get()), decimals, "{text}");
                        assert_eq!(after_dot(qty.get()), 8, "{text}");
                        doubled += usize::from(seen.contains(&price.get()));
                        seen.push(price.get());
                    }
                }
                let book = books.entry(entry.symbol.clone()).or_default();
                assert_eq!(is_first, book.bids.is_empty());
                book.apply(&entry, depth);
                assert_eq!(book.checksum(), entry.checksum, "update {updates}: {text}");
                assert!(!book.is_crossed());
                assert!(!book.was_told_of_the_pushed_out(&entry), "{text}");
                assert!(book.bids.len() == depth && book.asks.len() == depth);
                updates += usize::from(!is_first);
            }
            Some("ticker") => {
                let data = &frame["data"][0];
                let number = |key: &str| {
                    #[derive(Deserialize)]
                    struct Ticker {
                        data: Vec<BTreeMap<String, Box<RawValue>>>,
                    }
                    let ticker: Ticker = serde_json::from_str(&text).unwrap();
                    ticker.data[0][key].get().to_owned()
                };
                let book = &books[data["symbol"].as_str().unwrap()];
                let top = ["bid", "bid_qty", "ask", "ask_qty"].map(number);
                assert_eq!(book.top(), top, "{text}");
                compared += usize::from(!is_first);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(acks, 4);
    assert!(compared * 3 > updates, "{compared} of {updates}");
    assert!(doubled > 0, "some updates name a level twice");
}

#[tokio::test]
async fn every_checksum_of_depth_10_matches_and_the_top_is_the_tickers() {
    follow(10, 500).await;
}

#[tokio::test]
async fn every_checksum_of_depth_100_matches_and_the_top_is_the_tickers() {
    follow(100, 300).await;
}

#[tokio::test]
async fn a_refused_subscription_leaves_the_socket_alive_and_the_others_served() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    // Before the first subscription there is no heartbeat.
    assert!(socket.is_silent(Duration::from_millis(1_300)).await);
    let params = json!({"channel": "book", "symbol": ["BTC/USD"], "depth": 27});
    socket.send(&subscription(&params)).await;
    let refused = socket.json().await;
    assert_eq!(refused["error"], "Subscription depth not supported");
    assert_eq!(
        (&refused["success"], &refused["method"]),
        (&json!(false), &json!("subscribe"))
    );
    let symbols = ["XBT/USD", "BTC/USD", "NO/PE"];
    let params = json!({"channel": "book", "symbol": symbols, "snapshot": false});
    socket.send(&subscription(&params)).await;
    let refused = socket.json().await;
    assert_eq!(refused["error"], "Currency pair not supported XBT/USD");
    let ack = socket.json().await;
    assert_eq!(
        ack["result"],
        json!({"channel": "book", "depth": 10, "snapshot": false, "symbol": "BTC/USD"})
    );
    assert_eq!(socket.json().await["symbol"], "NO/PE");
    // Asked without a snapshot: updates from the first frame on, heartbeats in between.
    let (mut beats, mut updates) = (0, 0);
    while beats < 2 {
        let frame = socket.json().await;
        beats += usize::from(frame == json!({"channel": "heartbeat"}));
        updates += usize::from(frame["type"] == "update");
        assert_ne!(frame["type"], "snapshot");
    }
    assert!(updates > 10);
    assert_eq!(
        sim.state().venues[&Venue::Kraken]
            .violations
            .refused_subscriptions,
        3
    );
}

#[tokio::test]
async fn unsubscribing_and_subscribing_again_brings_a_new_snapshot() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    let params = json!({"channel": "book", "symbol": ["BTC/USD"], "depth": 25});
    let subscribe = subscription(&params);
    let unsubscribe = subscribe.replace("subscribe", "unsubscribe");
    socket.send(&subscribe).await;
    assert_eq!(socket.json().await["success"], true);
    assert_eq!(socket.json().await["type"], "snapshot");
    socket.send(&subscribe).await;
    while socket.json().await["success"] != false {}
    socket.send(&unsubscribe).await;
    while socket.json().await["method"] != "unsubscribe" {}
    socket.send(&unsubscribe).await;
    let missing: Value = serde_json::from_str(&next(&mut socket).await).unwrap();
    assert_eq!(missing["error"], "Subscription Not Found");
    socket.send(&subscribe).await;
    let ack: Value = serde_json::from_str(&next(&mut socket).await).unwrap();
    assert_eq!(ack["success"], true);
    let text = next(&mut socket).await;
    let mut book = TextBook::default();
    book.apply(&entry(&text), 25);
    assert_eq!(book.checksum(), entry(&text).checksum);
}

#[tokio::test]
async fn trades_come_without_a_snapshot_unless_one_is_asked_for() {
    let sim = start(SimConfig::seeded(1)).await;
    for (settings, first) in [
        (json!({}), "update"),
        (json!({"snapshot": true}), "snapshot"),
    ] {
        let mut socket = open(&sim).await;
        let mut params = json!({"channel": "trade", "symbol": ["BTC/USD"]});
        let asked = params.as_object_mut().unwrap();
        asked.extend(settings.as_object().unwrap().clone());
        socket.send(&subscription(&params)).await;
        assert_eq!(socket.json().await["result"]["channel"], "trade");
        let frame: Value = serde_json::from_str(&next(&mut socket).await).unwrap();
        assert_eq!(
            (&frame["channel"], &frame["type"]),
            (&json!("trade"), &json!(first))
        );
        let trade = &frame["data"][0];
        assert!(trade["side"] == "buy" || trade["side"] == "sell");
        assert!(trade["price"].is_number() && trade["qty"].is_number());
        assert!(trade["trade_id"].is_u64());
    }
}

#[tokio::test]
async fn pings_are_answered_and_the_instruments_have_their_precisions() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    socket.send(r#"{"method":"ping","req_id":101}"#).await;
    let pong = socket.json().await;
    assert_eq!(
        (&pong["method"], &pong["req_id"]),
        (&json!("pong"), &json!(101))
    );
    assert!(pong["time_in"].is_string() && pong["time_out"].is_string());
    socket
        .send(&subscription(&json!({"channel": "instrument"})))
        .await;
    assert_eq!(socket.json().await["result"]["channel"], "instrument");
    let text = socket.text().await;
    assert!(
        text.contains(r#""qty_increment":1e-08"#),
        "exponents: {text}"
    );
    let frame: Value = serde_json::from_str(&text).unwrap();
    let pairs = frame["data"]["pairs"].as_array().unwrap();
    let btc = pairs
        .iter()
        .find(|pair| pair["symbol"] == "BTC/USD")
        .unwrap();
    assert_eq!(
        (&btc["price_precision"], &btc["qty_precision"]),
        (&json!(1), &json!(8))
    );
    for garbage in ["{", "[]", r#"{"method":"fly"}"#] {
        socket.send(garbage).await;
        let answer: Value = serde_json::from_str(&next(&mut socket).await).unwrap();
        assert_eq!(answer["success"], false);
    }
}

#[tokio::test]
async fn the_rest_routes_have_the_old_names_and_errors_with_status_200() {
    let sim = start(SimConfig::seeded(1)).await;
    let root = format!("{}/0/public", sim.urls().kraken_rest);
    let answer = async |path: &str| {
        let answer = get(&format!("{root}/{path}")).await;
        assert_eq!(answer.status, 200);
        answer.json()
    };
    let pairs = answer("AssetPairs").await;
    let btc = &pairs["result"]["XXBTZUSD"];
    assert_eq!(
        (
            &btc["wsname"],
            &btc["altname"],
            &btc["pair_decimals"],
            &btc["lot_decimals"]
        ),
        (&json!("XBT/USD"), &json!("XBTUSD"), &json!(1), &json!(8))
    );
    for key in [
        "XETHZUSD", "SOLUSD", "USDTZUSD", "USDCUSD", "XXBTZEUR", "XETHXXBT",
    ] {
        assert!(pairs["result"][key].is_object(), "{key}");
    }
    let tickers = answer("Ticker").await;
    assert_eq!(tickers["result"].as_object().unwrap().len(), 12);
    let ticker = answer("Ticker?pair=XBTUSD,ETHUSD").await;
    let bid = ticker["result"]["XXBTZUSD"]["b"][0].as_str().unwrap();
    assert_eq!(bid.split_once('.').unwrap().1.len(), 5, "{bid}");
    assert!(ticker["result"]["XETHZUSD"]["a"][0].is_string());
    let depth = answer("Depth?pair=XBTUSD&count=5").await;
    let book = &depth["result"]["XXBTZUSD"];
    let book = Book::new(&book["bids"], &book["asks"]);
    assert!(book.bids.len() == 5 && book.asks.len() == 5 && !book.is_crossed());
    assert_eq!(answer("SystemStatus").await["result"]["status"], "online");
    assert!(answer("Time").await["result"]["unixtime"].is_u64());
    let unknown = answer("Ticker?pair=NOPE").await;
    assert_eq!(unknown["error"], json!(["EQuery:Unknown asset pair"]));
    let mut refused = 0;
    for _ in 0..20 {
        let error = &answer("Time").await["error"];
        refused += usize::from(error == &json!(["EGeneral:Too many requests"]));
    }
    assert!(refused > 0);
}
