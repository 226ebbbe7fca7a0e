//! What holds whatever the sources do.

use super::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Stream(u8, u8, u32),
    Table(u8, u32),
    Down(u8),
    Up(u8),
    Silent(u8, u8),
    Untrack(u8, u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u8..2, 0_u8..3, 1_u32..1_000).prop_map(|(s, m, p)| Step::Stream(s, m, p)),
        2 => (0_u8..2, 1_u32..1_000).prop_map(|(s, p)| Step::Table(s, p)),
        1 => (0_u8..4).prop_map(Step::Down),
        1 => (0_u8..4).prop_map(Step::Up),
        1 => (0_u8..2, 0_u8..3).prop_map(|(s, m)| Step::Silent(s, m)),
        1 => (0_u8..2, 0_u8..3).prop_map(|(s, m)| Step::Untrack(s, m)),
        4 => (1_u16..4_000).prop_map(Step::Wait),
    ]
}

const POLICIES: [(&str, &str); 5] = [
    ("BTC-USDT", r#"{"kind": "median"}"#),
    ("ETH-USDT", r#"{"kind": "merged", "min_sources": 1}"#),
    (
        "USDT-USD",
        r#"{"kind": "median", "below_min": "none", "min_sources": 1}"#,
    ),
    (
        "BTC-RUB",
        r#""first(median(binance, kraken)(BTC-USDT) * USDT-USD, BTC-USD) * cbr(USD-RUB)""#,
    ),
    ("USDT-RUB", r#"{"value": 90, "until": "2027-01-15"}"#),
];

fn run(steps: &[Step]) -> Desk {
    let desk = Desk::new(&["BTC-USD", "BTC-RUB", "ETH-RUB", "USDT-RUB"]);
    run_at(desk, steps)
}

fn run_at(mut desk: Desk, steps: &[Step]) -> Desk {
    let names = ["binance", "kraken", "coingecko", "cbr"];
    let markets = ["BTC-USDT", "ETH-USDT", "BTC-USD"];
    for step in steps {
        let now = desk.now;
        match step {
            Step::Stream(s, m, p) => {
                let (bid, ask) = (p.to_string(), (p + 1).to_string());
                desk.stream(names[usize::from(*s)], markets[usize::from(*m)], &bid, &ask)
            }
            Step::Table(0, p) => {
                let value = format!("0.{p:04}1");
                desk.table(
                    "coingecko",
                    TABLE,
                    &[("USDT-USD", &value), ("BTC-USD", "9"), ("BTC-RUB", "7")],
                )
            }
            Step::Table(_, p) => desk.table("cbr", DAY, &[("USD-RUB", &p.to_string())]),
            Step::Down(s) => desk.state(names[usize::from(*s)], SourceState::Down, "cut"),
            Step::Up(s) => desk.state(names[usize::from(*s)], SourceState::Live, ""),
            Step::Silent(s, m) => desk.say(
                names[usize::from(*s)],
                EventKind::PairState {
                    pair: pair(markets[usize::from(*m)]),
                    state: SourceState::Stale,
                    why: "silent".into(),
                },
            ),
            Step::Untrack(s, m) => desk.say(
                names[usize::from(*s)],
                EventKind::Untracked(pair(markets[usize::from(*m)])),
            ),
            Step::Wait(ms) => desk.wait(Duration::from_millis(u64::from(*ms))),
        };
        assert!(desk.now.mono >= now.mono);
    }
    desk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_same_events_give_the_same_effects(steps in prop::collection::vec(step(), 1..80)) {
        prop_assert_eq!(run(&steps).effects, run(&steps).effects);
    }

    #[test]
    fn with_every_kind_of_policy_the_same_events_give_the_same_effects_and_nothing_fresh_is_over(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let desk = || Desk::with(&["BTC-USD", "ETH-RUB"], &POLICIES);
        let (once, again) = (run_at(desk(), &steps), run_at(desk(), &steps));
        prop_assert_eq!(&once.effects, &again.effects);
        for effect in &once.effects {
            let Effect::Publish(rate) = effect else { continue };
            if rate.state == RateState::Fresh {
                prop_assert!(!rate.valid_for.is_zero(), "{:?}", rate);
                if let (Some(bid), Some(ask)) = (rate.bid, rate.ask) {
                    prop_assert!(bid <= rate.value && rate.value <= ask, "{:?}", rate);
                }
            }
        }
    }

    #[test]
    fn no_rate_outlives_its_legs_and_no_old_price_is_ever_fresh(steps in prop::collection::vec(step(), 1..120)) {
        let desk = run(&steps);
        for effect in &desk.effects {
            let Effect::Publish(rate) = effect else { continue };
            if rate.state == RateState::Fresh {
                prop_assert!(!rate.valid_for.is_zero());
                for leg in rate.legs().iter() {
                    prop_assert!(rate.expires_at() <= leg.expires_at, "{:?}", rate);
                    prop_assert!(rate.observed_at <= leg.observed_at);
                }
                prop_assert!(rate.legs().len() <= crate::cross::MAX_LEGS);
                if let (Some(bid), Some(ask)) = (rate.bid, rate.ask) {
                    prop_assert!(bid <= rate.value && rate.value <= ask, "{:?}", rate);
                }
            }
        }
        // What is fresh by the last word of the engine is really within its validity.
        for slot in &desk.engine.pairs {
            if let Some(published) = &slot.published && published.state == RateState::Fresh {
                prop_assert!(desk.now.mono < published.valid_until.plus(SCAN_EVERY * 2));
            }
        }
    }
}
