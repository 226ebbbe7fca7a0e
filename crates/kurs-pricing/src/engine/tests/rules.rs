//! The policies `rule` and `fixed`.

use super::*;

const GOLDEN: &str =
    r#""median(binance, kraken, bybit)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005""#;

fn golden() -> Desk {
    let mut desk = Desk::with(&[], &[("BTC-RUB", GOLDEN)]);
    desk.table("coingecko", TABLE, &[("USDT-USD", "0.9990")]);
    desk.table("cbr", DAY, &[("USD-RUB", "90.50")]);
    desk.near("binance", "BTC-USDT", "60000")
        .near("kraken", "BTC-USDT", "60000");
    desk
}

#[test]
fn the_rule_of_the_specification_is_evaluated_and_is_its_own_explanation() {
    let mut desk = golden();
    desk.near("bybit", "BTC-USDT", "600000");
    // 5424570 * 1.005
    desk.check("BTC-RUB", "5451692.85 rule fresh");
    let evidence = desk.evidence("BTC-RUB");
    assert_eq!(
        evidence.evaluated.as_deref().unwrap(),
        "median(binance[60000], kraken[60000], bybit[600000] (out of line))(BTC-USDT)[60000] \
         * USDT-USD[0.999] * cbr(USD-RUB)[90.5] * 1.005 = 5451692.85"
    );
    assert_eq!(evidence.rule.as_deref().unwrap(), GOLDEN.trim_matches('"'));
    let told: Vec<String> = evidence
        .constituents
        .iter()
        .map(|one| format!("{} {} {}", one.source, one.pair, one.used))
        .collect();
    assert_eq!(
        told,
        [
            "binance BTC-USDT true",
            "kraken BTC-USDT true",
            "bybit BTC-USDT false",
            "coingecko USDT-USD true",
            "cbr USD-RUB true"
        ]
    );
    let legs: Vec<String> = desk
        .last("BTC-RUB")
        .unwrap()
        .legs()
        .iter()
        .map(|leg| format!("{}@{} {}", leg.pair, leg.source, leg.value))
        .collect();
    assert_eq!(
        legs,
        [
            "BTC-USDT@median 60000",
            "USDT-USD@coingecko 0.9990",
            "USD-RUB@cbr 90.50"
        ]
    );
}

#[test]
fn a_rule_is_as_old_as_its_oldest_leg_and_ends_with_the_first() {
    let mut desk = golden();
    let rate = desk.last("BTC-RUB").unwrap().clone();
    assert_eq!(rate.valid_for, STREAM);
    desk.wait(Duration::from_secs(3))
        .near("binance", "BTC-USDT", "60001")
        .near("kraken", "BTC-USDT", "60001");
    let later = desk.last("BTC-RUB").unwrap();
    assert_eq!(
        later.observed_at, rate.observed_at,
        "the bank's rate is the oldest"
    );
    desk.wait(Duration::from_secs(6));
    desk.check("BTC-RUB", "5451783.7115475 rule stale");
    assert!(
        desk.reason("BTC-RUB").contains("binance"),
        "{}",
        desk.reason("BTC-RUB")
    );
}

#[test]
fn a_rule_never_outlives_a_leg_of_it_that_is_a_median() {
    let mut desk = golden();
    desk.wait(Duration::from_millis(10))
        .near("bybit", "BTC-USDT", "60000")
        .wait(Duration::from_millis(10))
        .near("kraken", "BTC-USDT", "60001");
    let rate = desk.last("BTC-RUB").unwrap();
    let median = &rate.legs()[0];
    assert_eq!(rate.expires_at(), median.expires_at);
    // The second to end of three is the last that is needed.
    assert_eq!(rate.valid_for, STREAM - Duration::from_millis(10));

    // Over expressions the legs are the sources' own, and the first to end ends all.
    let rule = r#""median(binance(BTC-USDT), kraken(BTC-USDT), bybit(BTC-USDT)) * 2""#;
    let mut desk = Desk::with(&[], &[("BTC-USDT", rule)]);
    for name in ["binance", "kraken", "bybit"] {
        desk.near(name, "BTC-USDT", "60000")
            .wait(Duration::from_millis(10));
    }
    let rate = desk.last("BTC-USDT").unwrap();
    let evidence = rate.evidence.as_ref().unwrap();
    let first = evidence
        .constituents
        .iter()
        .filter_map(|one| one.expires_at)
        .min();
    assert_eq!(Some(rate.expires_at()), first);
}

