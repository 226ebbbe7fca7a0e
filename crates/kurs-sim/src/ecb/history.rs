//! The files of the past: the last 90 days, and all days since 1999, newest first.

use super::{day_cube, document, table_day};
use crate::calendar::{before, is_target_day};
use crate::http::reply::Reply;
use crate::shared::Shared;
use jiff::civil::{Date, date};

/// The first day there is.
const FIRST: Date = date(1999, 1, 4);
/// Days that the small file goes back.
const SMALL: u32 = 90;

/// All of it, or the last 90 days.
pub(super) fn answer(is_small: bool, shared: &Shared) -> Reply {
    let newest = table_day(shared.wall());
    let mut day = newest;
    let mut cubes = String::new();
    let mut back = 0;
    while day >= FIRST && (!is_small || back <= SMALL) {
        if is_target_day(day) {
            cubes.push_str(&day_cube(day, shared));
        }
        day = before(day);
        back += 1;
    }
    Reply::new(200, "text/xml", document(&cubes))
}
