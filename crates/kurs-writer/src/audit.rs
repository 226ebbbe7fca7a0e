//! What the audit log says of a change.

use kurs_bus::Actor;
use kurs_core::Wall;
use kurs_store::AuditEntry;
use kurs_store::model::audit::{WHO_MAX, WHY_MAX};
use serde::Serialize;
use std::sync::Arc;

/// Longest value that is noted as it is, in bytes of its JSON; of a longer one the beginning.
const VALUE_MAX: usize = 16 * 1024;
/// Longest address that is noted.
const ADDRESS_MAX: usize = 64;

/// An entry without values. Whoever is not named is `unknown`: an earlier version asked.
#[must_use]
pub fn entry(by: Option<&Actor>, at: Wall, action: &str, subject: &str) -> AuditEntry {
    AuditEntry {
        at,
        who: by.map_or_else(|| "unknown".into(), |by| plain(&by.who, WHO_MAX)),
        address: (by.and_then(|by| by.address.as_deref())).map(|text| plain(text, ADDRESS_MAX)),
        action: action.into(),
        subject: subject.into(),
        before: None,
        after: None,
        why: (by.and_then(|by| by.why.as_deref())).map(|text| plain(text, WHY_MAX)),
    }
}

/// A value as the log holds it.
#[must_use]
pub fn json<T: Serialize + ?Sized>(value: &T) -> Arc<str> {
    let text = serde_json::to_string(value).unwrap_or_default();
    if text.len() <= VALUE_MAX {
        return text.into();
    }
    let cut = format!("{}…", beginning(&text, VALUE_MAX / 2));
    // A text of its own, so that what is noted is JSON still.
    serde_json::to_string(&cut).unwrap_or_default().into()
}

/// The text without what could drive a terminal or a database astray, and no longer than `most`
/// bytes.
#[must_use]
pub fn plain(text: &str, most: usize) -> Arc<str> {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    beginning(&text, most).into()
}

fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_plain_bounded_and_json() {
        let by = Actor {
            who: "é\0".repeat(1_000).into(),
            address: Some("127.0.0.1".into()),
            why: Some("line\nline".into()),
        };
        let noted = entry(Some(&by), Wall(1), "set_setting", "a");
        assert!(noted.who.len() <= WHO_MAX && !noted.who.contains('\0'));
        assert_eq!(noted.why.as_deref(), Some("line\u{fffd}line"));
        assert_eq!(&*entry(None, Wall(1), "x", "a").who, "unknown");
        assert_eq!(&*json(&vec![1, 2]), "[1,2]");
        let long = json(&vec!["é"; VALUE_MAX]);
        assert!(long.len() <= VALUE_MAX + 64, "{}", long.len());
        assert!(serde_json::from_str::<String>(&long).is_ok());
    }
}
