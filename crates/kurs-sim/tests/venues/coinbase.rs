use crate::book::{Book, decimal};
use crate::client::{Socket, get, start};
use kurs_sim::market::Trading;
use kurs_sim::{CoinbaseHabits, SimConfig, SimHandle, Venue};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

async fn open(sim: &SimHandle) -> Socket {
    Socket::open(&sim.urls().coinbase_ws).await
}

fn subscription(products: &[&str], channels: &Value) -> String {
    json!({"type": "subscribe", "product_ids": products, "channels": channels}).to_string()
}

fn apply(book: &mut Book, update: &Value) {
    for change in update["changes"].as_array().unwrap() {
        let is_bid = match change[0].as_str().unwrap() {
            "buy" => true,
            "sell" => false,
            other => panic!("side {other}"),
        };
        book.set(is_bid, decimal(&change[1]), decimal(&change[2]));
    }
}

#[tokio::test]
async fn the_book_of_snapshot_and_updates_is_never_crossed_and_ends_as_the_venues() {
    let sim = start(SimConfig::seeded(3)).await;
    let mut socket = open(&sim).await;
    let channels = json!(["level2_batch", "heartbeat", {"name": "ticker"}]);
    socket
        .send(&subscription(&["BTC-USD", "ETH-USD"], &channels))
        .await;
    let ack = socket.json().await;
    assert_eq!(
        ack,
        json!({"type": "subscriptions", "channels": [
            {"name": "heartbeat", "product_ids": ["BTC-USD", "ETH-USD"]},
            {"name": "level2_batch", "product_ids": ["BTC-USD", "ETH-USD"]},
            {"name": "ticker", "product_ids": ["BTC-USD", "ETH-USD"]},
        ]})
    );
    let mut books: BTreeMap<String, Book> = BTreeMap::new();
    let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
    let (mut updates, mut tickers, mut equal, mut beats) = (0, 0, 0, 0);
    let mut zeros = BTreeSet::new();
    let (mut halted, mut beats_after) = (false, 0);
    while beats_after < 4 {
        let frame = socket.json().await;
        let product = frame["product_id"].as_str().unwrap().to_owned();
        match frame["type"].as_str().unwrap() {
            "snapshot" => {
                let book = Book::new(&frame["bids"], &frame["asks"]);
                assert!(book.bids.len() > 100 && book.asks.len() > 100);
                assert!(books.insert(product, book).is_none(), "a second snapshot");
            }
            "l2update" => {
                for change in frame["changes"].as_array().unwrap() {
                    if decimal(&change[2]).is_zero() {
                        zeros.insert(change[2].as_str().unwrap().to_owned());
                    }
                }
                assert!(frame["time"].as_str().unwrap().len() == 27, "{frame}");
                let book = books.get_mut(&product).unwrap();
                apply(book, &frame);
                assert!(!book.is_crossed(), "{frame}");
                updates += 1;
            }
            "ticker" => {
                let keys = ["best_bid", "best_bid_size", "best_ask", "best_ask_size"];
                let top = keys.map(|key| decimal(&frame[key]));
                if let Some(book) = books.get(&product) {
                    tickers += 1;
                    equal += usize::from(book.top() == top);
                }
                let sequence = frame["sequence"].as_u64().unwrap();
                let last = sequences.insert(product, sequence).unwrap_or(0);
                assert!(sequence >= last);
            }
            "heartbeat" => {
                assert!(frame["last_trade_id"].is_u64() && frame["sequence"].is_u64());
                beats += 1;
                beats_after += usize::from(halted);
            }
            other => panic!("{other}"),
        }
        if !halted && updates >= 300 {
            for name in ["BTC-USD", "ETH-USD"] {
                assert!(sim.set_trading_on(Venue::Coinbase, name, Trading::Halt));
            }
            halted = true;
        }
    }
    assert!(beats >= 4 && tickers > 30, "{beats} {tickers}");
    // Channels race each other: nearly always equal, and not always.
    assert!(equal * 100 >= tickers * 75, "{equal} of {tickers}");
    assert!(
        zeros.len() >= 2,
        "a size of zero is written in several ways: {zeros:?}"
    );
    for (product, book) in books {
        assert_eq!(book.orphans, 0);
        let url = format!(
            "{}/products/{product}/book?level=2",
            sim.urls().coinbase_rest
        );
        let rest = get(&url).await.json();
        assert_eq!(book, Book::new(&rest["bids"], &rest["asks"]), "{product}");
    }
}

