mod evaluation;

use super::check::{check, circles, unknown_names};
use super::*;
use kurs_core::Pair;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SOURCES: [&str; 6] = ["binance", "kraken", "bybit", "coingecko", "cbr", "ecb"];

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

/// The Bank of Russia gives nothing without RUB.
fn never(source: &str, pair: Pair) -> bool {
    source == "cbr" && pair.quote.as_str() != "RUB"
}

/// Everything that is wrong with a rule, as it is shown.
fn wrong(target: &str, text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    match parse(text, pair(target)) {
        Ok(rule) => check(&rule, pair(target), &SOURCES, never, &mut mistakes),
        Err(mistake) => {
            let names = unknown_names(text, mistake.span, &SOURCES);
            mistakes.push(mistake);
            mistakes.extend(names);
        }
    }
    mistakes.iter().map(|mistake| mistake.show(text)).collect()
}

#[test]
fn rules_of_every_kind_are_good() {
    for (target, text) in [
        (
            "BTC-RUB",
            "median(binance, kraken, bybit)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005",
        ),
        ("BTC-RUB", "BTC-RUB = BTC-USDT * USDT-USD * USD-RUB"),
        ("USDTTRC-RUB", "USDT-USD * USD-RUB"),
        ("BTC-RUB", "BTC-USDT*USDT-USD*USD-RUB+-0.5%"),
        ("BTC-RUB", "BTC-USDT * USDT-USD * USD-RUB ± 0.5 %"),
        ("USD-RUB", "first(cbr(USD-RUB), fixed(80.5))"),
        ("USD-RUB", "cbr(USD-RUB) + 1.5"),
        (
            "USD-RUB",
            "max(min(cbr(USD-RUB) * 1.01, coingecko(USD-RUB)), 70)",
        ),
        ("RUB-USD", "inv(cbr(USD-RUB))"),
        ("RUB-USD", "1 / cbr(USD-RUB)"),
        ("RUB-USD", "cbr(RUB-USD)"),
        ("ETH-BTC", "ETH-USD / BTC-USD"),
        (
            "BTC-USD",
            "median(binance(BTC-USD), kraken(BTC-USD), BTC-EUR * EUR-USD)",
        ),
        ("BTC-USD", "(binance(BTC-USD) + kraken(BTC-USD)) / 2"),
        ("BTC-RUB", "BTC-USDT * fixed(90)(USDT-RUB)"),
        ("1INCH-USD", "1INCH-USDT * USDT-USD"),
        ("BTC-USD", "2*kraken(BTC-USD)-binance(BTC-USD)"),
    ] {
        assert_eq!(wrong(target, text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn mistakes_say_what_is_wrong_and_point_at_it() {
    let check = |target: &str, text: &str, column: usize, length: usize, what: &str| {
        let said = wrong(target, text).join("\n");
        assert!(
            said.starts_with(&format!("column {column}: {what}")),
            "{text}: {said}"
        );
        let line = format!("\n      {}{}", " ".repeat(column - 1), "^".repeat(length));
        assert!(said.ends_with(&line), "{text}: {said}");
    };
    check(
        "USD-RUB",
        "krakn(USD-RUB)",
        1,
        5,
        "there is no source krakn; did you mean kraken?",
    );
    check(
        "USD-RUB",
        "zzz(USD-RUB)",
        1,
        3,
        "there is no source zzz; there are binance, kraken",
    );
    check(
        "BTC-USD",
        "medan(binance, kraken)(BTC-USD)",
        7,
        7,
        "medan is taken for a source",
    );
    check("BTC-USD", "cbr(BTC-USD)", 1, 12, "cbr never gives BTC-USD");
    check("USD-RUB", "", 1, 1, "the rule is empty");
    check(
        "USD-RUB",
        "cbr(USD-RUB",
        12,
        1,
        "cbr is taken for a source, which is asked for one pair",
    );
    check(
        "USD-RUB",
        "(cbr(USD-RUB)",
        14,
        1,
        "a closing parenthesis is missing here",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB))",
        13,
        1,
        "this parenthesis closes nothing",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) 2",
        14,
        1,
        "an operator is missing before this",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) *",
        15,
        1,
        "a price is missing here",
    );
    check("USD-RUB", "* 2", 1, 1, "a price is missing here");
    check(
        "USD-RUB",
        "cbr(USD-RUB) $ 2",
        14,
        1,
        "'$' means nothing here",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) * 1,5",
        17,
        1,
        "a comma stands only between arguments",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) * 0",
        16,
        1,
        "numbers are greater than zero",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) * 1.2.3",
        16,
        5,
        "1.2.3 is no number",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) +- 120%",
        17,
        3,
        "+- is followed by a percentage below 100",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) +-1% * 2",
        19,
        1,
        "a spread is about all before it",
    );
    check(
        "USD-RUB",
        "cbr(USD-RUB) * 1.5%",
        19,
        1,
        "a percentage stands only behind +-",
    );
    check(
        "USD-RUB",
        "cbr",
        1,
        3,
        "cbr alone is no price: a source is asked for a pair, cbr(BTC-USD)",
    );
    check(
        "BTC-USDT",
        "BTCUSDT * 1.01",
        1,
        7,
        "a pair is written BTC-USDT",
    );
    check("BTC-USD", "btc-usd", 1, 7, "a pair is written BTC-USD");
    check(
        "BTC-USD",
        "kraken(btc-usd)",
        8,
        7,
        "a pair is written BTC-USD",
    );
    check(
        "BTC-USD",
        "median(binance, kraken)",
        24,
        1,
        "behind these sources stands what they are asked for",
    );
    check(
        "BTC-USD",
        "median(binance, kraken(BTC-USD))",
        8,
        7,
        "either sources or prices, not both",
    );
    check(
        "BTC-USD",
        "USD-USD",
        1,
        7,
        "base and quote are the same asset",
    );
    check(
        "BTC-USD",
        "USDTTRC-USDT",
        1,
        12,
        "USDTTRC-USDT is one asset twice",
    );
    check(
        "USD-RUB",
        "EUR-RUB = cbr(USD-RUB)",
        1,
        7,
        "this is the rule of USD-RUB",
    );
    check(
        "USD-RUB",
        "fixed(80.5, till 2026-12-31)",
        13,
        4,
        "a fixed rate is written",
    );
    check(
        "USD-RUB",
        "fixed(80.5, until 2026-02-30)",
        19,
        4,
        "a fixed rate is written",
    );
    check("USD-RUB", "2026-12-31", 1, 10, "a day stands only in fixed");
    // Positions count characters, not bytes.
    check("USD-RUB", "ко", 1, 1, "'к' means nothing here");
    check(
        "USD-RUB",
        "cbr(USD-RUB) ± 1 % ± 1 %",
        20,
        1,
        "a spread is about all before it",
    );
}

