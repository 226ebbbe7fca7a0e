//! The policy `priority`, and what holds for every policy.

use super::*;

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
