//! What the answers of Open Exchange Rates mean.

use super::*;
use kurs_core::{Mono, Wall};

const PUBLISHED: i64 = 1_777_111_200;

fn now(seconds_later: i64) -> Now {
    Now {
        mono: Mono(9),
        wall: Wall::from_unix_seconds(PUBLISHED + seconds_later),
    }
}

fn source() -> OpenExchangeRates {
    OpenExchangeRates::new(serde_json::from_value(serde_json::json!({"key": "s3cret"})).unwrap())
}

fn table() -> Fetched {
    Fetched::Body {
        bytes: format!(
            r#"{{"disclaimer":"x","timestamp":{PUBLISHED},"base":"USD","rates":{{"USD":1,"RUB":101.23,"EUR":9.1e-1,"BYR":1,"XXX":"1"}}}}"#
        )
        .into(),
        validators: Validators { etag: Some("\"e\"".into()), last_modified: Some("d".into()) },
        content_type: None,
        headers: Vec::new(),
    }
}

#[test]
fn rates_are_of_the_base_never_inverted_and_bad_rows_are_told() {
    let mut source = source();
    source.receive(table(), now(0)).unwrap();
    let picture = source.picture(now(5));
    let shown: Vec<String> = picture
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.pair, entry.quote.value().unwrap()))
        .collect();
    assert_eq!(shown, ["USD-EUR 0.91", "USD-RUB 101.23"]);
    assert_eq!(picture.valid_until, None);
    assert_eq!(picture.rejected.len(), 1);
}

#[test]
fn the_next_request_is_conditional_and_304_keeps_the_table() {
    let mut source = source();
    assert_eq!(source.request(now(0)).validators, None);
    source.receive(table(), now(0)).unwrap();
    let validators = source.request(now(1)).validators.unwrap();
    assert_eq!(validators.etag.as_deref(), Some("\"e\""));
    source.receive(Fetched::NotModified, now(1)).unwrap();
    assert_eq!(source.picture(now(2)).entries.len(), 2);
}

#[test]
fn a_table_that_is_not_refreshed_any_more_expires() {
    let mut source = source();
    source.receive(table(), now(0)).unwrap();
    let later = now(86_400 + 1);
    assert!(source.picture(later).valid_until.unwrap() < later.wall);
}

#[test]
fn the_message_decides_what_a_status_means() {
    let body = |message: &str| {
        format!(r#"{{"error":true,"status":429,"message":"{message}","description":"key s3cret"}}"#)
            .into()
    };
    let source = source();
    for message in [
        "invalid_app_id",
        "missing_app_id",
        "not_allowed",
        "access_restricted",
    ] {
        let limited = FetchError::Limited {
            status: 429,
            retry_after: None,
            body: body(message),
        };
        let refused = FetchError::Refused {
            status: 403,
            body: body(message),
        };
        for error in [limited, refused] {
            let refusal = source.judge(&error).unwrap();
            assert_eq!(
                refusal.failure,
                PollFailure::Lasting(REFUSED_WAIT),
                "{message}"
            );
            assert!(refusal.needs_action && !refusal.why.contains("s3cret"));
        }
    }
    let wait = Some(Duration::from_secs(9));
    let slower = FetchError::Limited {
        status: 429,
        retry_after: wait,
        body: body("too_fast"),
    };
    assert_eq!(
        source.judge(&slower).unwrap().failure,
        PollFailure::Limited(wait)
    );
    let bare = FetchError::Limited {
        status: 429,
        retry_after: wait,
        body: "".into(),
    };
    assert_eq!(source.judge(&bare), None);
}

#[test]
fn the_key_is_in_the_request_and_in_nothing_that_is_shown() {
    let fetch = source().request(now(0));
    assert_eq!(
        fetch.url,
        "https://openexchangerates.org/api/latest.json?app_id=s3cret&prettyprint=false"
    );
    assert!(!format!("{fetch:?} {:?}", source()).contains("s3cret"));
}
