//! Two kinds of time. Ages and deadlines use [`Mono`], which never jumps; display and
//! schedules use [`Wall`]. Code that needs the time is handed a [`Now`] or a [`Clock`].

mod clock;
pub mod milliseconds;

pub use clock::{Clock, ManualClock, SystemClock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Wall-clock time: microseconds since 1970-01-01T00:00:00Z. Printed as RFC 3339 UTC with
/// milliseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wall(pub i64);

/// Monotonic time: nanoseconds since the clock was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mono(pub u64);

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// For ages and deadlines.
    pub mono: Mono,
    /// For display and schedules.
    pub wall: Wall,
}

impl Wall {
    /// The latest time that can be printed, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);
    /// The earliest time that can be printed, 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000_000);

    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_unix_ms(milliseconds: i64) -> Self {
        Self(milliseconds.saturating_mul(1_000))
    }

    /// From seconds since 1970.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Milliseconds since 1970, rounded down.
    #[must_use]
    pub const fn unix_ms(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Seconds since 1970, rounded down.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The begin of its millisecond: the time as answers show it.
    #[must_use]
    pub const fn to_millisecond(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000)))
    }

    /// This time plus a duration; stops at [`Wall::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros).min(Self::MAX.0))
    }

    /// Time since `earlier`, zero when it is later than this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        let micros = self.0.saturating_sub(earlier.0);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// Days since 1970 to year, month, day in the proleptic Gregorian calendar
/// (the public-domain `civil_from_days` arithmetic over 400-year eras).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 {
        month_index + 3
    } else {
        month_index - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_index = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_index + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl fmt::Display for Wall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clamped = self.0.clamp(Self::MIN.0, Self::MAX.0);
        let milliseconds = clamped.div_euclid(1_000);
        let seconds = milliseconds.div_euclid(1_000);
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let second_of_day = seconds.rem_euclid(86_400);
        write!(
            formatter,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second_of_day / 3_600,
            second_of_day / 60 % 60,
            second_of_day % 60,
            milliseconds.rem_euclid(1_000),
        )
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for Wall {
    type Err = WallError;

    /// Reads RFC 3339: `2026-11-21T10:00:00Z`, with fraction and offset if there are any.
    fn from_str(text: &str) -> Result<Self, WallError> {
        parse_rfc3339(text).ok_or(WallError)
    }
}

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as RFC 3339, such as 2026-11-21T10:00:00Z")]
pub struct WallError;

fn digits(text: &str, from: usize, to: usize) -> Option<i64> {
    let part = text.get(from..to)?;
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    part.parse().ok()
}

fn parse_rfc3339(text: &str) -> Option<Wall> {
    if !text.is_ascii() || text.len() < 20 || text.len() > 40 {
        return None;
    }
    let bytes = text.as_bytes();
    let shape = bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't')
        && bytes[13] == b':'
        && bytes[16] == b':';
    if !shape {
        return None;
    }
    let (year, month, day) = (
        digits(text, 0, 4)?,
        digits(text, 5, 7)?,
        digits(text, 8, 10)?,
    );
    let (hour, minute, second) = (
        digits(text, 11, 13)?,
        digits(text, 14, 16)?,
        digits(text, 17, 19)?,
    );
    let days = days_from_civil(year, month, day);
    let real_day =
        year >= 1 && (1..=12).contains(&month) && civil_from_days(days) == (year, month, day);
    if !real_day || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &text[19..];
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 || length > 9 {
            return None;
        }
        let padded = format!("{:0<6}", &fraction[..length]);
        micros = padded[..6].parse::<i64>().ok()?;
        rest = &fraction[length..];
    }
    let offset_minutes = match rest {
        "Z" | "z" => 0,
        _ if rest.len() == 6 && rest.as_bytes()[3] == b':' => {
            let sign = match rest.as_bytes()[0] {
                b'+' => 1,
                b'-' => -1,
                _ => return None,
            };
            let (hours, minutes) = (digits(rest, 1, 3)?, digits(rest, 4, 6)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            sign * (hours * 60 + minutes)
        }
        _ => return None,
    };
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_minutes * 60;
    Some(Wall(seconds * 1_000_000 + micros))
}

impl Serialize for Wall {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Wall {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "date-time",
            "description": "RFC 3339, UTC, milliseconds",
        })
    }
}

impl Mono {
    /// This moment plus a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// Time since `earlier`, zero when it is later than this.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Now {
    /// Both clocks moved on by a duration.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self {
            mono: self.mono.plus(duration),
            wall: self.wall.plus(duration),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_print_as_rfc3339_with_milliseconds() {
        assert_eq!(
            Wall::from_unix_ms(1_723_161_255_208).to_string(),
            "2024-08-08T23:54:15.208Z"
        );
        assert_eq!(Wall(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        let expect = Wall::from_unix_seconds(1_693_645_800);
        assert_eq!(
            "2023-09-02T12:10:00+03:00".parse(),
            Ok(Wall::from_unix_seconds(1_693_645_800))
        );
        assert_eq!("2023-09-02T09:10:00.000000123Z".parse(), Ok(expect));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-02-30T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "0000-01-01T00:00:00Z",
            "2026-01-01T00:00:00+0300",
            "2026/01/01T00:00:00Z",
        ] {
            assert_eq!(text.parse::<Wall>(), Err(WallError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(ms in Wall::MIN.unix_ms()..=Wall::MAX.unix_ms()) {
            let wall = Wall::from_unix_ms(ms);
            prop_assert_eq!(wall.to_string().parse::<Wall>(), Ok(wall));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<Wall>();
        }
    }
}
