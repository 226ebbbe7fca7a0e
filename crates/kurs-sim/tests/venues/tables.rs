use crate::client::{get, request, start};
use kurs_core::{ManualClock, Mono, Now, Wall};
use kurs_sim::{Pin, Sim, SimConfig, SimHandle, Venue};
use rust_decimal::Decimal;
use std::net::SocketAddr;
use std::sync::Arc;

async fn start_at(wall: &str) -> (SimHandle, Arc<ManualClock>) {
    let now = Now {
        mono: Mono(0),
        wall: wall.parse::<Wall>().unwrap(),
    };
    let clock = Arc::new(ManualClock::new(now));
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = Sim::start_with_clock(SimConfig::default(), address, clock.clone())
        .await
        .unwrap();
    (sim, clock)
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split(from)
        .nth(1)
        .unwrap_or_else(|| panic!("no {from} in {text}"))
        .split(to)
        .next()
        .unwrap()
}

fn decimal(text: &str) -> Decimal {
    kurs_core::price::parse_decimal(&text.replace(',', ".")).unwrap()
}

#[tokio::test]
async fn coingecko_answers_what_it_knows_and_leaves_out_the_rest() {
    let sim = start(SimConfig::default()).await;
    let root = sim.urls().coingecko_rest;
    let url = format!(
        "{root}/simple/price?ids=bitcoin,nonsense,tether&vs_currencies=usd,rub,xyz&include_last_updated_at=true&precision=full"
    );
    let answer = get(&url).await;
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
    let coin = body["bitcoin"].as_object().unwrap();
    assert_eq!(
        coin.keys().collect::<Vec<_>>(),
        ["last_updated_at", "rub", "usd"]
    );
    assert!(coin["usd"].is_number());
    assert_eq!(
        get(&format!("{root}/simple/price?ids=x&vs_currencies=usd"))
            .await
            .text(),
        "{}"
    );
    assert_eq!(
        get(&format!("{root}/simple/price?ids=bitcoin"))
            .await
            .status,
        422
    );
    assert_eq!(
        get(&format!("{root}/ping")).await.text(),
        r#"{"gecko_says":"(V3) To the Moon!"}"#
    );
    assert!(sim.pin(
        Venue::Coingecko,
        "bitcoin/usd",
        Pin::Price("54000.000123".parse().unwrap())
    ));
    let pinned = get(&format!(
        "{root}/simple/price?ids=bitcoin&vs_currencies=usd"
    ))
    .await;
    assert_eq!(pinned.text(), r#"{"bitcoin":{"usd":54000.000123}}"#);
}

#[tokio::test]
async fn coingecko_checks_its_key() {
    let config = SimConfig {
        coingecko_key: Some("CG-good".to_owned()),
        ..SimConfig::default()
    };
    let sim = start(config).await;
    let url = format!("{}/ping", sim.urls().coingecko_rest);
    let none = get(&url).await;
    assert_eq!(
        (none.status, &none.json()["status"]["error_code"]),
        (401, &10_002.into())
    );
    let wrong = request("GET", &url, &[("x-cg-demo-api-key", "CG-bad")], "")
        .await
        .unwrap();
    assert_eq!(wrong.json()["error"]["status"]["error_code"], 10_010);
    let good = request("GET", &url, &[("x-cg-demo-api-key", "CG-good")], "")
        .await
        .unwrap();
    assert_eq!(good.status, 200);
}

#[tokio::test]
async fn openexchangerates_checks_its_key_and_its_validators() {
    let config = SimConfig {
        openexchangerates_key: Some("good".to_owned()),
        ..SimConfig::default()
    };
    let sim = start(config).await;
    let root = sim.urls().openexchangerates_rest;
    let missing = get(&format!("{root}/latest.json")).await;
    assert_eq!(
        (missing.status, &missing.json()["message"]),
        (401, &"missing_app_id".into())
    );
    let wrong = get(&format!("{root}/latest.json?app_id=bad")).await;
    assert_eq!(wrong.json()["message"], "invalid_app_id");
    let url = format!("{root}/latest.json?app_id=good&symbols=RUB,EUR");
    let first = get(&url).await;
    let body = first.json();
    assert_eq!(body["base"], "USD");
    assert_eq!(body["rates"].as_object().unwrap().len(), 2);
    let etag = first.header("etag").unwrap();
    let modified = first.header("last-modified").unwrap();
    let headers = [("if-none-match", etag), ("if-modified-since", modified)];
    let again = request("GET", &url, &headers, "").await.unwrap();
    assert_eq!((again.status, again.body.len()), (304, 0));
    let stale = request("GET", &url, &[("if-none-match", "\"other\"")], "")
        .await
        .unwrap();
    assert_eq!(stale.status, 200);
    let base = get(&format!("{root}/latest.json?app_id=good&base=XXX")).await;
    assert_eq!(base.json()["message"], "invalid_base");
    let usage = get(&format!("{root}/usage.json?app_id=good")).await.json();
    assert_eq!(usage["data"]["usage"]["requests_quota"], 1_000);
}

#[tokio::test]
async fn the_ecb_file_is_of_the_last_working_day_and_conditional() {
    let (sim, clock) = start_at("2026-07-19T12:00:00Z").await;
    let url = sim.urls().ecb_rest;
    let first = get(&url).await;
    let text = first.text();
    assert!(text.contains("<Cube time='2026-07-17'>"), "{text}");
    assert!(!text.contains("RUB"));
    assert_eq!(text.matches("<Cube currency=").count(), 29);
    let etag = first.header("etag").unwrap().to_owned();
    let conditional = [("if-none-match", etag.as_str())];
    assert_eq!(
        request("GET", &url, &conditional, "").await.unwrap().status,
        304
    );
    clock.set_wall("2026-07-20T14:30:00Z".parse().unwrap());
    let monday = request("GET", &url, &conditional, "").await.unwrap();
    assert_eq!(monday.status, 200);
    assert!(monday.text().contains("<Cube time='2026-07-20'>"));
}

#[tokio::test]
async fn the_cbr_table_has_its_encoding_its_commas_its_nominals_and_its_dates() {
    let (sim, _clock) = start_at("2026-07-15T15:00:00Z").await;
    let url = sim.urls().cbr_rest;
    let answer = get(&url).await;
    assert_eq!(
        answer.header("content-type"),
        Some("text/xml; charset=windows-1251")
    );
    assert!(
        String::from_utf8(answer.body.clone()).is_err(),
        "it must not be UTF-8"
    );
    let (text, _, broken) = encoding_rs::WINDOWS_1251.decode(&answer.body);
    assert!(!broken && text.contains("<Name>Доллар США</Name>"));
    assert!(
        text.contains("<ValCurs Date=\"16.07.2026\""),
        "tomorrow's table is out"
    );
    let yen = between(&text, "<CharCode>JPY</CharCode>", "</Valute>");
    assert_eq!(between(yen, "<Nominal>", "<"), "100");
    let value = decimal(between(yen, "<Value>", "<"));
    assert_eq!(
        decimal(between(yen, "<VunitRate>", "<")),
        value / Decimal::from(100)
    );
    assert!(between(yen, "<Value>", "<").contains(','));
    let rial = between(&text, "<CharCode>IRR</CharCode>", "</Valute>");
    assert!(between(rial, "<VunitRate>", "<").contains('E'), "{rial}");
    let today = get(&format!("{url}?date_req=15/07/2026")).await;
    assert!(String::from_utf8_lossy(&today.body).contains("Date=\"15.07.2026\""));
    let sunday = get(&format!("{url}?date_req=12/07/2026")).await;
    assert!(String::from_utf8_lossy(&sunday.body).contains("Date=\"11.07.2026\""));
}

#[tokio::test]
async fn all_venues_tell_of_the_same_market() {
    let (sim, _clock) = start_at("2026-07-15T15:00:00Z").await;
    let urls = sim.urls();
    let cbr = get(&urls.cbr_rest).await;
    let text = String::from_utf8_lossy(&cbr.body).into_owned();
    let usd = between(&text, "<CharCode>USD</CharCode>", "</Valute>");
    let usd_rub = decimal(between(usd, "<Value>", "<"));
    let oxr = get(&format!(
        "{}/latest.json?app_id=k",
        urls.openexchangerates_rest
    ))
    .await
    .json();
    let oxr_rub = decimal(&oxr["rates"]["RUB"].to_string());
    let query = "simple/price?ids=bitcoin,tether&vs_currencies=usd,rub&precision=full";
    let gecko = get(&format!("{}/{query}", urls.coingecko_rest))
        .await
        .json();
    let of = |coin: &str, quote: &str| decimal(&gecko[coin][quote].to_string());
    let gecko_rub = of("bitcoin", "rub") / of("bitcoin", "usd");
    let ecb = get(&urls.ecb_rest).await.text();
    let eur_usd = decimal(between(&ecb, "currency='USD' rate='", "'"));
    let eur = between(&text, "<CharCode>EUR</CharCode>", "</Valute>");
    let eur_rub = decimal(between(eur, "<Value>", "<"));
    let near = |a: Decimal, b: Decimal| {
        let apart = (a - b).abs() / b;
        assert!(
            apart < "0.01".parse().unwrap(),
            "{a} and {b} are {apart} apart"
        );
    };
    near(oxr_rub, usd_rub);
    near(gecko_rub, usd_rub);
    near(eur_rub / usd_rub, eur_usd);
    let (bid, ask) = sim.top("BTCUSDT").unwrap();
    near(
        (bid + ask) / Decimal::TWO * of("tether", "usd"),
        of("bitcoin", "usd"),
    );
    let (bid, ask) = sim.top("EURUSDT").unwrap();
    near((bid + ask) / Decimal::TWO * of("tether", "usd"), eur_usd);
}
