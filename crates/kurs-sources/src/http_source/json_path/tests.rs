//! What paths lead to, and which are refused.

use super::*;
use proptest::prelude::*;

const DOCUMENT: &str = r#"{
    "date": "2026-11-21",
    "rates": {"USD": 93.50, "EUR": {"sell": "101.2", "buy": 99}, "a/b": 1, "m~n": 2, "": 3},
    "rows": [
        {"code": "USD", "type": "cash", "sell": 94.1, "ok": true},
        {"code": "USD", "type": "card", "sell": 93.2},
        {"code": "EUR", "type": "cash", "sell": 101.5, "ok": null}
    ]
}"#;

fn found(path: &str) -> Vec<String> {
    let document = Value::read(DOCUMENT).unwrap();
    let path = JsonPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let found = path.find(Found::of(&document), &Budget::default()).unwrap();
    found
        .iter()
        .map(|at| match at.value {
            Value::Number(text) => (*text).to_owned(),
            Value::Text(text) => text.to_string(),
            other => other.kind().to_owned(),
        })
        .collect()
}

#[test]
fn pointers_lead_where_rfc_6901_says() {
    for (path, expect) in [
        ("/rates/USD", "93.50"),
        ("/rates/EUR/sell", "101.2"),
        ("/rows/2/sell", "101.5"),
        ("/rates/a~1b", "1"),
        ("/rates/m~0n", "2"),
        ("/rates/", "3"),
    ] {
        assert_eq!(found(path), [expect], "{path}");
    }
    for path in [
        "/rates/GBP",
        "/rows/3",
        "/rows/-",
        "/rows/00",
        "/rows/-1",
        "/date/0",
    ] {
        assert_eq!(found(path), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn json_paths_lead_where_rfc_9535_says() {
    for (path, expect) in [
        ("$.rates.USD", vec!["93.50"]),
        ("$['rates'][\"USD\"]", vec!["93.50"]),
        ("$.rows[0].sell", vec!["94.1"]),
        ("$.rows[-1].sell", vec!["101.5"]),
        ("$.rows[*].sell", vec!["94.1", "93.2", "101.5"]),
        ("$..sell", vec!["101.2", "94.1", "93.2", "101.5"]),
        ("$.rows[1:].code", vec!["USD", "EUR"]),
        ("$.rows[:1].code", vec!["USD"]),
        ("$.rows[::-1].sell", vec!["101.5", "93.2", "94.1"]),
        ("$.rows[::2].sell", vec!["94.1", "101.5"]),
        ("$.rows[::0].sell", vec![]),
        ("$.rows[0,2].sell", vec!["94.1", "101.5"]),
        ("$.rows[?@.code=='EUR'].sell", vec!["101.5"]),
        (
            "$.rows[?@.code == 'USD' && @.type == \"card\"].sell",
            vec!["93.2"],
        ),
        ("$.rows[?@.sell > 94].sell", vec!["94.1", "101.5"]),
        ("$.rows[?@.sell <= 93.20].sell", vec!["93.2"]),
        ("$.rows[?@.sell != 94.10].sell", vec!["93.2", "101.5"]),
        ("$.rows[?@.ok].sell", vec!["94.1", "101.5"]),
        ("$.rows[?@.ok==true].sell", vec!["94.1"]),
        ("$.rows[?@.ok==null].sell", vec!["101.5"]),
        ("$.rates[?@.sell].buy", vec!["99"]),
        ("$..[?@.type=='card'].sell", vec!["93.2"]),
        ("rates.USD", vec!["93.50"]),
        ("@.rates.EUR.buy", vec!["99"]),
        ("rates['a/b']", vec!["1"]),
        ("$", vec!["an object"]),
        (".", vec!["an object"]),
        ("$.nothing.at.all", vec![]),
    ] {
        assert_eq!(found(path), expect, "{path}");
    }
}

#[test]
fn a_number_that_no_double_holds_is_compared_exactly() {
    let document = Value::read(r#"[{"n":0.30000000000000004,"v":1},{"n":0.3,"v":2}]"#).unwrap();
    let path = JsonPath::parse("$[?@.n==0.3].v").unwrap();
    let found = path.find(Found::of(&document), &Budget::default()).unwrap();
    assert_eq!(
        found,
        [Found {
            name: Some("v"),
            value: &Value::Number("2")
        }]
    );
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (path, expect) in [
        ("", "is empty"),
        ("$.", "at letter 3: expected a name or *"),
        (
            "$.a[",
            "at letter 5: expected a name in quotes, a number, * or ?",
        ),
        ("$.a['b]", "at letter 8: expected a closing '"),
        ("$.a[0", "at letter 6: expected , or ]"),
        ("$.a b", "at letter 4: expected . or [ or the end"),
        ("$.ä[?x]", "at letter 6: expected @"),
        ("$[?@.a == x]", "at letter 12: expected a text in quotes"),
        ("$[?@.a || @.b]", "expected , or ]"),
        ("$[?length(@.a) > 1]", "expected @"),
        ("$[?@[?@.b]]", "no filter within a filter"),
        ("$[99999999999]", "a smaller whole number"),
        ("//a", "expected $.. in place of //"),
        ("/a~2", "expected 0 or 1 after ~"),
    ] {
        let error = JsonPath::parse(path).unwrap_err().to_string();
        assert!(error.contains(expect), "{path:?}: {error}");
    }
    assert!(JsonPath::parse(&"a".repeat(501)).is_err());
}

#[test]
fn a_path_that_searches_without_end_is_stopped() {
    let text = format!("[{}1]", "[1,1,1],".repeat(100));
    let document = Value::read(&text).unwrap();
    let find = |path: &str| {
        let path = JsonPath::parse(path).unwrap();
        path.find(Found::of(&document), &Budget::of(2_000)).is_ok()
    };
    assert!(find("$..*") && !find("$..*..*..*..*..*"));
    assert!(!find("$[*,*,*,*,*,*,*,*,*,*][0,0,0,0,0,0,0,0,0,0]"));
}

proptest! {
    #[test]
    fn no_path_panics(path in "[$@/a-b.\\[\\]'\"0-9:,?=<>&* ~\\\\-]{0,40}") {
        let document = Value::read(DOCUMENT).unwrap();
        if let Ok(path) = JsonPath::parse(&path) {
            let _ = path.find(Found::of(&document), &Budget::default());
        }
    }

    #[test]
    fn no_text_panics(path in any::<String>()) {
        let _ = JsonPath::parse(&path);
    }

    #[test]
    fn a_slice_never_leaves_its_list(
        start in prop::option::of(-9_i64..9), end in prop::option::of(-9_i64..9), step in -4_i64..5, length in 0_usize..6,
    ) {
        for at in slice(start, end, step, length) {
            prop_assert!(at < length);
        }
    }
}
