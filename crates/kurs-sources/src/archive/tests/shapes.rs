//! Requests and answers as the venues' documents show them.

use super::super::binance::BinanceArchive;
use super::super::bybit::BybitArchive;
use super::super::cbr::CbrErrand;
use super::super::coinbase::CoinbaseArchive;
use super::super::ecb::EcbErrand;
use super::super::kraken::KrakenArchive;
use super::super::okx::OkxArchive;
use super::super::openexchangerates::OxrErrand;
use super::super::{ArchiveError, ArchivedCandle, CandleCodec, Errand, Haul};
use super::rig::{pair, source, wall};
use crate::{cbr, ecb, openexchangerates};
use kurs_core::Wall;
use kurs_store::Interval;
use kurs_telemetry::Secret;
use std::ops::Range;

fn hour() -> Range<Wall> {
    wall("2026-11-21T10:00:00Z")..wall("2026-11-21T11:00:00Z")
}

fn text(candle: &ArchivedCandle) -> String {
    let [open, high, low, close] =
        [candle.open, candle.high, candle.low, candle.close].map(|price| price.to_string());
    let mark = if candle.traded { "" } else { " quiet" };
    format!(
        "{} {open} {high} {low} {close} {}{mark}",
        candle.start, candle.count
    )
}

fn check(codec: &dyn CandleCodec, path: &str, body: &str, expect: &[&str]) {
    let symbol = codec.symbol(pair("BTC-USDT"));
    let asked = codec.ask(&symbol, Interval::Minute, &hour());
    assert_eq!(asked.path, path);
    let candles = codec.read(body.as_bytes(), &hour()).unwrap();
    let found: Vec<String> = candles.iter().map(text).collect();
    assert_eq!(found, expect, "{}", codec.name());
}

#[test]
fn every_exchange_is_asked_and_read_as_it_says() {
    check(
        &BinanceArchive,
        "/klines?symbol=BTCUSDT&interval=1m&startTime=1795255200000&endTime=1795258799999&limit=1000",
        r#"[[1795255200000,"84000.01000000","84010.00000000","83990.50000000","84005.00000000","12.30000000",1795255259999,"1033261.5",321,"6.1","512433.1","0"],
            [1795255260000,"84005.00000000","84005.00000000","84005.00000000","84005.00000000","0.00000000",1795255319999,"0.00000000",0,"0.0","0.0","0"]]"#,
        &[
            "2026-11-21T10:00:00.000Z 84000.01 84010 83990.5 84005 321",
            "2026-11-21T10:01:00.000Z 84005 84005 84005 84005 0 quiet",
        ],
    );
    check(
        &CoinbaseArchive,
        "/products/BTC-USDT/candles?granularity=60&start=2026-11-21T10:00:00Z&end=2026-11-21T10:59:00Z",
        // Newest first; low, high, open, close; a candle from before the span comes too.
        "[[1795255260,83990.5,84010,84000.01,84005,12.3],[1795255200,1e-05,84010,84000.01,84005,1],[1795255140,1,1,1,1,1]]",
        &[
            "2026-11-21T10:01:00.000Z 84000.01 84010 83990.5 84005 0",
            "2026-11-21T10:00:00.000Z 84000.01 84010 0.00001 84005 0",
        ],
    );
    check(
        &KrakenArchive,
        "/0/public/OHLC?pair=XBTUSDT&interval=1&since=1795255199",
        r#"{"error":[],"result":{"XBTUSDT":[
            [1795255140,"84000.0","84000.0","84000.0","84000.0","84000.0","1.0",3],
            [1795255200,"84000.1","84010.0","83990.5","84005.0","84001.1","12.3",321],
            [1795258800,"84000.0","84000.0","84000.0","84000.0","0.0","0.0",0]],"last":1795255200}}"#,
        &["2026-11-21T10:00:00.000Z 84000.1 84010 83990.5 84005 321"],
    );
    check(
        &BybitArchive,
        "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1&start=1795255200000&end=1795258799999&limit=1000",
        r#"{"retCode":0,"retMsg":"OK","result":{"symbol":"BTCUSDT","category":"spot","list":[
            ["1795255260000","84005","84005","84005","84005","0","0"],
            ["1795255200000","84000.01","84010","83990.5","84005","12.3","1033261.5"]]},"retExtInfo":{},"time":1795258900000}"#,
        &[
            "2026-11-21T10:01:00.000Z 84005 84005 84005 84005 0 quiet",
            "2026-11-21T10:00:00.000Z 84000.01 84010 83990.5 84005 0",
        ],
    );
    check(
        &OkxArchive,
        "/api/v5/market/history-candles?instId=BTC-USDT&bar=1m&before=1795255199999&after=1795258800000&limit=300",
        r#"{"code":"0","msg":"","data":[
            ["1795255260000","84005","84005","84005","84005","0","0","0","1"],
            ["1795255200000","84000.01","84010","83990.5","84005","12.3","1033261.5","1033261.5","1"]]}"#,
        &[
            "2026-11-21T10:01:00.000Z 84005 84005 84005 84005 0 quiet",
            "2026-11-21T10:00:00.000Z 84000.01 84010 83990.5 84005 0",
        ],
    );
}

