//! Durations and times of day as people write them: `90s`, `30m`, `9h`; `04:00`.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

/// A duration written as a whole number and a unit: `500ms`, `90s`, `30m`, `9h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

/// The text is not a [`Period`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a period is a whole number and one of ms, s, m, h, d, such as 90s, 30m or 9h")]
pub struct PeriodError;

/// Units with their length in milliseconds, longest first so that each prints shortest.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Period {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many minutes.
    #[must_use]
    pub const fn minutes(minutes: u64) -> Self {
        Self::seconds(minutes * 60)
    }

    /// So many hours.
    #[must_use]
    pub const fn hours(hours: u64) -> Self {
        Self::minutes(hours * 60)
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| PeriodError)?;
        let (_, milliseconds) = UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim_start())
            .ok_or(PeriodError)?;
        number
            .checked_mul(*milliseconds)
            .map(|total| Self(Duration::from_millis(total)))
            .ok_or(PeriodError)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.0.as_millis();
        for (name, milliseconds) in UNITS {
            if total > 0 && total.is_multiple_of(u128::from(milliseconds)) {
                return write!(formatter, "{}{name}", total / u128::from(milliseconds));
            }
        }
        write!(formatter, "{total}ms")
    }
}

/// A time of day with seconds, written `04:00` or `04:00:30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay {
    seconds: u32,
}

/// The text is not a [`TimeOfDay`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a time of day is written 04:00 or 04:00:30, up to 23:59:59")]
pub struct TimeOfDayError;

impl TimeOfDay {
    /// Whole hours and minutes; hours beyond 23 and minutes beyond 59 wrap around.
    #[must_use]
    pub const fn of(hours: u32, minutes: u32) -> Self {
        Self {
            seconds: (hours % 24) * 3_600 + (minutes % 60) * 60,
        }
    }

    /// As a civil time.
    #[must_use]
    pub fn time(self) -> jiff::civil::Time {
        jiff::civil::Time::midnight()
            .saturating_add(jiff::SignedDuration::from_secs(i64::from(self.seconds)))
    }

    /// Seconds since midnight.
    #[must_use]
    pub const fn second_of_day(self) -> u32 {
        self.seconds
    }
}

impl FromStr for TimeOfDay {
    type Err = TimeOfDayError;

    fn from_str(text: &str) -> Result<Self, TimeOfDayError> {
        let mut seconds = 0;
        let mut parts = 0;
        for (part, limit) in text.split(':').zip([24_u32, 60, 60, 0]) {
            let well_formed =
                (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
            let value: u32 = part.parse().map_err(|_| TimeOfDayError)?;
            if !well_formed || value >= limit {
                return Err(TimeOfDayError);
            }
            seconds = seconds * 60 + value;
            parts += 1;
        }
        match parts {
            2 => Ok(Self {
                seconds: seconds * 60,
            }),
            3 => Ok(Self { seconds }),
            _ => Err(TimeOfDayError),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes) = (self.seconds / 3_600, self.seconds / 60 % 60);
        match self.seconds % 60 {
            0 => write!(formatter, "{hours:02}:{minutes:02}"),
            seconds => write!(formatter, "{hours:02}:{minutes:02}:{seconds:02}"),
        }
    }
}

/// Serde and schema by way of the text form.
macro_rules! as_text {
    ($name:ident, $pattern:literal, $description:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $description,
                })
            }
        }
    };
}

as_text!(
    Period,
    "^[0-9]+ ?(ms|s|m|h|d)$",
    "a whole number and a unit: 90s, 30m, 9h"
);
as_text!(
    TimeOfDay,
    "^[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?$",
    "a time of day: 04:00 or 04:00:30"
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn periods_are_read_and_printed_as_written() {
        for text in ["500ms", "90s", "30m", "9h", "2d", "1s", "0ms"] {
            assert_eq!(text.parse::<Period>().unwrap().to_string(), text);
        }
        assert_eq!("24h".parse::<Period>().unwrap(), Period::hours(24));
        for text in [
            "",
            "s",
            "9",
            "9x",
            "-1s",
            "1.5h",
            "9h30m",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(text.parse::<Period>(), Err(PeriodError), "{text:?}");
        }
    }

    #[test]
    fn times_of_day_are_read_and_printed() {
        assert_eq!("04:00".parse::<TimeOfDay>().unwrap(), TimeOfDay::of(4, 0));
        assert_eq!(
            "23:59:59".parse::<TimeOfDay>().unwrap().second_of_day(),
            86_399
        );
        assert_eq!("4:05".parse::<TimeOfDay>().unwrap().to_string(), "04:05");
        for text in [
            "",
            "24:00",
            "04",
            "04:60",
            "04:00:60",
            "04:00:00:00",
            "+4:00",
            ":",
            "04:",
        ] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(TimeOfDayError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = text.parse::<Period>();
            let _ = text.parse::<TimeOfDay>();
        }

        #[test]
        fn what_is_printed_is_read_again(milliseconds in 0_u64..10_000_000_000, second in 0_u32..86_400) {
            let period = Period(Duration::from_millis(milliseconds));
            prop_assert_eq!(period.to_string().parse::<Period>().unwrap(), period);
            let time = TimeOfDay { seconds: second };
            prop_assert_eq!(time.to_string().parse::<TimeOfDay>().unwrap(), time);
        }
    }
}
