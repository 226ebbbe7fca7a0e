//! Texts in Telegram's HTML: what is seen of them, and what is wrong with them.

/// Tags that may stand in a text.
const TAGS: [&str; 16] = [
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "span",
    "tg-spoiler",
    "a",
    "code",
    "pre",
    "blockquote",
    "tg-emoji",
];

/// The text without its tags.
///
/// # Errors
/// What the real one says behind `can't parse entities: `.
pub(crate) fn visible(text: &str) -> Result<String, String> {
    let mut seen = String::with_capacity(text.len());
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with('<') {
            let end = rest
                .find('>')
                .ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
            let inside = rest.get(1..end).unwrap_or_default();
            if let Some(name) = inside.strip_prefix('/') {
                match open.pop() {
                    None => return Err(format!("Unexpected end tag at byte offset {at}")),
                    Some(last) if last != name.trim() => {
                        return Err(format!(
                            "Unmatched end tag at byte offset {at}, expected \"</{last}>\", found \"</{name}>\""
                        ));
                    }
                    Some(_) => {}
                }
            } else {
                let name = inside.split(' ').next().unwrap_or_default();
                if !TAGS.contains(&name) {
                    return Err(format!(
                        "Unsupported start tag \"{name}\" at byte offset {at}"
                    ));
                }
                open.push(name);
            }
            at += end + 1;
            continue;
        }
        if rest.starts_with('&')
            && let Some((character, length)) = entity(rest)
        {
            seen.push(character);
            at += length;
            continue;
        }
        let Some(character) = rest.chars().next() else {
            break;
        };
        seen.push(character);
        at += character.len_utf8();
    }
    match open.last() {
        Some(tag) => Err(format!(
            "Can't find end tag corresponding to start tag \"{tag}\""
        )),
        None => Ok(seen),
    }
}

/// The character of an entity at the begin of a text, and its length; what is none stays text.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.get(..text.len().min(12))?.find(';')?;
    let name = text.get(1..end)?;
    let character = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_and_entities_are_not_seen() {
        let text = "<b>BTC-USD</b> &lt; <a href=\"https://x\">65&#48;00</a> & AT&T";
        assert_eq!(visible(text).unwrap(), "BTC-USD < 65000 & AT&T");
    }

    #[test]
    fn what_is_no_html_of_telegram_is_refused() {
        for (text, why) in [
            ("a < b", "Unclosed start tag"),
            ("<p>x</p>", "Unsupported start tag \"p\""),
            ("<b>x", "Can't find end tag"),
            ("x</b>", "Unexpected end tag"),
            ("<b><i>x</b></i>", "Unmatched end tag"),
        ] {
            let said = visible(text).unwrap_err();
            assert!(said.starts_with(why), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[<>&;#/a-z\u{20bd}\u{1f600} ]{0,40}") {
            let _ = visible(&text);
        }
    }
}
