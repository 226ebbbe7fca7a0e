//! Tests of the reducer.

use super::*;
use serde_json::json;
use std::cmp::Ordering;

pub(in crate::commands::watch) const START: &str = "2026-11-22T10:00:00.000Z";

/// This many milliseconds after the start, on a machine whose clock is an hour ahead.
pub(in crate::commands::watch) fn at(milliseconds: u64) -> Now {
    let start = START.parse::<Wall>().unwrap();
    let passed = Duration::from_millis(milliseconds);
    Now {
        mono: Mono(0).plus(passed),
        wall: start.plus(Duration::from_secs(3_600)).plus(passed),
    }
}

/// The server's time at that moment.
pub(in crate::commands::watch) fn wall(milliseconds: u64) -> Wall {
    let start = START.parse::<Wall>().unwrap();
    start.plus(Duration::from_millis(milliseconds))
}

/// A rate that was observed and published at this moment and is good for five seconds.
pub(in crate::commands::watch) fn rate(pair: &str, value: &str, milliseconds: u64) -> Value {
    json!({"topic": format!("rate:{pair}"), "rate": {
        "pair": pair, "value": value, "bid": "1.5", "ask": "2.5", "source": "binance",
        "state": "fresh", "observed_at": wall(milliseconds), "published_at": wall(milliseconds),
        "expires_at": wall(milliseconds + 5_000),
    }})
}

pub(in crate::commands::watch) fn model(pairs: &[&str]) -> Model {
    let pairs: Vec<String> = pairs.iter().map(|pair| (*pair).to_owned()).collect();
    let mut model = Model::new(&pairs, at(0));
    model.opened(Some(wall(0)), at(0));
    model
}

#[test]
fn a_rate_is_shown_with_all_its_digits_and_its_changes() {
    let mut model = model(&["BTC-USD"]);
    let first = rate("BTC-USD", "100.0000000000000001", 0);
    model.event("snapshot", &json!({"rates": [first["rate"]]}), at(0));
    model.event("rate", &rate("BTC-USD", "101.5", 1_000), at(1_000));
    let row = &model.rows[0];
    assert_eq!((row.text.as_str(), row.moved), ("101.5", Ordering::Greater));
    let changes = row
        .changes(wall(1_000))
        .map(|change| change.map(|c| c.to_string()));
    assert_eq!(changes, [Some("1.50".to_owned()), None]);
    assert_eq!(row.first.unwrap().to_string(), "100.0000000000000001");
}

#[test]
fn ages_count_on_by_the_servers_clock() {
    let mut model = model(&["BTC-USD"]);
    model.event("rate", &rate("BTC-USD", "1", 2_000), at(2_100));
    let age = |model: &Model, milliseconds| model.rows[0].age_ms(model.time(at(milliseconds)));
    assert_eq!(age(&model, 2_100), Some(100));
    assert_eq!(age(&model, 9_100), Some(7_100));
}

#[test]
fn what_has_run_out_is_stale_even_when_nobody_says_so() {
    let mut model = model(&["BTC-USD"]);
    model.event("rate", &rate("BTC-USD", "1", 0), at(0));
    let state = |milliseconds| model.rows[0].state_at(model.time(at(milliseconds)));
    assert_eq!([state(5_000), state(5_001)], ["fresh", "stale"]);
    assert_eq!(
        (model.troubled(wall(0)), model.troubled(wall(6_000))),
        (0, 1)
    );
}

#[test]
fn a_pair_without_a_rate_says_why_until_it_has_one() {
    let mut model = model(&["BTC-XXX"]);
    let error =
        json!({"topic": "rate:BTC-XXX", "code": "unknown-pair", "detail": "no market\u{1b}[2J"});
    model.event("snapshot", &json!({"errors": [error]}), at(0));
    assert_eq!(
        model.rows[0].why, "no market\u{fffd}[2J",
        "nothing drives the terminal"
    );
    assert_eq!(model.rows[0].state_at(wall(0)), "no rate");
    model.event("rate", &rate("BTC-XXX", "1", 0), at(0));
    assert!(model.rows[0].why.is_empty());
}

#[test]
fn a_loss_counts_from_its_begin_and_ends_with_the_next_connection() {
    let mut model = model(&["BTC-USD"]);
    model.lost("it broke", Duration::from_secs(1), at(1_000));
    model.lost("refused", Duration::from_secs(2), at(2_000));
    let expected = Link::Lost {
        since: at(1_000).mono,
        why: "refused".to_owned(),
        again: at(4_000).mono,
    };
    assert_eq!(model.link, expected);
    model.opened(None, at(5_000));
    assert!(matches!(model.link, Link::Live { .. }));
}

#[test]
fn sources_stand_in_order_of_preference_and_mark_simulated_prices() {
    let mut model = model(&["BTC-USD"]);
    assert!(!model.is_simulated());
    for (name, priority, state) in [
        ("sim:okx", 5, "live"),
        ("sim:binance", 1, "down"),
        ("sim:okx", 5, "stale"),
    ] {
        let status = json!({"source": name, "priority": priority, "state": state, "mode": "websocket", "why": ""});
        model.event(
            "source",
            &json!({"topic": "sources", "status": status}),
            at(0),
        );
    }
    let named: Vec<_> = model
        .sources
        .iter()
        .map(|s| (s.name.as_str(), s.state.as_str()))
        .collect();
    assert_eq!(named, [("sim:binance", "down"), ("sim:okx", "stale")]);
    assert!(model.is_simulated());
}

#[test]
fn past_minutes_make_the_change_of_an_hour_known() {
    let mut model = model(&["BTC-USD"]);
    let second = wall(0).unix_seconds();
    model.event("rate", &rate("BTC-USD", "110", 0), at(0));
    model.candles(
        "BTC-USD",
        &[
            (second - 3_600, Decimal::from(100)),
            (second - 60, Decimal::from(105)),
        ],
    );
    let [_, hour] = model.rows[0].changes(wall(0));
    assert_eq!(hour.unwrap().to_string(), "10.00");
    assert_eq!(model.trend_begin(wall(0)), second - 3_600);
}

#[test]
fn a_gap_is_counted_and_what_is_unknown_is_passed_over() {
    let mut model = model(&["BTC-USD"]);
    model.event("gap", &json!({"reason": "slow", "missed": 3}), at(0));
    model.event("later", &json!([1]), at(0));
    model.event("rate", &json!({"topic": 7}), at(0));
    model.event("rate", &rate("ETH-USD", "1", 0), at(0));
    assert_eq!((model.gaps, model.rows[0].text.as_str()), (1, ""));
}
