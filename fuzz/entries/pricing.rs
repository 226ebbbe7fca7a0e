//! Rules. Included by the fuzz target and by `kurs-pricing/tests/corpus.rs`.

use kurs_core::rate::FairMethod;
use kurs_core::{Now, Pair, SourceId};
use kurs_pricing::Policy;
use kurs_pricing::rule::{Evaluation, Figure, Prices, check, parse};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 1] = [("rule_expression", rule_expression)];

/// Every market has a price, some as large or as small as a number can be.
struct Extremes;

impl Extremes {
    fn figure(source: &str, pair: Pair) -> Figure {
        let values = [
            Decimal::from(60_000),
            Decimal::MAX,
            Decimal::new(1, 28),
            Decimal::new(905, 1),
        ];
        let letters = pair.to_string().len() + source.len();
        Figure::number(values[letters % values.len()])
    }
}

impl Prices for Extremes {
    fn pair(&mut self, pair: Pair) -> Result<Figure, Arc<str>> {
        Ok(Self::figure("binance", pair))
    }

    fn source(&mut self, source: SourceId, pair: Pair) -> Result<(Figure, FairMethod), Arc<str>> {
        if source.as_str() == "okx" {
            return Err("stale".into());
        }
        Ok((Self::figure(source.as_str(), pair), FairMethod::Mid))
    }
}

/// A rule for a pair, and what it comes to.
pub fn rule_expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for pair in ["BTC-RUB", "BTC-USDT", "USD-RUB"] {
        let pair = Pair::parse(pair).expect("a pair");
        match parse(text, pair) {
            Ok(rule) => {
                let _ = (rule.pairs(), rule.sources());
                let mut mistakes = Vec::new();
                check::check(
                    &rule,
                    pair,
                    &["binance", "cbr"],
                    |_, _| false,
                    &mut mistakes,
                );
                for mistake in &mistakes {
                    assert!(!mistake.show(text).is_empty());
                }
                let evaluation = Evaluation {
                    now: Now::default(),
                    gate: Policy::default().gate(),
                    min_sources: 2,
                    refuses_few: false,
                    combined: SourceId::parse("median").expect("a source"),
                    gates: &mut BTreeMap::new(),
                };
                let _ = evaluation.run(&rule, &mut Extremes);
            }
            Err(mistake) => {
                let column = mistake.column(text);
                assert!(column >= 1 && column <= text.chars().count() + 1);
                assert!(!mistake.show(text).is_empty());
            }
        }
    }
}
