//! Recorded documents, read by configuration alone, give what the built-in sources make of them.

use super::*;
use crate::{cbr, ecb, openexchangerates};
use kurs_testkit::fixtures;
use std::collections::BTreeMap;

fn fixture(path: &str) -> Option<Vec<u8>> {
    let Some(folder) = fixtures::dir() else {
        eprintln!("KURS_FIXTURES is not set: nothing to compare with");
        return None;
    };
    Some(std::fs::read(folder.join(path)).unwrap())
}

fn rates_of<P: Protocol>(mut source: P, bytes: &[u8], now: Now) -> BTreeMap<String, String> {
    let answer = body(bytes.to_vec(), None);
    source
        .receive(answer, now)
        .unwrap_or_else(|refusal| panic!("{}", refusal.why));
    let entries = source.picture(now).entries.into_iter();
    entries
        .map(|entry| {
            let price = entry.quote.value().unwrap().normalized();
            let at = entry
                .observed_at
                .map_or_else(String::new, |at| at.to_string());
            (entry.pair.to_string(), format!("{price} {at}"))
        })
        .collect()
}

#[test]
fn the_table_of_the_bank_of_russia() {
    let Some(bytes) = fixture("cbr/XML_daily_2026-04-25.xml") else {
        return;
    };
    let own = source(serde_json::json!({
        "decimal": ",", "zone": "Europe/Moscow", "observed_at": "/ValCurs/@Date",
        "table": {"rows": "//Valute", "base": "CharCode", "quote": "RUB", "value": "VunitRate"},
    }));
    let now = now("2026-04-25T10:00:00Z");
    let expect = rates_of(cbr::Cbr::new(cbr::Config::default()), &bytes, now);
    assert!(expect.len() > 40);
    assert_eq!(rates_of(own, &bytes, now), expect);
}

#[test]
fn the_table_of_the_european_central_bank() {
    let Some(bytes) = fixture("ecb/eurofxref-daily_2015-01-07.xml") else {
        return;
    };
    let own = source(serde_json::json!({
        "zone": "Europe/Berlin", "time_format": "%Y-%m-%d", "observed_at": "//Cube/@time",
        "table": {"rows": "//Cube[@currency]", "base": "EUR", "quote": "@currency", "value": "@rate"},
    }));
    let now = now("2015-01-08T10:00:00Z");
    let expect = rates_of(ecb::Ecb::new(ecb::Config::default()), &bytes, now);
    assert!(expect.len() > 25);
    // The bank dates its rates a quarter past two; the file only names the day.
    let dated = |text: &String| {
        text.replace("T13:15:00.000Z", "")
            .replace("2015-01-06T23:00:00.000Z", "2015-01-07")
    };
    let expect: BTreeMap<_, _> = expect
        .iter()
        .map(|(pair, text)| (pair, dated(text)))
        .collect();
    let own = rates_of(own, &bytes, now);
    let own: BTreeMap<_, _> = own.iter().map(|(pair, text)| (pair, dated(text))).collect();
    assert_eq!(own, expect);
}

#[test]
fn the_table_of_open_exchange_rates() {
    let Some(bytes) = fixture("openexchangerates/success.json") else {
        return;
    };
    let own = source(serde_json::json!({
        "observed_at": "$.timestamp", "table": {"rows": "$.rates.*", "base": "$.base", "quote": "name()"},
    }));
    let config = openexchangerates::Config {
        max_observed_age: crate::Period::hours(24 * 366 * 20),
        ..openexchangerates::Config::default()
    };
    let now = now("2026-04-25T10:00:00Z");
    let expect = rates_of(
        openexchangerates::OpenExchangeRates::new(config),
        &bytes,
        now,
    );
    let own = rates_of(own, &bytes, now);
    assert!(expect.len() > 2);
    // It leaves out what is no currency any more; this table is taken whole.
    for (pair, text) in &expect {
        assert_eq!(own.get(pair), Some(text), "{pair}");
    }
}

#[test]
fn the_data_api_of_the_european_central_bank_in_csv() {
    let Some(bytes) = fixture("ecb/sdmx_exr_csv_2026Q1.csv") else {
        return;
    };
    let mut source = source(serde_json::json!({
        "table": {"rows": "row[TIME_PERIOD='2026-02-17']", "base": "EUR", "quote": "./CURRENCY", "value": "OBS_VALUE", "observed_at": "TIME_PERIOD"},
    }));
    let answer = body(bytes, Some("text/csv"));
    let received = source.receive(answer, now("2026-04-25T10:00:00Z"));
    assert_eq!(received.map_err(|refusal| refusal.why), Ok(Received::Done));
    assert!(
        source.rows().iter().all(|row| row.quote.is_ok()),
        "{:?}",
        shown(&source)
    );
}
