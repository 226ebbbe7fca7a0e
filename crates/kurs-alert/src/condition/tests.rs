use super::*;

fn read(json: &str) -> Result<Terms, Vec<Mistake>> {
    serde_json::from_str::<ConditionDocument>(json)
        .unwrap()
        .understand()
}

#[test]
fn every_kind_survives_its_text() {
    for json in [
        r#"{"kind":"threshold","pair":"btc/usd","side":"above","value":"70000.10"}"#,
        r#"{"kind":"threshold","pair":"BTC-USD","side":"below","value":"1","margin_percent":"0"}"#,
        r#"{"kind":"percent","pair":"BTC-USD","percent":"1.5"}"#,
        r#"{"kind":"percent","pair":"BTC-USD","percent":"1.5","window_seconds":3600}"#,
        r#"{"kind":"source_loss","source":"binance"}"#,
        r#"{"kind":"freeze","pair":"BTC-USD","after_seconds":5,"cooldown_seconds":0}"#,
        r#"{"kind":"depeg","asset":"usdt","percent":"1"}"#,
    ] {
        let terms = read(json).unwrap();
        assert_eq!(read(&terms.json()), Ok(terms), "{json}");
    }
}

#[test]
fn all_mistakes_are_named_with_their_fields() {
    let check = |json: &str, fields: &[&str]| {
        let mistakes = read(json).unwrap_err();
        let found: Vec<&str> = mistakes.iter().map(|mistake| mistake.field).collect();
        assert_eq!(found, fields, "{json}: {mistakes:?}");
    };
    check(r#"{"kind":"moon"}"#, &["kind"]);
    check(r#"{"kind":"threshold"}"#, &["pair", "side", "value"]);
    check(
        r#"{"kind":"threshold","pair":"BTC","side":"over","value":"-1"}"#,
        &["pair", "side", "value"],
    );
    check(
        r#"{"kind":"percent","pair":"BTC-USD","percent":"0","window_seconds":1}"#,
        &["percent", "window_seconds"],
    );
    check(
        r#"{"kind":"depeg","asset":"USD","percent":"1","pair":"BTC-USD"}"#,
        &["asset", "pair"],
    );
    check(
        r#"{"kind":"freeze","pair":"BTC-USD","after_seconds":0,"cooldown_seconds":9999999}"#,
        &["cooldown_seconds", "after_seconds"],
    );
}
