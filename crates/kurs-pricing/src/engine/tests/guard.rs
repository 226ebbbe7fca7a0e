//! The guard over `priority`.

use super::*;
use rust_decimal::Decimal;

fn all(desk: &mut Desk, values: &[(&str, &str)]) {
    for (name, value) in values {
        desk.near(name, "BTC-USDT", value);
    }
}

#[test]
fn a_liar_at_the_top_is_passed_over_with_the_reason() {
    let mut desk = Desk::with(&[], &[]);
    all(
        &mut desk,
        &[
            ("binance", "100"),
            ("coinbase", "100.02"),
            ("kraken", "100.01"),
        ],
    );
    desk.check("BTC-USDT", "100 binance fresh");
    desk.near("binance", "BTC-USDT", "1000");
    desk.check("BTC-USDT", "100.02 coinbase fresh");
    assert!(
        desk.reason("BTC-USDT")
            .ends_with("binance live (out of line: 1000 where the median was 100.02)"),
        "{}",
        desk.reason("BTC-USDT")
    );
}

#[test]
fn it_comes_back_below_half_the_deviation_and_after_its_hold_time() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"max_deviation": "2%"}"#)]);
    all(
        &mut desk,
        &[("coinbase", "100"), ("kraken", "100"), ("binance", "103")],
    );
    desk.check("BTC-USDT", "100 coinbase fresh");
    let speak = |desk: &mut Desk, top: &str, seconds: u64| {
        for _ in 0..seconds {
            all(
                desk,
                &[("binance", top), ("coinbase", "100"), ("kraken", "100")],
            );
            desk.wait(Duration::from_secs(1));
        }
    };
    speak(&mut desk, "101.5", 20);
    desk.check("BTC-USDT", "100 coinbase fresh");
    speak(&mut desk, "100.9", 9);
    desk.check("BTC-USDT", "100 coinbase fresh");
    speak(&mut desk, "100.9", 2);
    desk.check("BTC-USDT", "100.9 binance fresh");
}

#[test]
fn an_honest_jump_is_followed_by_the_first_and_the_others() {
    let mut desk = Desk::with(&[], &[]);
    all(
        &mut desk,
        &[("binance", "100"), ("coinbase", "100"), ("kraken", "100")],
    );
    desk.near("binance", "BTC-USDT", "120");
    desk.check("BTC-USDT", "100 coinbase fresh");
    desk.near("coinbase", "BTC-USDT", "120");
    // Two of three agree now; what serves has jumped with them.
    desk.check("BTC-USDT", "120 coinbase fresh");
    desk.near("kraken", "BTC-USDT", "120");
    for _ in 0..11 {
        all(
            &mut desk,
            &[("binance", "120"), ("coinbase", "120"), ("kraken", "120")],
        );
        desk.wait(Duration::from_secs(1));
    }
    desk.check("BTC-USDT", "120 binance fresh");
}

#[test]
fn with_fewer_than_two_others_nobody_is_judged_and_zero_percent_switches_it_off() {
    let mut desk = Desk::with(&[], &[]);
    all(&mut desk, &[("binance", "1000"), ("coinbase", "100")]);
    desk.check("BTC-USDT", "1000 binance fresh");
    let mut desk = Desk::with(&[], &[("BTC-USDT", r#"{"max_deviation": "0%"}"#)]);
    all(
        &mut desk,
        &[("binance", "1000"), ("coinbase", "100"), ("kraken", "100")],
    );
    desk.check("BTC-USDT", "1000 binance fresh");
}

#[test]
fn a_liar_does_not_serve_when_the_others_fall_silent() {
    let mut desk = Desk::with(&[], &[]);
    all(
        &mut desk,
        &[("binance", "100"), ("coinbase", "100"), ("kraken", "100")],
    );
    desk.near("binance", "BTC-USDT", "1000");
    desk.state("coinbase", SourceState::Down, "cut");
    desk.check("BTC-USDT", "100 kraken fresh");
    desk.near("binance", "BTC-USDT", "1001");
    desk.check("BTC-USDT", "100 kraken fresh");
    // A source that begins to lie just when only two are left is known by what was agreed on.
    let mut desk = Desk::with(&[], &[]);
    all(
        &mut desk,
        &[("binance", "100"), ("coinbase", "100"), ("kraken", "100")],
    );
    desk.state("kraken", SourceState::Down, "cut");
    desk.near("binance", "BTC-USDT", "1000");
    desk.check("BTC-USDT", "100 coinbase fresh");
}

#[test]
fn a_source_that_stands_alone_serves_again_after_the_time_out() {
    let mut desk = Desk::with(&[], &[]);
    all(
        &mut desk,
        &[("binance", "100"), ("coinbase", "100"), ("kraken", "100")],
    );
    desk.near("binance", "BTC-USDT", "130");
    desk.state("coinbase", SourceState::Down, "cut")
        .state("kraken", SourceState::Down, "cut");
    for second in 0..70 {
        desk.near("binance", "BTC-USDT", "130");
        desk.wait(Duration::from_secs(1));
        if second == 50 {
            desk.check("BTC-USDT", "100 kraken stale");
        }
    }
    desk.check("BTC-USDT", "130 binance fresh");
}

#[test]
fn a_bank_is_not_judged_by_the_market() {
    let mut desk = Desk::with(&[], &[("USD-RUB", r#"{"sources": ["cbr"]}"#)]);
    desk.table("cbr", DAY, &[("USD-RUB", "80")]);
    for name in ["binance", "coinbase", "kraken"] {
        desk.near(name, "USD-RUB", "95");
    }
    desk.check("USD-RUB", "80 cbr fresh");
}

#[test]
fn none_of_ten_thousand_poisoned_ticks_reaches_a_consumer_of_any_derived_rate() {
    let mut desk = Desk::with(&["BTC-USD", "BTC-RUB"], &[]);
    desk.table("coingecko", DAY, &[("USDT-USD", "1")]);
    desk.table("cbr", DAY, &[("USD-RUB", "90")]);
    let mut random = fastrand::Rng::with_seed(11);
    all(
        &mut desk,
        &[("kraken", "100"), ("coinbase", "100"), ("binance", "100")],
    );
    desk.effects.clear();
    for _ in 0..10_000 {
        let factor = ["1000", "10", "100000000", "0.0001", "120", "80"][random.usize(..6)];
        desk.near("binance", "BTC-USDT", factor);
        let honest = format!("100.0{}", random.u8(..10));
        let who = ["coinbase", "kraken"][random.usize(..2)];
        desk.near(who, "BTC-USDT", &honest);
        desk.now = desk.now.plus(Duration::from_millis(10));
        let now = desk.now;
        desk.engine.advance(now, &mut desk.effects);
        for effect in desk.effects.drain(..) {
            let Effect::Publish(rate) = effect else {
                continue;
            };
            let expect = match rate.pair.quote.as_str() {
                "RUB" if rate.pair.base.as_str() == "BTC" => Decimal::from(9_000),
                "USDT" | "USD" if rate.pair.base.as_str() == "BTC" => Decimal::from(100),
                _ => continue,
            };
            let off = crate::decimal::distance(rate.value.value(), expect) / expect;
            assert!(off < Decimal::new(2, 3), "{rate:?}");
        }
    }
}
