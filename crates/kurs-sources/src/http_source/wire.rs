//! From the bytes of an answer to a document.

use super::csv::{self, CsvStyle};
use super::json::Value;
use super::tree::Element;
use super::xml;
use crate::decode::DecodeError;
use encoding_rs::{Encoding, UTF_8};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON.
    Json,
    /// XML.
    Xml,
    /// Comma-separated values, or with another delimiter.
    Csv,
}

impl Format {
    /// The word used in the setting.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Xml => "xml",
            Self::Csv => "csv",
        }
    }

    /// What Content-Type says, else what the first letter looks like.
    #[must_use]
    pub fn guess(text: &str, content_type: Option<&str>) -> Self {
        let kind = content_type
            .and_then(|kind| kind.split(';').next())
            .unwrap_or_default();
        // Web servers often call a file a text, or a page, whatever it is.
        for (word, format) in [
            ("json", Self::Json),
            ("xml", Self::Xml),
            ("csv", Self::Csv),
            ("tab-separated", Self::Csv),
        ] {
            if kind.contains(word) {
                return format;
            }
        }
        match text.trim_start().bytes().next() {
            Some(b'{' | b'[') => Self::Json,
            Some(b'<') => Self::Xml,
            _ => Self::Csv,
        }
    }
}

/// A document that can be looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document<'t> {
    /// JSON.
    Json(Value<'t>),
    /// XML; the element holds the root.
    Xml(Element),
    /// CSV; the element holds the rows.
    Csv(Element),
}

impl<'t> Document<'t> {
    /// Reads a text.
    ///
    /// # Errors
    /// [`DecodeError`] when it is not of the format, or a web page.
    pub fn read(text: &'t str, format: Format, csv: CsvStyle) -> Result<Self, DecodeError> {
        if text.trim().is_empty() {
            return Err(DecodeError::Format("the answer is empty".into()));
        }
        if is_web_page(text) {
            return Err(DecodeError::Format("a web page".into()));
        }
        match format {
            Format::Json => Value::read(text).map(Self::Json),
            Format::Xml => xml::read(text).map(Self::Xml),
            Format::Csv => csv::read(text, csv).map(Self::Csv),
        }
    }
}

/// Services under load, or in front of which a filter stands, answer with pages and status 200.
fn is_web_page(text: &str) -> bool {
    let start: String = text.trim_start().chars().take(14).collect();
    let start = start.to_ascii_lowercase();
    start == "<!doctype html" || start.starts_with("<html")
}

/// The text of a body: by its byte order mark, else in the encoding that the user set, else the
/// one of Content-Type, else the one of the XML declaration, else UTF-8. Bytes that mean nothing
/// there become replacement characters, which no number contains.
#[must_use]
pub fn to_text<'b>(
    bytes: &'b [u8],
    charset: Option<&'static Encoding>,
    content_type: Option<&str>,
) -> Cow<'b, str> {
    let encoding = charset
        .or_else(|| content_type.and_then(charset_of))
        .or_else(|| declared(bytes))
        .unwrap_or(UTF_8);
    encoding.decode(bytes).0
}

fn charset_of(content_type: &str) -> Option<&'static Encoding> {
    let (_, parameter) = content_type.split_once("charset=")?;
    let label = parameter
        .split(';')
        .next()?
        .trim()
        .trim_matches(['"', '\'']);
    Encoding::for_label(label.as_bytes())
}

fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let declaration = bytes.trim_ascii_start().strip_prefix(b"<?xml")?;
    let end = declaration
        .iter()
        .take(200)
        .position(|byte| *byte == b'>')?;
    let declaration = String::from_utf8_lossy(declaration.get(..end)?).into_owned();
    let (_, rest) = declaration.split_once("encoding")?;
    let label = rest.split(['"', '\'']).nth(1)?;
    Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CSV: CsvStyle = CsvStyle {
        delimiter: None,
        header: true,
    };

    #[test]
    fn the_format_is_taken_from_content_type_or_the_first_letter() {
        for (text, kind, expect) in [
            ("x", Some("application/json; charset=utf-8"), Format::Json),
            ("x", Some("application/vnd.bank+json"), Format::Json),
            ("x", Some("text/xml"), Format::Xml),
            ("x", Some("text/csv"), Format::Csv),
            (" {}", Some("text/html"), Format::Json),
            ("[1]", None, Format::Json),
            ("\n<a/>", Some("text/plain"), Format::Xml),
            ("a;b", None, Format::Csv),
        ] {
            assert_eq!(Format::guess(text, kind), expect, "{text:?} {kind:?}");
        }
    }

    #[test]
    fn encodings_are_found_in_their_order() {
        let (windows, _, _) = encoding_rs::WINDOWS_1251.encode("<r>Доллар</r>");
        let of = |bytes: &[u8], label: Option<&str>, kind: Option<&str>| {
            let label = label.and_then(|label| Encoding::for_label(label.as_bytes()));
            to_text(bytes, label, kind).into_owned()
        };
        assert_eq!(of(&windows, Some("windows-1251"), None), "<r>Доллар</r>");
        let kind = Some("text/xml; charset=\"windows-1251\"");
        assert_eq!(of(&windows, None, kind), "<r>Доллар</r>");
        let declared = [b"<?xml version='1.0' encoding='windows-1251'?>", &*windows].concat();
        assert!(of(&declared, None, None).ends_with("<r>Доллар</r>"));
        let marked = "\u{feff}{}";
        assert_eq!(of(marked.as_bytes(), Some("windows-1251"), None), "{}");
        assert!(of(&windows, None, None).contains('\u{fffd}'));
    }

    #[test]
    fn web_pages_are_called_so_whatever_was_expected() {
        for text in ["<!DOCTYPE html><p>", "\n<HTML lang=en>"] {
            for format in [Format::Json, Format::Xml, Format::Csv] {
                let error = Document::read(text, format, CSV).unwrap_err();
                assert!(error.to_string().contains("a web page"), "{error}");
            }
        }
        assert!(Document::read(" \n", Format::Csv, CSV).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in "[a-z/;= \"-]{0,30}") {
            let text = to_text(&bytes, None, Some(&kind));
            for format in [Format::Json, Format::Xml, Format::Csv, Format::guess(&text, Some(&kind))] {
                let _ = Document::read(&text, format, CSV);
            }
        }

        #[test]
        fn no_broken_declaration_panics(text in "<\\?xml [encoding='\"> utf8?-]{0,40}") {
            let _ = to_text(text.as_bytes(), None, None);
        }
    }
}
