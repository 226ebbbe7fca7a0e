use super::*;
use kurs_core::{Asset, Pair};
use proptest::prelude::*;

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn pair() -> Pair {
    Pair::parse("BTC-USD").unwrap()
}

fn rate(value: &str, state: RateState) -> Observation {
    seen(price(value), state)
}

fn seen(value: Price, state: RateState) -> Observation {
    Observation::Rate(Some(SeenRate {
        value,
        state,
        source: SourceId::parse("binance").unwrap(),
        observed_at: Wall(7),
    }))
}

fn source(state: SourceState) -> Observation {
    Observation::Source(Some(SeenSource {
        source: SourceId::parse("binance").unwrap(),
        state,
    }))
}

fn at(seconds: i64) -> Wall {
    Wall::from_unix_seconds(1_000_000 + seconds)
}

/// Goes through what is seen; gives the places where it fired.
fn firings(terms: &Terms, seen: &[(i64, Observation)]) -> Vec<i64> {
    let mut state = AlertState::default();
    let mut fired = Vec::new();
    for (second, observation) in seen {
        let (next, told) = step(terms, &state, observation, at(*second));
        state = next;
        if told.is_some() {
            fired.push(*second);
        }
    }
    fired
}

fn terms(condition: Condition) -> Terms {
    Terms {
        cooldown: Duration::ZERO,
        ..Terms::usual(condition)
    }
}

fn above(value: &str) -> Terms {
    terms(Condition::Threshold {
        pair: pair(),
        side: Side::Above,
        value: price(value),
    })
}

fn below(value: &str) -> Terms {
    terms(Condition::Threshold {
        pair: pair(),
        side: Side::Below,
        value: price(value),
    })
}

fn percent(percent: &str, window: Option<u64>) -> Terms {
    terms(Condition::Percent {
        pair: pair(),
        percent: percent.parse().unwrap(),
        window: window.map(Duration::from_secs),
    })
}

fn walk(values: &[&str]) -> Vec<(i64, Observation)> {
    let walk = (0..).zip(values);
    walk.map(|(second, value)| (second, rate(value, RateState::Fresh)))
        .collect()
}

#[test]
fn a_threshold_fires_once_and_again_after_it_came_back_by_the_margin() {
    let values = ["99", "100", "101", "99.6", "100", "99.5", "100", "90", "99"];
    assert_eq!(firings(&above("100"), &walk(&values)), [1, 6]);
    let values = ["101", "100", "99", "100.4", "100", "100.5", "99.99"];
    assert_eq!(firings(&below("100"), &walk(&values)), [1, 6]);
}

#[test]
fn a_value_that_is_there_already_is_told_at_once_and_a_margin_of_zero_does_not_repeat_it() {
    let mut terms = above("100");
    terms.margin_percent = Decimal::ZERO;
    let values = ["100", "100", "100", "99.999", "100"];
    assert_eq!(firings(&terms, &walk(&values)), [0, 4]);
}

#[test]
fn a_move_is_counted_from_the_value_that_was_told_last() {
    let values = ["100", "100.9", "101", "100.1", "102.01", "101", "100.9"];
    assert_eq!(firings(&percent("1", None), &walk(&values)), [2, 4, 6]);
}

#[test]
fn a_move_within_a_window_forgets_what_is_older() {
    let slow: Vec<_> = (0..100)
        .map(|step: i64| {
            let value = Price::new(Decimal::new(10_000 + step, 2)).unwrap();
            (step * 60, seen(value, RateState::Fresh))
        })
        .collect();
    assert_eq!(
        firings(&percent("0.5", Some(600)), &slow),
        Vec::<i64>::new(),
        "a tenth of a percent in ten minutes"
    );
    let quick = [
        (0, rate("100", RateState::Fresh)),
        (30, rate("99.4", RateState::Fresh)),
        (60, rate("99.3", RateState::Fresh)),
        (90, rate("99.8", RateState::Fresh)),
        (800, rate("99.8", RateState::Fresh)),
        (830, rate("100.4", RateState::Fresh)),
    ];
    assert_eq!(firings(&percent("0.5", Some(600)), &quick), [30, 830]);
}

#[test]
fn a_rate_that_is_not_fresh_fires_nothing_and_arms_nothing() {
    for state in [RateState::Stale, RateState::Suspect, RateState::Halted] {
        for terms in [above("100"), percent("1", None), percent("1", Some(600))] {
            let seen = [
                (0, rate("99", RateState::Fresh)),
                (1, rate("150", state)),
                (2, Observation::Rate(None)),
                (3, rate("99.4", RateState::Fresh)),
            ];
            assert_eq!(firings(&terms, &seen), Vec::<i64>::new(), "{state:?}");
        }
        let seen = [
            (0, rate("101", RateState::Fresh)),
            (1, rate("50", state)),
            (2, rate("101", RateState::Fresh)),
        ];
        assert_eq!(firings(&above("100"), &seen), [0], "{state:?}");
    }
}

