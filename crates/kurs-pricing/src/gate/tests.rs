use super::*;
use proptest::prelude::*;

const SETTINGS: GateSettings = GateSettings {
    apart: Decimal::from_parts(5, 0, 0, false, 2),
    k: Decimal::from_parts(5, 0, 0, false, 0),
    band: Decimal::from_parts(5, 0, 0, false, 3),
    readmit_after: Duration::from_secs(60),
};

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn votes(values: &[&str]) -> Vec<Vote> {
    values
        .iter()
        .enumerate()
        .map(|(key, value)| Vote {
            key,
            value: value.parse().unwrap(),
        })
        .collect()
}

/// Judges with an empty memory: the median of what is in, and who is out.
fn check(values: &[&str], median: &str, out: &[usize]) {
    let verdict = Gate::default().judge(at(0), &votes(values), &SETTINGS);
    assert_eq!(verdict.median.unwrap().to_string(), median, "{values:?}");
    assert_eq!(outs(&verdict), out, "{values:?}");
}

fn outs(verdict: &Verdict) -> Vec<usize> {
    (0..verdict.out.len())
        .filter(|at| verdict.out[*at])
        .collect()
}

#[test]
fn the_golden_vectors() {
    check(&["1.0000", "1.0001", "1.0002"], "1.0001", &[]);
    check(&["100", "100.02", "130"], "100.01", &[2]);
    check(&["100", "100.1", "99.9", "160"], "100", &[3]);
}

#[test]
fn lone_liars_of_every_size_are_out() {
    for liar in [
        "1000",
        "10",
        "0.0001",
        "79228162514264337593543950335",
        "101",
        "99",
    ] {
        check(&["100", "100.02", liar], "100.01", &[2]);
        check(&["100", "100.1", "99.95", liar], "100", &[3]);
        check(&[liar, "100", "100.02", "100.04", "99.98"], "100.01", &[0]);
    }
}

#[test]
fn prices_that_honestly_lie_apart_are_all_in() {
    check(&["100", "101", "102"], "101", &[]);
    check(&["98", "100", "101.5", "103"], "100.75", &[]);
}

#[test]
fn without_a_majority_nobody_is_out_and_the_verdict_says_so() {
    let mut gate = Gate::default();
    for values in [
        &["100", "100.1", "120", "120.1"][..],
        &["100", "1000"],
        &["100", "120", "150"],
    ] {
        let verdict = gate.judge(at(0), &votes(values), &SETTINGS);
        assert_eq!(outs(&verdict), [0_usize; 0], "{values:?}");
        assert!(verdict.is_dispersed, "{values:?}");
    }
    assert!(
        !gate
            .judge(at(0), &votes(&["100", "100.3"]), &SETTINGS)
            .is_dispersed
    );
}

#[test]
fn two_camps_of_equal_size_too_far_apart_contradict_each_other() {
    let judge = |values: &[&str], settings: &GateSettings| {
        Gate::default()
            .judge(at(0), &votes(values), settings)
            .contradicts
    };
    for (values, expect) in [
        (&["100"][..], false),
        (&["100", "105"], false),
        (&["100", "106"], true),
        (&["100", "1000"], true),
        (&["100", "100.1", "120", "120.1"], true),
        (&["100", "103", "106", "109"], false),
        (&["100", "100", "106"], false),
        (&["100", "1000", "10000"], true),
    ] {
        assert_eq!(judge(values, &SETTINGS), expect, "{values:?}");
    }
    let never = GateSettings {
        apart: Decimal::ZERO,
        ..SETTINGS
    };
    assert!(!judge(&["100", "1000"], &never));
    let wide = GateSettings {
        band: Decimal::ONE,
        ..SETTINGS
    };
    assert!(!judge(&["100", "150"], &wide));
}

#[test]
fn a_price_comes_back_below_half_the_limit_and_not_before() {
    let mut gate = Gate::default();
    gate.judge(at(0), &votes(&["100", "100", "101"]), &SETTINGS);
    // The limit is 0.5: 0.4 away is not enough, 0.25 is.
    let near = gate.judge(at(10), &votes(&["100", "100", "100.4"]), &SETTINGS);
    assert_eq!(outs(&near), [2]);
    assert_eq!(near.next_change, Some(at(60_010)));
    let back = gate.judge(at(20), &votes(&["100", "100", "100.25"]), &SETTINGS);
    assert_eq!(outs(&back), [0_usize; 0]);
    assert!(gate.is_quiet());
}

#[test]
fn a_price_the_majority_agrees_with_is_not_kept_out_longer_than_the_time_out() {
    let mut gate = Gate::default();
    gate.judge(at(0), &votes(&["100", "100", "101"]), &SETTINGS);
    let near = votes(&["100", "100", "100.4"]);
    assert_eq!(outs(&gate.judge(at(1_000), &near, &SETTINGS)), [2]);
    assert_eq!(outs(&gate.judge(at(60_999), &near, &SETTINGS)), [2]);
    assert_eq!(
        outs(&gate.judge(at(61_000), &near, &SETTINGS)),
        [0_usize; 0]
    );
}

#[test]
fn a_liar_never_comes_back_by_waiting() {
    let mut gate = Gate::default();
    for second in 0..1_000 {
        let verdict = gate.judge(
            at(second * 1_000),
            &votes(&["100", "100.02", "130"]),
            &SETTINGS,
        );
        assert_eq!(outs(&verdict), [2]);
        assert_eq!(verdict.median.unwrap().to_string(), "100.01");
    }
}

