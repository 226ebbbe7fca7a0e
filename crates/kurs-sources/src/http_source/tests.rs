//! What configurations read out of documents, and what they say about wrong ones.

mod configuration;
mod oracle;
mod wired;

use super::*;
use kurs_core::{Mono, Wall};
use proptest::prelude::*;

fn now(text: &str) -> Now {
    Now {
        mono: Mono(9),
        wall: text.parse().unwrap(),
    }
}

fn config(toml_like: serde_json::Value) -> Config {
    let mut json = serde_json::json!({"url": "https://bank.example/rates"});
    let members = toml_like.as_object().unwrap().clone();
    json.as_object_mut().unwrap().extend(members);
    serde_json::from_value(json).unwrap()
}

fn source(json: serde_json::Value) -> HttpSource {
    HttpSource::new(&config(json)).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

fn body(bytes: impl Into<bytes::Bytes>, content_type: Option<&str>) -> Fetched {
    Fetched::Body {
        bytes: bytes.into(),
        validators: Validators {
            etag: Some("\"1\"".into()),
            last_modified: None,
        },
        content_type: content_type.map(str::to_owned),
        headers: Vec::new(),
    }
}

const NOON: &str = "2026-11-21T12:00:00Z";

/// Every rate as `PAIR PRICE` or `PAIR BID/ASK`, and every problem as `LABEL: PROBLEM`.
fn read(json: serde_json::Value, text: &str) -> Vec<String> {
    let mut source = source(json);
    let _ = source.receive(body(text.to_owned(), None), now(NOON));
    shown(&source)
}

fn shown(source: &HttpSource) -> Vec<String> {
    let rows = source.rows().iter();
    rows.map(|row| match &row.quote {
        Ok(kurs_core::Quote::Single(price)) => format!("{} {price}", row.label),
        Ok(kurs_core::Quote::Sides { bid, ask }) => format!("{} {bid}/{ask}", row.label),
        Err(why) => format!("{}: {why}", row.label),
    })
    .collect()
}

const JSON: &str = r#"{
    "date": "2026-11-21", "base": "USD", "time": 1795255200,
    "rates": {"EUR": 0.8590, "RUB": 93.500, "USD": 1, "JPY": null, "GBP": "n/a"},
    "list": [
        {"code": "USD", "buy": "92,10", "sell": "94,90", "per": 1},
        {"code": "VND", "buy": "36,1", "sell": "37,9", "per": 10000},
        {"code": "", "buy": "1", "sell": "2", "per": 1},
        {"code": "EUR", "buy": "101", "sell": "99", "per": 1}
    ],
    "markets": [{"symbol": "btc_usd", "last": "67187.3358936566"}, {"symbol": "ETHUSDT", "last": "1e3"}, {"symbol": "??", "last": "1"}]
}"#;

#[test]
fn three_lines_are_enough() {
    let rates = serde_json::json!({"rates": {"USD-RUB": "/rates/RUB", "eur_usd": "$.rates.EUR"}});
    assert_eq!(read(rates, JSON), ["EUR-USD 0.8590", "USD-RUB 93.500"]);
}

#[test]
fn a_bare_number_is_a_document_too() {
    let json = serde_json::json!({"format": "json", "rates": {"USD-RUB": "$"}});
    assert_eq!(read(json, "93.50"), ["USD-RUB 93.50"]);
    let csv =
        serde_json::json!({"header": false, "decimal": ",", "rates": {"USD-RUB": "row/cell"}});
    assert_eq!(read(csv, "93,50\n"), ["USD-RUB: 2 values at row/cell"]);
    let csv = serde_json::json!({"header": false, "delimiter": ";", "decimal": ",", "rates": {"USD-RUB": "row/cell"}});
    assert_eq!(read(csv, "93,50\n"), ["USD-RUB 93.50"]);
}

#[test]
fn one_bad_pair_does_not_stop_the_others_and_each_says_why() {
    let rates = serde_json::json!({"decimal": ",", "rates": {
        "USD-AAA": "/rates/AAA", "USD-BBB": "/rates", "USD-CCC": "$..code", "USD-DDD": "/rates/GBP",
        "USD-EEE": "/rates/JPY", "USD-FFF": "//Valute[a='b']", "USD-GGG": {"value": "/rates/RUB", "unit": "/rates/JPY"},
        "USD-HHH": {"bid": "/list/3/buy", "ask": "/list/3/sell"}, "USD-III": {"value": "/time", "observed_at": "/base"},
        "USD-JJJ": {"row": "/nowhere", "value": "x"}, "USD-RUB": "rates.RUB"
    }});
    assert_eq!(
        read(rates, JSON),
        [
            "USD-AAA: nothing at /rates/AAA",
            "USD-BBB: an object at /rates",
            "USD-CCC: 4 values at $..code",
            "USD-DDD: \"n/a\" is not an exact number",
            "USD-EEE: null at /rates/JPY",
            "USD-FFF: \"//Valute[a='b']\" is no path in JSON",
            "USD-GGG: unit: null at /rates/JPY",
            "USD-HHH: the bid 101 is above the ask 99; are they swapped?",
            "USD-III: observed_at: \"USD\" is no time",
            "USD-JJJ: nothing at /nowhere",
            "USD-RUB 93.500",
        ]
    );
}

