//! Wrong prices and floods of nonsense.

use crate::book::decimal;
use crate::book_faults::{coinbase, kraken_book};
use crate::client::{Socket, get, start};
use crate::kraken::{TextBook, entry};
use crate::{bybit, kraken, okx};
use kurs_sim::{Channel, Fault, FaultKind, SimConfig, Venue};
use rust_decimal::Decimal;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test]
async fn poison_by_a_factor_makes_a_whole_right_book_of_wrong_prices() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut socket = kraken_book(&sim, "BTC/USD").await;
    let mut book = TextBook::default();
    for factor in ["10", "0.1", "1"] {
        let (honest, _) = sim.top_of(Venue::Kraken, "BTC/USD").unwrap();
        sim.heal(Venue::Kraken);
        let factor: Decimal = factor.parse().unwrap();
        let fault = Fault::wrong_factor(factor).for_symbol("BTC/USD");
        assert!(sim.fault(Venue::Kraken, fault));
        let wanted = honest * factor;
        let near = |price: Decimal| (price - wanted).abs() < wanted / Decimal::ONE_HUNDRED;
        let mut right = 0;
        while right < 20 {
            let text = kraken::next(&mut socket).await;
            let entry = entry(&text);
            book.apply(&entry, 10);
            assert_eq!(book.checksum(), entry.checksum, "{text}");
            assert!(!book.is_crossed(), "{text}");
            right += usize::from(near(*book.bids.last_key_value().unwrap().0));
        }
    }
    sim.fault(Venue::Okx, Fault::wrong_factor(Decimal::TEN));
    let url = format!(
        "{}/api/v5/market/ticker?instId=BTC-USDT",
        sim.urls().okx_rest
    );
    let bid = decimal(&get(&url).await.json()["data"][0]["bidPx"]);
    let (honest, _) = sim.top_of(Venue::Okx, "BTC-USDT").unwrap();
    assert!(bid > honest * Decimal::from(9), "{bid} {honest}");
}

#[tokio::test]
async fn poison_by_a_text_stands_in_every_book_frame_until_healed() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut sockets = vec![
        (Venue::Coinbase, coinbase(&sim, "BTC-USD").await),
        (Venue::Kraken, kraken_book(&sim, "BTC/USD").await),
    ];
    let mut socket = bybit::open(&sim).await;
    socket
        .send(&bybit::subscription(&["orderbook.50.BTCUSDT"]))
        .await;
    sockets.push((Venue::Bybit, socket));
    let mut socket = okx::open(&sim).await;
    socket
        .send(&okx::subscription(&[("books", "BTC-USDT")]))
        .await;
    sockets.push((Venue::Okx, socket));
    for (venue, mut socket) in sockets {
        for text in ["NaN", "0", "-1", "1e308"] {
            assert!(sim.fault(venue, Fault::wrong_text(text).on(Channel::Ws)));
            let needle = match venue {
                Venue::Coinbase => format!(r#"["buy","{text}","#),
                Venue::Kraken => format!(r#"{{"price":{text},"qty":"#),
                _ => format!(r#"["{text}","#),
            };
            while !socket.text().await.contains(&needle) {}
            sim.heal(venue);
        }
        // Healed: the poison is gone.
        while socket.text().await.contains("1e308") {}
    }
}

#[tokio::test]
async fn a_flood_of_garbage_fills_one_venue_and_leaves_the_others_alone() {
    let sim = start(SimConfig::seeded(4)).await;
    let mut other = kraken_book(&sim, "BTC/USD").await;
    let urls = sim.urls();
    for venue in [Venue::Binance, Venue::Coinbase, Venue::Bybit, Venue::Okx] {
        let mut socket = Socket::open(urls.ws(venue).unwrap()).await;
        assert!(sim.fault(venue, Fault::new(FaultKind::Garbage)));
        let (mut texts, mut broken, mut binary) = (0, 0, 0);
        for _ in 0..3_000 {
            match socket.message().await.expect("the flood goes on") {
                Message::Text(text) => {
                    texts += 1;
                    broken += usize::from(serde_json::from_str::<Value>(&text).is_err());
                }
                Message::Binary(_) => binary += 1,
                _ => {}
            }
        }
        assert!(broken > 1_000 && texts > broken && binary > 100, "{venue}");
        // The others are served as ever.
        for _ in 0..5 {
            assert!(other.json().await["channel"].is_string());
        }
        sim.heal(venue);
        // Commands are still heard, and after the rest of the flood the socket is clean.
        let (ping, answer) = match venue {
            Venue::Binance => (r#"{"method":"LIST_SUBSCRIPTIONS","id":5}"#, r#""id":5"#),
            Venue::Bybit => (r#"{"op":"ping"}"#, r#""ret_msg":"pong""#),
            Venue::Okx => ("ping", "pong"),
            _ => (r#"{"type":"nonsense"}"#, r#""type":"error""#),
        };
        socket.send(ping).await;
        while !socket.text().await.contains(answer) {}
    }
    assert!(
        !sim.fault(Venue::Ecb, Fault::new(FaultKind::Garbage)),
        "it has no sockets"
    );
}
