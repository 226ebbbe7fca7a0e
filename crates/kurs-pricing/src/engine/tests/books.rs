//! Fair prices of books, one venue's and all together.

use super::*;
use kurs_core::Sizes;

fn sized(desk: &mut Desk, name: &str, market: &str, bid: (&str, &str), ask: (&str, &str)) {
    let quote = Quote::sides(price(bid.0), price(ask.0)).unwrap();
    let sizes = Some(Sizes {
        bid: bid.1.parse().unwrap(),
        ask: ask.1.parse().unwrap(),
    });
    let tick = Tick {
        sizes,
        ..tick(market, quote, STREAM)
    };
    desk.say(name, EventKind::Tick(tick));
}

#[test]
fn the_weighted_mid_follows_sizes_alone() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"price": "weighted_mid"}"#)]);
    sized(
        &mut desk,
        "binance",
        "BTC-USDT",
        ("100.00", "500"),
        ("100.10", "50"),
    );
    desk.check("BTC-USDT", "100.090909090909 binance fresh");
    sized(
        &mut desk,
        "binance",
        "BTC-USDT",
        ("100.00", "50"),
        ("100.10", "500"),
    );
    desk.check("BTC-USDT", "100.009090909091 binance fresh");
    let rate = desk.last("BTC-USDT").unwrap();
    assert_eq!(
        (rate.bid.unwrap().to_string(), rate.ask.unwrap().to_string()),
        ("100.00".into(), "100.10".into())
    );
}

#[test]
fn a_source_without_sizes_serves_with_its_mid_and_says_so() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"price": "weighted_mid"}"#)]);
    desk.stream("binance", "BTC-USDT", "100.00", "100.10");
    desk.check("BTC-USDT", "100.05 binance fresh");
    let one = &desk.evidence("BTC-USDT").constituents[0];
    assert_eq!(
        (&*one.why, one.price),
        ("mid, since it gives no sizes", crate::FairMethod::Mid)
    );
}

#[test]
fn the_depth_weighted_price_is_used_as_long_as_the_depth_is_live() {
    let policy = r#"{"price": "depth_weighted", "step": 1}"#;
    let mut desk = Desk::with(&["ETH-USD"], &[("ETH-USDT", policy), ("ETH-USD", policy)]);
    desk.table("coingecko", DAY, &[("USDT-USD", "1")]);
    desk.stream("binance", "ETH-USDT", "99.9", "100.1");
    desk.check("ETH-USDT", "100 binance fresh");
    assert_eq!(
        &*desk.evidence("ETH-USDT").constituents[0].why,
        "mid, since it gives no depth at present"
    );
    desk.depth(
        "binance",
        "ETH-USDT",
        "99.9x2 99.8x3 99.5x5 99.0x10",
        "100.1x1 100.2x4 100.6x5 101.2x10",
    );
    desk.wait(Duration::from_millis(40));
    desk.check("ETH-USDT", "100.0129530874 binance fresh");
    desk.check("ETH-USD", "100.0129530874 binance fresh");
    desk.say(
        "binance",
        EventKind::Depth {
            pair: pair("ETH-USDT"),
            depth: None,
            valid_for: STREAM,
        },
    );
    desk.wait(Duration::from_millis(40));
    desk.check("ETH-USDT", "100 binance fresh");
    let wanted: Vec<String> = desk
        .engine
        .config
        .depth_pairs()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        wanted,
        ["ETH-DAI", "ETH-FDUSD", "ETH-USD", "ETH-USDC", "ETH-USDT"]
    );
}

