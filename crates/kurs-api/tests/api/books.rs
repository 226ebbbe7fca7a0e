//! Order books.

use crate::harness::{Harness, START, assert_problem};
use kurs_bus::{BookState, Command, Reply};
use kurs_core::{Pair, Price, SourceId};
use rust_decimal::Decimal;

/// A book as a Writer would show it.
pub(crate) fn shown(source: SourceId, pair: Pair) -> Reply {
    let level = |price: &str, size: &str| {
        let size: Decimal = size.parse().unwrap();
        (Price::parse(price).unwrap(), size)
    };
    Reply::Book(Box::new(BookState {
        source: source.simulated(),
        pair,
        symbol: format!("{}{}", pair.base, pair.quote).into(),
        bids: vec![level("100.00", "500"), level("99.90", "1.50")],
        asks: vec![level("100.10", "50"), level("100.20", "2.00")],
        bid_levels: 1_000,
        ask_levels: 998,
        update_id: Some(50_093_239_218),
        observed_at: None,
        received_at: START,
        verified_by: "id_range".into(),
    }))
}

#[tokio::test]
async fn a_book_is_shown_with_its_digits_and_its_fair_prices() {
    let harness = Harness::start().await;
    harness.writer(|command| match command {
        Command::Book { source, pair, .. } => shown(source, pair),
        _ => Reply::Untracked { existed: false },
    });
    for symbol in ["BTCUSDT", "btc-usdt", "BTC_USDT"] {
        let reply = harness
            .get(&format!("/api/v1/books/binance/{symbol}?depth=1"))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let book = reply.json();
        assert_eq!(book["source"], "sim:binance");
        assert_eq!(book["pair"], "BTC-USDT");
        assert_eq!(book["bids"].as_array().map(Vec::len), Some(1));
        assert_eq!(book["bids"][0]["price"], "100.00");
        assert_eq!(book["asks"][0]["size"], "50");
        assert_eq!(book["fair"]["mid"], "100.05");
        assert_eq!(book["fair"]["weighted_mid"], "100.090909090909");
        assert_eq!(book["ask_levels"], 998);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn what_is_no_readable_book_is_told_by_kind() {
    let harness = Harness::start().await;
    harness.writer(|command| match command {
        Command::Book { source, .. } if source.as_str() == "kraken" => Reply::BookNotReady {
            why: "the checksum did not match".into(),
        },
        Command::Book { source, pair, .. } => Reply::NoBook {
            unknown_source: source.as_str() == "nobody",
            why: format!("no book of {pair}").into(),
        },
        _ => Reply::Untracked { existed: false },
    });
    let not_ready = harness.get("/api/v1/books/kraken/BTCUSDT").await;
    assert_problem(&not_ready, 503, "book-not-ready");
    assert_eq!(not_ready.header("retry-after"), Some("1"));
    assert_eq!(not_ready.json()["detail"], "the checksum did not match");
    let unknown = harness.get("/api/v1/books/nobody/BTCUSDT").await;
    assert_problem(&unknown, 404, "unknown-source");
    let polled = harness.get("/api/v1/books/cbr/BTCUSDT").await;
    assert_problem(&polled, 404, "unknown-book");
    for target in [
        "/api/v1/books/binance/BTCUSDT?depth=0",
        "/api/v1/books/binance/BTCUSDT?depth=1001",
        "/api/v1/books/binance/B",
    ] {
        assert_problem(&harness.get(target).await, 400, "invalid-parameter");
    }
}
