use super::*;
use kurs_bus::conformance::rate;

fn fact(created: i64, first: u64, last: u64) -> Fact {
    Fact {
        created: async_nats::datetime::from_nanos(i128::from(created)).unwrap(),
        messages: last + 1 - first,
        first,
        last,
    }
}

#[test]
fn the_same_flow_goes_on_where_it_was() {
    let mut place = Finding::new(&fact(1, 1, 1_000));
    assert_eq!(place.place(1_001, &rate("BTC-USDT", 1)), Some(0));
    assert_eq!(
        place.resume(&fact(1, 500, 1_001)),
        1_001,
        "not before it joined"
    );
    let mut long = Finding::new(&fact(1, 1, 1_000));
    long.number = 5_000;
    assert_eq!(long.resume(&fact(1, 500, 5_000)), 5_001 - AGAIN);
    assert_eq!(place.place(1_001, &rate("BTC-USDT", 1)), None, "again");
    assert_eq!(place.place(1_002, &rate("BTC-USDT", 2)), Some(0));
    assert_eq!(place.place(1_003, &rate("BTC-USDT", 5)), Some(2));
}

#[test]
fn a_new_flow_is_read_from_its_begin_and_told_with_the_first_new_update() {
    let mut place = Finding::new(&fact(1, 1, 1_000));
    place.place(1_001, &rate("BTC-USDT", 7));
    assert_eq!(place.resume(&fact(2, 1, 5_000)), 1);
    assert_eq!(place.place(1, &rate("BTC-USDT", 6)), None);
    assert_eq!(place.place(2, &rate("BTC-USDT", 7)), None);
    assert_eq!(place.place(3, &rate("BTC-USDT", 8)), Some(1));
    assert_eq!(place.place(4, &rate("BTC-USDT", 9)), Some(0), "told once");
}

#[test]
fn what_the_flow_does_not_keep_any_more_is_told() {
    let mut place = Finding::new(&fact(1, 1, 10));
    place.resume(&fact(1, 50, 60));
    // Nothing was heard before: the ids alone do not show it.
    assert_eq!(place.place(50, &rate("BTC-USDT", 7)), Some(1));
    let mut place = Finding::new(&fact(1, 1, 10));
    place.resume(&fact(1, 1, 5));
    assert_eq!(place.place(6, &rate("BTC-USDT", 7)), Some(1));
}
