//! Simulated Central Bank of Russia: the daily table, in windows-1251, with nominals and
//! decimal commas, and the rates of one currency over some days.

mod dynamic;

use crate::calendar::{after, before, day_number, in_zone, is_russian_working_day};
use crate::faults::{Channel, price_text};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::shared::Shared;
use crate::venue::Venue;
use jiff::civil::{Date, time};
use kurs_core::Wall;
use rust_decimal::Decimal;

/// Bank's id, numeric code, code, nominal, name.
const CURRENCIES: [(&str, &str, &str, u32, &str); 43] = [
    ("R01010", "036", "AUD", 1, "Австралийский доллар"),
    ("R01020A", "944", "AZN", 1, "Азербайджанский манат"),
    ("R01030", "012", "DZD", 100, "Алжирских динаров"),
    ("R01035", "826", "GBP", 1, "Фунт стерлингов"),
    ("R01060", "051", "AMD", 100, "Армянских драмов"),
    ("R01080", "048", "BHD", 1, "Бахрейнский динар"),
    ("R01090B", "933", "BYN", 1, "Белорусский рубль"),
    ("R01105", "068", "BOB", 1, "Боливиано"),
    ("R01115", "986", "BRL", 1, "Бразильский реал"),
    ("R01135", "348", "HUF", 100, "Форинтов"),
    ("R01150", "704", "VND", 10_000, "Донгов"),
    ("R01200", "344", "HKD", 10, "Гонконгских долларов"),
    ("R01210", "981", "GEL", 1, "Лари"),
    ("R01215", "208", "DKK", 1, "Датская крона"),
    ("R01230", "784", "AED", 1, "Дирхам ОАЭ"),
    ("R01235", "840", "USD", 1, "Доллар США"),
    ("R01239", "978", "EUR", 1, "Евро"),
    ("R01240", "818", "EGP", 10, "Египетских фунтов"),
    ("R01270", "356", "INR", 100, "Индийских рупий"),
    ("R01280", "360", "IDR", 10_000, "Рупий"),
    ("R01300", "364", "IRR", 1_000_000, "Иранских риалов"),
    ("R01335", "398", "KZT", 100, "Тенге"),
    ("R01350", "124", "CAD", 1, "Канадский доллар"),
    ("R01355", "634", "QAR", 1, "Катарский риал"),
    ("R01370", "417", "KGS", 100, "Сомов"),
    ("R01375", "156", "CNY", 1, "Юань"),
    ("R01500", "498", "MDL", 10, "Молдавских леев"),
    ("R01520", "566", "NGN", 1_000, "Найр"),
    ("R01530", "554", "NZD", 1, "Новозеландский доллар"),
    ("R01535", "578", "NOK", 10, "Норвежских крон"),
    ("R01565", "985", "PLN", 1, "Злотый"),
    (
        "R01589",
        "960",
        "XDR",
        1,
        "СДР (специальные права заимствования)",
    ),
    ("R01625", "702", "SGD", 1, "Сингапурский доллар"),
    ("R01675", "764", "THB", 10, "Батов"),
    ("R01700J", "949", "TRY", 10, "Турецких лир"),
    ("R01717", "860", "UZS", 10_000, "Узбекских сумов"),
    ("R01720", "980", "UAH", 10, "Гривен"),
    ("R01760", "203", "CZK", 10, "Чешских крон"),
    ("R01770", "752", "SEK", 10, "Шведских крон"),
    ("R01775", "756", "CHF", 1, "Швейцарский франк"),
    ("R01810", "710", "ZAR", 10, "Рэндов"),
    ("R01815", "410", "KRW", 1_000, "Вон"),
    ("R01820", "392", "JPY", 100, "Иен"),
];

/// The newest table: set on a working day, published by 17:00 in Moscow, in force the next day.
fn latest_day(wall: Wall) -> Date {
    let now = in_zone(wall, "Europe/Moscow");
    let mut set_on = now.date();
    if now.time() < time(17, 0, 0, 0) {
        set_on = before(set_on);
    }
    while !is_russian_working_day(set_on) {
        set_on = before(set_on);
    }
    after(set_on)
}

/// The table in force on a day: the day after the last working day before it.
fn in_force_on(day: Date, latest: Date) -> Date {
    if day >= latest {
        return latest;
    }
    let mut set_on = before(day);
    while !is_russian_working_day(set_on) {
        set_on = before(set_on);
    }
    after(set_on)
}

/// `DD/MM/YYYY` or `DD.MM.YYYY`.
fn parse_day(text: &str) -> Option<Date> {
    let mut parts = text.split(['/', '.']);
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()
}

