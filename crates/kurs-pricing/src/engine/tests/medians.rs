//! The policy `median`.

use super::*;
use rust_decimal::Decimal;

const MEDIAN: &str = r#"{"kind": "median"}"#;

fn three(desk: &mut Desk, values: [&str; 3]) {
    for (name, value) in ["binance", "coinbase", "kraken"].into_iter().zip(values) {
        desk.near(name, "BTC-USDT", value);
    }
}

#[test]
fn the_median_of_bids_mids_and_asks_is_published_with_its_confidence() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", MEDIAN)]);
    desk.stream("binance", "BTC-USDT", "99.9", "100.1")
        .stream("coinbase", "BTC-USDT", "99.8", "100.4")
        .stream("kraken", "BTC-USDT", "100.1", "100.3");
    let rate = desk.last("BTC-USDT").unwrap();
    let shown = format!(
        "{} {} {} {}",
        rate.value,
        rate.bid.unwrap(),
        rate.ask.unwrap(),
        rate.source
    );
    assert_eq!(shown, "100.1 99.9 100.3 median");
    // Votes in order: 99.8 99.9 100 100.1 100.1 100.1 100.2 100.3 100.4.
    assert_eq!(rate.confidence.unwrap().to_string(), "0.1");
    assert_eq!(rate.state, RateState::Fresh);
    assert!(rate.is_direct(), "a median of own markets is a market");
}

#[test]
fn a_liar_is_left_out_and_the_explanation_says_why() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", MEDIAN)]);
    three(&mut desk, ["100", "100.02", "130"]);
    desk.check("BTC-USDT", "100.01 median fresh");
    let evidence = desk.evidence("BTC-USDT");
    let told: Vec<String> = evidence
        .constituents
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                one.source,
                one.value.unwrap(),
                one.used,
                one.why
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "binance 100 true ",
            "coinbase 100.02 true ",
            "kraken 130 false out of line: 130 where the median was 100.02"
        ]
    );
    let gate = evidence.gate.unwrap();
    assert_eq!(
        [gate.median, gate.mad, gate.limit].map(|number| number.to_string()),
        ["100.02", "0.02", "0.5001"]
    );
    assert_eq!(
        desk.reason("BTC-USDT"),
        "median since 2027-01-15T08:00:00.000Z: of 2 (binance, coinbase); without kraken live \
         (out of line: 130 where the median was 100.02)"
    );
}

