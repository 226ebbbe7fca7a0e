//! XML into elements. No DTD is looked at and no entity of one expanded.

use super::limits::{MAX_DEPTH, MAX_NODES};
use super::tree::Element;
use crate::decode::{DecodeError, excerpt};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// Reads a document. The element that is returned has no name and holds the root.
///
/// # Errors
/// [`DecodeError::Format`] for what is not well-formed or ends too early, and for a document
/// nested deeper or with more in it than any rate service sends.
pub fn read(text: &str) -> Result<Element, DecodeError> {
    let mut reader = Reader::from_str(text);
    let mut nodes_left = MAX_NODES;
    let mut document = Element::default();
    let mut open: Vec<Element> = Vec::new();
    loop {
        let event = reader.read_event().map_err(|error| {
            DecodeError::Format(format!("no XML: {}", excerpt(&error.to_string(), 120)))
        })?;
        match event {
            Event::Start(start) => {
                if open.len() == MAX_DEPTH {
                    let why = format!("nested deeper than {MAX_DEPTH} levels");
                    return Err(DecodeError::Format(why));
                }
                open.push(element(&start, &mut nodes_left)?);
            }
            Event::Empty(start) => {
                let element = element(&start, &mut nodes_left)?;
                parent(&mut open, &mut document).children.push(element);
            }
            Event::End(_) => {
                if let Some(closed) = open.pop() {
                    parent(&mut open, &mut document).children.push(closed);
                }
            }
            Event::Text(text) => parent(&mut open, &mut document).text += &text.xml10_content(),
            Event::CData(text) => parent(&mut open, &mut document).text += &text.xml10_content(),
            Event::GeneralRef(reference) => {
                let text = &mut parent(&mut open, &mut document).text;
                match reference.resolve_char_ref() {
                    Ok(Some(letter)) => text.push(letter),
                    Ok(None) => text.push_str(&predefined(&reference)),
                    Err(_) => return Err(DecodeError::Format("no XML: a broken entity".into())),
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !open.is_empty() {
        return Err(DecodeError::Format("the document ends too early".into()));
    }
    if document.children.len() != 1 || !document.trimmed().is_empty() {
        return Err(DecodeError::Format("no XML: not one root element".into()));
    }
    Ok(document)
}

fn parent<'e>(open: &'e mut [Element], document: &'e mut Element) -> &'e mut Element {
    open.last_mut().unwrap_or(document)
}

/// The five entities of XML itself; another one stays as it is written.
fn predefined(name: &str) -> String {
    match name {
        "lt" => "<".into(),
        "gt" => ">".into(),
        "amp" => "&".into(),
        "apos" => "'".into(),
        "quot" => "\"".into(),
        other => format!("&{other};"),
    }
}

fn element(start: &BytesStart<'_>, nodes_left: &mut usize) -> Result<Element, DecodeError> {
    let mut element = Element {
        name: start.name().as_ref().to_owned(),
        ..Element::default()
    };
    count(nodes_left)?;
    // Without the check for repeated names, which costs the square of their number.
    for attribute in start.attributes().with_checks(false) {
        count(nodes_left)?;
        let broken = || DecodeError::Format("no XML: broken attributes".into());
        let attribute = attribute.map_err(|_| broken())?;
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|_| broken())?;
        let name = attribute.key.as_ref().to_owned();
        element.attributes.push((name, value.into_owned()));
    }
    Ok(element)
}

fn count(nodes_left: &mut usize) -> Result<(), DecodeError> {
    *nodes_left = nodes_left.checked_sub(1).ok_or_else(|| {
        DecodeError::Format(format!("more than {MAX_NODES} elements and attributes"))
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_attributes_and_texts_are_kept() {
        let text = "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'boom'>]>\n<a:r b='1 &amp; 2'>\
                    <c> 9<!-- no -->3,&#53;<![CDATA[ <]]></c><d/>&x;</a:r>\n";
        let document = read(text).unwrap();
        let root = &document.children[0];
        assert!(root.is_called("r") && root.is_called("a:r") && !root.is_called("a"));
        assert_eq!(root.attributes_called("b").collect::<Vec<_>>(), ["1 & 2"]);
        assert_eq!(root.children[0].trimmed(), "93,5 <");
        assert_eq!(root.children[1].name, "d");
        assert_eq!(root.text, "&x;");
    }

    #[test]
    fn deep_and_huge_documents_are_refused() {
        let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        let error = read(&nested(MAX_DEPTH + 1)).unwrap_err().to_string();
        assert!(error.contains("nested deeper"), "{error}");
        assert!(read(&nested(100_000)).is_err());
        let many = format!("<r>{}</r>", "<a/>".repeat(MAX_NODES));
        assert!(read(&many).unwrap_err().to_string().contains("more than"));
        let attributes: String = (0..MAX_NODES)
            .map(|number| format!(" a{number}='1'"))
            .collect();
        let error = read(&format!("<r{attributes}/>")).unwrap_err().to_string();
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn what_is_no_xml_is_refused() {
        for text in [
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<a b=1/>",
            "<a",
            "<a>&#0;</a>",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[<>/a-c='\" &;#!\\[\\]?-]{0,80}") {
            let _ = read(&text);
        }
    }
}