#[test]
fn days_begin_at_midnight_in_utc_everywhere() {
    let span = wall("2026-11-20T00:00:00Z")..wall("2026-11-21T00:00:00Z");
    let path = |codec: &dyn CandleCodec| {
        let symbol = codec.symbol(pair("BTC-USDT"));
        codec.ask(&symbol, Interval::Day, &span).path
    };
    assert!(path(&BinanceArchive).contains("interval=1d&"));
    assert!(path(&CoinbaseArchive).contains("granularity=86400&"));
    assert!(path(&KrakenArchive).contains("interval=1440&"));
    assert!(path(&BybitArchive).contains("interval=D&"));
    // 1D would begin at 16:00 in UTC.
    assert!(path(&OkxArchive).contains("bar=1Dutc&"));
}

#[test]
fn refusals_are_named_by_what_can_be_done() {
    let codecs: [(&dyn CandleCodec, u16, &str); 5] = [
        (
            &BinanceArchive,
            400,
            r#"{"code":-1121,"msg":"Invalid symbol."}"#,
        ),
        (&CoinbaseArchive, 404, r#"{"message":"NotFound"}"#),
        (
            &KrakenArchive,
            200,
            r#"{"error":["EQuery:Unknown asset pair"]}"#,
        ),
        (
            &BybitArchive,
            200,
            r#"{"retCode":10001,"retMsg":"Not supported symbols","result":{},"time":1}"#,
        ),
        (
            &OkxArchive,
            200,
            r#"{"code":"51001","msg":"Instrument ID doesn't exist","data":[]}"#,
        ),
    ];
    let answer = |codec: &dyn CandleCodec, status, body: &str| match status {
        200 => codec.read(body.as_bytes(), &hour()).unwrap_err(),
        _ => codec.refusal(status, body.as_bytes()),
    };
    for (codec, status, body) in codecs {
        assert_eq!(
            answer(codec, status, body),
            ArchiveError::NotListed,
            "{}",
            codec.name()
        );
        let garbage = answer(codec, 200, "<html>");
        assert!(
            matches!(garbage, ArchiveError::Unreadable(_)),
            "{}",
            codec.name()
        );
    }
    let limited: [(&dyn CandleCodec, u16, &str); 4] = [
        (
            &BinanceArchive,
            400,
            r#"{"code":-1003,"msg":"Too many requests."}"#,
        ),
        (
            &KrakenArchive,
            200,
            r#"{"error":["EGeneral:Too many requests"]}"#,
        ),
        (&BybitArchive, 403, "access too frequent"),
        (
            &OkxArchive,
            200,
            r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#,
        ),
    ];
    for (codec, status, body) in limited {
        let error = answer(codec, status, body);
        assert!(
            matches!(error, ArchiveError::Limited { .. }),
            "{}: {error}",
            codec.name()
        );
    }
}

fn official(haul: &Haul) -> Vec<String> {
    let text = |rate: &kurs_store::OfficialRate| {
        format!(
            "{} {} {}",
            &rate.day.to_string()[..10],
            rate.pair,
            rate.value
        )
    };
    haul.official.iter().map(text).collect()
}

const ECB: &str = r#"<?xml version="1.0" encoding="UTF-8"?><gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref"><Cube>
    <Cube time="2026-11-20"><Cube currency="USD" rate="1.0982"/><Cube currency="JPY" rate="161.2"/></Cube>
    <Cube time="2026-11-19"><Cube currency="USD" rate="1.0977"/></Cube>
    <Cube time="2026-11-18"><Cube currency="USD" rate="1.1"/></Cube></Cube></gesmes:Envelope>"#;

#[test]
fn the_ecb_gives_every_day_of_the_span_in_one_document() {
    let now = wall("2026-11-22T00:00:00Z");
    let days = |from: &str| wall(from)..now;
    let errand = |from: &str, pairs: &[&str]| {
        let pairs = pairs.iter().map(|text| pair(text)).collect();
        let config = ecb::Config::default();
        EcbErrand::new(&config, source("ecb"), days(from), pairs, now).unwrap()
    };
    let mut recent = errand("2026-11-19T00:00:00Z", &[]);
    let url = recent.ask().unwrap().fetch.url;
    assert!(
        url.ends_with("/stats/eurofxref/eurofxref-hist-90d.xml"),
        "{url}"
    );
    let haul = recent.receive(200, ECB.as_bytes(), now).unwrap();
    assert_eq!(
        official(&haul),
        [
            "2026-11-20 EUR-USD 1.0982",
            "2026-11-20 EUR-JPY 161.2",
            "2026-11-19 EUR-USD 1.0977"
        ]
    );
    assert!(recent.ask().is_none());
    let mut old = errand("2016-11-19T00:00:00Z", &["EUR-JPY"]);
    let url = old.ask().unwrap().fetch.url;
    assert!(
        url.ends_with("/stats/eurofxref/eurofxref-hist.xml"),
        "{url}"
    );
    let haul = old.receive(200, ECB.as_bytes(), now).unwrap();
    assert_eq!(official(&haul), ["2026-11-20 EUR-JPY 161.2"]);
    // A file cut in the middle, and one from the future.
    for broken in [
        &ECB[..ECB.len() / 2],
        &ECB.replace("2026-11-18", "2027-01-01"),
    ] {
        let answer = errand("2026-11-19T00:00:00Z", &[]).receive(200, broken.as_bytes(), now);
        assert!(matches!(answer, Err(ArchiveError::Unreadable(_))));
    }
    let elsewhere = ecb::Config {
        rest_url: "https://mirror.example/rates.xml".to_owned(),
        ..ecb::Config::default()
    };
    assert!(
        EcbErrand::new(
            &elsewhere,
            source("ecb"),
            days("2026-11-19T00:00:00Z"),
            Vec::new(),
            now
        )
        .is_none()
    );
}

const CBR_DAILY: &str = r#"<?xml version="1.0" encoding="windows-1251"?><ValCurs Date="21.11.2026" name="Foreign Currency Market"><Valute ID="R01235"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>1</Nominal><Name>x</Name><Value>75,5273</Value><VunitRate>75,5273</VunitRate></Valute><Valute ID="R01300"><NumCode>364</NumCode><CharCode>IRR</CharCode><Nominal>1000000</Nominal><Name>x</Name><Value>53,9256</Value><VunitRate>5,39256E-05</VunitRate></Valute></ValCurs>"#;

fn cbr_dynamic(id: &str, records: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="windows-1251"?><ValCurs ID="{id}" DateRange1="01.11.2026" DateRange2="21.11.2026" name="Foreign Currency Market Dynamic">{records}</ValCurs>"#
    )
}

