//! Policies as they are written, and everything that is wrong with them.

use super::Desk;
use kurs_core::{Pair, Wall};
use kurs_pricing::{FairMethod, PolicyKind};

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

const GOOD: &str = r#"
[policy]
BTC-RUB = "median(binance, kraken, bybit)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005"

[policy.BTC-USD]
kind = "median"
price = "weighted_mid"
sources = ["binance", "kraken", "coinbase"]
min_sources = 2
below_min = "none"
outlier_k = 4.5
band = "2%"
readmit_after = "30s"
spread = "0.25%"

[policy."ETH-USDT"]
kind = "merged"
price = "depth_weighted"
step = "12.5"
max_spread = "0.3%"
cap_sizes = true

[policy.USD-RUB]
value = 80.5
owner = "treasury"
until = 2026-12-31

[policy.EUR-USD]
sources = ["ecb", "kraken"]
hold_ms = 5000
max_deviation = "1%"
"#;

#[test]
fn every_kind_of_policy_can_be_written_in_a_file() {
    let config = Desk::new().file("kurs.toml", GOOD).load().config;
    let policy = |name: &str| &config.policy[&pair(name)];
    assert_eq!(policy("BTC-RUB").kind(), PolicyKind::Rule);
    let median = policy("BTC-USD");
    assert_eq!(
        (median.kind(), median.price),
        (PolicyKind::Median, FairMethod::WeightedMid)
    );
    assert_eq!(median.gate().k.to_string(), "4.5");
    assert_eq!(median.gate().band.to_string(), "0.02");
    assert_eq!(median.spread.unwrap().to_string(), "0.25%");
    assert_eq!(policy("ETH-USDT").step.unwrap().to_string(), "12.5");
    let fixed = policy("USD-RUB");
    assert_eq!(
        (fixed.kind(), fixed.value.unwrap().to_string()),
        (PolicyKind::Fixed, "80.5".into())
    );
    assert_eq!(fixed.until.unwrap().to_string(), "2026-12-31");
    assert_eq!(policy("EUR-USD").guard().unwrap().band.to_string(), "0.01");
}

#[test]
fn a_policy_can_come_from_the_environment_as_a_table_or_as_a_rule() {
    let config = Desk::new()
        .env("KURS_POLICY__BTC_USD__KIND", "median")
        .env("KURS_POLICY__BTC_USD__OUTLIER_K", "3")
        .env("KURS_POLICY__BTC_USD__SOURCES", "binance,kraken")
        .env("KURS_POLICY__BTC_RUB", "BTC-USD * cbr(USD-RUB)")
        .env("KURS_POLICY__ETH_USD", r#"{"kind": "merged"}"#)
        .load()
        .config;
    let kind = |name: &str| config.policy[&pair(name)].kind();
    assert_eq!(kind("BTC-USD"), PolicyKind::Median);
    assert_eq!(config.policy[&pair("BTC-USD")].sources.len(), 2);
    assert_eq!(kind("BTC-RUB"), PolicyKind::Rule);
    assert_eq!(kind("ETH-USD"), PolicyKind::Merged);
}

#[test]
fn every_mistake_of_every_policy_is_told_with_key_place_and_column() {
    let said = Desk::new()
        .file(
            "kurs.toml",
            r#"[policy]
BTC-RUB = "krakn(BTC-USDT) * USDT-USD * cbr(USD-RUB)"
ETH-RUB = "ETH-USD * USD-EUR"
EUR-RUB = "cbr(EUR-RUB) *"
USD-RUB = "USD-RUB * 1.01"
[policy.BTC-USD]
kind = "median"
sources = ["binance", "foo"]
min_sources = 5
band = "0%"
value = 5
[policy.ETH-USD]
knd = "median"
[policy.SOL-USD]
kind = "fixed"
[policy.TON-USD]
kind = "rule"
sources = ["binance"]
[policy.TRX-USD]
spread = 0.5
[sources.http.median]
url = "http://127.0.0.1:1/"
"#,
        )
        .mistakes();
    for part in [
        "policy.BTC-RUB.rule: column 1: there is no source krakn; did you mean kraken? (kurs.toml:2)\n      \
         krakn(BTC-USDT) * USDT-USD * cbr(USD-RUB)\n      ^^^^^\n",
        "policy.ETH-RUB.rule: column 1: the rule gives EUR x USD per ETH x USD"
            .split(" x ")
            .next()
            .unwrap(),
        "policy.EUR-RUB.rule: column 15: a price is missing here",
        "policy.USD-RUB.rule: rules in a circle: USD-RUB -> USD-RUB; name the source",
        "policy.BTC-USD.sources: there is no source foo; there are binance, ",
        "policy.BTC-USD.min_sources: 5 of 2 sources can never be (kurs.toml:9)",
        "policy.BTC-USD.band: must be more than 0% (kurs.toml:10)",
        "policy.BTC-USD.value: belongs to the kind fixed, but this is median (kurs.toml:11)",
        "policy.ETH-USD.knd: unknown key; did you mean",
        "policy.SOL-USD.value: is missing",
        "policy.TON-USD.rule: is missing",
        "policy.TON-USD.sources: the kind rule does not look at it",
        "policy.TRX-USD.spread: expected a text, got 0.5",
        "sources.http.median: this word has a meaning in rules",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn a_fixed_rate_whose_day_is_over_is_warned_about() {
    let config = Desk::new().file("kurs.toml", GOOD).load().config;
    let at = |text: &str| config.warnings(text.parse::<Wall>().unwrap());
    assert_eq!(at("2026-12-31T23:59:59Z"), Vec::<String>::new());
    assert_eq!(
        at("2027-01-01T00:00:00Z"),
        ["policy.USD-RUB.until: the fixed rate of treasury ended on 2026-12-31; there is no rate"]
    );
}

#[test]
fn a_policy_is_shown_as_it_was_written() {
    let desk = Desk::new().file("kurs.toml", GOOD);
    let shown = super::print::text(
        &super::schema::Schema::of::<super::Config>(),
        &desk.load().tree,
    );
    assert!(
        shown.contains("policy.BTC-RUB = \"median(binance"),
        "{shown}"
    );
    assert!(shown.contains("policy.BTC-USD.band = \"2%\""), "{shown}");
}
