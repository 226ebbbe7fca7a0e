//! A rate with everything behind it.

use super::*;
use kurs_core::Leg;
use kurs_core::rate::{Constituent, Evidence, FairMethod, PolicyKind};

const HOUR: Duration = Duration::from_secs(3_600);

fn evidence(policy: PolicyKind, constituents: Vec<Constituent>) -> Option<Arc<Evidence>> {
    Some(Arc::new(Evidence {
        policy,
        price: FairMethod::Mid,
        rule: None,
        evaluated: None,
        constituents,
        gate: None,
        spread_percent: None,
        fixed: None,
        notes: Vec::new(),
    }))
}

impl Desk {
    fn part(&self, by: &str, market: &str, value: &str, used: bool) -> Constituent {
        Constituent {
            source: source(by),
            pair: pair(market),
            path: Vec::new(),
            value: Some(Price::parse(value).unwrap()),
            bid: None,
            ask: None,
            price: FairMethod::Mid,
            used,
            why: "".into(),
            observed_at: Some(self.clock.now().wall),
            expires_at: None,
        }
    }

    /// A bank's rate of so long ago, and the rule that is made of it.
    fn old_rule(&mut self, old: Duration) {
        let now = self.clock.now().wall;
        let observed_at = Wall(now.0 - i64::try_from(old.as_micros()).unwrap());
        let mut rate = self.rate("USD-RUB", "81.6", "rule", HOUR * 9);
        rate.observed_at = observed_at;
        let mut part = self.part("cbr", "USD-RUB", "80", true);
        part.observed_at = Some(observed_at);
        rate.evidence = evidence(PolicyKind::Rule, vec![part]);
        assert!(self.send(Body::Rate(rate)));
    }

    fn explained(&self, asked: &str) -> crate::document::ExplainDocument {
        self.view.explain(pair(asked), None, true).unwrap()
    }

    /// `source value used` of every row of the table of markets.
    fn table(&self, asked: &str) -> Vec<String> {
        let explained = self.explained(asked);
        let rows = explained.constituents.iter();
        rows.map(|row| format!("{} {} {}", row.source, row.value, row.used))
            .collect()
    }
}

#[test]
fn a_rate_is_as_old_as_the_oldest_observation_in_any_of_its_legs() {
    let mut desk = Desk::new();
    desk.old_rule(HOUR * 29);
    desk.publish("USDT-USD", "0.9990", "coingecko", HOUR);
    desk.clock.advance(Duration::from_millis(1_500));
    let expect = u64::try_from(HOUR.as_millis()).unwrap() * 29 + 1_500;
    for asked in ["USD-RUB", "USDT-RUB", "RUB-USD", "RUB-USDT", "USDTTRC-RUB"] {
        assert_eq!(desk.explained(asked).age_ms, expect, "{asked}");
    }
    // The clock of this machine is set: no age follows it.
    desk.clock.set_wall(Wall::from_unix_seconds(1_900_000_000));
    assert_eq!(desk.explained("USDT-RUB").age_ms, expect);
    assert_eq!(desk.explained("USD-RUB").age_ms, expect);
}

#[test]
fn a_rate_is_never_younger_than_it_was_when_it_was_published() {
    let mut desk = Desk::new();
    let mut rule = desk.rate("USD-RUB", "81.6", "rule", HOUR * 9);
    rule.observed_at = Wall(rule.published_at.0 - 1_000_000);
    // It takes 40 ms to us, and the other leg no time.
    desk.clock.advance(Duration::from_millis(40));
    assert!(desk.send(Body::Rate(rule)));
    desk.publish("USDT-USD", "0.9990", "coingecko", HOUR);
    assert_eq!(desk.explained("USDT-RUB").age_ms, 1_040);
}

#[test]
fn a_rate_out_of_the_store_has_the_age_that_it_had() {
    let desk = Desk::new();
    let mut rate = desk.rate("USD-RUB", "80", "cbr", HOUR * 3);
    rate.observed_at = rate.published_at;
    desk.clock.advance(HOUR * 2);
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(1),
    };
    desk.view.restore(StoredRate { id, rate });
    desk.clock.advance(HOUR * 5);
    assert_eq!(desk.explained("USD-RUB").age_ms, 7 * 3_600_000);
}

