//! Times as documents write them.

use crate::zone;
use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use kurs_core::Wall;

/// How a document writes times.
#[derive(Debug, Clone)]
pub struct TimeStyle {
    /// Letters of strftime; `None`: one of the usual ways.
    pub format: Option<String>,
    /// For times that name no zone.
    pub zone: TimeZone,
}

/// A longer text is no time.
const LONGEST: usize = 64;

/// Ways without a zone that mean one thing only.
const CIVIL_TIMES: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y%m%d %H:%M:%S",
];

const CIVIL_DATES: [&str; 4] = ["%Y-%m-%d", "%d.%m.%Y", "%Y%m%d", "%Y/%m/%d"];

impl TimeStyle {
    /// Reads a time: by the format if there is one, else RFC 3339, seconds, milliseconds or
    /// microseconds since 1970, RFC 2822, or a civil date and time in the zone. A date alone is
    /// its first moment.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Wall> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        if let Some(format) = &self.format {
            return self.by_format(format, text);
        }
        if let Ok(wall) = text.parse::<Wall>() {
            return Some(wall);
        }
        if let Some(wall) = since_1970(text) {
            return Some(wall);
        }
        if let Ok(timestamp) = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text) {
            return Some(Wall(timestamp.as_microsecond()));
        }
        let civil = CIVIL_TIMES
            .iter()
            .find_map(|format| DateTime::strptime(format, text).ok())
            .or_else(|| {
                let date = CIVIL_DATES
                    .iter()
                    .find_map(|f| Date::strptime(f, text).ok());
                date.map(|date| date.at(0, 0, 0, 0))
            })?;
        Some(zone::moment(civil, &self.zone))
    }

    fn by_format(&self, format: &str, text: &str) -> Option<Wall> {
        let parts = BrokenDownTime::parse(format, text).ok()?;
        if let Ok(timestamp) = parts.to_timestamp() {
            return Some(Wall(timestamp.as_microsecond()));
        }
        let civil = parts.to_datetime().ok();
        let civil = civil.or_else(|| Some(parts.to_date().ok()?.at(0, 0, 0, 0)))?;
        Some(zone::moment(civil, &self.zone))
    }
}

/// True when times can be written this way, and therefore read.
#[must_use]
pub fn is_format(format: &str) -> bool {
    let moment = zone::civil(Wall::from_unix_seconds(0), &TimeZone::UTC).to_zoned(TimeZone::UTC);
    let written = moment.map(|moment| BrokenDownTime::from(&moment).to_string(format));
    matches!(written, Ok(Ok(text)) if text != format)
}

/// Ten digits are seconds until 2286, thirteen milliseconds, sixteen microseconds; a fraction of
/// a second is dropped.
fn since_1970(text: &str) -> Option<Wall> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    match whole.len() {
        9..=10 => Some(Wall::from_unix_seconds(number)),
        12..=13 => Some(Wall::from_unix_ms(number)),
        15..=16 => Some(Wall(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, format: Option<&str>) -> Option<String> {
        let style = TimeStyle {
            format: format.map(str::to_owned),
            zone: zone::moscow(),
        };
        style.read(text).map(|wall| wall.to_string())
    }

    #[test]
    fn the_usual_ways_are_understood() {
        for (text, expect) in [
            ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21T10:00:00.5+03:00", "2026-11-21T07:00:00.500Z"),
            ("1795255200", "2026-11-21T10:00:00.000Z"),
            ("1795255200.25", "2026-11-21T10:00:00.000Z"),
            ("1795255200123", "2026-11-21T10:00:00.123Z"),
            ("1795255200123456", "2026-11-21T10:00:00.123Z"),
            ("Sat, 21 Nov 2026 10:00:00 GMT", "2026-11-21T10:00:00.000Z"),
            ("2026-11-21 10:00:00", "2026-11-21T07:00:00.000Z"),
            ("2026-11-21T10:00:00", "2026-11-21T07:00:00.000Z"),
            ("21.11.2026 10:00", "2026-11-21T07:00:00.000Z"),
            ("21.11.2026", "2026-11-20T21:00:00.000Z"),
            ("2026-11-21", "2026-11-20T21:00:00.000Z"),
            ("20261121", "2026-11-20T21:00:00.000Z"),
        ] {
            assert_eq!(read(text, None).as_deref(), Some(expect), "{text:?}");
        }
        for text in [
            "",
            "now",
            "11/21/2026",
            "21.13.2026",
            "5",
            "-1795255200",
            "99999999999999999",
        ] {
            assert_eq!(read(text, None), None, "{text:?}");
        }
    }

    #[test]
    fn a_format_is_kept_to() {
        for (format, text, expect) in [
            ("%d/%m/%Y", "01/02/2026", Some("2026-01-31T21:00:00.000Z")),
            ("%m/%d/%Y", "01/02/2026", Some("2026-01-01T21:00:00.000Z")),
            (
                "%d/%m/%Y %H:%M %z",
                "01/02/2026 10:00 +0000",
                Some("2026-02-01T10:00:00.000Z"),
            ),
            ("%d/%m/%Y", "2026-11-21T10:00:00Z", None),
        ] {
            assert_eq!(read(text, Some(format)).as_deref(), expect, "{text:?}");
        }
        assert!(is_format("%d/%m/%Y"));
        assert!(!is_format("dd/mm/yyyy") && !is_format("%!") && !is_format(""));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>(), digits in "[0-9.:TZ +-]{0,40}") {
            for text in [text, digits] {
                let _ = read(&text, None);
                let _ = read(&text, Some("%d/%m/%Y %H:%M"));
                let _ = is_format(&text);
            }
        }
    }
}