#[test]
fn units_that_do_not_cancel_are_a_mistake() {
    let check = |target: &str, text: &str, what: &str| {
        let said = wrong(target, text).join("\n");
        assert!(said.contains(what), "{text}: {said}");
    };
    check(
        "BTC-RUB",
        "BTC-USDT * USD-RUB",
        "the rule gives RUB x USDT per BTC x USD, but BTC-RUB is RUB per BTC",
    );
    check(
        "BTC-RUB",
        "BTC-USDT * fixed(90)",
        "the rule gives USDT per BTC, but BTC-RUB is RUB per BTC",
    );
    check("BTC-USD", "inv(BTC-USD)", "the rule gives BTC per USD");
    check(
        "BTC-USD",
        "BTC-USD + ETH-USD",
        "USD per BTC and USD per ETH cannot be added",
    );
    check(
        "BTC-USD",
        "median(BTC-USD, BTC-USDT)",
        "median of USD per BTC and USDT per BTC: these cannot be compared",
    );
    check(
        "BTC-USD",
        "BTC-USD * BTC-USD",
        "the rule gives USD^2 per BTC^2",
    );
    check(
        "BTC-USD",
        "BTC-USD / BTC-USD",
        "the rule gives a plain number",
    );
    check("BTC-USD", "1 / 2 / BTC-USD", "the rule gives BTC per USD");
}

#[test]
fn all_mistakes_of_a_rule_are_told_at_once() {
    let said = wrong("BTC-RUB", "krakn(BTC-USDT) * foo(USDT-USD) * cbr(EUR-USD)");
    assert_eq!(said.len(), 4, "{said:#?}");
}