#[test]
fn units_inverses_and_sides_are_computed_exactly() {
    let rates = serde_json::json!({"decimal": ",", "rates": {
        "USD-RUB": {"row": "$.list[?@.code=='USD']", "bid": "buy", "ask": "sell"},
        "VND-RUB": {"row": "$.list[?@.code=='VND']", "value": "sell", "unit": "per"},
        "RUB-VND": {"row": "/list/1", "bid": "buy", "ask": "sell", "unit": "per", "inverse": true},
        "EUR-USD": {"value": "/rates/EUR", "inverse": true},
        "USD-JPY": {"value": "/list/1/buy", "unit": 100},
    }});
    assert_eq!(
        read(rates, JSON),
        [
            "EUR-USD 1.1641443538998835855646100116",
            "RUB-VND 263.8522427440633245382585752/277.0083102493074792243767313",
            "USD-JPY 0.361",
            "USD-RUB 92.10/94.90",
            "VND-RUB 0.00379",
        ]
    );
}

#[test]
fn numbers_that_are_not_above_zero_are_no_prices() {
    let text = r#"{"a": 0, "b": -1.5, "c": 0.00, "d": 1e-29, "e": 1e308, "f": "NaN"}"#;
    let rates = serde_json::json!({"rates": {
        "A-X": "a", "B-X": "b", "C-X": "c", "D-X": "d", "E-X": "e", "F-X": "f",
    }});
    assert_eq!(
        read(rates, text),
        [
            "A-X: 0 is not above zero",
            "B-X: -1.5 is not above zero",
            "C-X: 0.00 is not above zero",
            "D-X: \"1e-29\" is not an exact number",
            "E-X: \"1e308\" is not an exact number",
            "F-X: \"NaN\" is not an exact number",
        ]
    );
}

#[test]
fn an_object_by_currency_is_a_table() {
    let table =
        serde_json::json!({"table": {"rows": "$.rates.*", "base": "USD", "quote": "name()"}});
    assert_eq!(
        read(table, JSON),
        [
            "USD-EUR 0.8590",
            "USD-RUB 93.500",
            "USD-JPY: null at .",
            "USD-GBP: \"n/a\" is not an exact number",
        ]
    );
    let wanted = serde_json::json!({"table": {
        "rows": "$.rates.*", "base": "$.base", "quote": "name()", "pairs": ["USD-RUB", "USD-CHF"],
    }});
    assert_eq!(
        read(wanted, JSON),
        ["USD-RUB 93.500", "USD-CHF: no row has it"]
    );
}

#[test]
fn rows_of_objects_are_a_table() {
    let table = serde_json::json!({"decimal": ",", "table": {
        "rows": "$.list[*]", "base": "code", "quote": "RUB", "bid": "buy", "ask": "sell", "unit": "per",
    }});
    assert_eq!(
        read(table, JSON),
        [
            "USD-RUB 92.10/94.90",
            "VND-RUB 0.00361/0.00379",
            "row 3: \"\" is no asset",
            "EUR-RUB: the bid 101 is above the ask 99; are they swapped?",
        ]
    );
    let markets =
        serde_json::json!({"table": {"rows": "$.markets[*]", "pair": "symbol", "value": "last"}});
    assert_eq!(
        read(markets, JSON),
        [
            "BTC-USD 67187.3358936566",
            "ETH-USDT 1000",
            "row 3: \"??\" is no pair"
        ]
    );
}

#[test]
fn xml_and_csv_are_read_by_the_same_paths() {
    let xml = "<R d='21.11.2026'><V id='1'><C>USD</C><N>1</N><P>93,5</P></V><V id='2'><C>VND</C><N>10000</N><P>37,9</P></V></R>";
    let csv = "C;N;P;odd name\nUSD;1;93,5;x\nVND;10000;37,9;y\n";
    for (text, rows) in [(xml, "//V"), (csv, "row")] {
        let table = serde_json::json!({"decimal": ",", "table": {
            "rows": rows, "base": "./C", "quote": "RUB", "value": "P", "unit": "N",
        }});
        assert_eq!(read(table, text), ["USD-RUB 93.5", "VND-RUB 0.00379"]);
    }
    let single = serde_json::json!({"decimal": ",", "rates": {"USD-RUB": "//V[C='USD']/P"}});
    assert_eq!(read(single, xml), ["USD-RUB 93.5"]);
    let single = serde_json::json!({"decimal": ",", "rates": {
        "USD-RUB": "[C='USD']/P", "VND-RUB": {"row": "row['odd name'='y']", "value": "*[3]", "unit": "N"},
    }});
    assert_eq!(read(single, csv), ["USD-RUB 93.5", "VND-RUB 0.00379"]);
}

