//! What a pair's policy says goes before every way around it.

use super::*;
use kurs_bus::NoRate;
use kurs_core::Leg;
use kurs_core::rate::{Evidence, PolicyKind};

impl Desk {
    fn no_rate(&mut self, market: &str, why: &str) -> bool {
        self.send(Body::NoRate(NoRate {
            pair: pair(market),
            why: why.into(),
            withdraws: false,
        }))
    }

    /// A rate made by a policy over other markets.
    fn made(&mut self, market: &str, value: &str, kind: PolicyKind) {
        let mut rate = self.rate(market, value, kind.as_str(), MAX_AGE);
        rate.legs = Some(Arc::from([Leg {
            pair: rate.pair,
            source: rate.source,
            value: rate.value,
            inverted: false,
            observed_at: rate.observed_at,
            expires_at: rate.expires_at(),
        }]));
        rate.evidence = Some(Arc::new(Evidence {
            policy: kind,
            price: kurs_core::rate::FairMethod::Mid,
            rule: None,
            evaluated: None,
            constituents: Vec::new(),
            gate: None,
            spread_percent: None,
            fixed: None,
            notes: Vec::new(),
        }));
        assert!(self.send(Body::Rate(rate)));
    }
}

#[test]
fn where_a_policy_gives_no_rate_no_way_around_it_is_served() {
    let mut desk = Desk::new();
    desk.markets();
    assert_eq!(desk.value("BTC-USD"), "59940");
    assert!(desk.no_rate("BTC-USD", "no rate: 1 of at least 9 sources"));
    for asked in ["BTC-USD", "USD-BTC"] {
        let Err(Missing::NoRate(of, why)) = desk.view.rate(pair(asked), None) else {
            panic!("{asked} is served");
        };
        assert_eq!(
            (of, &*why),
            (pair(asked), "no rate: 1 of at least 9 sources")
        );
    }
    for (base, other) in [("BTC", "BTC-USD"), ("USD", "USD-BTC")] {
        let list = desk.view.list(Asset::parse(base).unwrap()).unwrap();
        let list = String::from_utf8(list.body.to_vec()).unwrap();
        let unwanted = format!(r#""pair":"{other}""#);
        assert!(!list.contains(&unwanted), "{list}");
    }
    desk.publish("BTC-USD", "60500", "kraken", MAX_AGE);
    assert_eq!(desk.value("BTC-USD"), "60500");
}

#[test]
fn a_reason_for_no_rate_leaves_what_an_earlier_writer_published_to_its_end() {
    let mut desk = Desk::new();
    desk.publish("BTC-USD", "60000", "kraken", MAX_AGE);
    assert!(desk.no_rate("BTC-USD", "no source has given a price yet"));
    assert_eq!(desk.value("BTC-USD"), "60000");
    desk.clock.advance(MAX_AGE);
    let missing = desk.view.rate(pair("BTC-USD"), None).unwrap_err();
    assert!(matches!(missing, Missing::Expired(_)), "{missing:?}");
}

#[test]
fn a_rate_under_changed_terms_is_not_served_and_no_way_around_it_either() {
    let mut desk = Desk::new();
    desk.markets();
    desk.publish("BTC-USD", "1", "fixed", MAX_AGE);
    assert!(desk.send(Body::NoRate(NoRate {
        pair: pair("BTC-USD"),
        why: "changed".into(),
        withdraws: true,
    })));
    let missing = desk.view.rate(pair("BTC-USD"), None).unwrap_err();
    assert_eq!(missing, Missing::NoRate(pair("BTC-USD"), "changed".into()));
}

#[test]
fn a_withdrawn_pair_is_forgotten_with_its_reason() {
    let mut desk = Desk::new();
    desk.markets();
    desk.publish("BTC-USD", "1", "fixed", MAX_AGE);
    assert!(desk.no_rate("BTC-USD", "why"));
    assert!(desk.send(Body::Withdrawn(pair("BTC-USD"))));
    assert_eq!(desk.value("BTC-USD"), "59940");
}

#[test]
fn a_pair_and_its_inverse_never_disagree_whatever_the_rate_is_made_of() {
    let mut desk = Desk::new();
    desk.markets();
    desk.publish("USDT-RUB", "91", "kraken", MAX_AGE);
    desk.made("BTC-RUB", "5000000", PolicyKind::Rule);
    assert_eq!(desk.value("RUB-BTC"), "0.0000002");
    let list = desk.view.list(Asset::parse("RUB").unwrap()).unwrap();
    let list = String::from_utf8(list.body.to_vec()).unwrap();
    assert!(
        list.contains(r#""pair":"RUB-BTC","value":"0.0000002""#),
        "{list}"
    );
    desk.clock.advance(MAX_AGE);
    let missing = desk.view.rate(pair("RUB-BTC"), None).unwrap_err();
    assert!(matches!(missing, Missing::Expired(_)), "{missing:?}");
}

#[test]
fn an_inverse_names_the_legs_of_the_rate_the_other_way_round_and_who_serves() {
    let mut desk = Desk::new();
    let mut rate = desk.rate("BTC-RUB", "5000000", "binance", MAX_AGE);
    let leg = |market: &str, by: &str, inverted| Leg {
        pair: pair(market),
        source: source(by),
        value: Price::parse("2").unwrap(),
        inverted,
        observed_at: rate.observed_at,
        expires_at: rate.expires_at(),
    };
    let legs = [
        leg("BTC-USDT", "binance", false),
        leg("RUB-USDT", "kraken", true),
    ];
    rate.legs = Some(Arc::from(legs));
    assert!(desk.send(Body::Rate(rate)));
    let answer = desk.view.rate(pair("RUB-BTC"), None).unwrap();
    assert_eq!(answer.document.source, source("binance"));
    assert_eq!(answer.document.path, [pair("RUB-USDT"), pair("BTC-USDT")]);
    let turned: Vec<bool> = answer
        .document
        .legs
        .iter()
        .map(|leg| leg.inverted)
        .collect();
    assert_eq!(turned, [false, true]);
    let list = desk.view.list(Asset::parse("RUB").unwrap()).unwrap();
    let body = String::from_utf8(list.body.to_vec()).unwrap();
    assert!(body.contains(r#""path":["RUB-USDT","BTC-USDT"]"#), "{body}");
    assert!(body.contains(r#""source":"binance","state""#), "{body}");
}

#[test]
fn a_median_with_a_carried_price_in_it_is_a_market_and_a_rule_is_none() {
    let mut desk = Desk::new();
    desk.made("BTC-USD", "60000", PolicyKind::Median);
    desk.publish("USD-RUB", "90", "cbr", MAX_AGE);
    assert_eq!(desk.value("BTC-RUB"), "5400000");
    let mut desk = Desk::new();
    desk.made("BTC-USD", "60000", PolicyKind::Rule);
    desk.publish("USD-RUB", "90", "cbr", MAX_AGE);
    assert!(desk.view.rate(pair("BTC-RUB"), None).is_err());
}

#[test]
fn a_pair_whose_markets_are_all_down_exists_and_one_that_nobody_has_does_not() {
    let mut desk = Desk::new();
    let now = desk.clock.now().wall;
    for (market, by) in [("SOL-USD", "kraken"), ("USD-AMD", "cbr")] {
        desk.send(Body::SourcePrice(SourcePrice {
            source: source(by),
            pair: pair(market),
            value: Price::parse("2").unwrap(),
            bid: None,
            ask: None,
            state: SourceState::Down,
            why: "no connection".into(),
            observed_at: now,
            received_at: now,
            published_at: now,
            valid_for: Duration::ZERO,
        }));
        desk.publish(market, "2", by, Duration::ZERO);
        assert!(desk.send(Body::Withdrawn(pair(market))));
    }
    desk.publish("XAU-XAG", "80", "kraken", MAX_AGE);
    desk.view.set_loaded();
    let missing = |asked: &str| desk.view.rate(pair(asked), None).unwrap_err();
    assert_eq!(missing("SOL-AMD"), Missing::NoRateYet(pair("SOL-AMD")));
    assert_eq!(missing("SOL-XAG"), Missing::NoPath(pair("SOL-XAG")));
}
