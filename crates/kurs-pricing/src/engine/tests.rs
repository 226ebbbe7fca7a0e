mod books;
mod guard;
mod medians;
mod rules;

use super::*;
use kurs_core::{Depth, Level, Price, Quote, Rate, RateState, SourceKind, Tick, Wall};
use proptest::prelude::*;

const HOLD: Duration = Duration::from_secs(10);
const STREAM: Duration = Duration::from_secs(5);
const TABLE: Duration = Duration::from_secs(70);
const DAY: Duration = Duration::from_secs(86_400);

/// An engine with its clock; every step collects what was published.
struct Desk {
    engine: Engine,
    now: Now,
    effects: Vec<Effect>,
}

fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn info(name: &str, kind: SourceKind, priority: u16) -> SourceInfo {
    SourceInfo {
        id: source(name),
        kind,
        priority,
        hold: HOLD,
    }
}

fn tick(market: &str, quote: Quote, valid_for: Duration) -> Tick {
    Tick {
        pair: pair(market),
        quote,
        sizes: None,
        observed_at: None,
        valid_for,
        event_id: None,
    }
}

impl Desk {
    /// Five exchanges and policies as a configuration file writes them, in JSON.
    fn with(directions: &[&str], policies: &[(&str, &str)]) -> Self {
        let sources = vec![
            info("binance", SourceKind::Exchange, 1),
            info("coinbase", SourceKind::Exchange, 2),
            info("kraken", SourceKind::Exchange, 3),
            info("bybit", SourceKind::Exchange, 4),
            info("okx", SourceKind::Exchange, 5),
            info("coingecko", SourceKind::Aggregator, 6),
            info("cbr", SourceKind::Bank, 10),
            info("ecb", SourceKind::Bank, 11),
        ];
        let directions = directions.iter().map(|text| pair(text)).collect();
        let mut config = EngineConfig::new(sources, directions);
        for (market, policy) in policies {
            let written: crate::WrittenPolicy = serde_json::from_str(policy).unwrap();
            config.policies.insert(pair(market), written.0);
        }
        Self {
            engine: Engine::new(config),
            ..Self::new(&[])
        }
    }

    fn depth(&mut self, name: &str, market: &str, bids: &str, asks: &str) -> &mut Self {
        let side = |text: &str| -> Box<[Level]> {
            let level = |part: &str| {
                let (at, size) = part.split_once('x').unwrap();
                Level {
                    price: price(at),
                    size: size.parse().unwrap(),
                }
            };
            text.split(' ').map(level).collect()
        };
        let depth = Some(Arc::new(Depth {
            bids: side(bids),
            asks: side(asks),
        }));
        let pair = pair(market);
        self.say(
            name,
            EventKind::Depth {
                pair,
                depth,
                valid_for: STREAM,
            },
        )
    }

    /// A tick whose bid and ask are half a percent of a percent around the value.
    fn near(&mut self, name: &str, market: &str, value: &str) -> &mut Self {
        let value: rust_decimal::Decimal = value.parse().unwrap();
        let around = value * rust_decimal::Decimal::new(5, 5);
        let (bid, ask) = ((value - around).to_string(), (value + around).to_string());
        self.stream(name, market, &bid, &ask)
    }

    fn evidence(&self, market: &str) -> &kurs_core::rate::Evidence {
        self.last(market).unwrap().evidence.as_ref().unwrap()
    }

    fn reason(&self, market: &str) -> &str {
        &self.last(market).unwrap().choice.reason
    }

    fn new(directions: &[&str]) -> Self {
        let sources = vec![
            info("binance", SourceKind::Exchange, 1),
            info("kraken", SourceKind::Exchange, 3),
            info("coingecko", SourceKind::Aggregator, 6),
            info("cbr", SourceKind::Bank, 10),
        ];
        let directions = directions.iter().map(|text| pair(text)).collect();
        let config = EngineConfig::new(sources, directions);
        let now = Now {
            mono: Mono(1_000_000_000),
            wall: Wall::from_unix_seconds(1_800_000_000),
        };
        Self {
            engine: Engine::new(config),
            now,
            effects: Vec::new(),
        }
    }