#[test]
fn a_gate_that_would_exclude_half_forgets_and_judges_anew() {
    let mut gate = Gate::default();
    gate.judge(at(0), &votes(&["100", "100", "100", "101"]), &SETTINGS);
    // Number 3 is near but remembered, number 2 leaves: half of four would be out.
    let verdict = gate.judge(
        at(1_000),
        &votes(&["100", "100", "107", "100.4"]),
        &SETTINGS,
    );
    assert_eq!(outs(&verdict), [2]);
}

#[test]
fn a_jump_of_all_venues_one_after_the_other_is_followed() {
    for count in [3_usize, 4, 5] {
        for factor in ["120", "80"] {
            let mut gate = Gate::default();
            let mut values = vec!["100"; count];
            gate.judge(at(0), &votes(&values), &SETTINGS);
            for jumped in 0..count {
                values[jumped] = factor;
                let verdict = gate.judge(at(1_000), &votes(&values), &SETTINGS);
                let median = verdict.median.unwrap().to_string();
                if 2 * (jumped + 1) < count {
                    assert_eq!(median, "100", "{count} {jumped}");
                } else if 2 * (jumped + 1) == count {
                    assert!(verdict.is_dispersed, "a tie is no agreement");
                } else {
                    assert_eq!(median, factor, "{count} {jumped}");
                }
            }
            assert!(gate.is_quiet());
        }
    }
}

#[test]
fn a_liar_stays_out_when_the_others_fall_silent() {
    let mut gate = Gate::default();
    gate.judge(at(0), &votes(&["100", "100.02", "1000"]), &SETTINGS);
    let two = [votes(&["100"])[0], votes(&["0", "0", "1000"])[2]];
    assert_eq!(outs(&gate.judge(at(100), &two, &SETTINGS)), [1]);
    let alone = [two[1]];
    let verdict = gate.judge(at(200), &alone, &SETTINGS);
    assert_eq!((outs(&verdict), verdict.median), (vec![0], None));
    assert_eq!(verdict.next_change, Some(at(60_000)));
    // An outage must not freeze the price for good.
    let verdict = gate.judge(at(60_000), &alone, &SETTINGS);
    assert_eq!(verdict.median.unwrap().to_string(), "1000");
}

#[test]
fn the_last_agreed_median_tells_which_of_two_lies_for_a_while() {
    let mut gate = Gate::default();
    gate.judge(at(0), &votes(&["100", "100.02", "100.01"]), &SETTINGS);
    let two = votes(&["1000", "100.02"]);
    assert_eq!(outs(&gate.judge(at(100), &two, &SETTINGS)), [0]);
    let mut other = Gate::default();
    assert_eq!(outs(&other.judge(at(100), &two, &SETTINGS)), [0_usize; 0]);
}

proptest! {
    #[test]
    fn honest_prices_within_three_basis_points_are_never_dropped_with_or_without_a_liar(
        steps in prop::collection::vec((any::<bool>(), prop::collection::vec(-15_i64..=15, 4), 1_i64..10_000_000_000, 1_u64..90_000), 1..60),
        count in 3_usize..=4,
        level in 1_i64..100_000_000,
    ) {
        let mut gate = Gate::default();
        let mut time = 0;
        let mut center = Decimal::new(level, 4);
        for (lies, offsets, lie, pause) in &steps {
            time += pause;
            // The market itself moves a little with every step.
            center *= Decimal::new(100_000 + offsets[0], 5);
            let mut judged: Vec<Vote> = offsets.iter().take(count).enumerate().map(|(key, offset)| Vote {
                key,
                value: center * Decimal::new(100_000 + offset, 5),
            }).collect();
            if *lies {
                judged[count - 1].value = Decimal::new(*lie, 3);
            }
            let verdict = gate.judge(at(time), &judged, &SETTINGS);
            for honest in 0..count - 1 {
                prop_assert!(!verdict.out[honest], "{honest} of {judged:?}");
            }
            let median = verdict.median.unwrap();
            let allowed = center * Decimal::new(6, 3);
            prop_assert!(distance(median, center) <= allowed, "{median} is far from {center}");
        }
    }

    #[test]
    fn no_numbers_make_it_panic_and_the_median_is_never_outside_them(
        steps in prop::collection::vec((prop::collection::vec((any::<[u32; 3]>(), 0_u32..28), 0..7), 0_u64..100_000), 1..20),
    ) {
        let mut gate = Gate::default();
        let mut time = 0;
        for (values, pause) in &steps {
            time += pause;
            let judged: Vec<Vote> = values.iter().enumerate().map(|(key, (digits, scale))| Vote {
                key,
                value: Decimal::from_parts(digits[0], digits[1], digits[2], false, *scale),
            }).collect();
            let verdict = gate.judge(at(time), &judged, &SETTINGS);
            prop_assert_eq!(verdict.out.len(), judged.len());
            if let Some(median) = verdict.median {
                prop_assert!(judged.iter().any(|vote| vote.value <= median) && judged.iter().any(|vote| vote.value >= median));
            }
            prop_assert!(judged.len() < MAJORITY_OF || verdict.median.is_some(), "an empty set of three or more");
        }
    }
}
