//! Buttons below a message.

use serde_json::Value;

/// Most buttons of one message.
const BUTTONS_MAX: usize = 100;
/// What a button may carry.
const DATA_BYTES_MAX: usize = 64;

/// Judges a `reply_markup`.
///
/// # Errors
/// What the real one says behind `Bad Request: `.
pub(crate) fn judge(markup: &Value) -> Result<(), String> {
    let Some(markup) = markup.as_object() else {
        return Err("object expected as reply markup".to_owned());
    };
    let Some(rows) = markup.get("inline_keyboard") else {
        return Ok(());
    };
    let Some(rows) = rows.as_array() else {
        return Err("field \"inline_keyboard\" must be of type Array".to_owned());
    };
    let mut count = 0;
    for row in rows {
        let Some(row) = row.as_array() else {
            return Err("field \"inline_keyboard\" must be an Array of Arrays".to_owned());
        };
        for button in row {
            count += 1;
            let text = button.get("text").and_then(Value::as_str).unwrap_or("");
            if text.trim().is_empty() {
                return Err("inline keyboard button text must be non-empty".to_owned());
            }
            let data = button.get("callback_data").and_then(Value::as_str);
            let url = button.get("url").and_then(Value::as_str);
            match (data, url) {
                (Some(data), None) if (1..=DATA_BYTES_MAX).contains(&data.len()) => {}
                (Some(_), None) => return Err("BUTTON_DATA_INVALID".to_owned()),
                (None, Some(url)) if url.starts_with("https://") || url.starts_with("http://") => {}
                (None, Some(_)) => return Err("BUTTON_URL_INVALID".to_owned()),
                _ => return Err("BUTTON_TYPE_INVALID".to_owned()),
            }
        }
    }
    if count > BUTTONS_MAX {
        return Err("REPLY_MARKUP_TOO_LONG".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_button_carries_at_most_64_bytes() {
        let markup =
            |data: &str| json!({"inline_keyboard": [[{"text": "x", "callback_data": data}]]});
        assert_eq!(judge(&markup(&"a".repeat(64))), Ok(()));
        for data in ["", &"a".repeat(65), &"\u{20bd}".repeat(22)] {
            assert_eq!(judge(&markup(data)), Err("BUTTON_DATA_INVALID".to_owned()));
        }
    }
}
