//! Short text kept in place: names are copied with every price, so they must not allocate.

use std::fmt;
use std::hash::{Hash, Hasher};

/// ASCII text of at most `N` bytes, stored inline and freely copied.
#[derive(Clone, Copy)]
pub struct ShortText<const N: usize> {
    length: u8,
    bytes: [u8; N],
}

impl<const N: usize> ShortText<N> {
    /// Text whose every byte `accepts`; `None` when empty, longer than `N`, or refused.
    pub fn new(text: &str, accepts: impl Fn(u8) -> bool) -> Option<Self> {
        let source = text.as_bytes();
        let length = u8::try_from(source.len()).ok()?;
        if source.is_empty() || source.len() > N {
            return None;
        }
        if !source.iter().all(|byte| byte.is_ascii() && accepts(*byte)) {
            return None;
        }
        let mut bytes = [0_u8; N];
        bytes[..source.len()].copy_from_slice(source);
        Some(Self { length, bytes })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The constructor admits ASCII only, so this never takes the empty branch.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl<const N: usize> PartialEq for ShortText<N> {
    fn eq(&self, other: &Self) -> bool {
        // Unused bytes are always zero, so whole arrays compare faster than slices.
        self.bytes == other.bytes
    }
}

impl<const N: usize> Eq for ShortText<N> {}

impl<const N: usize> Hash for ShortText<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.bytes[..usize::from(self.length)]);
        state.write_u8(0xff);
    }
}

impl<const N: usize> Ord for ShortText<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl<const N: usize> PartialOrd for ShortText<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<const N: usize> fmt::Display for ShortText<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for ShortText<N> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), formatter)
    }
}

/// Gives a newtype over [`ShortText`] its text-shaped traits: `Display`, `Debug`, serde as a
/// string, and a JSON schema with the pattern that its parser accepts.
#[macro_export]
#[doc(hidden)]
macro_rules! short_text_traits {
    ($name:ident, $pattern:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}
