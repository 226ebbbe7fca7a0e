use super::*;

#[test]
fn a_word_and_its_json_mean_the_same() {
    let cases = [
        ("binance:stall", r#"{"venue":"binance","fault":"stall"}"#),
        (
            "coingecko:429:retry_after=30",
            r#"{"venue":"coingecko","fault":"429","retry_after":30}"#,
        ),
        (
            "binance:wrong_price:raw=NaN:symbol=BTCUSDT",
            r#"{"venue":"binance","fault":"wrong_price","raw":"NaN","symbol":"BTCUSDT"}"#,
        ),
        (
            "cbr:wrong_price:factor=0.1",
            r#"{"venue":"cbr","fault":"wrong_price","factor":"0.1"}"#,
        ),
        (
            "binance:malformed:percent=5:channel=ws:times=1",
            r#"{"venue":"binance","fault":"malformed","percent":5,"channel":"ws","times":1}"#,
        ),
        (
            "ecb:delay:ms=250",
            r#"{"venue":"ecb","fault":"delay","ms":250}"#,
        ),
        (
            "binance:gap:percent=1:symbol=BTCUSDT",
            r#"{"venue":"binance","fault":"gap","percent":1,"symbol":"BTCUSDT"}"#,
        ),
        (
            "okx:gap:symbol=BTC-USDT",
            r#"{"venue":"okx","fault":"gap","symbol":"BTC-USDT","times":1}"#,
        ),
        (
            "kraken:checksum:times=3",
            r#"{"venue":"kraken","fault":"checksum","times":3}"#,
        ),
        (
            "binance:stale_snapshot",
            r#"{"venue":"binance","fault":"stale_snapshot","times":1}"#,
        ),
        (
            "coinbase:crossed:symbol=BTC-USD",
            r#"{"venue":"coinbase","fault":"crossed","symbol":"BTC-USD"}"#,
        ),
        ("bybit:restart", r#"{"venue":"bybit","fault":"restart"}"#),
        ("okx:garbage", r#"{"venue":"okx","fault":"garbage"}"#),
        (
            "kraken:poison:factor=10:symbol=BTC/USD",
            r#"{"venue":"kraken","fault":"wrong_price","factor":"10","symbol":"BTC/USD"}"#,
        ),
    ];
    for (word, json) in cases {
        let from_word: FaultWord = word.parse().unwrap();
        let from_json: FaultWord = serde_json::from_str(json).unwrap();
        assert_eq!(from_word, from_json, "{word}");
        let printed = serde_json::to_string(&from_word).unwrap();
        assert_eq!(
            serde_json::from_str::<FaultWord>(&printed).unwrap(),
            from_word,
            "{printed}"
        );
    }
}

#[test]
fn mistakes_are_named() {
    for (word, named) in [
        ("binance", "venue:fault"),
        ("mtgox:stall", "mtgox"),
        ("binance:explode", "explode"),
        ("binance:drop:percent=101", "percent"),
        ("binance:delay", "ms"),
        ("binance:200", "status"),
        ("binance:stall:colour=red", "colour"),
        ("binance:wrong_price", "factor"),
        ("binance:gap:percent=101", "percent"),
        ("coinbase:checksum", "coinbase has nothing"),
        ("kraken:stale_snapshot", "stale_snapshot"),
        ("binance:restart", "restart"),
        ("ecb:garbage", "garbage"),
    ] {
        let error = word.parse::<FaultWord>().unwrap_err().to_string();
        assert!(error.contains(named), "{word}: {error}");
    }
}
