use crate::client::{GUARD, Socket, get, request, start};
use kurs_sim::market::Trading;
use kurs_sim::{Pin, SimConfig, Venue};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn decimal(value: &Value) -> Decimal {
    value.as_str().unwrap().parse().unwrap()
}

#[derive(Default)]
struct Book {
    id: u64,
    bids: BTreeMap<Decimal, Decimal>,
    asks: BTreeMap<Decimal, Decimal>,
}

impl Book {
    fn set(&mut self, bids: &Value, asks: &Value) {
        for (book, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels.as_array().unwrap() {
                let (price, size) = (decimal(&level[0]), decimal(&level[1]));
                if size.is_zero() {
                    book.remove(&price);
                } else {
                    book.insert(price, size);
                }
            }
        }
    }
}

#[tokio::test]
async fn the_book_synced_by_the_documented_rule_equals_the_ticker_with_the_same_id() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket
        .subscribe(&["btcusdt@depth@100ms", "btcusdt@bookTicker"])
        .await;
    let mut buffered = vec![socket.json().await];
    let url = format!(
        "{}/api/v3/depth?symbol=BTCUSDT&limit=5000",
        sim.urls().binance_rest
    );
    let snapshot = get(&url).await.json();
    let mut book = Book {
        id: snapshot["lastUpdateId"].as_u64().unwrap(),
        ..Book::default()
    };
    book.set(&snapshot["bids"], &snapshot["asks"]);
    let (mut tickers, mut compared, mut first) = (BTreeMap::new(), 0, true);
    while compared < 10 {
        let frame = match buffered.pop() {
            Some(frame) => frame,
            None => socket.json().await,
        };
        let data = &frame["data"];
        if frame["stream"] == "btcusdt@bookTicker" {
            let top = [&data["b"], &data["B"], &data["a"], &data["A"]].map(decimal);
            tickers.insert(data["u"].as_u64().unwrap(), top);
            continue;
        }
        let (from, to) = (data["U"].as_u64().unwrap(), data["u"].as_u64().unwrap());
        if to <= book.id {
            continue;
        }
        let fits = if first {
            from <= book.id + 1
        } else {
            from == book.id + 1
        };
        assert!(fits, "gap: {from} after {}", book.id);
        first = false;
        book.set(&data["b"], &data["a"]);
        book.id = to;
        if let Some(ticker) = tickers.get(&book.id) {
            let (bid, ask) = (
                book.bids.last_key_value().unwrap(),
                book.asks.first_key_value().unwrap(),
            );
            assert_eq!(*ticker, [*bid.0, *bid.1, *ask.0, *ask.1]);
            compared += 1;
        }
    }
}

#[tokio::test]
async fn every_stream_has_the_fields_of_the_real_one() {
    let sim = start(SimConfig::seeded(1)).await;
    let kinds = [
        "bookTicker",
        "trade",
        "aggTrade",
        "depth",
        "depth@100ms",
        "miniTicker",
    ];
    let names: Vec<_> = kinds.iter().map(|kind| format!("btcusdt@{kind}")).collect();
    let url = format!("{}?streams={}", sim.urls().binance_ws, names.join("/"));
    let mut socket = Socket::open(&url).await;
    let mut seen = BTreeMap::new();
    while seen.len() < kinds.len() {
        let frame = socket.json().await;
        seen.insert(
            frame["stream"].as_str().unwrap().to_owned(),
            frame["data"].clone(),
        );
    }
    let keys = |kind: &str| {
        let data = seen[&format!("btcusdt@{kind}")].as_object().unwrap();
        data.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys("bookTicker"), "A B a b s u");
    assert_eq!(keys("trade"), "E M T e m p q s t");
    assert_eq!(keys("aggTrade"), "E M T a e f l m p q s");
    assert_eq!(keys("depth"), "E U a b e s u");
    assert_eq!(keys("depth@100ms"), "E U a b e s u");
    assert_eq!(keys("miniTicker"), "E c e h l o q s v");
    let bid = seen["btcusdt@bookTicker"]["b"].as_str().unwrap();
    assert_eq!(bid.split_once('.').unwrap().1.len(), 8, "{bid}");
}

#[tokio::test]
async fn raw_connections_get_bare_payloads_and_may_switch() {
    let sim = start(SimConfig::seeded(1)).await;
    let root = sim.urls().binance_ws.replace("/stream", "/ws");
    let mut socket = Socket::open(&format!("{root}/btcusdt@trade?timeUnit=MICROSECOND")).await;
    let trade = socket.json().await;
    assert_eq!(trade["e"], "trade");
    assert!(
        trade["E"].as_u64().unwrap() > 1_000_000_000_000_000,
        "{trade}"
    );
    socket
        .send(r#"{"method":"LIST_SUBSCRIPTIONS","id":"x"}"#)
        .await;
    loop {
        let answer = socket.json().await;
        if answer["id"] == "x" {
            assert_eq!(answer["result"], json!(["btcusdt@trade"]));
            break;
        }
    }
    socket
        .send(r#"{"method":"SET_PROPERTY","params":["combined",true],"id":2}"#)
        .await;
    while socket.json().await["stream"] != "btcusdt@trade" {}
}

#[tokio::test]
async fn a_misspelled_stream_is_accepted_and_stays_silent() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket
        .subscribe(&["btcusdt@bookticker", "BTCUSDT@bookTicker"])
        .await;
    assert!(
        socket
            .is_silent(std::time::Duration::from_millis(400))
            .await
    );
    socket.send("{").await;
    assert_eq!(socket.json().await["code"], 3);
}

#[tokio::test]
async fn unsubscribing_ends_a_stream_and_leaves_the_others() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket
        .subscribe(&["btcusdt@bookTicker", "ethusdt@bookTicker"])
        .await;
    let body = r#"{"method":"UNSUBSCRIBE","params":["btcusdt@bookTicker"],"id":9}"#;
    socket.send(body).await;
    while socket.json().await["id"] != 9 {}
    // What was queued before the answer may still come; after it nothing new is queued.
    while socket.json().await["stream"] != "ethusdt@bookTicker" {}
    for _ in 0..20 {
        assert_eq!(socket.json().await["stream"], "ethusdt@bookTicker");
    }
}

