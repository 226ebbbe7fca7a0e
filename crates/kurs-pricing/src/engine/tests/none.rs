//! Policies that come to nothing, and pairs whose inverse has a policy.

use super::*;

fn reasons(desk: &Desk, market: &str) -> Vec<String> {
    let told = desk.effects.iter().filter_map(|effect| match effect {
        Effect::NoRate { pair: of, why } if *of == pair(market) => Some(why.to_string()),
        _ => None,
    });
    told.collect()
}

#[test]
fn a_policy_that_comes_to_nothing_says_why_at_once_and_again_only_for_another_reason() {
    let few = r#"{"kind": "median", "min_sources": 3, "below_min": "none"}"#;
    let mut desk = Desk::with(
        &[],
        &[
            ("BTC-USD", few),
            ("SOL-RUB", r#""SOL-USD * USD-RUB / (1-1)""#),
        ],
    );
    desk.wait(Duration::from_millis(20));
    assert_eq!(reasons(&desk, "BTC-USD"), ["no rate: no source is left"]);
    for _ in 0..200 {
        desk.near("binance", "BTC-USD", "60000");
        desk.wait(Duration::from_millis(20));
    }
    let told = reasons(&desk, "BTC-USD");
    assert_eq!(told[1..], ["no rate: 1 of at least 3 sources"], "{told:?}");
    assert!(desk.last("BTC-USD").is_none());
    assert!(!reasons(&desk, "SOL-RUB").is_empty());
    desk.near("kraken", "BTC-USD", "60000")
        .near("okx", "BTC-USD", "60000");
    desk.check("BTC-USD", "60000 median fresh");
}

#[test]
fn a_pair_without_a_policy_says_nothing_when_it_has_no_rate() {
    let mut desk = Desk::with(&["BTC-USD"], &[]);
    desk.wait(Duration::from_secs(3));
    assert_eq!(desk.effects, []);
}

#[test]
fn a_fixed_rate_that_has_ended_says_so() {
    let ended = r#"{"value": "91.5", "owner": "desk", "until": "2020-01-01"}"#;
    let mut desk = Desk::with(&[], &[("USDT-RUB", ended)]);
    desk.wait(Duration::from_secs(1));
    let told = reasons(&desk, "USDT-RUB");
    assert!(told[0].contains("2020-01-01"), "{told:?}");
}

#[test]
fn the_inverse_of_a_pair_with_a_policy_is_left_to_readers_and_still_serves_rules() {
    let policies = [
        ("EUR-USD", r#"{"sources": ["ecb"]}"#),
        ("EUR-GBP", r#""inv(USD-EUR) * USD-GBP""#),
    ];
    let mut desk = Desk::with(&["USD-EUR"], &policies);
    desk.stream("kraken", "USD-EUR", "0.91", "0.93");
    desk.table("cbr", DAY, &[("USD-GBP", "0.8")]);
    desk.table("ecb", DAY, &[("EUR-USD", "1.0916")]);
    desk.check("EUR-USD", "1.0916 ecb fresh");
    assert_eq!(desk.last("USD-EUR"), None);
    assert!(desk.last("EUR-GBP").is_some());
    desk.wait(Duration::from_secs(6));
    assert_eq!(desk.last("USD-EUR"), None);
}
