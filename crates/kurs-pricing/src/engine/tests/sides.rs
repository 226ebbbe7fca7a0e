//! Bid, value and ask of whatever is published stand in this order.

use super::*;
use proptest::prelude::*;

/// The best levels are thin: the first step of volume reaches far below the bid.
const BIDS: &str = "100x0.1 90x10";
const ASKS: &str = "100.01x0.1 100.02x10";

fn shown(desk: &Desk, market: &str) -> String {
    let rate = desk.last(market).unwrap();
    format!("{} {} {}", rate.bid.unwrap(), rate.value, rate.ask.unwrap())
}

#[test]
fn a_depth_weighted_price_beyond_the_best_levels_takes_its_side_along() {
    for kind in ["merged", "median", "priority"] {
        let policy = format!(
            r#"{{"kind": "{kind}", "price": "depth_weighted", "step": 1, "min_sources": 1}}"#
        );
        let mut desk = Desk::with(&[], &[("ETH-USDT", &policy)]);
        desk.stream("binance", "ETH-USDT", "100", "100.01")
            .depth("binance", "ETH-USDT", BIDS, ASKS)
            .wait(Duration::from_millis(40));
        assert_eq!(shown(&desk, "ETH-USDT"), "95.01 95.01 100.01", "{kind}");
        for one in &desk.evidence("ETH-USDT").constituents {
            assert!(one.bid <= one.value && one.value <= one.ask, "{one:?}");
        }
    }
    let rule = r#"{"rule": "binance(ETH-USDT) * 2", "price": "depth_weighted", "step": 1}"#;
    let mut desk = Desk::with(&[], &[("ETH-USDT", rule)]);
    desk.stream("binance", "ETH-USDT", "100", "100.01")
        .depth("binance", "ETH-USDT", BIDS, ASKS)
        .wait(Duration::from_millis(40));
    assert_eq!(shown(&desk, "ETH-USDT"), "190.02 190.02 200.02");
}

#[test]
fn a_price_of_more_digits_than_are_published_is_not_rounded_over_its_sides() {
    let policy = r#"{"price": "weighted_mid"}"#;
    let mut desk = Desk::with(&[], &[("ETH-USDT", policy)]);
    let quote = Quote::sides(price("1.00000000000000061"), price("1.00000000000000062")).unwrap();
    let one = rust_decimal::Decimal::ONE;
    let sizes = Some(kurs_core::Sizes { bid: one, ask: one });
    let tick = Tick {
        sizes,
        ..tick("ETH-USDT", quote, STREAM)
    };
    desk.say("binance", EventKind::Tick(tick));
    let rate = desk.last("ETH-USDT").unwrap();
    assert!(rate.bid.unwrap() <= rate.value && rate.value <= rate.ask.unwrap());
}

type Levels = Vec<(u32, u32)>;

fn side() -> impl Strategy<Value = Levels> {
    prop::collection::vec((1_u32..3_000, 1_u32..2_000), 1..8)
}

/// Levels away from a price, with as many digits as somebody may send.
fn ladder(from: rust_decimal::Decimal, sign: i64, levels: &Levels) -> String {
    let mut at = from;
    let parts: Vec<String> = levels
        .iter()
        .map(|(gap, size)| {
            at += rust_decimal::Decimal::new(sign * (i64::from(*gap) * 1_000_007), 17);
            format!("{at}x{}", rust_decimal::Decimal::new(i64::from(*size), 2))
        })
        .collect();
    parts.join(" ")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn bid_value_and_ask_stand_in_order_whatever_the_books_hold(
        books in prop::collection::vec((0_usize..3, 0_usize..3, side(), side()), 1..12),
        step in 1_u32..200,
        spread in prop::sample::select(vec!["", r#", "spread": "0%""#, r#", "spread": "0.3%""#]),
    ) {
        let settings = format!(r#""min_sources": 1, "step": "0.{step:03}", "max_spread": "9%", "max_deviation": "0%"{spread}"#);
        let policies = [
            ("AAA-USDT", format!(r#"{{"kind": "merged", "price": "depth_weighted", {settings}}}"#)),
            ("BBB-USDT", format!(r#"{{"kind": "median", "price": "depth_weighted", {settings}}}"#)),
            ("CCC-USDT", format!(r#"{{"price": "weighted_mid", {settings}}}"#)),
            ("AAA-BBB", format!(r#"{{"rule": "median(binance, kraken)(AAA-USDT) / BBB-USDT", "price": "depth_weighted", {settings}}}"#)),
        ];
        let policies: Vec<(&str, &str)> = policies.iter().map(|(pair, text)| (*pair, text.as_str())).collect();
        let mut desk = Desk::with(&["CCC-USD", "AAA-USD"], &policies);
        desk.table("coingecko", DAY, &[("USDT-USD", "0.99971")]);
        for (by, market, bids, asks) in &books {
            let name = ["binance", "kraken", "okx"][*by];
            let market = ["AAA-USDT", "BBB-USDT", "CCC-USDT"][*market];
            let center = rust_decimal::Decimal::ONE;
            let (bids, asks) = (ladder(center, -1, bids), ladder(center, 1, asks));
            let best = |side: &str| side.split('x').next().unwrap().to_owned();
            desk.stream(name, market, &best(&bids), &best(&asks))
                .depth(name, market, &bids, &asks)
                .wait(Duration::from_millis(40));
        }
        for effect in &desk.effects {
            let Effect::Publish(rate) = effect else { continue };
            if let (Some(bid), Some(ask)) = (rate.bid, rate.ask) {
                prop_assert!(bid <= rate.value && rate.value <= ask, "{:?}", rate);
            }
            for one in rate.evidence.iter().flat_map(|evidence| &evidence.constituents) {
                if let (Some(bid), Some(value), Some(ask)) = (one.bid, one.value, one.ask) {
                    prop_assert!(bid <= value && value <= ask, "{:?}", one);
                }
            }
        }
    }
}