#[test]
fn what_is_bad_for_a_time_is_told_once_and_again_after_it_was_well_as_long() {
    let loss = terms(Condition::SourceLoss {
        source: SourceId::parse("binance").unwrap(),
        after: Duration::from_secs(10),
    });
    let (live, down) = (source(SourceState::Live), source(SourceState::Down));
    let seen = [
        (0, live),
        (5, down),
        (14, down),
        (15, down),
        (16, down),
        (17, live),
        (20, source(SourceState::Stale)),
        (40, down),
        (41, live),
        (51, live),
        (52, down),
        (62, down),
    ];
    assert_eq!(firings(&loss, &seen), [15, 62]);
    let unknown = [
        (0, Observation::Source(None)),
        (60, Observation::Source(None)),
    ];
    assert_eq!(firings(&loss, &unknown), Vec::<i64>::new());

    let freeze = terms(Condition::Freeze {
        pair: pair(),
        after: Duration::from_secs(10),
    });
    let seen = [
        (0, rate("100", RateState::Fresh)),
        (5, rate("100", RateState::Stale)),
        (9, rate("100", RateState::Fresh)),
        (10, rate("100", RateState::Stale)),
        (15, Observation::Rate(None)),
        (20, rate("100", RateState::Halted)),
    ];
    assert_eq!(firings(&freeze, &seen), [20]);
}

#[test]
fn a_depeg_is_told_on_both_sides_and_ends_at_half() {
    let depeg = terms(Condition::Depeg {
        asset: Asset::parse("USDT").unwrap(),
        percent: Decimal::ONE,
    });
    let values = [
        "1", "0.9901", "0.99", "0.98", "0.994", "0.99", "0.995", "1.01",
    ];
    assert_eq!(firings(&depeg, &walk(&values)), [2, 7]);
}

#[test]
fn what_holds_at_the_end_of_the_cooldown_is_told_then() {
    let mut terms = above("100");
    terms.cooldown = Duration::from_secs(10);
    let values = [
        "100", "90", "100", "101", "102", "103", "104", "105", "106", "107", "108",
    ];
    assert_eq!(firings(&terms, &walk(&values)), [0, 10]);
}

#[test]
fn it_says_what_it_saw() {
    let mut state = AlertState::default();
    let condition = percent("1", None);
    (state, _) = step(&condition, &state, &rate("100", RateState::Fresh), at(0));
    let (_, fired) = step(
        &condition,
        &state,
        &rate("98.50000", RateState::Fresh),
        at(1),
    );
    let fired = fired.unwrap();
    assert_eq!(fired.at, at(1));
    assert_eq!(fired.value, Some(price("98.50000")));
    assert_eq!(fired.state, Some(RateState::Fresh));
    assert_eq!(fired.source, SourceId::parse("binance").ok());
    assert_eq!(fired.observed_at, Some(Wall(7)));
    assert_eq!(fired.reference, Some(price("100")));
    assert_eq!(fired.change_percent.unwrap().to_string(), "-1.5");
    assert_eq!(
        crate::message::sentence(&condition.condition, &fired),
        "BTC-USD moved -1.5 % from 100, now at 98.50000"
    );
}

#[test]
fn numbers_at_the_ends_of_what_can_be_held_fire_nothing_and_break_nothing() {
    let (least, greatest) = (
        "0.0000000000000000000000000001",
        "79228162514264337593543950335",
    );
    for terms in [
        above(greatest),
        below(greatest),
        percent("1", None),
        percent("1", Some(60)),
    ] {
        let _ = firings(&terms, &walk(&[least, greatest, least, greatest]));
    }
}

#[test]
fn the_longest_memory_fits_where_it_is_stored() {
    let terms = percent("1000", Some(24 * 60));
    let mut state = AlertState::default();
    for second in 0..10_000 {
        let value = format!("0.12345678901234567890123{:05}", second + 10_000);
        (state, _) = step(&terms, &state, &rate(&value, RateState::Fresh), at(second));
    }
    assert!(state.window.len() <= 26, "{}", state.window.len());
    assert!(state.json().len() < 4_096, "{}", state.json().len());
}