#[test]
fn a_name_that_is_unknown_is_told_beside_whatever_else_is_wrong() {
    let first_lines = |target: &str, text: &str| -> Vec<String> {
        let said = wrong(target, text);
        said.iter()
            .map(|one| one.lines().next().unwrap().to_owned())
            .collect()
    };
    let unknown = "there is no source krakn; did you mean kraken?";
    assert_eq!(
        first_lines(
            "BTC-RUB",
            "median(binance, krakn)(BTC-USDT) * USDT-USD * cbr(USD-RUB) / 0"
        ),
        [
            format!("column 17: {unknown}"),
            "column 62: numbers are greater than zero".to_owned(),
        ]
    );
    for (text, column, at) in [
        ("krakn(USD-RUB) * * 2", 18, 1),
        ("cbr(USD-RUB) 2 * median(cbr, krakn)(USD-RUB)", 14, 30),
        ("krakn(USD-RUB) $ binance", 16, 1),
        ("krakn(USD-RUB) * kraken(USD-RUB", 32, 1),
    ] {
        let said = first_lines("USD-RUB", text);
        assert_eq!(said.len(), 2, "{text}: {said:#?}");
        assert!(
            said[0].starts_with(&format!("column {column}: ")),
            "{said:#?}"
        );
        assert_eq!(said[1], format!("column {at}: {unknown}"), "{text}");
    }
    assert_eq!(first_lines("USD-RUB", "krakn").len(), 1);
}

#[test]
fn a_rule_without_a_market_is_a_mistake_that_says_how_a_fixed_rate_is_written() {
    for text in [
        "5",
        "2 * 3",
        "fixed(80.5)",
        "fixed(80.5)(USD-RUB) * 1.01",
        "first(1, 2)",
    ] {
        let said = wrong("USD-RUB", text).join("\n");
        assert!(
            said.starts_with("column 1: a rule names a market, such as USD-RUB; a fixed rate is written { value = \""),
            "{text}: {said}"
        );
        assert!(said.contains("owner = "), "{said}");
    }
    assert!(wrong("USD-RUB", "5")[0].contains("{ value = \"5\", owner"));
}

#[test]
fn numbers_that_come_to_nothing_are_a_mistake() {
    let check = |text: &str, column: usize, what: &str| {
        let said = wrong("USD-RUB", text);
        assert_eq!(said.len(), 1, "{text}: {said:#?}");
        assert!(
            said[0].starts_with(&format!("column {column}: {what}")),
            "{said:#?}"
        );
    };
    let none = "this is not greater than zero, so there would never be a rate";
    check("cbr(USD-RUB) / (1-1)", 16, none);
    check("cbr(USD-RUB) * (2 - inv(0.25))", 16, none);
    check("max(cbr(USD-RUB), 3 - max(2, 4))", 19, none);
    check(
        "fixed(80)(USD-RUB) - fixed(81)(USD-RUB) + cbr(USD-RUB)",
        1,
        none,
    );
    check(
        "cbr(USD-RUB) * (9999999999999999999999999999 * 9999999999999999999999999999)",
        16,
        "this is too great or too small to compute with",
    );
    assert_eq!(
        wrong("USD-RUB", "cbr(USD-RUB) / (1 - 0.5)"),
        Vec::<String>::new()
    );
}

#[test]
fn of_a_long_rule_only_the_part_around_the_mistake_is_shown() {
    let long = format!("cbr(USD-RUB){}", " * 1.01".repeat(90));
    let text = format!("{long} $ 2{}", " ".repeat(600));
    let said = wrong("USD-RUB", &text).join("\n");
    assert!(
        said.starts_with(&format!("column {}: ", long.len() + 2)),
        "{said}"
    );
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[1].len() < 140 && lines[2].len() < 140, "{said}");
    let caret = lines[2].find('^').unwrap();
    assert_eq!(lines[1].as_bytes()[caret], b'$', "{said}");
    for text in [
        "1".repeat(100_000),
        "п".repeat(100_000),
        format!("{} * 1", "a".repeat(1_500)),
        format!("{}(USD-RUB)", "a".repeat(1_500)),
        format!("cbr(USD-RUB) * {}.1.1", "1".repeat(1_500)),
    ] {
        let said = wrong("USD-RUB", &text).join("\n");
        assert!(said.len() < 1_000, "{} characters: {said}", said.len());
        assert!(said.contains('^'), "{said}");
    }
}

