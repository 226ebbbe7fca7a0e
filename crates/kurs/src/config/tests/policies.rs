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
fn every_value_of_a_table_is_judged_alone_and_told_with_its_key_and_line() {
    let said = Desk::new()
        .file(
            "kurs.toml",
            r#"[policy.CHF-USD]
kind = "median"
sources = ["binance", "nope", "binance"]
outlier_k = "-5"
readmit_after = "0s"
min_sources = 50
band = "wide"
[policy.USD-RUB]
value = "eighty"
owner = "treasury"
until = "2026-02-30"
[sources.http.b]
url = "http://127.0.0.1:1/"
anchor = "25:99"
period = "soon"
zone = "Mars/Olympus"
rates = { USD-RUB = { value = "/a", unit = -3 }, EUR-RUB = "/b" }
"#,
        )
        .mistakes();
    for part in [
        "policy.CHF-USD.sources: there is no source nope; there are binance, ",
        "policy.CHF-USD.sources: binance is there twice (kurs.toml:3)",
        "policy.CHF-USD.outlier_k: an exact number greater than zero",
        "got \"-5\" (kurs.toml:4)",
        "policy.CHF-USD.readmit_after: must be more than 0s (kurs.toml:5)",
        "policy.CHF-USD.min_sources: 50 of 3 sources can never be (kurs.toml:6)",
        "policy.CHF-USD.band: a percentage is written 0.5%",
        "(kurs.toml:7)",
        "policy.USD-RUB.value: an exact number greater than zero",
        "(kurs.toml:9)",
        "policy.USD-RUB.until: a day is written 2026-12-31, got \"2026-02-30\" (kurs.toml:11)",
        "sources.http.b.anchor: ",
        "(kurs.toml:14)",
        "sources.http.b.period: ",
        "(kurs.toml:15)",
        "sources.http.b.zone: ",
        "(kurs.toml:16)",
        "sources.http.b.rates.USD-RUB: unit is a whole number such as 100, or a path (kurs.toml:17)",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
    let count = said.lines().filter(|line| line.starts_with("  - ")).count();
    assert_eq!(count, 12, "{said}");
}

#[test]
fn a_fixed_rate_has_an_owner_and_no_rule_is_a_number() {
    let said = Desk::new()
        .file(
            "kurs.toml",
            "[policy]\nBTC-RUB = \"5\"\nUSD-RUB = { value = \"80.5\" }\n\
             EUR-RUB = \"cbr(EUR-RUB) / (1-1)\"\nETH-RUB = \"median(binance, krakn)(ETH-USDT) * USDT-USD / 0\"\n\
             SOL-RUB = { kind = \"merged\", min_sources = 50 }\n",
        )
        .mistakes();
    for part in [
        "policy.BTC-RUB.rule: column 1: a rule names a market, such as BTC-RUB; a fixed rate is written \
         { value = \"5\", owner = \"who answers for it\", until = \"2026-12-31\" } (kurs.toml:2)",
        "policy.USD-RUB.owner: is missing; somebody answers for a fixed rate, such as owner = \"treasury\" (kurs.toml:3)",
        "policy.EUR-RUB.rule: column 16: this is not greater than zero",
        "policy.ETH-RUB.rule: column 17: there is no source krakn",
        "policy.ETH-RUB.rule: column 47: numbers are greater than zero",
        "policy.SOL-RUB.min_sources: 50 can never be, there are 9 sources (kurs.toml:6)",
    ] {
        assert!(said.contains(part), "{part:?} is missing in:\n{said}");
    }
}

#[test]
fn a_long_rule_is_not_repeated_whole() {
    for rule in [
        "x".repeat(100_000),
        "1 * ".repeat(25_000),
        "1".repeat(1_900),
    ] {
        let file = format!("[policy]\nBTC-RUB = \"{rule}\"\n");
        let said = Desk::new().file("kurs.toml", &file).mistakes();
        assert!(said.len() < 1_000, "{} characters", said.len());
    }
}

#[test]
fn a_fixed_rate_within_a_rule_whose_day_is_over_is_warned_about() {
    let file = "[policy]\nUSD-RUB = \"first(cbr(USD-RUB), fixed(80.5, until 2020-12-31)(USD-RUB))\"\n\
                BTC-RUB = \"BTC-USDT * fixed(80.5, until 2020-12-31)(USDT-RUB)\"\n";
    let config = Desk::new().file("kurs.toml", file).load().config;
    let at = |text: &str| config.warnings(text.parse::<Wall>().unwrap());
    assert_eq!(at("2020-12-31T23:59:59Z"), Vec::<String>::new());
    let over = |pair: &str| format!("policy.{pair}.rule: a fixed rate in it ended on 2020-12-31");
    assert_eq!(
        at("2026-11-22T00:00:00Z"),
        [over("BTC-RUB"), over("USD-RUB")]
    );
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
