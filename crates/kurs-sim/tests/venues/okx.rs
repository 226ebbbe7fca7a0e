use crate::book::{Book, decimal};
use crate::client::{Socket, get, start};
use flate2::Crc;
use kurs_sim::market::Trading;
use kurs_sim::{OkxHabits, SimConfig, SimHandle, Venue};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) async fn open(sim: &SimHandle) -> Socket {
    Socket::open(&sim.urls().okx_ws).await
}

pub(crate) fn subscription(args: &[(&str, &str)]) -> String {
    let arg =
        |(channel, instrument): &(&str, &str)| json!({"channel": channel, "instId": instrument});
    let args: Vec<Value> = args.iter().map(arg).collect();
    json!({"id": "1512", "op": "subscribe", "args": args}).to_string()
}

fn number(data: &Value, key: &str) -> i64 {
    data[key]
        .as_i64()
        .unwrap_or_else(|| panic!("{key} is no integer: {data}"))
}

#[tokio::test]
async fn the_chain_is_unbroken_and_the_top_is_that_of_the_bbo_with_the_same_number() {
    let sim = start(SimConfig::seeded(9)).await;
    let mut socket = open(&sim).await;
    let channels = ["bbo-tbt", "books", "books5", "tickers", "trades"];
    let args = channels.map(|channel| (channel, "BTC-USDT"));
    socket.send(&subscription(&args)).await;
    let mut book = Book::default();
    let (mut last, mut updates) = (0, 0);
    let mut steps = BTreeSet::new();
    let mut tops: BTreeMap<i64, BTreeMap<String, [Decimal; 4]>> = BTreeMap::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    while updates < 120 {
        let frame = socket.json().await;
        let channel = frame["arg"]["channel"].as_str().unwrap().to_owned();
        if let Some(event) = frame["event"].as_str() {
            assert_eq!((event, &frame["id"]), ("subscribe", &json!("1512")));
            assert_eq!(frame["connId"].as_str().unwrap().len(), 8);
            *seen.entry("acks".to_owned()).or_default() += 1;
            continue;
        }
        *seen.entry(channel.clone()).or_default() += 1;
        let data = &frame["data"][0];
        assert!(data["ts"].as_str().unwrap().parse::<u64>().is_ok());
        match channel.as_str() {
            "books" => {
                let (sequence, previous) = (number(data, "seqId"), number(data, "prevSeqId"));
                assert_eq!(number(data, "checksum"), 0);
                if frame["action"] == "snapshot" {
                    assert_eq!(previous, -1);
                    book = Book::new(&data["bids"], &data["asks"]);
                } else {
                    assert_eq!((&frame["action"], previous), (&json!("update"), last));
                    steps.insert(sequence - previous);
                    book.apply(&data["bids"], &data["asks"]);
                    updates += 1;
                }
                last = sequence;
                // Removals for levels that leave the window are sent, and nothing else.
                assert_eq!(
                    (book.bids.len(), book.asks.len(), book.orphans),
                    (400, 400, 0)
                );
                assert!(!book.is_crossed());
                tops.entry(sequence)
                    .or_default()
                    .insert(channel, book.top());
            }
            "bbo-tbt" | "books5" => {
                assert!(frame.get("action").is_none());
                let best = Book::new(&data["bids"], &data["asks"]);
                let depth = if channel == "books5" { 5 } else { 1 };
                assert_eq!((best.bids.len(), best.asks.len()), (depth, depth));
                let sequence = number(data, "seqId");
                tops.entry(sequence)
                    .or_default()
                    .insert(channel, best.top());
            }
            "tickers" => assert!(decimal(&data["bidPx"]) < decimal(&data["askPx"])),
            "trades" => {
                assert!(data["side"] == "buy" || data["side"] == "sell");
                number(data, "seqId");
            }
            other => panic!("{other}"),
        }
    }
    assert!(steps.len() > 5, "irregular steps: {steps:?}");
    for (name, least) in [
        ("acks", 5),
        ("bbo-tbt", 100),
        ("books5", 50),
        ("tickers", 50),
        ("trades", 20),
    ] {
        assert!(seen[name] >= least, "{name}: {seen:?}");
    }
    let several: Vec<_> = tops.values().filter(|tops| tops.len() > 1).collect();
    assert!(several.len() > 50, "{}", several.len());
    for tops in several {
        let first = tops.values().next().unwrap();
        assert!(tops.values().all(|top| top == first), "{tops:?}");
    }
}

