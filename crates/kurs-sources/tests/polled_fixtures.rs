//! Recorded answers of the polled sources give the numbers that are written in them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests are tests too"
)]

use jiff::civil::{Date, date};
use kurs_core::{Asset, Now, Pair, Wall};
use kurs_sources::{cbr, coingecko, ecb, openexchangerates};
use std::path::PathBuf;

/// The folder of recorded answers; `None` skips a test, with a note.
fn fixtures(source: &str) -> Option<PathBuf> {
    let folder = kurs_testkit::fixtures::dir().map(|root| root.join(source));
    if folder.is_none() {
        println!("skipped: KURS_FIXTURES is not set");
    }
    folder
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn rate(rates: &kurs_sources::Rates, text: &str) -> String {
    rates
        .get(pair(text))
        .unwrap_or_else(|| panic!("no {text}"))
        .to_string()
}

#[test]
fn cbr_daily_divides_by_nominal_and_reads_commas_and_exponents() {
    let Some(folder) = fixtures("cbr") else {
        return;
    };
    let table = cbr::decode(&read(folder.join("XML_daily_2026-04-25.xml"))).unwrap();
    assert_eq!(table.date, date(2026, 4, 25));
    assert_eq!(table.rates.rates.len(), 54);
    assert_eq!(table.rates.rejected, Vec::<String>::new());
    for (pair, expect) in [
        ("USD-RUB", "75.5273"),
        ("EUR-RUB", "88.2826"),
        ("XDR-RUB", "103.3893"),
        ("TRY-RUB", "1.68386"),
        ("HKD-RUB", "9.65699"),
        ("JPY-RUB", "0.472636"),
        ("KZT-RUB", "0.163172"),
        ("KRW-RUB", "0.0510113"),
        ("VND-RUB", "0.0030075"),
        ("UZS-RUB", "0.00628322"),
        ("IRR-RUB", "0.0000539256"),
    ] {
        assert_eq!(rate(&table.rates, pair), expect, "{pair}");
    }
}

#[test]
fn cbr_dynamic_gives_days_with_an_own_rate_only() {
    let Some(folder) = fixtures("cbr") else {
        return;
    };
    let mut files = 0;
    for entry in std::fs::read_dir(folder.join("dynamic")).unwrap() {
        let path = entry.unwrap().path();
        let answer = cbr::decode_dynamic(&read(path.clone())).unwrap();
        assert!(path.to_str().unwrap().contains(&answer.id), "{path:?}");
        let days: Vec<Date> = answer.records.iter().map(|(day, _)| *day).collect();
        assert_eq!(
            days,
            [date(2026, 3, 3), date(2026, 3, 4), date(2026, 3, 5)],
            "{path:?}"
        );
        let check = |at: usize, expect: &str| assert_eq!(answer.records[at].1.to_string(), expect);
        match answer.id.as_str() {
            "R01235" => {
                check(0, "77.1734");
                check(2, "77.8009");
            }
            "R01150" => check(0, "0.00308225"),
            _ => {}
        }
        files += 1;
    }
    assert_eq!(files, 33);
}

#[test]
fn a_dynamic_answer_is_no_daily_table() {
    let Some(folder) = fixtures("cbr") else {
        return;
    };
    assert!(cbr::decode(&read(folder.join("dynamic/XML_dynamic_R01235.xml"))).is_err());
}

#[test]
fn ecb_daily_of_2015_in_single_quotes() {
    let Some(folder) = fixtures("ecb") else {
        return;
    };
    let days = ecb::decode(&read(folder.join("eurofxref-daily_2015-01-07.xml"))).unwrap();
    let [day] = days.as_slice() else {
        panic!("{} days", days.len())
    };
    assert_eq!(day.date, date(2015, 1, 7));
    assert_eq!(day.rates.rates.len(), 31);
    for (pair, expect) in [
        ("EUR-USD", "1.1831"),
        ("EUR-RUB", "75.0000"),
        ("EUR-GBP", "0.78230"),
        ("EUR-ZAR", "13.8588"),
    ] {
        assert_eq!(rate(&day.rates, pair), expect);
    }
}

#[test]
fn ecb_history_of_2019_in_one_line() {
    let Some(folder) = fixtures("ecb") else {
        return;
    };
    let days = ecb::decode(&read(folder.join("eurofxref-hist-90d_2019.xml"))).unwrap();
    assert_eq!(days.len(), 65);
    assert!(days.is_sorted_by(|a, b| a.date > b.date));
    assert!(
        days.iter()
            .all(|day| day.rates.rates.len() == 32 && day.rates.rejected.is_empty())
    );
    assert_eq!(days[0].date, date(2019, 11, 29));
    assert_eq!(rate(&days[0].rates, "EUR-USD"), "1.0982");
    assert_eq!(rate(&days[0].rates, "EUR-SEK"), "10.4995");
    assert_eq!(days[64].date, date(2019, 9, 2));
    assert_eq!(rate(&days[64].rates, "EUR-USD"), "1.0968");
}

#[test]
fn ecb_csv_of_the_data_api_is_read_day_by_day() {
    let Some(folder) = fixtures("ecb") else {
        return;
    };
    let days = ecb::decode(&read(folder.join("sdmx_exr_csv_2026Q1.csv"))).unwrap();
    assert_eq!(days.len(), 22);
    assert!(days.iter().all(|day| day.rates.rates.len() == 29));
    assert_eq!(days[0].date, date(2026, 3, 18));
    assert_eq!(rate(&days[0].rates, "EUR-USD"), "1.15");
    assert_eq!(rate(&days[0].rates, "EUR-JPY"), "183.49");
    assert_eq!(days[21].date, date(2026, 2, 17));
    assert_eq!(rate(&days[21].rates, "EUR-IDR"), "19901.98");
}

#[test]
fn every_recorded_ecb_day_is_a_working_day_and_leads_to_the_next() {
    let Some(folder) = fixtures("ecb") else {
        return;
    };
    for file in ["eurofxref-hist-90d_2019.xml", "sdmx_exr_csv_2026Q1.csv"] {
        let days = ecb::decode(&read(folder.join(file))).unwrap();
        for two in days.windows(2) {
            assert_eq!(ecb::calendar::next_working_day(two[1].date), two[0].date);
        }
    }
}

#[test]
fn open_exchange_rates_are_kept_digit_by_digit_and_filtered_by_iso() {
    let Some(folder) = fixtures("openexchangerates") else {
        return;
    };
    let table = openexchangerates::decode(&read(folder.join("success.json"))).unwrap();
    assert_eq!(table.published_at, Wall::from_unix_seconds(1_399_748_450));
    assert_eq!(rate(&table.rates, "USD-RUB"), "35.21008");
    assert_eq!(rate(&table.rates, "USD-EUR"), "0.726804");
    assert_eq!(rate(&table.rates, "USD-IDR"), "11543.083333");
    assert_eq!(rate(&table.rates, "USD-BTC"), "0.0022286109");

    let now = Now {
        wall: table.published_at.plus(std::time::Duration::from_secs(60)),
        ..Now::default()
    };
    let mut config = openexchangerates::Config::default();
    let quoted = |config: &openexchangerates::Config, code: &str| {
        let picture = openexchangerates::map::picture(&table, config, now);
        picture
            .entries
            .iter()
            .any(|entry| entry.pair.to_string() == format!("USD-{code}"))
    };
    assert!(quoted(&config, "RUB") && !quoted(&config, "BTC") && !quoted(&config, "ZMK"));
    config.more_currencies.push(Asset::parse("BTC").unwrap());
    assert!(quoted(&config, "BTC"));
}

#[test]
fn the_error_body_of_open_exchange_rates_is_understood() {
    let Some(folder) = fixtures("openexchangerates") else {
        return;
    };
    let body = read(folder.join("error_not_allowed.json"));
    assert!(openexchangerates::decode(&body).is_err());
    assert_eq!(
        openexchangerates::wire::refused(&body).as_deref(),
        Some("not_allowed")
    );
}

#[test]
fn coingecko_answers_are_kept_digit_by_digit() {
    let Some(folder) = fixtures("coingecko") else {
        return;
    };
    let mut values = Vec::new();
    for line in kurs_testkit::fixtures::lines(&folder.join("simple_price_mock_2021.jsonl")) {
        let reply = coingecko::decode(line.text().as_bytes()).unwrap();
        let (id, fields) = reply.coins.into_iter().next().unwrap();
        values.push(format!("{id} {}", fields["usd"]));
    }
    assert_eq!(
        values,
        ["ethereum 4226.71", "ethereum 4208.38", "olympus 100.0"]
    );
}