#[test]
fn circles_are_named_pair_by_pair() {
    let rules: BTreeMap<Pair, Rule> = [
        ("BTC-RUB", "BTC-USD * USD-RUB"),
        ("USD-RUB", "BTC-RUB / BTC-USD"),
        ("BTC-USD", "kraken(BTC-USD)"),
        ("ETH-USD", "ETH-USD * 1.01"),
        ("EUR-RUB", "USD-RUB * 1.1"),
    ]
    .into_iter()
    .map(|(target, text)| (pair(target), parse(text, pair(target)).unwrap()))
    .collect();
    let shown: Vec<String> = circles(&rules)
        .iter()
        .map(|circle| {
            circle
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" -> ")
        })
        .collect();
    assert_eq!(
        shown,
        ["BTC-RUB -> USD-RUB -> BTC-RUB", "ETH-USD -> ETH-USD"]
    );
}

#[test]
fn length_depth_and_number_of_prices_are_bounded() {
    let target = pair("USD-RUB");
    let deep = format!("{}1{}", "(".repeat(900), ")".repeat(900));
    assert!(
        parse(&deep, target)
            .unwrap_err()
            .what
            .contains("levels within one another")
    );
    let long = format!("1{}", " ".repeat(3_000));
    assert!(
        parse(&long, target)
            .unwrap_err()
            .what
            .contains("at most 2000 characters")
    );
    let many = vec!["1"; 500].join("+");
    assert!(
        parse(&many, target)
            .unwrap_err()
            .what
            .contains("at most 100 numbers and prices")
    );
    let wide = format!("median({}1)", "1,".repeat(60));
    assert!(
        parse(&wide, target)
            .unwrap_err()
            .what
            .contains("at most 32 arguments")
    );
}

#[test]
fn what_a_rule_needs_is_known() {
    let rule = parse(
        "median(binance, kraken)(BTC-USDT) * USDT-USD * cbr(USD-RUB)",
        pair("BTC-RUB"),
    )
    .unwrap();
    assert_eq!(rule.pairs(), [pair("USDT-USD")]);
    let sources: Vec<String> = rule
        .sources()
        .iter()
        .map(|(source, pair)| format!("{source} {pair}"))
        .collect();
    assert_eq!(
        sources,
        ["binance BTC-USDT", "kraken BTC-USDT", "cbr USD-RUB"]
    );
    assert!(!rule.is_about_only(pair("BTC-RUB")));
    let own = parse("first(cbr, coingecko)(USD-RUB) * 1.01", pair("USD-RUB")).unwrap();
    assert!(own.is_about_only(pair("USD-RUB")));
}

fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(vec![
            "median", "first", "min", "max", "inv", "fixed", "until", "binance", "cbr", "BTC-USD",
            "USD-RUB", "btc-usd", "(", ")", ",", "*", "/", "+", "-", "+-", "±", "%", "=", " ", "1.005",
            "80.5", "2026-12-31", "0", "-", "_", ":", "BTCUSDT", "1INCH-USD",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_parser_panic_and_every_position_is_in_the_text(parts in prop::collection::vec(fragment(), 0..40)) {
        let text = parts.concat();
        let target = pair("BTC-USD");
        match parse(&text, target) {
            Ok(rule) => {
                let mut mistakes = Vec::new();
                check(&rule, target, &SOURCES, never, &mut mistakes);
                rule.root.walk(&mut |node| assert!(text.get(node.span.start..node.span.end).is_some(), "{text:?}"));
                for mistake in mistakes {
                    prop_assert!(text.get(mistake.span.start..mistake.span.end).is_some());
                    let _ = mistake.show(&text);
                }
            }
            Err(mistake) => {
                prop_assert!(text.get(mistake.span.start..mistake.span.end).is_some(), "{:?} of {:?}", mistake, text);
                prop_assert!(mistake.column(&text) <= text.chars().count() + 1);
                let _ = mistake.show(&text);
            }
        }
    }
}
