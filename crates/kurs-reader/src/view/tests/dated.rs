//! How old a last value is shows beside what is heard live.

use super::*;
use kurs_bus::Heartbeat;

fn ms(milliseconds: u64) -> Mono {
    Mono(milliseconds * 1_000_000)
}

/// An update of epoch 7 that its Writer published at this moment of its own clock.
fn published(seq: u64, at: u64, body: Body) -> Arc<Update> {
    let id = UpdateId {
        shard: 0,
        epoch: Epoch(7),
        seq: Seq(seq),
    };
    Arc::new(Update {
        id,
        body,
        cause: None,
        at: Some(ms(at)),
    })
}

fn beat(seq: u64, at: u64) -> Arc<Update> {
    let beat = Heartbeat {
        writer: "a".into(),
        follows: None,
        ends: false,
    };
    published(seq, at, Body::Heartbeat(beat))
}

fn is_fresh(desk: &Desk) -> bool {
    desk.view
        .rate(pair("BTC-USDT"), None)
        .is_ok_and(|answer| answer.document.state == RateState::Fresh)
}

#[test]
fn a_last_value_is_served_once_its_age_is_known_and_only_for_what_is_left_of_it() {
    let desk = Desk::new();
    let rate = || Body::Rate(desk.rate("BTC-USDT", "1", "binance", MAX_AGE));
    for _ in 0..100 {
        desk.view
            .take_last_values(vec![published(1, 1_000, rate())]);
    }
    assert!(!is_fresh(&desk), "nobody knows how old it is");
    assert_eq!(desk.view.undated.lock().len(), 1, "they do not pile up");
    // The Writer's clock shows 3 s more: 2 s of 5 are left.
    desk.view.apply(&beat(9, 4_000));
    assert!(is_fresh(&desk));
    desk.clock.advance(Duration::from_millis(1_900));
    assert!(is_fresh(&desk));
    desk.clock.advance(Duration::from_millis(200));
    assert!(!is_fresh(&desk));

    let later = Desk::new();
    later
        .view
        .take_last_values(vec![published(1, 1_000, rate())]);
    later.view.apply(&beat(9, 7_000));
    assert!(!is_fresh(&later), "it ran out before anybody asked");
}

#[test]
fn an_update_that_waited_on_its_way_is_valid_for_so_much_less() {
    let desk = Desk::new();
    desk.view.apply(&beat(1, 1_000));
    desk.clock.advance(Duration::from_secs(4));
    let rate = desk.rate("BTC-USDT", "1", "binance", MAX_AGE);
    let late = published(2, 1_000, Body::Rate(rate));
    assert!(desk.view.apply(&late));
    assert!(is_fresh(&desk));
    desk.clock.advance(Duration::from_millis(1_100));
    assert!(
        !is_fresh(&desk),
        "four of its five seconds were over when it came"
    );
}