#[tokio::test]
async fn two_connections_get_the_same_updates_with_the_same_numbers() {
    let sim = start(SimConfig::seeded(9)).await;
    let mut sockets = [open(&sim).await, open(&sim).await];
    let mut told: Vec<BTreeMap<i64, Value>> = Vec::new();
    for socket in &mut sockets {
        socket.send(&subscription(&[("books", "BTC-USDT")])).await;
    }
    for socket in &mut sockets {
        let mut updates = BTreeMap::new();
        while updates.len() < 40 {
            let frame = socket.json().await;
            if frame["action"] == "update" {
                let data = frame["data"][0].clone();
                updates.insert(number(&data, "seqId"), data);
            }
        }
        told.push(updates);
    }
    let common: Vec<_> = told[0]
        .keys()
        .filter(|key| told[1].contains_key(key))
        .collect();
    assert!(common.len() >= 10, "{}", common.len());
    for key in common {
        assert_eq!(told[0][key], told[1][key]);
    }
}

#[tokio::test]
async fn the_checksums_of_old_match_when_they_are_switched_on() {
    let habits = OkxHabits {
        checksum: true,
        ..OkxHabits::default()
    };
    let sim = start(SimConfig {
        okx: habits,
        ..SimConfig::seeded(2)
    })
    .await;
    let mut socket = open(&sim).await;
    socket.send(&subscription(&[("books", "ETH-USDT")])).await;
    type Text = BTreeMap<Decimal, (String, String)>;
    let (mut bids, mut asks) = (Text::new(), Text::new());
    let mut checked = 0;
    while checked < 60 {
        let frame = socket.json().await;
        let data = &frame["data"][0];
        if data.is_null() {
            continue;
        }
        for (side, key) in [(&mut bids, "bids"), (&mut asks, "asks")] {
            for level in data[key].as_array().unwrap() {
                if level[1] == "0" {
                    side.remove(&decimal(&level[0]));
                } else {
                    let text = |index: usize| level[index].as_str().unwrap().to_owned();
                    side.insert(decimal(&level[0]), (text(0), text(1)));
                }
            }
        }
        let mut parts = Vec::new();
        for (bid, ask) in bids.values().rev().zip(asks.values()).take(25) {
            parts.extend([&*bid.0, &*bid.1, &*ask.0, &*ask.1]);
        }
        let mut crc = Crc::new();
        crc.update(parts.join(":").as_bytes());
        assert_eq!(i64::from(crc.sum().cast_signed()), number(data, "checksum"));
        checked += 1;
    }
}

#[tokio::test]
async fn mistakes_are_answered_by_their_code_and_one_spares_none_of_the_others() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    let good = ("tickers", "BTC-USDT");
    for (bad, code) in [
        (("books", "NO-PE"), "60018"),
        (("level2", "BTC-USDT"), "60018"),
        (("books-l2-tbt", "BTC-USDT"), "60011"),
    ] {
        socket.send(&subscription(&[good, bad])).await;
        let error = socket.json().await;
        assert_eq!(
            (&error["event"], &error["code"]),
            (&json!("error"), &json!(code))
        );
        assert_eq!(error["id"], "1512");
    }
    for text in [
        "{",
        r#"{"op":"fly"}"#,
        r#"{"op":"subscribe","args":["books"]}"#,
    ] {
        socket.send(text).await;
        assert_eq!(socket.json().await["code"], "60012");
    }
    assert!(socket.is_silent(Duration::from_millis(300)).await);
    socket.send("ping").await;
    assert_eq!(socket.text().await, "pong");
    assert_eq!(
        sim.state().venues[&Venue::Okx]
            .violations
            .refused_subscriptions,
        6
    );
}

#[tokio::test]
async fn subscribing_twice_brings_a_second_snapshot_and_unsubscribing_ends_it() {
    let sim = start(SimConfig::seeded(1)).await;
    sim.set_trading_on(Venue::Okx, "BTC-USDT", Trading::Halt);
    let mut socket = open(&sim).await;
    for _ in 0..2 {
        socket.send(&subscription(&[("books", "BTC-USDT")])).await;
        assert_eq!(socket.json().await["event"], "subscribe");
        assert_eq!(socket.json().await["action"], "snapshot");
    }
    let end = subscription(&[("books", "BTC-USDT")]).replace("subscribe", "unsubscribe");
    socket.send(&end).await;
    assert_eq!(socket.json().await["event"], "unsubscribe");
    assert!(sim.state().venues[&Venue::Okx].ws_streams.is_empty());
}

