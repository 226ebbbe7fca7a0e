//! A duration as a whole number of milliseconds in text, for fields named `*_ms`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

/// Rounded down.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    milliseconds.serialize(serializer)
}

/// Also reads seconds and nanoseconds, as texts had them that were stored before.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Milliseconds(u64),
        Whole(Duration),
    }
    Ok(match Text::deserialize(deserializer)? {
        Text::Milliseconds(milliseconds) => Duration::from_millis(milliseconds),
        Text::Whole(duration) => duration,
    })
}