/// A decimal comma; tiny numbers in exponent form, as the bank prints them.
fn comma(value: Decimal) -> String {
    let value = value.normalize();
    let digits = value.mantissa().unsigned_abs().to_string();
    let exponent = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(value.scale());
    if value.is_zero() || exponent >= -4 {
        return value.to_string().replace('.', ",");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "," };
    format!("{first}{point}{rest}E-{:02}", -exponent)
}

pub(crate) fn answer(route: &str, query: &Query, shared: &Shared) -> Reply {
    match route {
        "/scripts/XML_daily.asp" => {}
        "/scripts/XML_dynamic.asp" => return dynamic::answer(query, shared),
        _ => return Reply::html(404, "not found"),
    }
    let latest = latest_day(shared.wall());
    let day = match query.get("date_req") {
        Some(text) => match parse_day(text) {
            Some(day) => in_force_on(day, latest),
            None => {
                return xml(
                    "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs>Error in parameters</ValCurs>",
                );
            }
        },
        None => latest,
    };
    let shown = day.strftime("%d.%m.%Y");
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs Date=\"{shown}\" name=\"Foreign Currency Market\">"
    );
    for (id, numeric, code, nominal, name) in CURRENCIES {
        let Some((shown, unit)) = rate_texts(day, code, nominal, shared) else {
            continue;
        };
        text.push_str(&format!(
            "<Valute ID=\"{id}\"><NumCode>{numeric}</NumCode><CharCode>{code}</CharCode><Nominal>{nominal}</Nominal><Name>{name}</Name><Value>{shown}</Value><VunitRate>{unit}</VunitRate></Valute>"
        ));
    }
    text.push_str("</ValCurs>");
    xml(&text)
}

/// The rate of a currency in force from a day on: for its nominal, and for one unit.
fn rate_texts(day: Date, code: &str, nominal: u32, shared: &Shared) -> Option<(String, String)> {
    let number = day_number(day);
    let per_usd = |currency: &str| shared.reference.fiat_fix(currency, number);
    let units = Decimal::from(nominal);
    let set = per_usd("RUB")
        .and_then(|rub| rub.checked_div(per_usd(code)?))
        .and_then(|unit| unit.checked_mul(units));
    let mut value = shared.pins.get(Venue::Cbr, code).or(set)?;
    value = value.round_dp(4);
    value.rescale(4);
    let wrong = shared.board.wrong_price(Venue::Cbr, Channel::Rest, code);
    let shown = price_text(value, wrong.as_ref()).replace('.', ",");
    let unit = match &wrong {
        Some(_) => shown.clone(),
        None => comma(value.checked_div(units).unwrap_or(value)),
    };
    Some((shown, unit))
}

fn xml(text: &str) -> Reply {
    let (bytes, ..) = encoding_rs::WINDOWS_1251.encode(text);
    Reply::new(200, "text/xml; charset=windows-1251", bytes.into_owned())
        .with("cache-control", "no-cache")
        .with("expires", "-1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_latest_table_may_be_that_of_tomorrow_and_none_is_of_sunday_or_monday() {
        for (now, day) in [
            // Wednesday before and after the evening publication, Moscow is UTC+3.
            ("2026-07-15T13:00:00Z", date(2026, 7, 15)),
            ("2026-07-15T14:30:00Z", date(2026, 7, 16)),
            // Friday evening gives Saturday's, which stays until Monday evening.
            ("2026-07-17T15:00:00Z", date(2026, 7, 18)),
            ("2026-07-19T12:00:00Z", date(2026, 7, 18)),
            ("2026-07-20T15:00:00Z", date(2026, 7, 21)),
            // The table fetched on Sunday 2026-04-26 was dated 25.04.2026.
            ("2026-04-26T10:00:00Z", date(2026, 4, 25)),
        ] {
            assert_eq!(latest_day(now.parse().unwrap()), day, "{now}");
        }
    }

    #[test]
    fn a_day_without_a_table_of_its_own_gets_the_one_in_force() {
        let latest = date(2026, 7, 21);
        assert_eq!(in_force_on(date(2026, 7, 19), latest), date(2026, 7, 18));
        assert_eq!(in_force_on(date(2026, 7, 20), latest), date(2026, 7, 18));
        assert_eq!(in_force_on(date(2026, 7, 16), latest), date(2026, 7, 16));
        assert_eq!(in_force_on(date(2027, 1, 1), latest), latest);
        assert_eq!(parse_day("16.07.2026"), parse_day("16/07/2026"));
        assert_eq!(parse_day("31/02/2026"), None);
    }

    #[test]
    fn numbers_have_commas_and_tiny_ones_an_exponent() {
        assert_eq!(comma("11.0270".parse().unwrap()), "11,027");
        assert_eq!(comma("0.0000539256".parse().unwrap()), "5,39256E-05");
    }
}
