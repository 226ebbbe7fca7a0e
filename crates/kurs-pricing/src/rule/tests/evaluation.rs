//! From tree to number, and to the text that tells it.

use super::*;
use crate::decimal::{distance, times_or_max};
use crate::gate::GateSettings;
use kurs_core::rate::FairMethod;
use kurs_core::{Leg, Mono, Now, Price, Skipped, SourceId, SourceState, Wall};
use rust_decimal::Decimal;
use std::time::Duration;

/// Every price is 100 with half a unit on both sides, but for the one that is missing.
struct Stub {
    missing: Option<SourceId>,
}

fn hundred(source: SourceId, pair: Pair) -> Figure {
    let at = Wall::from_unix_seconds(1_800_000_000);
    let value = Decimal::ONE_HUNDRED;
    Figure {
        sides: Some((Decimal::new(995, 1), Decimal::new(1005, 1))),
        confidence: Some(Decimal::new(5, 1)),
        valid_until: Mono(5_000_000_000),
        expires_at: at.plus(Duration::from_secs(5)),
        observed_at: Some(at),
        legs: vec![Leg {
            pair,
            source,
            value: Price::new(value).unwrap(),
            inverted: false,
            observed_at: at,
            expires_at: at,
        }],
        ..Figure::number(value)
    }
}

impl Prices for Stub {
    fn pair(&mut self, pair: Pair) -> Result<Figure, Skipped> {
        Ok(hundred(SourceId::parse("best").unwrap(), pair))
    }

    fn source(&mut self, source: SourceId, pair: Pair) -> Result<(Figure, FairMethod), Skipped> {
        if self.missing == Some(source) {
            return Err(Skipped {
                source,
                state: SourceState::Down,
                why: "cut".into(),
            });
        }
        Ok((hundred(source, pair), FairMethod::Mid))
    }
}

fn run(text: &str, missing: Option<&str>) -> Evaluated {
    let rule = parse(text, pair("BTC-USD")).unwrap();
    let missing = missing.map(|name| SourceId::parse(name).unwrap());
    let evaluation = Evaluation {
        now: Now {
            mono: Mono(0),
            wall: Wall::from_unix_seconds(1_800_000_000),
        },
        gate: GateSettings {
            k: Decimal::from(5),
            band: Decimal::new(5, 3),
            apart: Decimal::new(5, 2),
            readmit_after: Duration::from_secs(60),
        },
        min_sources: 2,
        refuses_few: false,
        combined: SourceId::parse("median").unwrap(),
        gates: &mut BTreeMap::new(),
    };
    evaluation.run(&rule, &mut Stub { missing })
}

#[test]
fn an_evaluated_rule_reads_as_it_was_written_and_as_it_was_meant() {
    let check = |text: &str, expect: &str| assert_eq!(run(text, Some("okx")).text, expect);
    check("1 + 2 * 3 - (4 - 5 / 2)", "1 + 2 * 3 - (4 - 5 / 2) = 5.5");
    check("(1 + 2) * 3 / (2 * 3)", "(1 + 2) * 3 / (2 * 3) = 1.5");
    check("inv(BTC-USD) +-1%", "inv(BTC-USD[100])[0.01] +-1% = 0.01");
    check(
        "first(okx, kraken)(BTC-USD)",
        "first(okx[none: okx down: cut], kraken[100])(BTC-USD)[100] = 100",
    );
    check(
        "okx(BTC-USD) * 2",
        "okx(BTC-USD)[none: okx down: cut] * 2 = no rate",
    );
    check(
        "min(kraken(BTC-USD), 90)",
        "min(kraken(BTC-USD)[100], 90)[90] = 90",
    );
    check(
        "fixed(7, until 2020-01-01)",
        "fixed(7, until 2020-01-01) = no rate",
    );
    check("1 - 2", "1 - 2 = no rate");
    check(
        "median(okx, kraken)(BTC-USD)",
        "median(okx[none: okx down: cut], kraken[100])(BTC-USD)[100] = 100",
    );
    let doubt = run("median(okx, kraken)(BTC-USD)", Some("okx"))
        .outcome
        .unwrap()
        .doubt;
    assert_eq!(doubt.as_deref(), Some("a median of 1 where 2 are wanted"));
    // The least of fewer would be another number.
    assert!(run("min(okx(BTC-USD), 90)", Some("okx")).outcome.is_err());
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("kraken(BTC-USD)".to_owned()),
        Just("BTC-USD".to_owned()),
        (1_u32..1_000).prop_map(|number| format!("{number}.5")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (
                inner.clone(),
                prop::sample::select(vec!["*", "/", "+", "-"]),
                inner.clone()
            )
                .prop_map(|(left, sign, right)| format!("({left} {sign} {right})")),
            inner.clone().prop_map(|inner| format!("inv({inner})")),
            (
                prop::sample::select(vec!["median", "min", "max", "first"]),
                prop::collection::vec(inner, 1..4)
            )
                .prop_map(|(name, arguments)| format!("{name}({})", arguments.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn the_value_lies_between_bid_and_ask_and_the_shown_rule_says_the_same(text in expression()) {
        let evaluated = run(&text, None);
        if let Ok(figure) = &evaluated.outcome {
            prop_assert!(figure.value > Decimal::ZERO);
            if let Some((bid, ask)) = figure.sides {
                let rounding = times_or_max(figure.value, Decimal::new(1, 18)).max(Decimal::new(1, 26));
                prop_assert!(bid - figure.value <= rounding && figure.value - ask <= rounding, "{} of {}", evaluated.text, text);
            }
            prop_assert!(figure.valid_until == Mono(u64::MAX) || figure.valid_until == Mono(5_000_000_000));
            // The rule as shown, without its brackets, is a rule of the same value.
            let mut depth = 0;
            let shown: String = evaluated.text.split(" = ").next().unwrap().chars().filter(|letter| {
                depth += i32::from(*letter == '[');
                let is_kept = depth == 0;
                depth -= i32::from(*letter == ']');
                is_kept
            }).collect();
            let shown = shown.replace(" (not needed)", "").replace(" (out of line)", "");
            let again = run(&shown, None).outcome.unwrap();
            prop_assert!(distance(again.value, figure.value) <= times_or_max(figure.value, Decimal::new(1, 18)), "{} is not {}", shown, text);
        }
    }
}

#[test]
fn a_rate_is_never_zero_even_by_a_rule_that_is_none() {
    assert_eq!(
        run("0", None).outcome,
        Err("a number is too great or too small to compute with".into())
    );
    assert!(run("cbr(USD-RUB) + 0", None).outcome.is_err());
}
