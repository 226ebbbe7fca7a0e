//! What the answers of the Bank of Russia mean.

use super::*;
use kurs_core::Mono;

fn now(text: &str) -> Now {
    Now {
        mono: Mono(9),
        wall: text.parse().unwrap(),
    }
}

fn document(date: &str, rows: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs Date=\"{date}\" name=\"x\">{rows}</ValCurs>")
        .into_bytes()
}

fn row(code: &str, nominal: &str, value: &str, unit: &str) -> String {
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!("<VunitRate>{unit}</VunitRate>")
    };
    format!(
        "<Valute ID=\"R\"><NumCode>036</NumCode><CharCode>{code}</CharCode><Nominal>{nominal}</Nominal><Value>{value}</Value>{unit}</Valute>"
    )
}

fn table(date: &str, dollar: &str) -> Fetched {
    Fetched::Body {
        bytes: document(date, &row("USD", "1", dollar, "")).into(),
        validators: Default::default(),
        content_type: None,
        headers: Vec::new(),
    }
}

fn dollar(source: &Cbr, at: &str) -> Option<String> {
    source
        .picture(now(at))
        .entries
        .first()
        .map(|entry| entry.quote.value().unwrap().to_string())
}

/// A Friday noon in Moscow, with Friday's table in force.
fn friday() -> Cbr {
    let mut source = Cbr::new(Config::default());
    let answer = source.receive(table("24.04.2026", "75,1"), now("2026-04-24T09:00:00Z"));
    assert_eq!(answer, Ok(Received::Done));
    source
}

#[test]
fn tomorrows_table_waits_for_midnight_in_moscow() {
    let mut source = friday();
    let evening = now("2026-04-24T15:00:00Z");
    assert_eq!(
        source.receive(table("25.04.2026", "75,5273"), evening),
        Ok(Received::Done)
    );
    let midnight: Wall = "2026-04-24T21:00:00Z".parse().unwrap();
    assert_eq!(source.changes_at(evening), Some(midnight));
    assert_eq!(
        dollar(&source, "2026-04-24T20:59:59.999Z").as_deref(),
        Some("75.1")
    );
    assert_eq!(
        dollar(&source, "2026-04-24T21:00:00Z").as_deref(),
        Some("75.5273")
    );
    assert_eq!(source.changes_at(now("2026-04-24T21:00:00Z")), None);
    let picture = source.picture(now("2026-04-24T21:00:00Z"));
    assert_eq!(picture.entries[0].observed_at, Some(midnight));
}

#[test]
fn started_in_the_evening_it_asks_for_todays_table_too() {
    let mut source = Cbr::new(Config::default());
    let evening = now("2026-04-24T20:30:00Z");
    assert_eq!(
        source.request(evening).url,
        "https://www.cbr.ru/scripts/XML_daily.asp"
    );
    assert_eq!(
        source.receive(table("25.04.2026", "75,5"), evening),
        Ok(Received::More)
    );
    assert_eq!(
        source.request(evening).url,
        "https://www.cbr.ru/scripts/XML_daily.asp?date_req=24/04/2026"
    );
    assert_eq!(
        source.receive(table("24.04.2026", "75,1"), evening),
        Ok(Received::Done)
    );
    assert_eq!(
        dollar(&source, "2026-04-24T20:31:00Z").as_deref(),
        Some("75.1")
    );
    assert_eq!(
        dollar(&source, "2026-04-24T21:00:00Z").as_deref(),
        Some("75.5")
    );
}

#[test]
fn if_todays_table_cannot_be_had_there_is_no_price_until_midnight() {
    let mut source = Cbr::new(Config::default());
    let evening = now("2026-04-24T20:30:00Z");
    for _ in 0..2 {
        assert_eq!(
            source.receive(table("25.04.2026", "75,5"), evening),
            Ok(Received::More)
        );
        assert!(
            source
                .receive(table("25.04.2026", "75,5"), evening)
                .is_err()
        );
        assert_eq!(dollar(&source, "2026-04-24T20:31:00Z"), None);
    }
    assert_eq!(
        dollar(&source, "2026-04-24T21:00:00Z").as_deref(),
        Some("75.5")
    );
}

#[test]
fn saturdays_table_holds_until_tuesday_and_two_days_of_grace() {
    let mut source = friday();
    let sunday = now("2026-04-26T10:00:00Z");
    source
        .receive(table("25.04.2026", "75,5273"), sunday)
        .unwrap();
    let picture = source.picture(sunday);
    let tuesday: Wall = "2026-04-27T21:00:00Z".parse().unwrap();
    assert_eq!(
        picture.valid_until,
        Some(tuesday.plus(Config::default().grace.0))
    );
}