#[tokio::test]
async fn channels_that_need_a_login_and_bad_products_are_refused_whole() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    for channel in ["level2", "level3", "full"] {
        let channels = json!(["ticker", channel]);
        socket.send(&subscription(&["BTC-USD"], &channels)).await;
        let frame = socket.json().await;
        assert_eq!(
            (&frame["type"], &frame["message"]),
            (&json!("error"), &json!("Failed to subscribe"))
        );
        let reason = frame["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("level2, level3, and full channels now require authentication"),
            "{reason}"
        );
    }
    let channels = json!(["ticker"]);
    socket
        .send(&subscription(&["BTC-USD", "BTC-USDX"], &channels))
        .await;
    let frame = socket.json().await;
    assert!(frame["reason"].as_str().unwrap().contains("BTC-USDX"));
    socket.send("{").await;
    assert_eq!(socket.json().await["type"], "error");
    // None of the five has subscribed anything.
    assert!(socket.is_silent(Duration::from_millis(300)).await);
    let state = &sim.state().venues[&Venue::Coinbase];
    assert_eq!(state.violations.refused_subscriptions, 5);
    assert!(state.ws_streams.is_empty());
}

#[tokio::test]
async fn who_subscribes_nothing_is_hung_up_on() {
    let sim = start(SimConfig {
        coinbase: CoinbaseHabits {
            subscribe_within_ms: 1_500,
            ..CoinbaseHabits::default()
        },
        ..SimConfig::seeded(1)
    })
    .await;
    let mut silent = open(&sim).await;
    let mut speaking = open(&sim).await;
    speaking
        .send(&subscription(&["BTC-USD"], &json!(["heartbeat"])))
        .await;
    silent.until_end().await;
    for _ in 0..3 {
        speaking.json().await;
    }
    let violations = &sim.state().venues[&Venue::Coinbase].violations;
    assert_eq!(violations.never_subscribed, 1);
}

#[tokio::test]
async fn unsubscribing_and_subscribing_again_brings_a_new_snapshot() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    let channels = json!(["level2_batch"]);
    socket.send(&subscription(&["BTC-USD"], &channels)).await;
    assert_eq!(socket.json().await["type"], "subscriptions");
    assert_eq!(socket.json().await["type"], "snapshot");
    // What one has already comes no second time.
    socket.send(&subscription(&["BTC-USD"], &channels)).await;
    while socket.json().await["type"] != "subscriptions" {}
    assert_eq!(socket.json().await["type"], "l2update");
    let end = r#"{"type":"unsubscribe","channels":["level2_batch"]}"#;
    socket.send(end).await;
    loop {
        let frame = socket.json().await;
        if frame["type"] == "subscriptions" {
            assert_eq!(frame["channels"], json!([]));
            break;
        }
    }
    assert!(socket.is_silent(Duration::from_millis(300)).await);
    socket.send(&subscription(&["BTC-USD"], &channels)).await;
    assert_eq!(socket.json().await["type"], "subscriptions");
    assert_eq!(socket.json().await["type"], "snapshot");
}

#[tokio::test]
async fn the_rest_routes_answer_as_the_venue_does() {
    let mut config = SimConfig::seeded(1);
    // Ten a minute instead of ten a second: a slow machine gets no allowance back meanwhile.
    config.coinbase.limits.requests_within_ms = 60_000;
    let sim = start(config).await;
    let root = sim.urls().coinbase_rest;
    let products = get(&format!("{root}/products")).await.json();
    let names: BTreeSet<&str> = products
        .as_array()
        .unwrap()
        .iter()
        .map(|product| product["id"].as_str().unwrap())
        .collect();
    for name in [
        "BTC-USD", "ETH-USD", "SOL-USD", "USDT-USD", "BTC-EUR", "ETH-BTC",
    ] {
        assert!(names.contains(name), "{name}");
    }
    let btc = get(&format!("{root}/products/BTC-USD")).await.json();
    assert_eq!(
        (&btc["quote_increment"], &btc["base_increment"]),
        (&json!("0.01"), &json!("0.00000001"))
    );
    let book = get(&format!("{root}/products/BTC-USD/book")).await.json();
    assert_eq!(book["bids"].as_array().unwrap().len(), 1);
    let ticker = get(&format!("{root}/products/BTC-USD/ticker")).await.json();
    assert!(decimal(&ticker["bid"]) < decimal(&ticker["ask"]));
    let time = get(&format!("{root}/time")).await.json();
    assert!(time["iso"].is_string() && time["epoch"].is_number());
    let unknown = get(&format!("{root}/products/NO-PE/ticker")).await;
    assert_eq!(
        (unknown.status, unknown.json()),
        (404, json!({"message": "NotFound"}))
    );
    let mut refused = 0;
    for _ in 0..20 {
        refused += usize::from(get(&format!("{root}/time")).await.status == 429);
    }
    assert!(refused > 0, "ten requests a second");
}
