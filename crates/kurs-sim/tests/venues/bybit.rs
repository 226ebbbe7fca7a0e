use crate::book::{Book, decimal};
use crate::client::{Socket, get, start};
use kurs_sim::market::Trading;
use kurs_sim::{BybitHabits, SimConfig, SimHandle, Venue};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) async fn open(sim: &SimHandle) -> Socket {
    Socket::open(&sim.urls().bybit_ws).await
}

pub(crate) fn subscription(args: &[&str]) -> String {
    json!({"op": "subscribe", "args": args, "req_id": "1"}).to_string()
}

#[tokio::test]
async fn every_depth_has_an_unbroken_chain_and_the_same_top_at_the_same_moment() {
    let sim = start(SimConfig {
        activity_percent: 300,
        ..SimConfig::seeded(5)
    })
    .await;
    let mut socket = open(&sim).await;
    let topics = [
        "orderbook.1.BTCUSDT",
        "orderbook.50.BTCUSDT",
        "orderbook.200.BTCUSDT",
        "publicTrade.BTCUSDT",
        "tickers.BTCUSDT",
    ];
    socket.send(&subscription(&topics)).await;
    let mut books: BTreeMap<String, (Book, u64)> = BTreeMap::new();
    // What each topic said was the top at a cross sequence.
    let mut tops: BTreeMap<u64, BTreeMap<String, [rust_decimal::Decimal; 4]>> = BTreeMap::new();
    let (mut deltas, mut trades, mut tickers, mut acks) = (0, 0, 0, 0);
    while deltas < 400 {
        let frame = socket.json().await;
        let Some(topic) = frame["topic"].as_str().map(str::to_owned) else {
            assert_eq!(
                (&frame["success"], &frame["op"]),
                (&json!(true), &json!("subscribe"))
            );
            assert_eq!(
                (&frame["ret_msg"], &frame["req_id"]),
                (&json!("subscribe"), &json!("1"))
            );
            acks += 1;
            continue;
        };
        let data = &frame["data"];
        assert!(frame["ts"].is_u64(), "{frame}");
        if topic.starts_with("tickers") {
            assert_eq!(frame["type"], "snapshot");
            assert!(data.get("bid1Price").is_none(), "no bid on spot tickers");
            decimal(&data["lastPrice"]);
            tickers += 1;
            continue;
        }
        if topic.starts_with("publicTrade") {
            let first = &data[0];
            assert!(first["S"] == "Buy" || first["S"] == "Sell");
            assert!(decimal(&first["p"]) > rust_decimal::Decimal::ZERO);
            trades += 1;
            continue;
        }
        assert!(frame["cts"].as_u64() <= frame["ts"].as_u64());
        let (count, seq) = (data["u"].as_u64().unwrap(), data["seq"].as_u64().unwrap());
        let depth: usize = topic.split('.').nth(1).unwrap().parse().unwrap();
        if frame["type"] == "snapshot" {
            let book = Book::new(&data["b"], &data["a"]);
            assert!(book.bids.len() == depth && book.asks.len() == depth);
            if let Some((_, last)) = books.insert(topic.clone(), (book, count)) {
                assert_eq!(depth, 1, "only level one sends snapshots again");
                assert_eq!(count, last + 1);
            }
        } else {
            assert_ne!(depth, 1);
            let (book, last) = books.get_mut(&topic).unwrap();
            assert_eq!(count, *last + 1, "{frame}");
            *last = count;
            book.apply(&data["b"], &data["a"]);
            assert!(book.bids.len() == depth && book.asks.len() == depth);
            deltas += 1;
        }
        let book = &books[&topic].0;
        assert!(!book.is_crossed() && book.orphans == 0);
        tops.entry(seq).or_default().insert(topic, book.top());
    }
    assert_eq!(acks, 1);
    assert!(trades > 10 && tickers > 10, "{trades} {tickers}");
    let several: Vec<_> = tops.values().filter(|topics| topics.len() > 1).collect();
    assert!(several.len() > 50, "{}", several.len());
    for topics in several {
        let first = topics.values().next().unwrap();
        assert!(topics.values().all(|top| top == first), "{topics:?}");
    }
}

#[tokio::test]
async fn numbers_have_no_padding() {
    let sim = start(SimConfig::seeded(5)).await;
    let mut socket = open(&sim).await;
    socket.send(&subscription(&["orderbook.50.BTCUSDT"])).await;
    let mut seen = 0;
    while seen < 20 {
        let frame = socket.json().await;
        for level in frame["data"]["b"].as_array().unwrap_or(&Vec::new()) {
            for number in [&level[0], &level[1]] {
                let number = number.as_str().unwrap();
                let padded = number.contains('.') && number.ends_with('0');
                assert!(!padded, "{number}");
                seen += 1;
            }
        }
    }
}

#[tokio::test]
async fn eleven_arguments_or_one_bad_topic_refuse_the_whole_request() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    let eleven = [
        "tickers.BTCUSDT",
        "tickers.ETHUSDT",
        "tickers.SOLUSDT",
        "tickers.XRPUSDT",
        "tickers.TONUSDT",
        "tickers.TRXUSDT",
        "tickers.BNBUSDT",
        "tickers.USDCUSDT",
        "tickers.ETHBTC",
        "publicTrade.BTCUSDT",
        "publicTrade.ETHUSDT",
    ];
    socket.send(&subscription(&eleven)).await;
    let refused = socket.json().await;
    assert_eq!(
        (&refused["success"], &refused["op"]),
        (&json!(false), &json!("subscribe"))
    );
    for bad in [
        "orderBookL2_25.BTCUSDT",
        "orderbook.50.NOPE",
        "orderbook.25.BTCUSDT",
    ] {
        socket.send(&subscription(&["tickers.BTCUSDT", bad])).await;
        let refused = socket.json().await;
        assert_eq!(refused["success"], false);
        assert!(
            refused["ret_msg"].as_str().unwrap().contains(bad),
            "{refused}"
        );
    }
    assert!(socket.is_silent(Duration::from_millis(300)).await);
    socket.send(&subscription(&eleven[..10])).await;
    while socket.json().await["success"] != true {}
    assert_eq!(
        sim.state().venues[&Venue::Bybit]
            .violations
            .refused_subscriptions,
        4
    );
}