#[test]
fn the_bank_of_russia_is_asked_currency_by_currency() {
    let now = wall("2026-11-22T00:00:00Z");
    let days = wall("2026-11-01T00:00:00Z")..now;
    let fresh = || {
        CbrErrand::new(
            &cbr::Config::default(),
            source("cbr"),
            days.clone(),
            Vec::new(),
        )
        .unwrap()
    };
    let mut errand = fresh();
    let asked = |errand: &mut CbrErrand| errand.ask().map(|ask| ask.fetch.url).unwrap_or_default();
    assert_eq!(
        asked(&mut errand),
        "https://www.cbr.ru/scripts/XML_daily.asp"
    );
    assert_eq!(
        errand.receive(200, CBR_DAILY.as_bytes(), now),
        Ok(Haul::default())
    );
    assert_eq!(errand.requests_left(), 2);
    assert_eq!(
        asked(&mut errand),
        "https://www.cbr.ru/scripts/XML_dynamic.asp?date_req1=01/11/2026&date_req2=21/11/2026&VAL_NM_RQ=R01235"
    );
    let dollar = cbr_dynamic(
        "R01235",
        r#"<Record Date="03.11.2026" Id="R01235"><Nominal>1</Nominal><Value>75,1</Value></Record><Record Date="04.11.2026" Id="R01235"><Nominal>10</Nominal><Value>752,5</Value><VunitRate>75,25</VunitRate></Record>"#,
    );
    let haul = errand.receive(200, dollar.as_bytes(), now).unwrap();
    assert_eq!(
        official(&haul),
        ["2026-11-03 USD-RUB 75.1", "2026-11-04 USD-RUB 75.25"]
    );
    assert_eq!(haul.through, None);
    assert!(asked(&mut errand).ends_with("R01300"));
    // The rates of another currency are not taken for this one's.
    assert!(errand.receive(200, dollar.as_bytes(), now).is_err());
    let rial = cbr_dynamic(
        "R01300",
        r#"<Record Date="03.11.2026" Id="R01300"><Nominal>1000000</Nominal><Value>53,9256</Value><VunitRate>5,39256E-05</VunitRate></Record>"#,
    );
    let haul = errand.receive(200, rial.as_bytes(), now).unwrap();
    assert_eq!(official(&haul), ["2026-11-03 IRR-RUB 0.0000539256"]);
    assert_eq!(haul.through, Some(now));
    assert!(errand.ask().is_none());
    // A web page of the request filter, also in place of the table.
    assert!(matches!(
        fresh().receive(200, b"<html>wait</html>", now),
        Err(ArchiveError::Unreadable(_))
    ));
    let twice =
        r#"<Record Date="03.11.2026" Id="R01235"><Nominal>1</Nominal><Value>75,1</Value></Record>"#
            .repeat(2);
    let mut errand = fresh();
    errand.receive(200, CBR_DAILY.as_bytes(), now).unwrap();
    let answer = errand.receive(200, cbr_dynamic("R01235", &twice).as_bytes(), now);
    assert!(matches!(answer, Err(ArchiveError::Unreadable(_))));
}

