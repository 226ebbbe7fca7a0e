//! What the answers of the ECB mean.

use super::*;
use kurs_core::{Mono, Wall};

fn now(text: &str) -> Now {
    Now {
        mono: Mono(9),
        wall: text.parse().unwrap(),
    }
}

fn file(date: &str, rate: &str) -> Fetched {
    Fetched::Body {
        bytes: format!(
            "<?xml version='1.0'?><g:Envelope xmlns:g='u'><Cube><Cube time='{date}'>\
             <Cube currency='USD' rate='{rate}'/></Cube></Cube></g:Envelope>"
        )
        .into(),
        validators: Validators {
            etag: Some(format!("\"{date}\"")),
            last_modified: None,
        },
        content_type: None,
        headers: Vec::new(),
    }
}

fn valid_until(date: &str) -> String {
    let mut source = Ecb::new(Config::default());
    let now = Now {
        mono: Mono(9),
        wall: format!("{date}T20:00:00Z").parse().unwrap(),
    };
    source.receive(file(date, "1.1"), now).unwrap();
    source.picture(now).valid_until.unwrap().to_string()
}

#[test]
fn a_rate_is_valid_until_the_next_publication_and_six_hours() {
    // Summer and winter, weekend, Easter, and the turn of the year.
    assert_eq!(valid_until("2026-08-12"), "2026-08-13T20:00:00.000Z");
    assert_eq!(valid_until("2026-01-14"), "2026-01-15T21:00:00.000Z");
    assert_eq!(valid_until("2026-08-14"), "2026-08-17T20:00:00.000Z");
    assert_eq!(valid_until("2026-04-02"), "2026-04-07T20:00:00.000Z");
    assert_eq!(valid_until("2025-12-31"), "2026-01-02T21:00:00.000Z");
}

#[test]
fn rates_are_dated_by_their_day() {
    let mut source = Ecb::new(Config::default());
    let monday = now("2026-08-17T09:00:00Z");
    source
        .receive(file("2026-08-14", "1.1650"), monday)
        .unwrap();
    let picture = source.picture(monday);
    let expect: Wall = "2026-08-14T12:15:00Z".parse().unwrap();
    assert_eq!(picture.entries[0].observed_at, Some(expect));
    assert_eq!(
        picture.entries[0].quote.value().unwrap().to_string(),
        "1.1650"
    );
}

#[test]
fn an_older_copy_does_not_replace_a_newer_day_and_a_correction_does() {
    let mut source = Ecb::new(Config::default());
    let at = now("2026-08-17T15:00:00Z");
    let price = |source: &Ecb| {
        source.picture(at).entries[0]
            .quote
            .value()
            .unwrap()
            .to_string()
    };
    source.receive(file("2026-08-17", "1.2"), at).unwrap();
    source.receive(file("2026-08-14", "1.1"), at).unwrap();
    assert_eq!(price(&source), "1.2");
    source.receive(file("2026-08-17", "1.3"), at).unwrap();
    assert_eq!(price(&source), "1.3");
}

#[test]
fn days_to_come_are_refused() {
    let mut source = Ecb::new(Config::default());
    assert!(
        source
            .receive(file("2026-08-19", "1.2"), now("2026-08-17T15:00:00Z"))
            .is_err()
    );
    assert_eq!(
        source.picture(now("2026-08-17T15:00:00Z")),
        Picture::default()
    );
}

#[test]
fn requests_become_conditional_once_a_file_was_read() {
    let mut source = Ecb::new(Config::default());
    let at = now("2026-08-17T15:00:00Z");
    assert_eq!(source.request(at).validators, None);
    source.receive(file("2026-08-17", "1.2"), at).unwrap();
    assert_eq!(
        source.request(at).validators.unwrap().etag.as_deref(),
        Some("\"2026-08-17\"")
    );
}

#[test]
fn other_documents_are_refused() {
    for text in [
        "",
        "<html><body>busy</body></html>",
        "<a>",
        "{}",
        "a,b\n1,2",
        "<Envelope><Cube><Cube currency='USD' rate='1'/></Cube></Envelope>",
        "<Envelope><Cube><Cube time='x'><Cube currency='USD' rate='1'/></Cube></Cube></Envelope>",
        "<Envelope><Cube><Cube time='2026-01-05'/></Cube></Envelope>",
        "<Envelope><Cube><Cube time='2026-01-05'><Cube currency='USD' rate='-1'/></Cube></Cube></Envelope>",
    ] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn csv_with_all_columns_is_read_and_other_frequencies_are_left_out() {
    let text = "KEY,FREQ,CURRENCY,TITLE,TIME_PERIOD,OBS_VALUE\r\n\
        k,D,USD,\"US dollar, spot\",2026-03-18,1.15\r\nk,M,USD,x,2026-03,1.2\r\nk,D,RUB,x,2026-03-18,\r\n";
    let days = decode(text.as_bytes()).unwrap();
    assert_eq!(days.len(), 1);
    assert_eq!(days[0].rates.rates.len(), 1);
}
