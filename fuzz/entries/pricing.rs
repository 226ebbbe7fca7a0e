//! Rules. Included by the fuzz target and by `kurs-pricing/tests/corpus.rs`.

use kurs_core::rate::FairMethod;
use kurs_core::{Mono, Now, Pair, Skipped, SourceId, SourceState, Wall};
use kurs_pricing::gate::GateSettings;
use kurs_pricing::rule::check::check;
use kurs_pricing::rule::{Evaluation, Figure, Prices, parse};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::time::Duration;

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 1] = [("rule_expression", rule_expression)];

const SOURCES: [&str; 4] = ["binance", "kraken", "okx", "cbr"];

/// Every market has a price, some as large or as small as a number can be; okx has none.
struct Extremes;

fn figure(letters: usize) -> Figure {
    let values = [
        Decimal::from(60_000),
        Decimal::MAX,
        Decimal::new(1, 28),
        Decimal::new(905, 1),
    ];
    Figure::number(values[letters % values.len()])
}

impl Prices for Extremes {
    fn pair(&mut self, pair: Pair) -> Result<Figure, Skipped> {
        Ok(figure(pair.to_string().len()))
    }

    fn source(&mut self, source: SourceId, pair: Pair) -> Result<(Figure, FairMethod), Skipped> {
        if source.as_str() == "okx" {
            return Err(Skipped {
                source,
                state: SourceState::Stale,
                why: "its last price is too old".into(),
            });
        }
        let letters = source.as_str().len() + pair.to_string().len();
        Ok((figure(letters), FairMethod::Mid))
    }
}

/// A rule for a pair: read, checked, and what it comes to.
pub fn rule_expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let shown = |mistake: &kurs_pricing::rule::RuleMistake| {
        assert!((1..=text.chars().count() + 1).contains(&mistake.column(text)));
        assert!(!mistake.show(text).is_empty());
    };
    for name in ["BTC-RUB", "BTC-USDT", "USD-RUB"] {
        let pair = Pair::parse(name).expect("a pair");
        let rule = match parse(text, pair) {
            Ok(rule) => rule,
            Err(mistake) => {
                shown(&mistake);
                continue;
            }
        };
        let mut mistakes = Vec::new();
        check(&rule, pair, &SOURCES, |_, _| false, &mut mistakes);
        mistakes.iter().for_each(shown);
        // A rule with a mistake is never evaluated; one that is must not panic all the same.
        let evaluation = Evaluation {
            now: Now {
                mono: Mono(0),
                wall: Wall::from_unix_seconds(1_790_000_000),
            },
            gate: GateSettings {
                k: Decimal::from(5),
                band: Decimal::new(5, 3),
                apart: Decimal::new(5, 2),
                readmit_after: Duration::from_secs(60),
            },
            min_sources: 2,
            refuses_few: false,
            combined: SourceId::parse("median").expect("a source"),
            gates: &mut BTreeMap::new(),
        };
        let evaluated = evaluation.run(&rule, &mut Extremes);
        if let Ok(figure) = evaluated.outcome {
            assert!(figure.value > Decimal::ZERO);
        }
    }
}