#[tokio::test]
async fn a_snapshot_may_come_before_its_acknowledgement() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    sim.set_trading_on(Venue::Bybit, "ETHBTC", Trading::Halt);
    sim.set_trading_on(Venue::Bybit, "TONUSDT", Trading::Halt);
    socket.send(&subscription(&["orderbook.50.ETHBTC"])).await;
    assert_eq!(socket.json().await["op"], "subscribe");
    assert_eq!(socket.json().await["topic"], "orderbook.50.ETHBTC");
    socket.send(&subscription(&["orderbook.50.TONUSDT"])).await;
    assert_eq!(socket.json().await["topic"], "orderbook.50.TONUSDT");
    assert_eq!(socket.json().await["op"], "subscribe");
}

#[tokio::test]
async fn a_quiet_top_is_repeated_with_the_same_number() {
    let habits = BybitHabits {
        repeat_after_ms: 200,
        ..BybitHabits::default()
    };
    let sim = start(SimConfig {
        bybit: habits,
        ..SimConfig::seeded(1)
    })
    .await;
    sim.set_trading_on(Venue::Bybit, "BTCUSDT", Trading::Halt);
    let mut socket = open(&sim).await;
    socket.send(&subscription(&["orderbook.1.BTCUSDT"])).await;
    assert_eq!(socket.json().await["success"], true);
    let first = socket.json().await;
    for _ in 0..3 {
        let again = socket.json().await;
        assert_eq!(
            (&again["type"], &again["data"]),
            (&json!("snapshot"), &first["data"])
        );
    }
    sim.set_trading_on(Venue::Bybit, "BTCUSDT", Trading::Trading);
    loop {
        let data = socket.json().await["data"].clone();
        if data["u"] != first["data"]["u"] {
            assert_eq!(
                data["u"].as_u64(),
                first["data"]["u"].as_u64().map(|u| u + 1)
            );
            break;
        }
    }
}

#[tokio::test]
async fn pings_are_answered_and_who_sends_none_is_dropped_if_so_configured() {
    let habits = BybitHabits {
        ping_within_ms: Some(2_000),
        ..BybitHabits::default()
    };
    let sim = start(SimConfig {
        bybit: habits,
        ..SimConfig::seeded(1)
    })
    .await;
    let mut lazy = open(&sim).await;
    let mut busy = open(&sim).await;
    lazy.send(&subscription(&["tickers.BTCUSDT"])).await;
    for _ in 0..25 {
        busy.send(r#"{"op":"ping","req_id":"x"}"#).await;
        let pong = busy.json().await;
        assert_eq!(
            (
                &pong["success"],
                &pong["ret_msg"],
                &pong["op"],
                &pong["req_id"]
            ),
            (&json!(true), &json!("pong"), &json!("ping"), &json!("x"))
        );
        assert!(busy.is_silent(Duration::from_millis(100)).await);
    }
    lazy.until_end().await;
    assert_eq!(sim.state().venues[&Venue::Bybit].violations.missed_pings, 1);
    // By default nobody is dropped.
    assert_eq!(SimConfig::default().bybit.ping_within_ms, None);
}

#[tokio::test]
async fn the_rest_routes_answer_with_status_200_and_a_code() {
    let sim = start(SimConfig::seeded(1)).await;
    let root = format!("{}/v5/market", sim.urls().bybit_rest);
    let answer = async |path: &str| -> Value { get(&format!("{root}/{path}")).await.json() };
    let tickers = answer("tickers?category=spot").await;
    assert_eq!(
        (&tickers["retCode"], &tickers["retMsg"]),
        (&json!(0), &json!("OK"))
    );
    let list = tickers["result"]["list"].as_array().unwrap();
    for name in ["BTCUSDT", "ETHUSDT", "ETHBTC", "USDCUSDT"] {
        let row = list.iter().find(|row| row["symbol"] == name).unwrap();
        assert!(decimal(&row["bid1Price"]) < decimal(&row["ask1Price"]));
    }
    let book = answer("orderbook?category=spot&symbol=BTCUSDT&limit=50").await;
    let result = &book["result"];
    assert_eq!(Book::new(&result["b"], &result["a"]).bids.len(), 50);
    let one = answer("orderbook?category=spot&symbol=BTCUSDT").await;
    assert_eq!(one["result"]["b"].as_array().unwrap().len(), 1);
    let info = answer("instruments-info?category=spot&symbol=BTCUSDT").await;
    let info = &info["result"]["list"][0];
    assert_eq!(
        (
            &info["priceFilter"]["tickSize"],
            &info["lotSizeFilter"]["basePrecision"]
        ),
        (&json!("0.1"), &json!("0.000001"))
    );
    assert!(answer("time").await["result"]["timeNano"].is_string());
    let unknown = answer("tickers?category=spot&symbol=NOPE").await;
    assert_eq!(unknown["retCode"], 10_001);
    assert_eq!(answer("tickers").await["retCode"], 10_001);
}