    fn say(&mut self, name: &str, kind: EventKind) -> &mut Self {
        let event = SourceEvent {
            source: source(name),
            received: self.now,
            kind,
        };
        self.engine.handle(self.now, &event, &mut self.effects);
        self
    }

    fn stream(&mut self, name: &str, market: &str, bid: &str, ask: &str) -> &mut Self {
        let quote = Quote::sides(price(bid), price(ask)).unwrap();
        self.say(name, EventKind::Tick(tick(market, quote, STREAM)))
    }

    fn table(&mut self, name: &str, valid_for: Duration, rows: &[(&str, &str)]) -> &mut Self {
        let ticks: Vec<Tick> = rows
            .iter()
            .map(|(market, value)| tick(market, Quote::Single(price(value)), valid_for))
            .collect();
        self.say(name, EventKind::Table(ticks.into()))
    }

    fn state(&mut self, name: &str, state: SourceState, why: &str) -> &mut Self {
        self.say(
            name,
            EventKind::State {
                state,
                why: why.into(),
            },
        )
    }

    /// Lets time pass in small steps, as the engine's thread does.
    fn wait(&mut self, duration: Duration) -> &mut Self {
        let step = Duration::from_millis(20);
        let mut left = duration;
        while !left.is_zero() {
            let now = step.min(left);
            self.now = self.now.plus(now);
            left -= now;
            self.engine.advance(self.now, &mut self.effects);
        }
        self
    }

    fn last(&self, market: &str) -> Option<&Rate> {
        self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Publish(rate) if rate.pair == pair(market) => Some(rate),
            _ => None,
        })
    }

    fn check(&self, market: &str, expect: &str) {
        let found = self
            .last(market)
            .map(|rate| format!("{} {} {}", rate.value, rate.source, rate.state.as_str()));
        assert_eq!(found.as_deref(), Some(expect), "{market}");
    }
}

#[test]
fn the_default_directions_are_priced_over_the_best_source_and_the_bank() {
    let mut desk = Desk::new(&["BTC-USD", "BTC-RUB", "USDT-USD", "USDT-RUB"]);
    desk.stream("binance", "BTC-USDT", "59999.00", "60001.00");
    assert!(desk.last("BTC-USD").is_none(), "USDT is not USD");
    desk.table(
        "coingecko",
        TABLE,
        &[("USDT-USD", "0.9990"), ("BTC-USD", "1"), ("BTC-RUB", "2")],
    );
    desk.check("BTC-USD", "59940 binance fresh");
    desk.check("BTC-RUB", "2 coingecko fresh");
    desk.table("cbr", DAY, &[("USD-RUB", "90.50")]);
    desk.check("BTC-RUB", "5424570 binance fresh");
    desk.check("USDT-RUB", "90.4095 coingecko fresh");
    let legs: Vec<String> = desk
        .last("BTC-RUB")
        .unwrap()
        .legs()
        .iter()
        .map(|leg| format!("{}@{}", leg.pair, leg.source))
        .collect();
    assert_eq!(
        legs,
        ["BTC-USDT@binance", "USDT-USD@coingecko", "USD-RUB@cbr"]
    );
}

#[test]
fn a_direct_price_keeps_its_venues_digits() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "61837.63000000", "61837.64000000");
    let rate = desk.last("BTC-USDT").unwrap();
    assert_eq!(rate.bid.unwrap().to_string(), "61837.63000000");
    assert_eq!(rate.ask.unwrap().to_string(), "61837.64000000");
    assert_eq!(rate.value.to_string(), "61837.635");
    assert_eq!(rate.confidence.unwrap().to_string(), "0.005");
}

