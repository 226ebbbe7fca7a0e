use super::*;
use crate::conformance::{every_kind, rate};

#[test]
fn every_kind_of_update_survives_its_text_under_a_subject_of_its_key() {
    let subjects: Vec<String> = every_kind()
        .iter()
        .map(|update| {
            assert_eq!(decode(&encode(update)).unwrap(), **update);
            subject(update)
        })
        .collect();
    assert_eq!(
        subjects,
        [
            "kurs.v1.rate.BTC.USDT",
            "kurs.v1.source.sim-binance.BTC.USDT",
            "kurs.v1.status.kraken",
            "kurs.v1.tracked",
            "kurs.v1.rate.BTC.USDT",
            "kurs.v1.rate.BTC.USDT",
            "kurs.v1.writer.0",
        ]
    );
}

#[test]
fn prices_are_texts_times_are_readable_and_durations_are_milliseconds() {
    let text: serde_json::Value = serde_json::from_slice(&encode(&every_kind()[1])).unwrap();
    assert_eq!(text["id"], "0.1-2");
    assert_eq!(text["kind"], "source_price");
    assert_eq!(text["data"]["value"], "64364.270");
    assert_eq!(text["data"]["published_at"], "2026-09-21T14:13:20.123Z");
    assert_eq!(text["data"]["valid_for_ms"], 4_321);
}

#[test]
fn a_later_version_or_kind_is_passed_over_and_nonsense_is_refused() {
    let is_unknown = |text: &str| matches!(decode(text.as_bytes()), Err(WireError::Unknown(_)));
    assert!(is_unknown(
        r#"{"v":2,"id":"0.1-2","kind":"rate","data":{}}"#
    ));
    let later = decode(br#"{"v":1,"id":"0.1-2","kind":"dance","data":[1]}"#).unwrap();
    assert_eq!(
        later.id.to_string(),
        "0.1-2",
        "it has its place in the order"
    );
    assert_eq!(later.body, Body::Unknown("dance".into()));
    let later = r#"{"v":1,"id":"0.1-2","kind":"withdrawn","data":{"pair":"BTC-USD","x":1},"y":2}"#;
    assert!(decode(later.as_bytes()).is_ok());
    for broken in [
        "",
        "[]",
        r#"{"v":1,"id":"0.1","kind":"withdrawn","data":{"pair":"BTC-USD"}}"#,
        r#"{"v":1,"id":"0.1-2","kind":"withdrawn","data":{"pair":"BTC"}}"#,
        r#"{"v":1,"id":"0.1-2","kind":"rate","data":{"value":1}}"#,
    ] {
        assert!(
            matches!(decode(broken.as_bytes()), Err(WireError::Broken(_))),
            "{broken}"
        );
    }
    let long = vec![b' '; UPDATE_BYTES_MAX + 1];
    assert!(matches!(decode(&long), Err(WireError::TooLong(_))));
}

#[test]
fn a_rate_stored_with_seconds_and_nanoseconds_is_still_read() {
    let Body::Rate(told) = &rate("BTC-USDT", 1).body else {
        panic!("a rate")
    };
    let mut text = serde_json::to_value(told).unwrap();
    let fields = text.as_object_mut().unwrap();
    fields.remove("valid_for_ms");
    let former = serde_json::json!({ "secs": 5, "nanos": 0 });
    fields.insert("valid_for".to_owned(), former);
    let read: kurs_core::Rate = serde_json::from_value(text).unwrap();
    assert_eq!(read, *told);
}

#[test]
fn commands_of_earlier_versions_are_understood_and_theirs_understands_ours() {
    let former = br#"{"op":"track","symbol":"BTCUSDT","pair":"BTC-USDT"}"#;
    let read = decode_command(former).unwrap();
    assert_eq!(encode_command(&read), former, "who asks is not said");
    let by = r#"{"op":"untrack","symbol":"A","by":{"who":"key:3kTMd92x","tomorrow":1},"more":2}"#;
    let Command::Untrack { by: Some(by), .. } = decode_command(by.as_bytes()).unwrap() else {
        panic!("somebody who wants to untrack");
    };
    assert_eq!(&*by.who, "key:3kTMd92x");
    let change = Command::Change {
        changes: [("a".to_owned(), None)].into(),
        expected: None,
        by,
    };
    let text = encode_command(&change);
    assert_eq!(decode_command(&text).unwrap(), change, "null takes away");
}
