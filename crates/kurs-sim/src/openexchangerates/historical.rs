//! `historical/YYYY-MM-DD.json`: the table of the end of a day.

use super::{error, table};
use crate::calendar::{day_number, in_zone};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::shared::Shared;
use jiff::civil::{Date, date};

/// The first day there is.
const FIRST: Date = date(1999, 1, 1);

/// Answers a request for a day, as it stands in the path.
pub(super) fn answer(day: &str, query: &Query, shared: &Shared) -> Reply {
    let today = in_zone(shared.wall(), "UTC").date();
    let Ok(day) = day.parse::<Date>() else {
        return error(
            404,
            "not_found",
            "Client requested a non-existent resource/route.",
        );
    };
    if day < FIRST || day > today {
        return error(
            400,
            "not_available",
            "Historical rates for the requested date are not available - please try a different date, or contact support@openexchangerates.org.",
        );
    }
    let end = day_number(day) * 86_400 + 86_399;
    let published = end.min(shared.unix_seconds());
    match table(query, published, shared) {
        Ok(body) => Reply::new(200, "application/json; charset=utf-8", body),
        Err(refused) => refused,
    }
}