#[test]
fn a_lost_connection_moves_the_rate_to_the_next_source_in_the_same_call() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102")
        .stream("kraken", "BTC-USDT", "101", "103");
    desk.check("BTC-USDT", "101 binance fresh");
    desk.state("binance", SourceState::Down, "connection reset");
    desk.check("BTC-USDT", "102 kraken fresh");
    let reason = &desk.last("BTC-USDT").unwrap().choice.reason;
    assert!(
        reason.contains("binance down (connection reset)"),
        "{reason}"
    );
}

#[test]
fn the_better_source_is_used_again_after_its_hold_time_and_not_before() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102")
        .stream("kraken", "BTC-USDT", "101", "103");
    desk.state("binance", SourceState::Down, "connection reset");
    desk.wait(Duration::from_millis(300))
        .state("binance", SourceState::Live, "");
    for _ in 0..9 {
        desk.stream("binance", "BTC-USDT", "100", "102")
            .stream("kraken", "BTC-USDT", "101", "103");
        desk.wait(Duration::from_secs(1));
        desk.check("BTC-USDT", "102 kraken fresh");
    }
    desk.stream("binance", "BTC-USDT", "100", "102")
        .stream("kraken", "BTC-USDT", "101", "103");
    desk.wait(Duration::from_millis(1_100));
    desk.check("BTC-USDT", "101 binance fresh");
}

#[test]
fn what_was_true_before_a_loss_is_not_used_after_it() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102");
    desk.state("binance", SourceState::Down, "reset")
        .state("binance", SourceState::Live, "");
    desk.stream("kraken", "BTC-USDT", "101", "103");
    desk.check("BTC-USDT", "102 kraken fresh");
}

#[test]
fn a_valid_rate_survives_the_loss_of_its_only_source_until_it_expires() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102")
        .state("binance", SourceState::Down, "reset");
    desk.wait(Duration::from_millis(4_900));
    desk.check("BTC-USDT", "101 binance fresh");
    desk.wait(Duration::from_millis(200));
    desk.check("BTC-USDT", "101 binance stale");
}

#[test]
fn a_silent_stream_gives_way_before_its_price_expires() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102")
        .stream("kraken", "BTC-USDT", "101", "103");
    let silent = |state, why: &str| EventKind::PairState {
        pair: pair("BTC-USDT"),
        state,
        why: why.into(),
    };
    desk.say("binance", silent(SourceState::Stale, "silent for 3 s"));
    desk.check("BTC-USDT", "102 kraken fresh");
}

#[test]
fn when_all_sources_are_dead_every_rate_is_said_to_be_stale() {
    let mut desk = Desk::new(&["BTC-RUB"]);
    desk.stream("binance", "BTC-USDT", "59999", "60001")
        .table("coingecko", TABLE, &[("USDT-USD", "0.9990")])
        .table("cbr", DAY, &[("USD-RUB", "90.5")]);
    desk.check("BTC-RUB", "5424570 binance fresh");
    desk.wait(Duration::from_secs(6));
    desk.check("BTC-RUB", "5424570 binance stale");
    desk.check("USDT-USD", "0.9990 coingecko fresh");
    assert_eq!(
        desk.last("BTC-RUB").unwrap().legs().len(),
        3,
        "the stale rate still shows its way"
    );
    desk.wait(DAY);
    desk.check("USD-RUB", "90.5 cbr stale");
}

#[test]
fn a_lost_leg_takes_the_derived_rates_to_the_next_way_at_once() {
    let mut desk = Desk::new(&["BTC-USD"]);
    desk.table(
        "coingecko",
        STREAM,
        &[("USDT-USD", "1.001"), ("BTC-USD", "60300")],
    );
    desk.stream("binance", "BTC-USDT", "59999", "60001");
    desk.check("BTC-USD", "60060 binance fresh");
    for _ in 0..3 {
        desk.wait(Duration::from_secs(2))
            .stream("binance", "BTC-USDT", "59999", "60001");
    }
    desk.check("BTC-USD", "60060 binance stale");
    desk.table("coingecko", STREAM, &[("USDT-USD", "1.002")]);
    desk.check("BTC-USD", "60120 binance fresh");
}

