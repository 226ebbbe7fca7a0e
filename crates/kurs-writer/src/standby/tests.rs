use super::*;
use kurs_core::rate::Choice;
use kurs_core::{Epoch, Price, RateState, Seq, Wall};

fn pair() -> Pair {
    Pair::parse("BTC-USDT").unwrap()
}

fn source(name: &str) -> SourceId {
    SourceId::parse(name).unwrap()
}

fn ms(milliseconds: u64) -> Mono {
    Mono(milliseconds * 1_000_000)
}

fn rate(from: &str, value: u64) -> Body {
    let source = source(from);
    Body::Rate(Rate {
        pair: pair(),
        value: Price::parse(&value.to_string()).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: Wall(0),
        published_at: Wall(0),
        valid_for: Duration::from_secs(5),
        choice: Arc::new(Choice {
            source,
            since: Wall(0),
            reason: "".into(),
            skipped: Vec::new(),
        }),
        evidence: None,
        depeg: None,
    })
}

fn word(from: &str, event_id: u64) -> Option<Cause> {
    Some(Cause {
        source: source(from),
        pair: pair(),
        event_id,
    })
}

fn heard(standby: &mut Standby, seq: u64, body: Body, cause: Option<Cause>) {
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    };
    standby.heard(
        ms(seq),
        &Arc::new(Update {
            id,
            body,
            cause,
            at: None,
        }),
    );
}

fn own(standby: &mut Standby, at: u64, body: Body, cause: Option<Cause>) {
    standby.would_publish(ms(at), body, cause);
}

fn values(over: &TakeOver) -> Vec<String> {
    let values = over.publish.iter().map(|(body, _)| match body {
        Body::Rate(rate) => rate.value.to_string(),
        other => format!("{other:?}"),
    });
    values.collect()
}

fn take_over(standby: &mut Standby, at: u64) -> TakeOver {
    standby.take_over(Now {
        mono: ms(at),
        wall: Wall(7_000),
    })
}

#[test]
fn what_came_after_the_last_published_word_is_published_in_order() {
    let mut standby = Standby::default();
    for n in 1..=5 {
        own(&mut standby, n * 10, rate("binance", n), word("binance", n));
    }
    heard(&mut standby, 1, rate("binance", 1), word("binance", 1));
    heard(&mut standby, 2, rate("binance", 3), word("binance", 3));
    let over = take_over(&mut standby, 60);
    assert_eq!(values(&over), ["4", "5"]);
    assert_eq!(over.follows.map(|id| id.seq.0), Some(2));
    assert_eq!(over.heard.len(), 2);
    assert_eq!(over.standing.len(), 1);
}

#[test]
fn a_word_that_the_former_writer_heard_first_is_never_published_again() {
    let mut standby = Standby::default();
    own(&mut standby, 1, rate("binance", 1), word("binance", 1));
    heard(&mut standby, 1, rate("binance", 4), word("binance", 4));
    own(&mut standby, 20, rate("binance", 3), word("binance", 3));
    let over = take_over(&mut standby, 30);
    assert_eq!(values(&over), Vec::<String>::new());
    let floor = &over.floors[&pair()];
    assert!(floor.cover(word("binance", 4)));
    assert!(!floor.cover(word("binance", 5)));
    assert!(!floor.cover(word("kraken", 1)));
    assert!(!floor.cover(None));
}

#[test]
fn where_a_source_has_no_ids_the_same_price_marks_the_place() {
    let mut standby = Standby::default();
    for n in [1, 2, 3] {
        own(&mut standby, n, rate("kraken", n), None);
    }
    heard(&mut standby, 9, rate("kraken", 2), None);
    assert_eq!(values(&take_over(&mut standby, 10)), ["3"]);
}

#[test]
fn another_source_than_the_former_writers_is_told_at_take_over() {
    let mut standby = Standby::default();
    // Its own connection to binance is down.
    own(&mut standby, 1, rate("kraken", 7), word("kraken", 1));
    heard(&mut standby, 1, rate("kraken", 7), word("kraken", 1));
    heard(&mut standby, 2, rate("binance", 8), word("binance", 5));
    assert_eq!(values(&take_over(&mut standby, 10)), ["7"]);
}

#[test]
fn validity_counts_from_when_it_was_known_not_from_the_take_over() {
    let mut standby = Standby::default();
    own(&mut standby, 1_000, rate("binance", 1), word("binance", 1));
    let over = take_over(&mut standby, 4_000);
    let (Body::Rate(rate), _) = &over.publish[0] else {
        panic!("a rate")
    };
    assert_eq!(rate.valid_for, Duration::from_secs(2));
    assert_eq!(rate.published_at, Wall(7_000));
}

#[test]
fn it_remembers_half_a_minute_and_no_more_than_it_may() {
    let mut standby = Standby::default();
    own(&mut standby, 0, rate("binance", 1), word("binance", 1));
    own(&mut standby, 40_000, rate("binance", 2), word("binance", 2));
    assert_eq!(values(&take_over(&mut standby, 40_001)), ["2"]);
    for n in 0..u64::try_from(REMEMBERED_MAX).unwrap() + 10 {
        own(
            &mut standby,
            1,
            rate("binance", n + 1),
            word("binance", n + 1),
        );
    }
    let over = take_over(&mut standby, 2);
    assert!(over.publish.len() <= REMEMBERED_MAX);
    let last = (REMEMBERED_MAX + 10).to_string();
    assert_eq!(values(&over).last(), Some(&last));
}
