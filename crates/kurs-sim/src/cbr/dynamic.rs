//! `XML_dynamic.asp`: the rates of one currency over some days. Only days with a rate of their
//! own are there.

use super::{CURRENCIES, latest_day, parse_day, rate_texts, xml};
use crate::calendar::{after, before, is_russian_working_day};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::shared::Shared;
use jiff::civil::{Date, date};

/// The first day there is.
const FIRST: Date = date(1999, 1, 4);

/// Answers one request.
pub(super) fn answer(query: &Query, shared: &Shared) -> Reply {
    let day = |key: &str| query.get(key).and_then(parse_day);
    let id = query.get("VAL_NM_RQ").unwrap_or("");
    let currency = CURRENCIES.iter().find(|(known, ..)| *known == id);
    let (Some(from), Some(to), Some(currency)) = (day("date_req1"), day("date_req2"), currency)
    else {
        return xml(
            "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs ID=\"\" DateRange1=\"\" DateRange2=\"\" name=\"Foreign Currency Market Dynamic\"></ValCurs>",
        );
    };
    let (_, _, code, nominal, _) = *currency;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs ID=\"{id}\" DateRange1=\"{}\" DateRange2=\"{}\" name=\"Foreign Currency Market Dynamic\">",
        from.strftime("%d.%m.%Y"),
        to.strftime("%d.%m.%Y"),
    );
    let last = to.min(latest_day(shared.wall()));
    let mut at = from.max(FIRST);
    while at <= last {
        // A rate is set on a working day for the next day.
        if is_russian_working_day(before(at))
            && let Some((value, unit)) = rate_texts(at, code, nominal, shared)
        {
            let shown = at.strftime("%d.%m.%Y");
            text.push_str(&format!(
                "<Record Date=\"{shown}\" Id=\"{id}\"><Nominal>{nominal}</Nominal><Value>{value}</Value><VunitRate>{unit}</VunitRate></Record>"
            ));
        }
        at = after(at);
    }
    text.push_str("</ValCurs>");
    xml(&text)
}
