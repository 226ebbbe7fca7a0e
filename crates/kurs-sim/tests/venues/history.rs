//! Candles and official rates of the past, as the venues write them.

use crate::client::{get, start};
use kurs_sim::SimConfig;
use serde_json::Value;

fn texts(row: &Value, columns: [usize; 4]) -> [String; 4] {
    columns.map(|column| match &row[column] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

#[tokio::test]
async fn every_exchange_pages_as_the_real_one() {
    let sim = start(SimConfig::seeded(7)).await;
    let urls = sim.urls();
    // 2026-01-01T00:00:00Z and an hour later.
    let (from, to) = (1_767_225_600_u64, 1_767_229_200_u64);
    let binance = format!(
        "{}/api/v3/klines?symbol=BTCUSDT&interval=1m",
        urls.binance_rest
    );
    let page = get(&format!(
        "{binance}&startTime={from}000&endTime={to}000&limit=1000"
    ))
    .await
    .json();
    let rows = page.as_array().unwrap();
    assert_eq!(rows.len(), 61, "both ends count");
    assert_eq!(
        (rows[0][0].as_u64(), rows[60][0].as_u64()),
        (Some(from * 1_000), Some(to * 1_000))
    );
    let [open, high, low, close] =
        texts(&rows[0], [1, 2, 3, 4]).map(|text| text.parse::<f64>().unwrap());
    assert!(low <= open && open <= high && low <= close && close <= high);
    let newest = get(&format!("{binance}&limit=2")).await.json();
    assert_eq!(newest.as_array().unwrap().len(), 2);
    let refused = get(&format!("{binance}&interval=7m")).await;
    assert_eq!(refused.status, 200, "the first of two parameters counts");

    let coinbase = format!(
        "{}/products/BTC-USD/candles?granularity=60",
        urls.coinbase_rest
    );
    let page = get(&format!(
        "{coinbase}&start=2026-01-01T00:00:00Z&end=2026-01-01T00:59:00Z"
    ))
    .await
    .json();
    let rows = page.as_array().unwrap();
    assert_eq!(
        (rows.len(), rows[0][0].as_u64()),
        (60, Some(to - 60)),
        "newest first"
    );
    let long = get(&format!(
        "{coinbase}&start=2026-01-01T00:00:00Z&end=2026-01-01T05:00:00Z"
    ))
    .await;
    assert_eq!(long.status, 400, "301 candles");

    let kraken = format!("{}/0/public/OHLC?pair=XBTUSD&interval=1", urls.kraken_rest);
    for since in ["", "&since=1"] {
        let page = get(&format!("{kraken}{since}")).await.json();
        assert_eq!(page["result"]["XXBTZUSD"].as_array().unwrap().len(), 720);
    }

    let bybit = format!(
        "{}/v5/market/kline?category=spot&symbol=BTCUSDT&interval=60",
        urls.bybit_rest
    );
    let page = get(&format!("{bybit}&start={from}000&end={to}000&limit=1"))
        .await
        .json();
    let rows = page["result"]["list"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0], format!("{to}000"), "the newest of too many");

    let okx = format!(
        "{}/api/v5/market/history-candles?instId=BTC-USDT&bar=1m",
        urls.okx_rest
    );
    let page = get(&format!("{okx}&before={from}000&after={to}000"))
        .await
        .json();
    let rows = page["data"].as_array().unwrap();
    assert_eq!(rows.len(), 59, "neither end counts");
    assert_eq!(rows[0][0], format!("{}000", to - 60));
    assert_eq!(
        sim.state()
            .venues
            .values()
            .map(|one| one.violations.total())
            .sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn banks_keep_their_past() {
    let sim = start(SimConfig::seeded(7)).await;
    let urls = sim.urls();
    let folder = urls.ecb_rest.strip_suffix("eurofxref-daily.xml").unwrap();
    let small = get(&format!("{folder}eurofxref-hist-90d.xml")).await.text();
    let days = small.matches("<Cube time=").count();
    assert!((58..=65).contains(&days), "{days}");
    let daily = get(&urls.ecb_rest).await.text();
    let today = daily.split("<Cube time='").nth(1).unwrap();
    assert!(
        small
            .split("<Cube time='")
            .nth(1)
            .unwrap()
            .starts_with(&today[..200]),
        "newest first"
    );
    let dynamic = urls.cbr_rest.replace("XML_daily.asp", "XML_dynamic.asp");
    let query = "date_req1=01/03/2026&date_req2=05/03/2026&VAL_NM_RQ=R01235";
    let text = get(&format!("{dynamic}?{query}")).await.text();
    // Sunday and Monday have no rate of their own.
    assert_eq!(text.matches("<Record Date=").count(), 3, "{text}");
    assert!(text.contains("ID=\"R01235\" DateRange1=\"01.03.2026\""));
    let rates = format!("{}/historical", urls.openexchangerates_rest);
    let table = get(&format!("{rates}/2026-03-05.json?app_id=k"))
        .await
        .json();
    assert_eq!(table["timestamp"].as_u64(), Some(1_772_755_199));
    let early = get(&format!("{rates}/1998-01-01.json?app_id=k")).await;
    assert_eq!(
        (early.status, early.json()["message"].as_str()),
        (400, Some("not_available"))
    );
}