#[test]
fn a_withdrawn_symbol_is_withdrawn_and_comes_back_when_tracked_again() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "SOL-USDT", "10", "11");
    desk.say("binance", EventKind::Untracked(pair("SOL-USDT")));
    assert!(desk.effects.contains(&Effect::Withdraw(pair("SOL-USDT"))));
    desk.stream("binance", "SOL-USDT", "10", "11");
    desk.check("SOL-USDT", "10.5 binance fresh");
}

#[test]
fn an_unchanged_price_is_published_again_only_after_the_refresh_time() {
    let mut desk = Desk::new(&[]);
    let count = |desk: &Desk| {
        desk.effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Publish(_)))
            .count()
    };
    desk.stream("binance", "BTC-USDT", "100", "102");
    for _ in 0..9 {
        desk.wait(Duration::from_millis(100))
            .stream("binance", "BTC-USDT", "100", "102");
    }
    assert_eq!(count(&desk), 1);
    desk.wait(Duration::from_millis(200))
        .stream("binance", "BTC-USDT", "100", "102");
    assert_eq!(count(&desk), 2);
    desk.stream("binance", "BTC-USDT", "100", "103");
    assert_eq!(count(&desk), 3);
}

#[test]
fn every_changed_price_is_recorded_and_own_prices_are_published_conflated() {
    let mut desk = Desk::new(&[]);
    for step in 0..50 {
        desk.stream("binance", "BTC-USDT", &format!("{}", 100 + step), "200");
        desk.wait(Duration::from_millis(10));
    }
    desk.wait(Duration::from_millis(200));
    let recorded = desk
        .effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Record(_)))
        .count();
    let published: Vec<_> = desk
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::PublishSource(rate) => Some(rate.bid.unwrap().to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(recorded, 50);
    assert!(
        (5..=8).contains(&published.len()),
        "{} messages in half a second",
        published.len()
    );
    assert_eq!(
        published.last().map(String::as_str),
        Some("149"),
        "the last price is never lost"
    );
}

#[test]
fn a_policy_can_prefer_another_order_of_sources() {
    let mut desk = Desk::new(&["BTC-USD"]);
    let policy = crate::Policy {
        sources: vec![source("coingecko")],
        ..crate::Policy::default()
    };
    desk.engine.config.policies.insert(pair("BTC-USD"), policy);
    desk.stream("binance", "BTC-USDT", "59999", "60001");
    desk.table(
        "coingecko",
        TABLE,
        &[("USDT-USD", "0.9990"), ("BTC-USD", "60500")],
    );
    desk.check("BTC-USD", "60500 coingecko fresh");
}

#[test]
fn a_pair_and_its_inverse_follow_the_same_source() {
    let mut desk = Desk::new(&["USD-RUB", "RUB-USD"]);
    desk.table("cbr", DAY, &[("USD-RUB", "80")]);
    desk.check("USD-RUB", "80 cbr fresh");
    desk.check("RUB-USD", "0.0125 cbr fresh");
    assert!(desk.last("RUB-USD").unwrap().legs()[0].inverted);
}

#[test]
fn the_reason_follows_what_the_source_says_of_itself() {
    let mut desk = Desk::new(&[]);
    desk.stream("binance", "BTC-USDT", "100", "102")
        .stream("kraken", "BTC-USDT", "101", "103");
    desk.say(
        "binance",
        EventKind::PairState {
            pair: pair("BTC-USDT"),
            state: SourceState::Stale,
            why: "silent".into(),
        },
    );
    for why in [
        "connection reset",
        "the handshake was refused with HTTP 451",
    ] {
        desk.state("binance", SourceState::Down, why);
        desk.stream("kraken", "BTC-USDT", "101", "103");
        let reason = &desk.last("BTC-USDT").unwrap().choice.reason;
        assert!(
            reason.ends_with(&format!("binance down ({why})")),
            "{reason}"
        );
    }
}

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