#[test]
fn elements_named_as_currencies_are_a_table() {
    let xml = "<Cube xmlns:e='u'><e:USD>1.1650</e:USD><e:JPY>181.2</e:JPY><e:EUR>1</e:EUR></Cube>";
    let table = serde_json::json!({"table": {"rows": "/Cube/*", "base": "EUR", "quote": "name()"}});
    assert_eq!(read(table, xml), ["EUR-USD 1.1650", "EUR-JPY 181.2"]);
}

#[test]
fn the_same_pair_twice_is_told_and_the_first_stands() {
    let text =
        r#"{"own": 2, "rows": [{"c": "USD", "v": 3}, {"c": "EUR", "v": 4}, {"c": "EUR", "v": 5}]}"#;
    let both = serde_json::json!({
        "rates": {"USD-RUB": "own"}, "table": {"rows": "$.rows[*]", "base": "c", "quote": "RUB", "value": "v"},
    });
    assert_eq!(
        read(both, text),
        [
            "USD-RUB 2",
            "row 1: USD-RUB is given twice",
            "EUR-RUB 4",
            "row 3: EUR-RUB is given twice",
        ]
    );
    // Two members of one name: nobody knows which is meant.
    let single = serde_json::json!({"rates": {"USD-RUB": "a"}});
    assert_eq!(
        read(single, r#"{"a": 1, "a": 2}"#),
        ["USD-RUB: 2 values at a"]
    );
}

#[test]
fn no_more_rows_are_read_than_set() {
    let rows: Vec<String> = (0..50)
        .map(|number| format!("A{number};{number}.5"))
        .collect();
    let text = format!("code;value\n{}", rows.join("\n"));
    let table = serde_json::json!({"max_rows": 2, "table": {"rows": "row", "base": "code", "quote": "X", "value": "value"}});
    assert_eq!(
        read(table, &text),
        [
            "table: 50 rows, of which 2 are read",
            "A0-X 0.5",
            "A1-X 1.5"
        ]
    );
}

#[test]
fn what_a_source_dates_too_long_ago_is_missing_until_it_is_newer() {
    let mut source = source(serde_json::json!({
        "rates": {"USD-RUB": "/rates/RUB"}, "observed_at": "$.time", "max_observed_age": "1h",
    }));
    source
        .receive(body(JSON, None), now("2026-11-21T10:30:00Z"))
        .unwrap();
    let at: Wall = "2026-11-21T10:00:00Z".parse().unwrap();
    let fresh = source.picture(now("2026-11-21T11:00:00Z"));
    assert_eq!(
        (fresh.entries.len(), fresh.entries[0].observed_at),
        (1, Some(at))
    );
    let old = source.picture(now("2026-11-21T11:00:01Z"));
    assert_eq!(old.entries, []);
    assert_eq!(
        old.missing.values().collect::<Vec<_>>(),
        ["dated 3601 s ago"]
    );
    // Not modified: the same rates, and by now too old.
    source
        .receive(Fetched::NotModified, now("2026-11-21T12:00:00Z"))
        .unwrap();
    assert_eq!(source.picture(now("2026-11-21T12:00:00Z")).missing.len(), 1);
}

#[test]
fn expected_pairs_are_missing_and_other_rows_are_rejected() {
    let mut source = source(serde_json::json!({
        "rates": {"USD-RUB": "/rates/RUB", "USD-CHF": "/rates/CHF"},
        "table": {"rows": "$.rates.*", "base": "USD", "quote": "name()"},
    }));
    source.receive(body(JSON, None), now(NOON)).unwrap();
    let picture = source.picture(now(NOON));
    let pairs: Vec<String> = picture
        .entries
        .iter()
        .map(|entry| entry.pair.to_string())
        .collect();
    assert_eq!(pairs, ["USD-RUB", "USD-EUR"]);
    assert_eq!(
        picture.missing.values().collect::<Vec<_>>(),
        ["nothing at /rates/CHF"]
    );
    assert_eq!(
        picture.rejected,
        [
            "row 2: USD-RUB is given twice",
            "USD-JPY: null at .",
            "USD-GBP: \"n/a\" is not an exact number"
        ]
    );
}

#[test]
fn thousands_of_bad_rows_are_told_in_fifty_lines() {
    let rows = vec![r#"{"c":"?"}"#; 900].join(",");
    let mut source = source(serde_json::json!({
        "rates": {"USD-RUB": "ok"}, "table": {"rows": "$.rows[*]", "base": "c", "quote": "RUB", "value": "v"},
    }));
    let text = format!(r#"{{"ok":1,"rows":[{rows}]}}"#);
    source.receive(body(text, None), now(NOON)).unwrap();
    let rejected = source.picture(now(NOON)).rejected;
    assert_eq!((rejected.len(), rejected[50].as_str()), (51, "850 more"));
}

#[test]
fn an_answer_without_any_rate_is_refused_with_the_first_reasons() {
    let mut source =
        source(serde_json::json!({"rates": {"A-X": "a", "B-X": "b", "C-X": "c", "D-X": "d"}}));
    for (text, expect) in [
        (
            "{}",
            "no usable rate in the answer: A-X: nothing at a; B-X: nothing at b; C-X: nothing at c; and 1 more",
        ),
        ("<!DOCTYPE html><html>", "a web page"),
        ("", "the answer is empty"),
        ("{\"a\":", "no JSON: EOF"),
    ] {
        let refusal = source
            .receive(body(text.to_owned(), None), now(NOON))
            .unwrap_err();
        assert!(
            refusal.undecodable && refusal.why.contains(expect),
            "{}",
            refusal.why
        );
        assert_eq!(source.request(now(NOON)).validators, None);
    }
    source.receive(body(r#"{"a":1}"#, None), now(NOON)).unwrap();
    assert!(source.request(now(NOON)).validators.is_some());
}

#[test]
fn a_key_that_a_server_repeats_is_not_shown() {
    let mut source = source(serde_json::json!({
        "url": "https://h/{key}/x", "key": "s3cret/", "rates": {"USD-RUB": "a"},
    }));
    assert_eq!(source.request(now(NOON)).url, "https://h/s3cret%2F/x");
    let refusal = source
        .receive(body(r#"{"a":"s3cret/ is wrong"}"#, None), now(NOON))
        .unwrap_err();
    assert!(refusal.why.contains("*** is wrong"), "{}", refusal.why);
    assert_eq!(source.rows()[0].text, "*** is wrong");
    let error = FetchError::Unreachable("https://h/s3cret%2F/x: refused".into());
    let judged = source.judge(&error).unwrap().why;
    assert!(
        judged.contains("https://h/***/x") && !judged.contains("s3cret"),
        "{judged}"
    );
    assert!(!format!("{source:?}").contains("s3cret"));
    let moved = FetchError::Refused {
        status: 301,
        body: "".into(),
    };
    assert!(
        source
            .judge(&moved)
            .unwrap()
            .why
            .contains("another address")
    );
}

fn any_source() -> impl Strategy<Value = HttpSource> {
    let rates = serde_json::json!({"A-B": "/a/0", "A-C": "$..[?@.a>1].b", "A-D": "//a[b='c']/@d", "A-E": "row[2]/*[1]"});
    let table = |rows: &str| {
        serde_json::json!({"rates": rates, "observed_at": "$..t", "table": {
            "rows": rows, "base": "name()", "quote": "*", "value": ".", "unit": "@u",
        }})
    };
    let sources = ["$..*", "//*", "row", "/a"].map(|rows| source(table(rows)));
    prop::sample::select(sources.to_vec())
}

proptest! {
    #[test]
    fn no_bytes_panic(
        mut source in any_source(), bytes in prop::collection::vec(any::<u8>(), 0..400), kind in prop::option::of("[a-z/;= -]{0,24}"),
    ) {
        let _ = source.receive(body(bytes, kind.as_deref()), now(NOON));
        let _ = source.picture(now(NOON));
    }

    #[test]
    fn nothing_that_looks_like_data_panics(
        mut source in any_source(),
        text in prop_oneof!["[\\[\\]{}\",:a-c0-9. -]{0,120}", "[<>/a-c='\"0-9 &;]{0,120}", "[a-c;,\"\n0-9]{0,120}"],
    ) {
        let _ = source.receive(body(text, None), now(NOON));
        let _ = source.picture(now(NOON));
    }

    #[test]
    fn no_configuration_panics(path in "[$@/a-b.\\[\\]'\"0-9:,?=*()-]{0,24}", format in prop::sample::select(vec!["json", "xml", "csv"])) {
        let _ = HttpSource::new(&config(serde_json::json!({"format": format, "rates": {"A-B": path}})));
        let _ = HttpSource::new(&config(serde_json::json!({"table": {"rows": path, "base": path, "quote": "X", "unit": path}})));
    }

    #[test]
    fn every_digit_of_a_json_number_arrives(whole in 1_u64..1_000_000_000_000, fraction in "[0-9]{1,12}") {
        let text = format!("{{\"a\": {whole}.{fraction}}}");
        prop_assert_eq!(read(serde_json::json!({"rates": {"A-B": "a"}}), &text), [format!("A-B {whole}.{fraction}")]);
    }
}
