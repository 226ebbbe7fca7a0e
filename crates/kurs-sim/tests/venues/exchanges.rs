//! What holds for Coinbase, Kraken, Bybit and OKX alike.

use crate::client::{Socket, get, request, start};
use crate::{bybit, kraken, okx};
use futures_util::StreamExt;
use kurs_sim::{Channel, Fault, FaultKind, Pin, SimConfig, SimHandle, Venue};
use rust_decimal::Decimal;
use serde_json::json;
use std::time::Duration;

const EXCHANGES: [(Venue, &str); 4] = [
    (Venue::Coinbase, "BTC-USD"),
    (Venue::Kraken, "BTC/USD"),
    (Venue::Bybit, "BTCUSDT"),
    (Venue::Okx, "BTC-USDT"),
];

/// A subscription to the book of a symbol.
fn subscription(venue: Venue, symbol: &str) -> String {
    match venue {
        Venue::Coinbase => {
            json!({"type": "subscribe", "product_ids": [symbol], "channels": ["level2_batch"]})
                .to_string()
        }
        Venue::Kraken => {
            kraken::subscription(&json!({"channel": "book", "symbol": [symbol], "depth": 10}))
        }
        Venue::Bybit => bybit::subscription(&[&format!("orderbook.50.{symbol}")]),
        _ => okx::subscription(&[("books", symbol)]),
    }
}

async fn subscribed(sim: &SimHandle, venue: Venue, symbol: &str) -> Socket {
    let mut socket = Socket::open(sim.urls().ws(venue).unwrap()).await;
    socket.send(&subscription(venue, symbol)).await;
    while !is_diff(&socket.text().await) {}
    socket
}

fn is_diff(text: &str) -> bool {
    [
        "l2update",
        r#""update","data":[{"symbol""#,
        r#""delta""#,
        r#""action":"update""#,
    ]
    .iter()
    .any(|word| text.contains(word))
}

#[tokio::test]
async fn a_socket_opens_at_the_real_path_at_the_bare_mount_and_at_the_root() {
    let sim = start(SimConfig::seeded(1)).await;
    let host = sim.address();
    for path in [
        "coinbase",
        "coinbase/",
        "kraken/v2",
        "kraken",
        "kraken/",
        "v2",
        "bybit/v5/public/spot",
        "bybit",
        "v5/public/spot",
        "okx/ws/v5/public",
        "okx/",
        "ws/v5/public",
    ] {
        Socket::open(&format!("ws://{host}/{path}")).await;
    }
    assert!(
        Socket::try_open(&format!("ws://{host}/kraken/v1"))
            .await
            .is_err()
    );
    for (path, part) in [
        ("kraken/Time", "unixtime"),
        ("kraken/public/Time", "unixtime"),
        ("0/public/Time", "unixtime"),
        ("bybit/time", "timeNano"),
        ("bybit/market/time", "timeNano"),
        ("okx/public/time", "\"ts\""),
        ("okx/v5/public/time", "\"ts\""),
        ("products/BTC-USD", "base_currency"),
    ] {
        let answer = get(&format!("http://{host}/{path}")).await;
        assert!(answer.text().contains(part), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_pinned_price_is_the_exact_middle_and_is_listed_and_halted_over_http() {
    let sim = start(SimConfig::seeded(1)).await;
    let control = sim.urls().control;
    for (venue, symbol) in EXCHANGES {
        let body = json!({"venue": venue, "symbol": symbol, "price": "65000"}).to_string();
        let answer = request("POST", &format!("{control}/price"), &[], &body).await;
        assert_eq!(answer.unwrap().status, 200);
        let middle = || {
            let (bid, ask) = sim.top_of(venue, symbol)?;
            ((bid + ask) / Decimal::TWO == Decimal::from(65_000)).then_some(())
        };
        kurs_testkit::until("the pinned price", crate::client::GUARD, middle).await;
        let name = symbol.replace("BTC", "NEW");
        let body = json!({"venue": venue, "symbol": name, "halt": true}).to_string();
        let answer = request("POST", &format!("{control}/list"), &[], &body).await;
        assert_eq!(answer.unwrap().status, 200, "{name}");
        assert!(sim.symbols_of(venue).contains(&name));
        assert!(sim.list_on(venue, &name, false));
    }
    assert!(!sim.pin(Venue::Okx, "NO-PE", Pin::Price(Decimal::ONE)));
    assert!(sim.top_of(Venue::Ecb, "USD").is_none());
}

#[tokio::test]
async fn the_faults_of_a_connection_strike_these_venues_too() {
    let sim = start(SimConfig::seeded(1)).await;
    for (venue, symbol) in EXCHANGES {
        let mut socket = subscribed(&sim, venue, symbol).await;
        assert!(sim.fault(venue, Fault::stall().for_symbol(symbol)));
        let quiet = async {
            // Heartbeats may go on; diffs must not.
            loop {
                let wait = Duration::from_millis(300);
                match tokio::time::timeout(wait, socket.text()).await {
                    Err(_) => return,
                    Ok(text) if !is_diff(&text) => return,
                    Ok(_) => {}
                }
            }
        };
        tokio::time::timeout(crate::client::GUARD, quiet)
            .await
            .unwrap();
        sim.heal(venue);
        while !is_diff(&socket.text().await) {}
        assert_eq!(sim.reset(venue, Some(Channel::Ws)), 1);
        while matches!(socket.0.next().await, Some(Ok(_))) {}
        assert!(sim.fault(venue, Fault::new(FaultKind::Refuse).on(Channel::Ws)));
        let url = sim.urls().ws(venue).unwrap().to_owned();
        assert!(Socket::try_open(&url).await.is_err());
        sim.heal(venue);
        assert!(sim.fault(venue, Fault::status(503, None)));
        let rest = sim.urls().rest(venue).to_owned();
        assert_eq!(get(&format!("{rest}/time")).await.status, 503, "{venue}");
        sim.heal(venue);
        assert_eq!(sim.state().venues[&venue].ws_connections_total, 1);
    }
}

#[tokio::test]
async fn hostile_messages_are_answered_or_dropped_and_the_venue_lives() {
    let sim = start(SimConfig::seeded(1)).await;
    let long = "y".repeat(50_000);
    for (venue, symbol) in EXCHANGES {
        let mut socket = Socket::open(sim.urls().ws(venue).unwrap()).await;
        for text in [
            "",
            "null",
            "[[[",
            "{\"op\":1}",
            &format!("{{\"op\":\"{long}\"}}"),
            &long,
        ] {
            socket.send(text).await;
        }
        socket.send(&subscription(venue, symbol)).await;
        while !is_diff(&socket.text().await) {}
    }
}
