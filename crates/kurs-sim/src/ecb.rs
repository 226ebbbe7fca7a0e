//! Simulated European Central Bank: the daily file of reference rates, and the files of the past.

mod history;

use crate::calendar::{before, day_number, http_date, in_zone, is_target_day};
use crate::faults::{Channel, price_text};
use crate::http::reply::Reply;
use crate::market::reference::hash_name;
use crate::shared::Shared;
use crate::venue::Venue;
use http::HeaderMap;
use jiff::civil::{Date, time};
use kurs_core::Wall;
use rust_decimal::Decimal;

/// The currencies of the daily file, in its order. No rouble since 2022.
const CURRENCIES: [&str; 29] = [
    "USD", "JPY", "CZK", "DKK", "GBP", "HUF", "PLN", "RON", "SEK", "CHF", "ISK", "NOK", "TRY",
    "AUD", "BRL", "CAD", "CNY", "HKD", "IDR", "ILS", "INR", "KRW", "MXN", "MYR", "NZD", "PHP",
    "SGD", "THB", "ZAR",
];

/// The last day whose rates are published: they come out about 16:00 in Frankfurt.
fn table_day(wall: Wall) -> Date {
    let now = in_zone(wall, "Europe/Berlin");
    let mut day = now.date();
    if now.time() < time(16, 0, 0, 0) {
        day = before(day);
    }
    while !is_target_day(day) {
        day = before(day);
    }
    day
}

/// Four to six significant digits, as the bank prints.
fn rounded(rate: Decimal) -> Decimal {
    let places = if rate >= Decimal::from(100) {
        2
    } else if rate >= Decimal::TEN {
        3
    } else if rate >= Decimal::ONE {
        4
    } else {
        5
    };
    let mut rate = rate.round_dp(places);
    rate.rescale(places);
    rate
}

/// The rates of a day.
fn day_cube(day: Date, shared: &Shared) -> String {
    let mut cubes = String::new();
    let number = day_number(day);
    let per_usd = |currency: &str| shared.reference.fiat_fix(currency, number);
    for currency in CURRENCIES {
        let cross = per_usd(currency)
            .and_then(|rate| rate.checked_div(per_usd("EUR")?))
            .map(rounded);
        let Some(rate) = shared.pins.get(Venue::Ecb, currency).or(cross) else {
            continue;
        };
        let wrong = shared
            .board
            .wrong_price(Venue::Ecb, Channel::Rest, currency);
        let text = price_text(rate, wrong.as_ref());
        cubes.push_str(&format!(
            "\t\t\t<Cube currency='{currency}' rate='{text}'/>\n"
        ));
    }
    format!("\t\t<Cube time='{day}'>\n{cubes}\t\t</Cube>\n")
}

/// The file around its days.
fn document(days: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gesmes:Envelope xmlns:gesmes=\"http://www.gesmes.org/xml/2002-08-01\" xmlns=\"http://www.ecb.int/vocabulary/2002-08-01/eurofxref\">\n\t<gesmes:subject>Reference rates</gesmes:subject>\n\t<gesmes:Sender>\n\t\t<gesmes:name>European Central Bank</gesmes:name>\n\t</gesmes:Sender>\n\t<Cube>\n{days}\t</Cube>\n</gesmes:Envelope>\n"
    )
}

pub(crate) fn answer(route: &str, headers: &HeaderMap, shared: &Shared) -> Reply {
    match route {
        "/stats/eurofxref/eurofxref-daily.xml" => {}
        "/stats/eurofxref/eurofxref-hist-90d.xml" => return history::answer(true, shared),
        "/stats/eurofxref/eurofxref-hist.xml" => return history::answer(false, shared),
        _ => return Reply::html(404, "not found"),
    }
    let day = table_day(shared.wall());
    let number = day_number(day);
    let body = document(&day_cube(day, shared));
    let etag = format!("\"{:x}\"", hash_name(&body));
    let modified = http_date(Wall::from_unix_seconds(
        i64::try_from(number * 86_400 + 14 * 3_600).unwrap_or(0),
    ));
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reply = match header("if-none-match") {
        Some(tag) if tag == etag => Reply::not_modified(),
        None if header("if-modified-since") == Some(modified.as_str()) => Reply::not_modified(),
        _ => Reply::new(200, "text/xml", body),
    };
    reply.with("etag", &etag).with("last-modified", &modified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_table_is_that_of_the_last_working_day_after_four_in_frankfurt() {
        for (now, day) in [
            ("2026-07-15T13:59:00Z", date(2026, 7, 14)),
            ("2026-07-15T14:01:00Z", date(2026, 7, 15)),
            ("2026-01-15T14:59:00Z", date(2026, 1, 14)),
            ("2026-07-19T12:00:00Z", date(2026, 7, 17)),
            ("2026-04-06T20:00:00Z", date(2026, 4, 2)),
        ] {
            assert_eq!(table_day(now.parse().unwrap()), day, "{now}");
        }
    }
}
