//! What paths lead to, and which are refused.

use super::*;
use crate::http_source::csv::{self, CsvStyle};
use crate::http_source::xml;
use proptest::prelude::*;

const XML: &str = r#"<ValCurs Date="21.11.2026">
    <Valute ID="R1"><CharCode>USD</CharCode><Nominal>1</Nominal><Value>93,5</Value></Valute>
    <Valute ID="R2"><CharCode> EUR </CharCode><Nominal>1</Nominal><Value>101,2</Value></Valute>
    <g:More><Valute ID="R3"><CharCode>VND</CharCode><Value>0,37</Value></Valute></g:More>
</ValCurs>"#;

const CSV: &str = "code,type,Sell rate\nUSD,cash,94.1\nUSD,card,93.2\nEUR,cash,101.5\n";

fn shown(document: &Element, path: &str) -> Vec<String> {
    let path = TreePath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let found = path.find(document, &Budget::default()).unwrap();
    found
        .iter()
        .map(|at| match at {
            Found::Attribute(value) => (*value).to_owned(),
            Found::Element(element) if element.children.is_empty() => element.trimmed().to_owned(),
            Found::Element(element) => format!("<{}>", element.name),
        })
        .collect()
}

#[test]
fn xml_paths_lead_where_xpath_says() {
    let document = xml::read(XML).unwrap();
    for (path, expect) in [
        ("/ValCurs/Valute[CharCode='USD']/Value", vec!["93,5"]),
        ("//Valute[CharCode='EUR']/Value", vec!["101,2"]),
        ("//Valute[@ID=\"R2\"]/Value", vec!["101,2"]),
        ("//Valute[2]/Value", vec!["101,2"]),
        ("//Valute[1]/Value", vec!["93,5", "0,37"]),
        ("/ValCurs/Valute[last()]/@ID", vec!["R2"]),
        ("//Value", vec!["93,5", "101,2", "0,37"]),
        ("//More//Value", vec!["0,37"]),
        ("//g:More/*/CharCode", vec!["VND"]),
        ("//*//Value", vec!["93,5", "101,2", "0,37"]),
        ("/ValCurs/@Date", vec!["21.11.2026"]),
        ("//@ID", vec!["R1", "R2", "R3"]),
        ("//CharCode[.='USD']", vec!["USD"]),
        ("/*/*[1]/*[2]", vec!["1"]),
        ("ValCurs/Valute[1]/Nominal", vec!["1"]),
        (".//Nominal", vec!["1", "1"]),
        ("//Valute[CharCode='USD'][@ID='R2']", vec![]),
        ("//Valute[@ID][Nominal]/@ID", vec!["R1", "R2"]),
        ("//Valute[@Nominal]/@ID", vec![]),
        ("//Valute[9]", vec![]),
        ("/Valute", vec![]),
    ] {
        assert_eq!(shown(&document, path), expect, "{path}");
    }
}

#[test]
fn csv_is_rows_of_cells() {
    let style = CsvStyle {
        delimiter: None,
        header: true,
    };
    let document = csv::read(CSV, style).unwrap();
    for (path, expect) in [
        ("row[code='EUR']/'Sell rate'", vec!["101.5"]),
        ("[code='USD'][type='card']/\"Sell rate\"", vec!["93.2"]),
        ("row[2]/*[3]", vec!["93.2"]),
        ("row/code", vec!["USD", "USD", "EUR"]),
        ("row['Sell rate'='94.1']/type", vec!["cash"]),
        ("//row[last()]/code", vec!["EUR"]),
    ] {
        assert_eq!(shown(&document, path), expect, "{path}");
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (path, expect) in [
        ("", "is empty"),
        ("/", "at letter 2: expected a name"),
        ("/a/", "at letter 4: expected a name"),
        ("/a[", "at letter 4: expected a number, last(), name='text'"),
        ("/a[b", "at letter 5: expected ="),
        ("/a[.]", "at letter 5: expected ="),
        ("/a[b=c]", "at letter 6: expected a text in quotes"),
        ("/a[b='c'", "at letter 9: expected ]"),
        ("/a[0]", "expected a number from 1"),
        ("/a/@b/c", "expected the end after an attribute"),
        ("/a b", "expected / or [ or the end"),
        ("/a/text()", "expected / or [ or the end"),
        ("$.a", "expected a name, *, @ or ["),
    ] {
        let error = TreePath::parse(path).unwrap_err().to_string();
        assert!(error.contains(expect), "{path:?}: {error}");
    }
}

#[test]
fn a_path_that_searches_without_end_is_stopped() {
    let text = format!("<r>{}</r>", "<a><b/></a>".repeat(100));
    let document = xml::read(&text).unwrap();
    let path = TreePath::parse("//*//*//*//*//*").unwrap();
    assert!(path.find(&document, &Budget::of(500)).is_err());
    assert!(path.find(&document, &Budget::of(5_000)).is_ok());
}

proptest! {
    #[test]
    fn no_path_panics(path in "[/a-bA-V.\\[\\]'\"0-9@=* ()]{0,40}") {
        let document = xml::read(XML).unwrap();
        if let Ok(path) = TreePath::parse(&path) {
            let _ = path.find(&document, &Budget::default());
        }
    }

    #[test]
    fn no_text_panics(path in any::<String>()) {
        let _ = TreePath::parse(&path);
    }
}