#[test]
fn of_a_price_in_use_the_table_shows_what_was_used() {
    let mut desk = Desk::new();
    desk.publish("BTC-USDT", "64364.275", "binance", MAX_AGE);
    desk.publish("BTC-USDT", "64360", "kraken", MAX_AGE);
    desk.publish("BTC-USDT", "64350", "okx", MAX_AGE);
    desk.publish("USDT-USD", "1", "coingecko", HOUR);
    // Of a rule: its leg is a median, the numbers are those it was evaluated with.
    desk.clock.advance(Duration::from_millis(50));
    let mut rate = desk.rate("BTC-USD", "64362.1525", "rule", MAX_AGE);
    let observed_at = rate.observed_at;
    rate.legs = Some(Arc::from([Leg {
        pair: pair("BTC-USDT"),
        source: source("median"),
        value: Price::parse("64362.1525").unwrap(),
        inverted: false,
        observed_at,
        expires_at: rate.expires_at(),
    }]));
    let parts = vec![
        desk.part("binance", "BTC-USDT", "64364.305", true),
        desk.part("kraken", "BTC-USDT", "64360", true),
        desk.part("okx", "BTC-USDT", "64351", false),
    ];
    rate.evidence = evidence(PolicyKind::Rule, parts.clone());
    assert!(desk.send(Body::Rate(rate)));
    let expect = [
        "binance 64364.305 true",
        "kraken 64360 true",
        "okx 64350 false",
    ];
    assert_eq!(desk.table("BTC-USD"), expect);
    let binance = &desk.explained("BTC-USD").constituents[0];
    assert_eq!((binance.age_ms, binance.observed_at), (0, observed_at));
    // Of a market that is a median, as a leg of a derived rate.
    let mut median = desk.rate("BTC-USDT", "64362.1525", "median", MAX_AGE);
    median.evidence = evidence(PolicyKind::Median, parts);
    assert!(desk.send(Body::Rate(median)));
    desk.publish("USDT-RUB", "80", "cbr", HOUR);
    let table = desk.table("BTC-RUB");
    assert_eq!(table[..3], expect, "{table:?}");
}

#[test]
fn a_rate_that_ran_out_without_a_word_says_when_and_what_the_sources_do() {
    let mut desk = Desk::new();
    let mut rate = desk.rate("BTC-USD", "64000", "binance", MAX_AGE);
    rate.choice = Arc::new(Choice {
        reason: "binance since then: first in order of preference".into(),
        ..Choice::clone(&rate.choice)
    });
    let end = rate.expires_at();
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(1),
    };
    let fresh = rate.clone();
    desk.clock.advance(HOUR);
    desk.view.restore(StoredRate { id, rate });
    let explained = desk.explained("BTC-USD");
    assert_eq!(explained.rate.state, RateState::Stale);
    assert_eq!(
        &*explained.reason,
        format!(
            "the rate of binance ran out at {end}, and no newer one came: binance syncing (it has not been heard of yet)"
        )
    );
    assert_eq!(explained.since, end);
    for (name, state, why, priority) in [
        ("kraken", SourceState::Down, "refused", 3),
        ("binance", SourceState::Down, "no answer within 3000 ms", 1),
        ("cbr", SourceState::Live, "", 10),
    ] {
        let mut status = status_of(name, state);
        (status.why, status.priority) = (why.into(), priority);
        desk.send(Body::SourceStatus(status));
    }
    let explained = desk.explained("BTC-USD");
    assert_eq!(
        &*explained.reason,
        format!(
            "the rate of binance ran out at {end}, and no newer one came: binance down (no answer \
             within 3000 ms), kraken down (refused)"
        )
    );
    let told: Vec<String> = explained
        .rejections
        .iter()
        .map(|one| format!("{} {}: {}", one.source, one.state.as_str(), one.why))
        .collect();
    assert_eq!(
        told,
        [
            "binance down: no answer within 3000 ms",
            "kraken down: refused"
        ]
    );
    // The inverse tells the same.
    let inverse = desk.explained("USD-BTC");
    assert_eq!(
        &*inverse.reason,
        format!("cross rate over one market; {}", explained.reason)
    );
    // The word of a Writer that says why stands.
    let mut said = fresh;
    said.state = RateState::Stale;
    said.valid_for = Duration::ZERO;
    said.choice = Arc::new(Choice {
        reason: "no source is live: binance down (cut)".into(),
        ..Choice::clone(&said.choice)
    });
    desk.send(Body::Rate(said));
    assert_eq!(
        &*desk.explained("BTC-USD").reason,
        "no source is live: binance down (cut)"
    );
}
