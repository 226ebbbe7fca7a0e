//! What may be written into a configuration, and what comes of it.

use super::*;

#[test]
fn all_mistakes_of_all_sources_are_told_at_once_with_their_keys() {
    let sources: std::collections::BTreeMap<String, Config> = serde_json::from_value(serde_json::json!({
        "ecb": {"url": "https://h/", "rates": {"A-B": "x"}},
        "My Bank": {"url": "https://h/", "rates": {"A-B": "x"}},
        "a-name-of-twenty-eight-bytes": {"url": "https://h/", "rates": {"A-B": "x"}},
        "b": {},
        "c": {
            "url": "https://h/{key}", "period": "2d", "zone": "Mars/Olympus", "charset": "klingon", "delimiter": "ab",
            "decimal": ",", "thousands": ",", "time_format": "dd/mm", "max_observed_age": "1h", "max_rows": 0,
            "max_body_bytes": 1, "priority": 0, "max_age_ms": 0, "timeout": "1h", "headers": {"host": "x"},
            "rates": {
                "A-B": "$.a[", "A-C": {"bid": "x"}, "A-D": {"vlue": "x"}, "A-E": {"value": "x", "unit": 0},
                "A-F": {"value": "x", "unit": 1.5}, "A-G": 5, "AH": "x", "A-A": "x", "a/b": "x", "A-I": {},
            },
            "table": {"rows": "", "base": "CODE", "quote": "RUB", "bid": "x", "unit": 0},
        },
        "d": {"url": "https://h/", "format": "xml", "rates": {"A-B": "$.x"}, "table": {"rows": "//a[", "pair": "p", "base": "b"}},
        "e": {"url": "https://h/", "format": "json", "rates": {"A-B": "//V[a='b']"}, "observed_at": "$["},
    }))
    .unwrap();
    let mut mistakes = Vec::new();
    validate_all(&sources, &["ecb"], "sources.http", &mut mistakes);
    let expected = [
        "ecb: this is the name of a built-in source",
        "My Bank: a name has 1 to 27 of a-z",
        "a-name-of-twenty-eight-bytes: a name has",
        "b.url: is missing",
        "b.rates: is missing, and table too",
        "c.priority: is 1",
        "c.timeout: ",
        "c.max_age_ms: ",
        "c.period: ",
        "c.zone: ",
        "c.max_body_bytes: is between 1024 and 16777216, not 1",
        "c.max_rows: is between 1 and 10000, not 0",
        "c.key: is missing; {key} stands for it",
        "c.headers.host: is set by kurs itself",
        "c.charset: ",
        "c.delimiter: is one letter",
        "c.thousands: is the same as decimal",
        "c.time_format: is no format of strftime",
        "c.max_observed_age: needs observed_at",
        "c.rates.A-B: value: \"$.a[\" means nothing: in JSON at letter 5: expected",
        "c.rates.A-C: needs either value, or both bid and ask",
        "c.rates.A-D: unknown field `vlue`, expected one of",
        "c.rates.A-E: unit: is 1 or more",
        "c.rates.A-F: unit is a whole number such as 100, or a path",
        "c.rates.A-G: expected a path, or a table",
        "c.rates.AH: a pair is written BASE-QUOTE",
        "c.rates.A-A: base and quote are the same asset",
        "c.rates.a/b: A-B is given twice",
        "c.rates.A-I: needs either value",
        "c.table.rows: is missing",
        "c.table.base: CODE-RUB would be every row; the path of a name in capitals is written ./CODE",
        "c.table: needs either value, or both bid and ask",
        "c.table: unit: is 1 or more",
        "d.rates.A-B: value: \"$.x\" at letter 1: expected a name",
        "d.table.rows: \"//a[\" at letter 5: expected a number",
        "d.table: needs either pair, or both base and quote",
        "e.rates.A-B: value: \"//V[a='b']\" at letter 3: expected $..",
        "e.observed_at: \"$[\" at letter 3",
    ];
    for start in expected {
        let start = format!("sources.http.{start}");
        assert!(
            mistakes.iter().any(|mistake| mistake.starts_with(&start)),
            "{start}: {mistakes:#?}"
        );
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn a_named_bank_may_be_on_this_machine() {
    for (url, expect) in [
        ("http://127.0.0.1:8080/{key}", true),
        ("http://[::1]/", true),
        ("http://localhost/", true),
        ("http://127.0.0.1.evil.example/", false),
        ("http://localhost.evil.example/", false),
        ("https://bank.example/?u=127.0.0.1", false),
        ("", false),
    ] {
        assert_eq!(
            config(serde_json::json!({"url": url})).is_loopback(),
            expect,
            "{url}"
        );
    }
}

#[test]
fn what_is_written_is_read_again() {
    let before = config(serde_json::json!({
        "rates": {"USD-RUB": {"value": "a", "unit": 100, "inverse": true}, "EUR-RUB": {"bid": "b", "ask": "c", "unit": "d"}},
        "table": {"rows": "row", "base": "code", "quote": "RUB", "pairs": ["USD-RUB"]},
        "thousands": " ", "period": "9h", "anchor": "04:00",
    }));
    let text = serde_json::to_string(&before).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), before);
}

#[test]
fn a_described_source_is_built_under_its_name_and_in_a_demo_only_if_it_is_here() {
    let means = crate::Means {
        http: kurs_net::http::HttpClient::new("kurs-test").unwrap(),
        proxies: std::sync::Arc::default(),
        user_agent: "kurs-test".into(),
        clock: std::sync::Arc::new(kurs_core::SystemClock::new()),
    };
    let mut sources = crate::SourcesConfig::default();
    let own = serde_json::json!({"rates": {"USD-RUB": "a"}, "priority": 3, "kind": "exchange"});
    sources.http.insert("outside".into(), config(own.clone()));
    let here = Config {
        url: "http://127.0.0.1:1/".into(),
        ..config(own.clone())
    };
    sources.http.insert("here".into(), here);
    let off = Config {
        enabled: false,
        ..config(own)
    };
    sources.http.insert("off".into(), off);
    let built = |simulated: bool| -> Vec<String> {
        let built = crate::registry::build(&sources, simulated, &means).unwrap();
        let names = built.iter().map(|one| one.info.id.to_string());
        let own = |name: &String| {
            ["here", "outside", "off"]
                .iter()
                .any(|own| name.ends_with(own))
        };
        names.filter(own).collect()
    };
    assert_eq!(built(false), ["here", "outside"]);
    assert_eq!(built(true), ["sim:here"]);
    assert!(sources.names().contains(&"outside"));
}