#[test]
fn the_evidence_is_written_without_what_it_does_not_have() {
    let mut desk = Desk::with(
        &[],
        &[("BTC-USDT", r#"{"kind": "median", "min_sources": 1}"#)],
    );
    desk.stream("binance", "BTC-USDT", "99.9", "100.1");
    let json = serde_json::to_string(desk.evidence("BTC-USDT")).unwrap();
    assert_eq!(
        json,
        r#"{"policy":"median","price":"mid","constituents":[{"source":"binance","pair":"BTC-USDT","value":"100","bid":"99.9","ask":"100.1","price":"mid","used":true,"observed_at":"2027-01-15T08:00:00.000Z","expires_at":"2027-01-15T08:00:05.000Z"}]}"#
    );
    let rate = desk.last("BTC-USDT").unwrap();
    let back: Rate = serde_json::from_str(&serde_json::to_string(rate).unwrap()).unwrap();
    assert_eq!(back.evidence, rate.evidence);
}

#[test]
fn too_few_sources_make_a_suspect_rate_or_none_by_setting() {
    let mut desk = Desk::with(
        &[],
        &[("BTC-USDT", r#"{"kind": "median", "min_sources": 3}"#)],
    );
    desk.near("binance", "BTC-USDT", "100")
        .near("coinbase", "BTC-USDT", "100.02");
    desk.check("BTC-USDT", "100.01 median suspect");
    assert!(
        desk.reason("BTC-USDT").contains("2 of at least 3 sources"),
        "{}",
        desk.reason("BTC-USDT")
    );
    desk.near("kraken", "BTC-USDT", "100.01");
    desk.check("BTC-USDT", "100.01 median fresh");

    let strict = r#"{"kind": "median", "min_sources": 2, "below_min": "none"}"#;
    let mut desk = Desk::with(&[], &[("BTC-USDT", strict)]);
    desk.near("binance", "BTC-USDT", "100");
    assert!(desk.last("BTC-USDT").is_none());
    desk.near("kraken", "BTC-USDT", "100");
    desk.check("BTC-USDT", "100 median fresh");
    desk.state("kraken", SourceState::Down, "cut");
    desk.wait(Duration::from_secs(4));
    desk.near("binance", "BTC-USDT", "100");
    desk.wait(Duration::from_secs(2));
    desk.check("BTC-USDT", "100 median stale");
    assert!(
        desk.reason("BTC-USDT").contains("1 of at least 2 sources"),
        "{}",
        desk.reason("BTC-USDT")
    );
}

#[test]
fn an_empty_set_is_an_error_and_never_zero() {
    let mut desk = Desk::with(&["BTC-USDT"], &[("BTC-USDT", MEDIAN)]);
    desk.wait(Duration::from_secs(1));
    assert!(desk.last("BTC-USDT").is_none());
    three(&mut desk, ["100", "100", "100"]);
    desk.wait(Duration::from_secs(6));
    desk.check("BTC-USDT", "100 median stale");
}

#[test]
fn one_silent_source_does_not_end_a_median_of_others_that_speak() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", MEDIAN)]);
    three(&mut desk, ["100", "100", "100"]);
    for step in 0..200 {
        desk.wait(Duration::from_millis(100));
        let value = format!("100.0{}", step % 10);
        desk.near("binance", "BTC-USDT", &value)
            .near("coinbase", "BTC-USDT", &value);
        let last = desk.last("BTC-USDT").unwrap();
        assert_eq!(last.state, RateState::Fresh);
        assert!(
            last.valid_for >= Duration::from_secs(4),
            "{step}: {:?}",
            last.valid_for
        );
    }
    assert!(
        desk.reason("BTC-USDT").contains("kraken stale"),
        "{}",
        desk.reason("BTC-USDT")
    );
}

#[test]
fn only_named_sources_take_part_and_those_that_never_spoke_are_told() {
    let policy = r#"{"kind": "median", "sources": ["binance", "kraken", "okx"]}"#;
    let mut desk = Desk::with(&[], &[("BTC-USDT", policy)]);
    desk.near("coinbase", "BTC-USDT", "500");
    assert!(desk.last("BTC-USDT").is_none());
    desk.near("binance", "BTC-USDT", "100")
        .near("kraken", "BTC-USDT", "100.02");
    desk.check("BTC-USDT", "100.01 median fresh");
    let okx = desk.evidence("BTC-USDT").constituents.last().unwrap();
    assert_eq!(
        (okx.source, okx.value, okx.used),
        (source("okx"), None, false)
    );
    assert_eq!(&*okx.why, "syncing: it has given no price yet");
}

#[test]
fn a_named_source_that_never_spoke_is_told_with_its_mark_and_its_true_state() {
    let policy = r#"{"kind": "median", "sources": ["binance", "kraken", "okx", "huobi"]}"#;
    let mut desk = Desk::with(&[], &[("BTC-USDT", policy)]);
    let mut config = desk.engine.config.clone();
    for info in &mut config.sources {
        info.id = info.id.simulated();
    }
    desk.engine = Engine::new(config);
    desk.state("sim:okx", SourceState::Down, "refused");
    desk.near("sim:binance", "BTC-USDT", "100")
        .near("sim:kraken", "BTC-USDT", "100.02");
    desk.check("BTC-USDT", "100.01 sim:median fresh");
    let skipped = &desk.last("BTC-USDT").unwrap().choice.skipped;
    let told: Vec<String> = skipped
        .iter()
        .map(|one| format!("{} {}: {}", one.source, one.state.as_str(), one.why))
        .collect();
    assert_eq!(
        told,
        [
            "sim:okx down: refused",
            "sim:huobi down: it is not switched on"
        ]
    );
}

#[test]
fn a_median_takes_every_sources_best_way_and_leaves_indicative_numbers_out() {
    let mut desk = Desk::with(&[], &[("BTC-USD", MEDIAN)]);
    desk.stream("kraken", "USDT-USD", "0.9995", "1.0005");
    desk.near("binance", "BTC-USDT", "60000");
    desk.near("coinbase", "BTC-USD", "60010")
        .near("kraken", "BTC-USD", "60020");
    desk.check("BTC-USD", "60010 median fresh");
    let binance = &desk.evidence("BTC-USD").constituents[0];
    let path: Vec<String> = binance.path.iter().map(ToString::to_string).collect();
    assert_eq!(
        (binance.source, path),
        (
            source("binance"),
            vec!["BTC-USDT".into(), "USDT-USD".into()]
        )
    );
    let rate = desk.last("BTC-USD").unwrap();
    assert!(
        !rate.is_direct(),
        "what was carried on is no market of its own"
    );

    let mut desk = Desk::with(&[], &[("BTC-RUB", MEDIAN)]);
    desk.table("coingecko", TABLE, &[("BTC-RUB", "5000000")]);
    assert!(desk.last("BTC-RUB").is_none());
    let named = r#"{"kind": "median", "min_sources": 1, "sources": ["coingecko"]}"#;
    let mut desk = Desk::with(&[], &[("BTC-RUB", named)]);
    desk.table("coingecko", TABLE, &[("BTC-RUB", "5000000")]);
    desk.check("BTC-RUB", "5000000 median fresh");
}

#[test]
fn a_median_stablecoin_carries_other_prices_on() {
    let mut desk = Desk::with(&["BTC-USD"], &[("USDT-USD", MEDIAN)]);
    desk.stream("coinbase", "USDT-USD", "0.9989", "0.9991")
        .stream("kraken", "USDT-USD", "0.9988", "0.9992");
    desk.near("binance", "BTC-USDT", "60000");
    desk.check("BTC-USD", "59940 binance fresh");
    let legs = desk.last("BTC-USD").unwrap().legs();
    assert_eq!(legs[1].source, source("median"));
}

#[test]
fn two_sources_that_contradict_each_other_are_both_not_believed() {
    let mut desk = Desk::with(
        &[],
        &[("BTC-USDT", r#"{"kind": "median", "below_min": "none"}"#)],
    );
    desk.near("binance", "BTC-USDT", "100")
        .near("kraken", "BTC-USDT", "1000")
        .wait(Duration::from_secs(2))
        .near("binance", "BTC-USDT", "100");
    let why: Vec<&str> = desk.effects.iter().filter_map(no_rate).collect();
    let contradict = "no rate: binance and kraken contradict each other by more than 5%, and no \
                      third says which of them is right";
    assert_eq!(why.last(), Some(&contradict), "{why:?}");
    assert!(desk.last("BTC-USDT").is_none());
    desk.near("kraken", "BTC-USDT", "103");
    desk.check("BTC-USDT", "101.5 median suspect");
    desk.near("kraken", "BTC-USDT", "100.02");
    desk.check("BTC-USDT", "100.01 median fresh");
    // The last that was agreed on stays to its end, and no longer.
    desk.wait(Duration::from_secs(2))
        .near("binance", "BTC-USDT", "100")
        .near("kraken", "BTC-USDT", "1000")
        .wait(Duration::from_millis(2_900));
    desk.check("BTC-USDT", "100.01 median fresh");
    desk.near("binance", "BTC-USDT", "100")
        .near("kraken", "BTC-USDT", "1000")
        .wait(Duration::from_millis(200));
    desk.check("BTC-USDT", "100.01 median stale");
    assert_eq!(desk.reason("BTC-USDT"), contradict);
    let skipped = &desk.last("BTC-USDT").unwrap().choice.skipped;
    let names: Vec<String> = skipped.iter().map(|one| one.source.to_string()).collect();
    assert_eq!(names, ["binance", "kraken"]);
    // A third ends the doubt.
    desk.near("okx", "BTC-USDT", "100.03");
    desk.check("BTC-USDT", "100.015 median fresh");
}

fn no_rate(effect: &Effect) -> Option<&str> {
    match effect {
        Effect::NoRate { why, .. } => Some(why),
        _ => None,
    }
}

#[test]
fn two_camps_of_two_are_no_better_than_two_sources() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", MEDIAN)]);
    desk.near("binance", "BTC-USDT", "100")
        .near("coinbase", "BTC-USDT", "100.02")
        .near("kraken", "BTC-USDT", "100.04")
        .near("okx", "BTC-USDT", "100.04");
    desk.effects.clear();
    desk.near("kraken", "BTC-USDT", "1000")
        .near("okx", "BTC-USDT", "1000");
    desk.check("BTC-USDT", "100.02 median fresh");
    desk.wait(Duration::from_secs(6));
    desk.check("BTC-USDT", "100.02 median stale");
}

#[test]
fn how_far_two_sources_may_be_apart_is_a_setting() {
    let apart = |settings: &str, value: &str| {
        let policy = format!(r#"{{"kind": "median"{settings}}}"#);
        let mut desk = Desk::with(&[], &[("BTC-USDT", &policy)]);
        desk.near("binance", "BTC-USDT", "100")
            .near("kraken", "BTC-USDT", value);
        let rate = desk.last("BTC-USDT");
        rate.filter(|rate| rate.value != price("100"))
            .map(|rate| rate.value.to_string())
    };
    assert_eq!(apart(r#", "max_deviation": "2%""#, "103"), None);
    assert_eq!(
        apart(r#", "max_deviation": "20%""#, "120").as_deref(),
        Some("110")
    );
    assert_eq!(
        apart(r#", "max_deviation": "0%""#, "1000").as_deref(),
        Some("550")
    );
    assert_eq!(apart(r#", "band": "30%""#, "120").as_deref(), Some("110"));
}

#[test]
fn a_jump_of_all_venues_one_after_the_other_is_followed_at_once() {
    let mut desk = Desk::with(&[], &[("BTC-USDT", MEDIAN)]);
    three(&mut desk, ["100", "100.02", "100.01"]);
    desk.near("binance", "BTC-USDT", "120");
    desk.check("BTC-USDT", "100.015 median fresh");
    desk.near("coinbase", "BTC-USDT", "120.02");
    desk.check("BTC-USDT", "120.01 median fresh");
    desk.near("kraken", "BTC-USDT", "120.01");
    desk.check("BTC-USDT", "120.01 median fresh");
    assert_eq!(
        desk.evidence("BTC-USDT")
            .constituents
            .iter()
            .filter(|one| one.used)
            .count(),
        3
    );
}

#[test]
fn a_simulated_constituent_marks_the_name_of_the_rate() {
    let mut desk = Desk::with(&[], &[]);
    let mut config = desk.engine.config.clone();
    for info in &mut config.sources {
        info.id = info.id.simulated();
    }
    let policy = crate::Policy {
        kind: Some(PolicyKind::Median),
        ..crate::Policy::default()
    };
    config.policies.insert(pair("BTC-USDT"), policy);
    config.policies.insert(
        pair("BTC-RUB"),
        crate::Policy::of_rule("BTC-USDT * fixed(90)(USDT-RUB)"),
    );
    desk.engine = Engine::new(config);
    desk.near("sim:binance", "BTC-USDT", "100")
        .near("sim:kraken", "BTC-USDT", "100");
    desk.check("BTC-USDT", "100 sim:median fresh");
    desk.check("BTC-RUB", "9000 sim:rule fresh");
}

#[test]
fn none_of_ten_thousand_poisoned_ticks_reaches_a_consumer_of_the_median() {
    let mut desk = Desk::with(&["BTC-RUB"], &[("BTC-USDT", MEDIAN), ("BTC-RUB", MEDIAN)]);
    desk.table("coingecko", DAY, &[("USDT-USD", "1.0001")]);
    desk.table("cbr", DAY, &[("USD-RUB", "90")]);
    let mut random = fastrand::Rng::with_seed(7);
    let mut center = Decimal::from(60_000);
    let mut poisoned = 0;
    three(&mut desk, ["60000", "60001", "60002"]);
    desk.effects.clear();
    while poisoned < 10_000 {
        center *= Decimal::new(random.i64(99_990..=100_010), 5);
        let mut honest = || (center * Decimal::new(random.i64(99_985..=100_015), 5)).round_dp(4);
        for name in ["binance", "kraken"] {
            desk.near(name, "BTC-USDT", &honest().to_string());
        }
        // One of three lies, by all the factors a broken feed comes up with.
        for factor in ["10", "0.1", "1000000", "0.000001", "1.2", "0.8", "1.02"] {
            let lie = honest() * factor.parse::<Decimal>().unwrap();
            desk.near("coinbase", "BTC-USDT", &lie.to_string());
            poisoned += 1;
        }
        desk.wait(Duration::from_millis(20));
        for effect in desk.effects.drain(..) {
            let Effect::Publish(rate) = effect else {
                continue;
            };
            let expect = match rate.pair.quote.as_str() {
                "USDT" => center,
                "RUB" => center * Decimal::new(10_001, 4) * Decimal::from(90),
                _ => continue,
            };
            let off = crate::decimal::distance(rate.value.value(), expect) / expect;
            assert!(off < Decimal::new(1, 3), "{rate:?} is far from {expect}");
            assert_eq!(rate.state, RateState::Fresh);
            for side in [rate.bid, rate.ask].into_iter().flatten() {
                let off = crate::decimal::distance(side.value(), expect) / expect;
                assert!(off < Decimal::new(2, 3), "{rate:?} is far from {expect}");
            }
        }
    }
}