fn any_terms() -> impl Strategy<Value = Terms> {
    (0_usize..7, 0_u64..3).prop_map(|(kind, cooldown)| {
        let mut terms = match kind {
            0 => above("100"),
            1 => below("100"),
            2 => percent("1", None),
            3 => percent("1", Some(30)),
            4 => terms(Condition::Freeze {
                pair: pair(),
                after: Duration::from_secs(3),
            }),
            5 => terms(Condition::Depeg {
                asset: Asset::parse("USDT").unwrap(),
                percent: Decimal::ONE,
            }),
            _ => terms(Condition::SourceLoss {
                source: SourceId::parse("binance").unwrap(),
                after: Duration::from_secs(3),
            }),
        };
        terms.cooldown = Duration::from_secs(cooldown * 5);
        terms
    })
}

/// Steps of a walk in hundredths of a percent, and now and then something that is not fresh.
fn any_walk() -> impl Strategy<Value = Vec<(i64, u8)>> {
    prop::collection::vec((-80_i64..=80, 0_u8..10), 1..300)
}

fn observations(terms: &Terms, walk: &[(i64, u8)]) -> Vec<Observation> {
    let is_source = terms.condition.source().is_some();
    let is_depeg = matches!(terms.condition, Condition::Depeg { .. });
    let mut value = 10_000_i64;
    let mut bad_for = 0;
    let mut seen_all = Vec::new();
    for (by, chance) in walk {
        value = (value + by).clamp(9_000, 11_000);
        if *chance == 0 {
            bad_for = 5;
        }
        bad_for -= 1;
        let is_bad = bad_for > 0;
        seen_all.push(if is_source {
            source(if is_bad {
                SourceState::Down
            } else {
                SourceState::Live
            })
        } else {
            let digits = if is_depeg { 4 } else { 2 };
            let state = if is_bad {
                RateState::Stale
            } else {
                RateState::Fresh
            };
            seen(Price::new(Decimal::new(value, digits)).unwrap(), state)
        });
    }
    seen_all
}

proptest! {
    #[test]
    fn a_walk_never_fires_twice_without_coming_back(terms in any_terms(), walk in any_walk()) {
        let mut state = AlertState::default();
        let mut last: Option<(i64, Option<Price>)> = None;
        let mut came_back = true;
        for (second, observation) in (0..).zip(observations(&terms, &walk)) {
            let (next, fired) = step(&terms, &state, &observation, at(second));
            state = next;
            let value = match observation {
                Observation::Rate(Some(seen)) if seen.state == RateState::Fresh => {
                    Some(seen.value.value())
                }
                _ => None,
            };
            // What coming back means, said in other words than the machine's.
            let hundred = Decimal::ONE_HUNDRED;
            came_back |= match &terms.condition {
                Condition::Threshold { side: Side::Above, .. } => {
                    value.is_some_and(|value| value <= Decimal::new(995, 1))
                }
                Condition::Threshold { .. } => {
                    value.is_some_and(|value| value >= Decimal::new(1005, 1))
                }
                Condition::Depeg { .. } => value.is_some_and(|value| {
                    (value - Decimal::ONE).abs() * hundred <= Decimal::new(5, 1)
                }),
                Condition::Percent { window: None, .. } => {
                    let from = last.and_then(|(_, from)| from);
                    value.zip(from).is_none_or(|(value, from)| {
                        (value - from.value()).abs() * hundred >= from.value()
                    })
                }
                Condition::Percent { .. } => state.is_armed || fired.is_some(),
                Condition::Freeze { .. } | Condition::SourceLoss { .. } => {
                    state.well_since.is_some_and(|since| at(second).since(since).as_secs() >= 3)
                }
            };
            if let Some(fired) = fired {
                prop_assert!(came_back, "fired twice at {second}");
                if let Some((before, _)) = last {
                    let between = u64::try_from(second - before).unwrap();
                    prop_assert!(between >= terms.cooldown.as_secs());
                }
                last = Some((second, fired.value));
                came_back = false;
            }
        }
    }

    #[test]
    fn a_restart_from_what_is_stored_changes_no_firing(
        terms in any_terms(), walk in any_walk(), restarts in prop::collection::vec(any::<bool>(), 300)
    ) {
        let (mut whole, mut restarted) = (AlertState::default(), AlertState::default());
        for ((second, observation), restart) in
            (0..).zip(observations(&terms, &walk)).zip(restarts)
        {
            if restart {
                restarted = serde_json::from_str(&restarted.json()).unwrap();
            }
            let (next, fired) = step(&terms, &whole, &observation, at(second));
            let (next_restarted, fired_restarted) =
                step(&terms, &restarted, &observation, at(second));
            prop_assert_eq!(fired, fired_restarted);
            whole = next;
            restarted = next_restarted;
        }
    }
}