#[test]
fn the_step_is_what_one_bitcoin_is_worth() {
    let mut desk = Desk::with(&[], &[("ETH-USDT", r#"{"price": "depth_weighted"}"#)]);
    desk.stream("binance", "BTC-USDT", "499", "501");
    desk.stream("binance", "ETH-USDT", "99.9", "100.1");
    // 500 / 100: five ETH are one BTC; only one such step is within half a percent.
    desk.depth(
        "binance",
        "ETH-USDT",
        "99.9x4 99.8x1 90x100",
        "100.1x1 100.2x4 110x100",
    );
    desk.wait(Duration::from_millis(40));
    desk.check("ETH-USDT", "100 binance fresh");
    desk.depth("binance", "ETH-USDT", "99.9x4 90x100", "100.1x9 110x100");
    desk.wait(Duration::from_millis(40));
    // The fifth ETH is bought at 90: beyond the spread, yet the first step always counts.
    desk.check("ETH-USDT", "95.05 binance fresh");
}

#[test]
fn a_crossed_book_is_no_book() {
    let mut desk = Desk::with(
        &[],
        &[("ETH-USDT", r#"{"price": "depth_weighted", "step": 1}"#)],
    );
    desk.stream("binance", "ETH-USDT", "99.9", "100.1");
    desk.depth("binance", "ETH-USDT", "101x9", "100x9");
    desk.wait(Duration::from_millis(40));
    desk.check("ETH-USDT", "100 binance fresh");
    assert_eq!(desk.engine.rejected(), 1);
}

#[test]
fn the_merged_book_nets_crossing_volume_off_first() {
    let mut desk = Desk::with(
        &[],
        &[("BTC-USDT", r#"{"kind": "merged", "price": "weighted_mid"}"#)],
    );
    sized(
        &mut desk,
        "binance",
        "BTC-USDT",
        ("100.0", "3"),
        ("100.3", "1"),
    );
    desk.wait(Duration::from_millis(40));
    desk.check("BTC-USDT", "100.225 merged suspect");
    sized(
        &mut desk,
        "kraken",
        "BTC-USDT",
        ("99.8", "1"),
        ("99.9", "2"),
    );
    desk.wait(Duration::from_millis(40));
    // 2 of the 3 wanted at 100.0 are sold at 99.9: 1 is left against 1 at 100.3.
    desk.check("BTC-USDT", "100.15 merged fresh");
    let rate = desk.last("BTC-USDT").unwrap();
    assert_eq!(
        (rate.bid.unwrap().to_string(), rate.ask.unwrap().to_string()),
        ("100.0".into(), "100.3".into())
    );
    let evidence = desk.evidence("BTC-USDT");
    assert_eq!(evidence.constituents.len(), 2);
    assert_eq!(
        &*evidence.constituents[0].why,
        "its best prices only, it gives no depth at present"
    );
}

#[test]
fn the_merged_depth_is_weighted_over_all_venues() {
    let policy = r#"{"kind": "merged", "price": "depth_weighted", "step": "1", "min_sources": 2}"#;
    let mut desk = Desk::with(&[], &[("BTC-USDT", policy)]);
    for name in ["binance", "kraken"] {
        desk.stream(name, "BTC-USDT", "99.9", "100.1");
    }
    desk.depth(
        "binance",
        "BTC-USDT",
        "99.9x2 99.5x5",
        "100.1x1 100.6x5 101.2x10",
    )
    .depth("kraken", "BTC-USDT", "99.8x3 99.0x10", "100.2x4");
    desk.wait(Duration::from_millis(40));
    desk.check("BTC-USDT", "100.0129530874 merged fresh");
    assert_eq!(desk.engine.config.depth_pairs(), [pair("BTC-USDT")]);
}

#[test]
fn a_liar_does_not_get_into_the_merged_book() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"kind": "merged"}"#)]);
    for (name, bid, ask) in [
        ("binance", "99.9", "100.1"),
        ("kraken", "99.8", "100.2"),
        ("okx", "999", "1001"),
    ] {
        sized(&mut desk, name, "BTC-USDT", (bid, "1"), (ask, "1"));
    }
    desk.wait(Duration::from_millis(40));
    desk.check("BTC-USDT", "100 merged fresh");
    assert!(
        desk.reason("BTC-USDT").contains("okx live (out of line"),
        "{}",
        desk.reason("BTC-USDT")
    );
}

#[test]
fn a_policys_spread_is_put_around_the_value() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"spread": "0.5%"}"#)]);
    desk.stream("binance", "BTC-USDT", "99.9", "100.1");
    let rate = desk.last("BTC-USDT").unwrap();
    assert_eq!(
        (rate.bid.unwrap().to_string(), rate.ask.unwrap().to_string()),
        ("99.5".into(), "100.5".into())
    );
    assert_eq!(
        rate.confidence.unwrap().to_string(),
        "0.1",
        "what is known does not change"
    );
    assert_eq!(
        desk.evidence("BTC-USDT")
            .spread_percent
            .unwrap()
            .to_string(),
        "0.5"
    );
}

#[test]
fn a_stablecoin_off_its_dollar_marks_every_rate_it_is_in() {
    let mut desk = Desk::with(&["BTC-USD", "BTC-RUB"], &[]);
    desk.table("coingecko", DAY, &[("USDT-USD", "0.97")]);
    desk.table("cbr", DAY, &[("USD-RUB", "90")]);
    desk.near("binance", "BTC-USDT", "60000");
    for market in ["USDT-USD", "BTC-USD", "BTC-RUB"] {
        let rate = desk.last(market).unwrap();
        let marks: Vec<String> = rate
            .depeg
            .iter()
            .flat_map(|marks| marks.iter())
            .map(|mark| format!("{} {} {}", mark.pair, mark.value, mark.percent))
            .collect();
        assert_eq!(marks, ["USDT-USD 0.97 -3"], "{market}");
        assert_eq!(rate.state, RateState::Fresh);
    }
    assert!(desk.last("BTC-USDT").unwrap().depeg.is_none());
    desk.table("coingecko", DAY, &[("USDT-USD", "0.999")]);
    desk.wait(Duration::from_secs(2));
    desk.near("binance", "BTC-USDT", "60001");
    assert!(desk.last("BTC-RUB").unwrap().depeg.is_none());
}