#[test]
fn a_table_of_the_day_is_a_candle_of_one_value() {
    let config = openexchangerates::Config {
        key: Some(Secret::new("s3cret")),
        ..openexchangerates::Config::default()
    };
    let day = wall("2026-11-20T00:00:00Z");
    let fresh = || {
        OxrErrand::new(
            config.clone(),
            source("openexchangerates"),
            [day].into(),
            Vec::new(),
        )
    };
    let mut errand = fresh();
    let ask = errand.ask().unwrap();
    assert!(ask.fetch.url.starts_with(
        "https://openexchangerates.org/api/historical/2026-11-20.json?app_id=s3cret&"
    ));
    assert!(!ask.fetch.shown_url().contains("s3cret") && !format!("{ask:?}").contains("s3cret"));
    let table = |timestamp: i64| {
        format!(
            r#"{{"disclaimer":"","license":"","timestamp":{timestamp},"base":"USD","rates":{{"RUB":101.23,"EUR":0.91,"VEF":1,"USD":1}}}}"#
        )
    };
    let end = day.unix_seconds() + 86_399;
    let haul = errand.receive(200, table(end).as_bytes(), day).unwrap();
    let found: Vec<String> = haul
        .candles
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} {}",
                c.start, c.pair, c.interval, c.close, c.count
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            "2026-11-20T00:00:00.000Z USD-EUR 1d 0.91 1",
            "2026-11-20T00:00:00.000Z USD-RUB 1d 101.23 1"
        ]
    );
    assert!(errand.ask().is_none());
    let answer = fresh().receive(200, table(end + 86_400).as_bytes(), day);
    assert!(matches!(answer, Err(ArchiveError::Unreadable(_))));
    let refused =
        r#"{"error":true,"status":401,"message":"invalid_app_id","description":"s3cret"}"#;
    let answer = fresh().receive(401, refused.as_bytes(), day);
    assert_eq!(
        answer,
        Err(ArchiveError::Refused("invalid_app_id".to_owned()))
    );
    // Outside the coverage: that day is passed over.
    let mut errand = fresh();
    let absent = r#"{"error":true,"status":400,"message":"not_available","description":""}"#;
    assert_eq!(
        errand.receive(400, absent.as_bytes(), day).unwrap().candles,
        []
    );
    assert!(errand.ask().is_none());
}