#[test]
fn a_table_set_far_ahead_keeps_the_present_one_in_force_until_then() {
    let mut source = Cbr::new(Config::default());
    let eve = now("2026-05-08T15:00:00Z");
    source.receive(table("08.05.2026", "70,0"), eve).unwrap();
    source.receive(table("15.05.2026", "71,0"), eve).unwrap();
    let expect: Wall = "2026-05-14T21:00:00Z".parse().unwrap();
    assert_eq!(
        source.picture(eve).valid_until,
        Some(expect.plus(Config::default().grace.0))
    );
    assert!(source.receive(table("15.06.2026", "71,0"), eve).is_err());
}

#[test]
fn an_unchanged_body_is_not_decoded_again_and_an_older_one_is_ignored() {
    let mut source = friday();
    let hash = source.body_hash;
    source
        .receive(table("24.04.2026", "75,1"), now("2026-04-24T10:00:00Z"))
        .unwrap();
    assert_eq!(source.body_hash, hash);
    source
        .receive(table("23.04.2026", "70,0"), now("2026-04-24T11:00:00Z"))
        .unwrap();
    assert_eq!(
        dollar(&source, "2026-04-24T11:00:00Z").as_deref(),
        Some("75.1")
    );
}

fn price(row: &str) -> Result<String, String> {
    match decode(&document("24.04.2026", row)) {
        Ok(table) => Ok(table.rates.rates[0].1.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn values_are_per_nominal_and_unit_rates_are_preferred() {
    assert_eq!(
        price(&row("VND", "10000", "30,0750", "")).as_deref(),
        Ok("0.0030075")
    );
    assert_eq!(
        price(&row("CNY", "1", "11,0270", "11,027")).as_deref(),
        Ok("11.027")
    );
    assert_eq!(
        price(&row("IRR", "1000000", "53,9256", "5,39256E-05")).as_deref(),
        Ok("0.0000539256")
    );
    assert_eq!(
        price(&row("KZT", "100", "16,32", "0,163172")).as_deref(),
        Ok("0.163172")
    );
}

#[test]
fn a_row_that_contradicts_itself_is_left_out() {
    for bad in [
        row("VND", "1000", "30,0750", "0,0030075"),
        row("USD", "1", "75,5", "75,6"),
        row("USD", "0", "75,5", ""),
        row("USD", "-1", "75,5", ""),
        row("USD", "1,5", "75,5", ""),
        row("USD", "", "75,5", ""),
        row("USD", "1", "", ""),
        row("USD", "1", "-75,5", ""),
        row("USD", "1", "0,0", ""),
        row("USD", "1", "75,5", "x"),
        row("RUB", "1", "1", ""),
        row("U S", "1", "75,5", ""),
        row("USD", "1", "7 550,1", ""),
    ] {
        assert!(price(&bad).is_err(), "{bad}");
        let with_good = decode(&document(
            "24.04.2026",
            &(bad + &row("EUR", "1", "88,1", "")),
        ))
        .unwrap();
        assert_eq!(
            (with_good.rates.rates.len(), with_good.rates.rejected.len()),
            (1, 1)
        );
    }
}

#[test]
fn web_pages_and_other_documents_are_refused() {
    let good = row("USD", "1", "75,5", "");
    for text in [
        "",
        "<html><head><script>ddos-guard</script></head></html>",
        "<?xml version=\"1.0\"?><html></html>",
        "<?xml version=\"1.0\"?>",
        "<?xml version=\"1.0\"?><ValCurs Date=\"24.04.2026\"></ValCurs>",
    ] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
    for date in [
        "",
        "2026-04-24",
        "31.02.2026",
        "24.4.2026",
        "24.04.26",
        "tomorrow",
    ] {
        assert!(decode(&document(date, &good)).is_err(), "{date}");
    }
    assert!(decode(&document("24/04/2026", &good)).is_ok());
}

#[test]
fn names_in_windows_1251_and_in_utf_8_are_both_fine() {
    let text = "<?xml version=\"1.0\" encoding=\"ENC\"?><ValCurs Date=\"24.04.2026\"><Valute><CharCode>USD</CharCode><Nominal>1</Nominal><Name>Доллар США</Name><Value>75,5</Value></Valute></ValCurs>";
    let (windows, _, _) = encoding_rs::WINDOWS_1251.encode(text);
    assert!(decode(&replace(&windows, b"ENC", b"windows-1251")).is_ok());
    assert!(decode(text.replace("ENC", "utf-8").as_bytes()).is_ok());
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