#[tokio::test]
async fn the_listing_answers_as_the_venue_does() {
    let sim = start(SimConfig::seeded(1)).await;
    let root = format!("{}/api/v3", sim.urls().binance_rest);
    let one = get(&format!("{root}/exchangeInfo?symbol=BTCUSDT")).await;
    assert_eq!(one.header("x-mbx-used-weight-1m"), Some("20"));
    let body = one.json();
    assert_eq!(body["symbols"][0]["baseAsset"], "BTC");
    assert_eq!(body["symbols"][0]["filters"][0]["tickSize"], "0.01000000");
    assert_eq!(body["rateLimits"][0]["limit"], 6_000);
    let unknown = get(&format!("{root}/exchangeInfo?symbol=NOPEUSDT")).await;
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.text(), r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    let mixed = format!("{root}/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22NOPE%22%5D");
    assert_eq!(get(&mixed).await.json()["code"], -1121);
    assert_eq!(get(&format!("{root}/depth")).await.json()["code"], -1102);
    assert_eq!(
        get(&format!("{root}/depth?symbol=btc%20")).await.json()["code"],
        -1100
    );
    assert!(sim.list("NOPEUSDT", true));
    assert!(sim.set_trading("NOPEUSDT", Trading::Halt));
    let listed = get(&format!(
        "{root}/exchangeInfo?symbol=NOPEUSDT&showPermissionSets=false"
    ))
    .await;
    assert_eq!(listed.json()["symbols"][0]["status"], "HALT");
    assert!(sim.list("NOPEUSDT", false));
    assert_eq!(
        get(&format!("{root}/exchangeInfo?symbol=NOPEUSDT"))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_pinned_price_is_the_exact_middle_everywhere() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    socket.subscribe(&["btcusdt@bookTicker"]).await;
    assert!(sim.pin(
        Venue::Binance,
        "BTCUSDT",
        Pin::Price("65000".parse().unwrap())
    ));
    while socket.json().await["data"]["b"] != "64999.99000000" {}
    let url = format!(
        "{}/api/v3/ticker/bookTicker?symbol=BTCUSDT",
        sim.urls().binance_rest
    );
    let ticker = get(&url).await.json();
    assert_eq!(
        (&ticker["bidPrice"], &ticker["askPrice"]),
        (&json!("64999.99000000"), &json!("65000.01000000"))
    );
    let all = get(&format!("{}/api/v3/ticker/price", sim.urls().binance_rest))
        .await
        .json();
    assert!(all.as_array().unwrap().len() >= 20);
}

#[tokio::test]
async fn the_shutdown_notice_comes_in_the_shape_of_the_connection() {
    let sim = start(SimConfig::seeded(1)).await;
    let mut combined = Socket::open(&sim.urls().binance_ws).await;
    let mut raw = Socket::open(&sim.urls().binance_ws.replace("/stream", "/ws")).await;
    let both = || (sim.state().venues[&Venue::Binance].ws_connections_now == 2).then_some(());
    kurs_testkit::until("both connections", GUARD, both).await;
    assert_eq!(sim.shutdown_notice(), 2);
    let notice = combined.json().await;
    assert_eq!(notice["stream"], "!serverShutdown");
    assert_eq!(notice["data"]["e"], "serverShutdown");
    assert_eq!(raw.json().await["e"], "serverShutdown");
}

#[tokio::test]
async fn hostile_requests_are_answered_or_dropped_and_the_sim_lives() {
    let sim = start(SimConfig::seeded(1)).await;
    let host = sim.address();
    let long = "x".repeat(3_000);
    for path in [
        "/",
        "/binance",
        "/binance/api/v3/%ff?symbol=%00",
        "/control/nothing",
        &format!("/{long}"),
    ] {
        let _ = request("GET", &format!("http://{host}{path}"), &[], "").await;
        let _ = request("POST", &format!("http://{host}{path}"), &[], &long).await;
    }
    for body in ["", "[]", "{\"venue\":1}", "nonsense"] {
        let answer = request("POST", &format!("http://{host}/control/faults"), &[], body).await;
        assert_eq!(answer.unwrap().status, 400);
    }
    let mut socket = Socket::open(&sim.urls().binance_ws).await;
    let huge = format!(
        r#"{{"method":"SUBSCRIBE","params":["{}"],"id":1}}"#,
        "y".repeat(5_000)
    );
    socket.send(&huge).await;
    assert_eq!(socket.json().await["code"], 2);
    assert_eq!(
        get(&format!("http://{host}/binance/api/v3/ping"))
            .await
            .status,
        200
    );
    sim.stop().await;
    assert!(socket.until_end().await.is_none());
}