#[test]
fn no_leg_is_seen_to_end_before_its_rate_whatever_lies_between_the_readings_of_two_clocks() {
    let mut desk = Desk::with(&["BTC-USD"], &[("BTC-RUB", r#""BTC-USDT * 90""#)]);
    desk.table("coingecko", DAY, &[("USDT-USD", "1")]);
    desk.near("binance", "BTC-USDT", "60000");
    desk.now.wall = desk.now.wall.plus(Duration::from_millis(10));
    desk.table("coingecko", DAY, &[("USDT-USD", "1.001")]);
    for market in ["BTC-USD", "BTC-RUB"] {
        let rate = desk.last(market).unwrap();
        let first = rate.legs().iter().map(|leg| leg.expires_at).min().unwrap();
        assert_eq!(rate.expires_at(), first, "{market}");
    }
    // A clock that is set is no jitter.
    desk.now.wall = desk.now.wall.plus(Duration::from_secs(3_600));
    desk.table("coingecko", DAY, &[("USDT-USD", "1.002")]);
    assert_eq!(desk.last("BTC-USD").unwrap().valid_for, STREAM);
}

#[test]
fn a_median_of_two_that_contradict_each_other_makes_no_rule() {
    let mut desk = golden();
    desk.check("BTC-RUB", "5451692.85 rule fresh");
    desk.near("kraken", "BTC-USDT", "600000");
    desk.check("BTC-RUB", "5451692.85 rule fresh");
    desk.near("binance", "BTC-USDT", "60000")
        .wait(Duration::from_secs(4))
        .near("binance", "BTC-USDT", "60000")
        .near("kraken", "BTC-USDT", "600000")
        .wait(Duration::from_secs(2));
    desk.check("BTC-RUB", "5451692.85 rule stale");
    assert!(
        desk.reason("BTC-RUB")
            .contains("binance and kraken contradict each other by more than 5%"),
        "{}",
        desk.reason("BTC-RUB")
    );
}

#[test]
fn sides_change_with_inverses_and_divisions() {
    let mut desk = Desk::with(
        &[],
        &[
            ("USD-BTC", r#""inv(kraken(BTC-USD))""#),
            ("ETH-BTC", r#""kraken(ETH-USD) / kraken(BTC-USD)""#),
        ],
    );
    desk.stream("kraken", "BTC-USD", "40000", "50000")
        .stream("kraken", "ETH-USD", "2000", "2500");
    let sides = |desk: &Desk, market: &str| {
        let rate = desk.last(market).unwrap();
        format!("{} {} {}", rate.bid.unwrap(), rate.value, rate.ask.unwrap())
    };
    assert_eq!(
        sides(&desk, "USD-BTC"),
        "0.00002 0.0000222222222222222 0.000025"
    );
    assert_eq!(sides(&desk, "ETH-BTC"), "0.04 0.05 0.0625");
    // Relative confidences add up: 5000/45000 and 250/2250.
    assert_eq!(
        desk.last("ETH-BTC")
            .unwrap()
            .confidence
            .unwrap()
            .to_string(),
        "0.0111111111111111"
    );
    let legs = desk
        .last("ETH-BTC")
        .unwrap()
        .legs()
        .iter()
        .map(|leg| leg.inverted)
        .collect::<Vec<_>>();
    assert_eq!(legs, [false, true]);
}

#[test]
fn a_source_is_asked_for_the_inverse_too() {
    let mut desk = Desk::with(&[], &[("USD-EUR", r#""ecb(USD-EUR)""#)]);
    desk.table("ecb", DAY, &[("EUR-USD", "1.25")]);
    desk.check("USD-EUR", "0.8 rule fresh");
}

#[test]
fn first_takes_over_and_spread_stands_around() {
    let mut desk = Desk::with(
        &[],
        &[(
            "USDT-RUB",
            r#""first(bybit, fixed(80.5)(USDT-RUB), cbr(USD-RUB)) +-0.5%""#,
        )],
    );
    assert!(
        desk.engine
            .pairs
            .iter()
            .any(|slot| slot.pair == pair("USDT-RUB"))
    );
    // Mixed sources and prices cannot be read: the pair says so and has no rate.
    desk.wait(Duration::from_secs(1));
    assert!(desk.last("USDT-RUB").is_none());
    let mut desk = Desk::with(
        &[],
        &[(
            "USDT-RUB",
            r#""first(bybit(USDT-RUB), fixed(80.5)) +-0.5%""#,
        )],
    );
    desk.wait(Duration::from_millis(40));
    desk.check("USDT-RUB", "80.5 rule fresh");
    desk.stream("bybit", "USDT-RUB", "81", "83");
    desk.check("USDT-RUB", "82 rule fresh");
    let rate = desk.last("USDT-RUB").unwrap();
    assert_eq!(
        (rate.bid.unwrap().to_string(), rate.ask.unwrap().to_string()),
        ("81.59".into(), "82.41".into())
    );
    assert_eq!(
        desk.evidence("USDT-RUB").evaluated.as_deref().unwrap(),
        "first(bybit(USDT-RUB)[82], fixed(80.5) (not needed))[82] +-0.5% = 82"
    );
    desk.state("bybit", SourceState::Down, "cut");
    desk.check("USDT-RUB", "80.5 rule fresh");
    assert!(
        desk.reason("USDT-RUB").contains("bybit down: cut"),
        "{}",
        desk.reason("USDT-RUB")
    );
}

#[test]
fn a_rule_about_one_market_carries_other_prices_on() {
    let mut desk = Desk::with(&["BTC-RUB"], &[("USD-RUB", r#""cbr(USD-RUB) * 1.02""#)]);
    desk.table("cbr", DAY, &[("USD-RUB", "100")]);
    desk.check("USD-RUB", "102 rule fresh");
    assert!(desk.last("USD-RUB").unwrap().is_direct());
    desk.table("coingecko", DAY, &[("USDT-USD", "1")]);
    desk.near("binance", "BTC-USDT", "60000");
    desk.check("BTC-RUB", "6120000 binance fresh");
}

#[test]
fn rules_build_on_rules() {
    let mut desk = Desk::with(
        &[],
        &[
            ("BTC-RUB", r#""BTC-USD * USD-RUB""#),
            ("USD-RUB", r#""fixed(90)""#),
            ("BTC-EUR", r#""BTC-RUB / RUB-X""#),
        ],
    );
    desk.near("kraken", "BTC-USD", "60000");
    desk.check("BTC-RUB", "5400000 rule fresh");
    desk.near("kraken", "BTC-USD", "60001");
    desk.check("BTC-RUB", "5400090 rule fresh");
    desk.state("kraken", SourceState::Down, "cut");
    desk.wait(Duration::from_secs(6));
    desk.check("BTC-RUB", "5400090 rule stale");
}

#[test]
fn a_suspect_leg_makes_a_suspect_rule() {
    let mut desk = Desk::with(
        &[],
        &[
            ("BTC-USD", r#"{"kind": "median"}"#),
            ("BTC-RUB", r#""BTC-USD * 90""#),
        ],
    );
    desk.near("kraken", "BTC-USD", "60000");
    desk.check("BTC-RUB", "5400000 rule suspect");
    assert!(
        desk.reason("BTC-RUB").ends_with("BTC-USD is suspect"),
        "{}",
        desk.reason("BTC-RUB")
    );
    desk.near("coinbase", "BTC-USD", "60000");
    desk.check("BTC-RUB", "5400000 rule fresh");
}

#[test]
fn a_fixed_rate_has_an_owner_and_an_end() {
    let policy = r#"{"value": "80.5", "owner": "treasury", "until": "2027-01-15", "spread": "1%"}"#;
    let mut desk = Desk::with(&["BTC-RUB"], &[("USD-RUB", policy)]);
    desk.wait(Duration::from_millis(40));
    desk.check("USD-RUB", "80.5 fixed fresh");
    let rate = desk.last("USD-RUB").unwrap();
    assert_eq!(
        (rate.bid.unwrap().to_string(), rate.ask.unwrap().to_string()),
        ("79.695".into(), "81.305".into())
    );
    let fixed = rate.evidence.as_ref().unwrap().fixed.as_ref().unwrap();
    assert_eq!(fixed.owner.as_deref(), Some("treasury"));
    assert_eq!(fixed.until.unwrap().to_string(), "2027-01-16T00:00:00.000Z");
    assert!(
        desk.reason("USD-RUB")
            .ends_with("fixed at 80.5 by treasury, until 2027-01-15"),
        "{}",
        desk.reason("USD-RUB")
    );
    desk.table("coingecko", DAY, &[("USDT-USD", "1")]);
    desk.near("binance", "BTC-USDT", "1000");
    desk.check("BTC-RUB", "80500 binance fresh");
    // The day begins at 8:00 and is over after 16 hours.
    desk.now = desk.now.plus(Duration::from_secs(15 * 3_600));
    desk.wait(Duration::from_secs(1));
    desk.check("USD-RUB", "80.5 fixed fresh");
    desk.now = desk.now.plus(Duration::from_secs(3_600));
    desk.wait(Duration::from_secs(1));
    desk.check("USD-RUB", "80.5 fixed stale");
    assert!(
        desk.reason("USD-RUB").contains("ended on 2027-01-15"),
        "{}",
        desk.reason("USD-RUB")
    );
}

#[test]
fn a_fixed_rate_is_confirmed_every_minute() {
    let mut desk = Desk::with(&[], &[("USD-RUB", r#""fixed(80.5)""#)]);
    desk.wait(Duration::from_secs(125));
    let count = desk
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Publish(_)))
        .count();
    assert_eq!(count, 3);
    let rate = desk.last("USD-RUB").unwrap();
    assert_eq!((rate.bid, rate.valid_for), (None, DAY));
}

/// The five exchanges and the others, all simulated, and one policy.
fn simulated(market: &str, policy: &str) -> Desk {
    let mut desk = Desk::with(&[], &[(market, policy)]);
    let mut config = desk.engine.config.clone();
    for info in &mut config.sources {
        info.id = info.id.simulated();
    }
    desk.engine = Engine::new(config);
    desk
}

fn passed_over(desk: &Desk, market: &str) -> Vec<String> {
    let skipped = &desk.last(market).unwrap().choice.skipped;
    let told = skipped
        .iter()
        .map(|one| format!("{} {}: {}", one.source, one.state.as_str(), one.why));
    told.collect()
}

#[test]
fn what_a_rule_lacks_has_the_name_and_the_state_that_it_has_everywhere() {
    let rule = r#""median(binance, coinbase, kraken, bybit, okx)(BTC-USDT)""#;
    let mut desk = simulated("BTC-USDT", rule);
    for name in ["sim:binance", "sim:kraken", "sim:bybit"] {
        desk.near(name, "BTC-USDT", "60000");
    }
    desk.near("sim:coinbase", "BTC-USDT", "70000");
    desk.state("sim:bybit", SourceState::Down, "cut");
    desk.check("BTC-USDT", "60000 sim:rule fresh");
    assert_eq!(
        passed_over(&desk, "BTC-USDT"),
        [
            "sim:coinbase live: out of line with the median of 3",
            "sim:bybit down: cut",
            "sim:okx syncing: it has given no price yet",
        ]
    );
    let evidence = desk.evidence("BTC-USDT");
    assert!(
        evidence
            .evaluated
            .as_deref()
            .unwrap()
            .contains("bybit[none: sim:bybit down: cut]"),
        "{evidence:?}"
    );
    let told: Vec<String> = evidence
        .constituents
        .iter()
        .map(|one| format!("{} {}", one.source, one.why))
        .collect();
    assert_eq!(
        told,
        [
            "sim:binance ",
            "sim:coinbase out of line with the median of 3",
            "sim:kraken ",
            "sim:bybit down: cut",
            "sim:okx syncing: it has given no price yet",
        ]
    );
}

#[test]
fn a_price_too_old_for_a_rule_is_stale_and_a_source_that_does_not_run_is_down() {
    let rule = r#""first(huobi, kraken, okx)(BTC-USDT)""#;
    let mut desk = simulated("BTC-USDT", rule);
    desk.near("sim:kraken", "BTC-USDT", "60000")
        .wait(Duration::from_secs(3))
        .near("sim:okx", "BTC-USDT", "60001")
        .wait(Duration::from_secs(3));
    desk.check("BTC-USDT", "60001 sim:rule fresh");
    assert_eq!(
        passed_over(&desk, "BTC-USDT"),
        [
            "sim:huobi down: it is not switched on",
            "sim:kraken stale: its last price is too old",
        ]
    );
}

#[test]
fn a_pair_that_a_rule_lacks_is_told_by_who_serves_it() {
    let rule = r#""first(BTC-USD * USD-RUB, fixed(7000000))""#;
    let mut desk = simulated("BTC-RUB", rule);
    desk.near("sim:kraken", "BTC-USD", "60000");
    desk.wait(Duration::from_secs(1));
    assert_eq!(
        passed_over(&desk, "BTC-RUB"),
        ["sim:priority syncing: USD-RUB has no rate yet"]
    );
    desk.table("sim:cbr", DAY, &[("USD-RUB", "100")]);
    desk.check("BTC-RUB", "6000000 sim:rule fresh");
    desk.state("sim:kraken", SourceState::Down, "cut")
        .wait(Duration::from_secs(6));
    // A number of our own is not simulated.
    desk.check("BTC-RUB", "7000000 rule fresh");
    assert_eq!(
        passed_over(&desk, "BTC-RUB"),
        ["sim:kraken down: BTC-USD is stale"]
    );
}