#[tokio::test]
async fn a_quiet_book_says_so_and_an_idle_link_is_cut_unless_it_is_pinged() {
    let habits = |repeat_after_ms| OkxHabits {
        idle_ms: 2_000,
        repeat_after_ms,
        ..OkxHabits::default()
    };
    let sim = start(SimConfig {
        okx: habits(250),
        ..SimConfig::seeded(1)
    })
    .await;
    for name in ["BTC-USDT", "ETH-USDT"] {
        sim.set_trading_on(Venue::Okx, name, Trading::Halt);
    }
    let mut quiet = open(&sim).await;
    let args = [("books", "BTC-USDT"), ("bbo-tbt", "BTC-USDT")];
    quiet.send(&subscription(&args)).await;
    let mut last = None;
    let (mut same, mut whole) = (0, 0);
    while same < 5 || whole < 5 {
        let frame = quiet.json().await;
        let data = &frame["data"][0];
        if frame["action"] == "snapshot" {
            last = Some(number(data, "seqId"));
        } else if frame["action"] == "update" {
            assert_eq!((&data["asks"], &data["bids"]), (&json!([]), &json!([])));
            assert_eq!(Some(number(data, "seqId")), last);
            assert_eq!(Some(number(data, "prevSeqId")), last);
            same += 1;
        } else if frame["arg"]["channel"] == "bbo-tbt" && !data.is_null() {
            assert_eq!(data["bids"].as_array().unwrap().len(), 1);
            whole += 1;
        }
    }
    // Nothing is sent over this one but the answers to pings.
    let mut pinged = open(&sim).await;
    let tickers = [("tickers", "ETH-USDT")];
    pinged.send(&subscription(&tickers)).await;
    for _ in 0..10 {
        pinged.send("ping").await;
        while pinged.text().await != "pong" {}
        assert!(pinged.is_silent(Duration::from_millis(300)).await);
    }
    pinged.until_end().await;
    // And this one has no subscription at all.
    let mut empty = open(&sim).await;
    let reason = empty.until_end().await;
    assert_eq!(reason.as_deref(), Some("No data received in 30s."));
    assert_eq!(
        sim.state().venues[&Venue::Okx].violations.idle_connections,
        2
    );
}

#[tokio::test]
async fn more_connections_than_the_three_allowed_are_refused() {
    let mut config = SimConfig::seeded(1);
    // Three a minute instead of three a second: a slow machine gets no allowance back meanwhile.
    config.okx.limits.connections_within_ms = 60_000;
    let sim = start(config).await;
    let (mut opened, mut refused) = (Vec::new(), 0);
    for _ in 0..5 {
        match Socket::try_open(&sim.urls().okx_ws).await {
            Ok(socket) => opened.push(socket),
            Err(_) => refused += 1,
        }
    }
    assert_eq!((opened.len(), refused), (3, 2));
    let violations = &sim.state().venues[&Venue::Okx].violations;
    assert_eq!(violations.too_many_attempts, refused);
}

#[tokio::test]
async fn the_notice_before_an_upgrade_reaches_every_connection() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = open(&sim).await;
    socket.send("ping").await;
    assert_eq!(socket.text().await, "pong");
    assert_eq!(sim.shutdown_notice_of(Venue::Okx), 1);
    let notice = socket.json().await;
    assert_eq!(
        (&notice["event"], &notice["code"]),
        (&json!("notice"), &json!("64008"))
    );
    assert_eq!(sim.shutdown_notice_of(Venue::Kraken), 0);
}

#[tokio::test]
async fn the_rest_routes_answer_as_the_venue_does() {
    let mut config = SimConfig::seeded(1);
    config.okx.limits.requests_within_ms = 60_000;
    let sim = start(config).await;
    let root = format!("{}/api/v5", sim.urls().okx_rest);
    let answer = async |path: &str| -> Value { get(&format!("{root}/{path}")).await.json() };
    let tickers = answer("market/tickers?instType=SPOT").await;
    assert_eq!(tickers["code"], "0");
    let names: BTreeSet<&str> = tickers["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["instId"].as_str().unwrap())
        .collect();
    for name in ["BTC-USDT", "ETH-USDT", "ETH-BTC", "USDC-USDT"] {
        assert!(names.contains(name), "{name}");
    }
    let one = answer("market/ticker?instId=BTC-USDT").await;
    assert!(decimal(&one["data"][0]["bidPx"]) < decimal(&one["data"][0]["askPx"]));
    let books = answer("market/books?instId=BTC-USDT&sz=400").await;
    let book = &books["data"][0];
    assert_eq!(Book::new(&book["bids"], &book["asks"]).asks.len(), 400);
    let instruments = answer("public/instruments?instType=SPOT").await;
    let rows = instruments["data"].as_array().unwrap();
    let btc = rows.iter().find(|row| row["instId"] == "BTC-USDT").unwrap();
    assert_eq!(
        (&btc["tickSz"], &btc["lotSz"], &btc["state"]),
        (&json!("0.1"), &json!("0.00000001"), &json!("live"))
    );
    assert!(answer("public/time").await["data"][0]["ts"].is_string());
    assert_eq!(answer("market/ticker?instId=NO-PE").await["code"], "51001");
    assert_eq!(answer("market/tickers").await["code"], "50014");
    let mut refused = None;
    for _ in 0..60 {
        let answer = get(&format!("{root}/public/time")).await;
        if answer.status == 429 {
            refused = Some(answer.json());
        }
    }
    assert_eq!(refused.unwrap()["code"], "50011");
}
