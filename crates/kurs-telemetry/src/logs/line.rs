//! An event as one line of text or JSON. Whatever an event carries, a line stays one line:
//! control characters are escaped, so nobody outside can forge an entry or move the cursor.

use super::record::{NAMED, Record};
use crate::level::Level;
use std::fmt::Write as _;

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For people, with or without colours.
    Text {
        /// Colour the level.
        color: bool,
    },
    /// One JSON object per line.
    Json,
}

/// Characters that end a line, drive a terminal or turn the reading direction.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn push_escaped(line: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            dangerous if is_dangerous(dangerous) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(dangerous));
            }
            plain => line.push(plain),
        }
    }
}

/// A value of a text line: quoted when its end could not be seen otherwise.
fn push_value(line: &mut String, value: &str) {
    let bare = !value.is_empty()
        && !value.contains([' ', '"', '=', '\\'])
        && !value.chars().any(is_dangerous);
    if bare {
        line.push_str(value);
        return;
    }
    line.push('"');
    push_escaped(line, &value.replace('\\', "\\\\").replace('"', "\\\""));
    line.push('"');
}

fn push_json_string(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            dangerous if is_dangerous(dangerous) => {
                // All of them lie in the first plane, so one escape is enough.
                let _ = write!(line, "\\u{:04x}", u32::from(dangerous));
            }
            plain => line.push(plain),
        }
    }
    line.push('"');
}

const fn color_of(level: Level) -> &'static str {
    match level {
        Level::Critical => "\x1b[1;97;41m",
        Level::Error => "\x1b[31m",
        Level::Warning => "\x1b[33m",
        Level::Info => "\x1b[32m",
        Level::Debug => "\x1b[2m",
    }
}

fn text(record: &Record, color: bool) -> String {
    let mut line = String::with_capacity(160);
    line.push_str(&record.ts);
    line.push(' ');
    let level = record.level;
    let _ = if color {
        write!(line, "{}{level:<8}\x1b[0m", color_of(level))
    } else {
        write!(line, "{level:<8}")
    };
    line.push(' ');
    push_escaped(&mut line, &record.target);
    line.push_str(": ");
    push_escaped(&mut line, &record.fields.message);
    for (name, value) in &record.fields.rest {
        let _ = write!(line, " {name}=");
        push_value(&mut line, value);
    }
    if record.left_out > 0 {
        let _ = write!(line, " repeated={}", record.left_out);
    }
    line.push('\n');
    line
}

fn json(record: &Record) -> String {
    let mut line = String::with_capacity(200);
    line.push_str("{\"ts\":");
    push_json_string(&mut line, &record.ts);
    line.push_str(",\"level\":");
    push_json_string(&mut line, record.level.as_str());
    line.push_str(",\"target\":");
    push_json_string(&mut line, &record.target);
    line.push_str(",\"msg\":");
    push_json_string(&mut line, &record.fields.message);
    let named = NAMED
        .into_iter()
        .filter_map(|name| Some((name, record.fields.get(name)?)));
    let others = record
        .fields
        .rest
        .iter()
        .filter(|(name, _)| !NAMED.contains(name))
        .map(|(name, value)| (*name, value.as_str()));
    for (name, value) in named.chain(others) {
        line.push(',');
        push_json_string(&mut line, name);
        line.push(':');
        if record.fields.bare.contains(&name) {
            line.push_str(value);
        } else {
            push_json_string(&mut line, value);
        }
    }
    if record.left_out > 0 {
        let _ = write!(line, ",\"repeated\":{}", record.left_out);
    }
    line.push_str("}\n");
    line
}

/// The line of an event, its line end included.
pub(crate) fn render(record: &Record, style: Style) -> String {
    match style {
        Style::Text { color } => text(record, color),
        Style::Json => json(record),
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Fields;
    use super::*;
    use proptest::prelude::*;

    fn record(message: &str, pair: &str) -> Record {
        Record {
            ts: "2026-11-21T10:00:00.000Z".into(),
            level: Level::Warning,
            target: "kurs::test".into(),
            fields: Fields {
                message: message.into(),
                critical: false,
                rest: vec![("age_ms", "12".into()), ("pair", pair.into())],
                bare: vec!["age_ms"],
            },
            left_out: 0,
        }
    }

    #[test]
    fn text_and_json_name_the_same_things() {
        let event = record("pair is stale", "BTC-USD");
        assert_eq!(
            render(&event, Style::Text { color: false }),
            "2026-11-21T10:00:00.000Z WARNING  kurs::test: pair is stale age_ms=12 pair=BTC-USD\n"
        );
        assert_eq!(
            render(&event, Style::Json),
            "{\"ts\":\"2026-11-21T10:00:00.000Z\",\"level\":\"WARNING\",\"target\":\"kurs::test\",\
             \"msg\":\"pair is stale\",\"pair\":\"BTC-USD\",\"age_ms\":12}\n"
        );
    }

    proptest! {
        #[test]
        fn no_content_breaks_out_of_its_line(message in any::<String>(), pair in any::<String>()) {
            for style in [Style::Text { color: false }, Style::Json] {
                let line = render(&record(&message, &pair), style);
                let body = line.strip_suffix('\n').unwrap();
                prop_assert!(!body.chars().any(is_dangerous), "{body:?}");
            }
            let line = render(&record(&message, &pair), Style::Json);
            let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(parsed["msg"].as_str().unwrap(), message);
            prop_assert_eq!(parsed["pair"].as_str().unwrap(), pair);
        }
    }
}
