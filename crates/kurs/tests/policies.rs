//! What the configuration says of a pair holds: for its inverse, after a change, after a restart,
//! and when there is no rate by it.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Fault, FaultKind, Sim, SimConfig, SimHandle, Venue};
use kurs_testkit::wait::until_async;
use rust_decimal::Decimal;
use serde_json::Value;
use support::{ALL_EXCHANGES, Kurs, PATIENCE, World};

async fn sim(seed: u64) -> SimHandle {
    Sim::start(SimConfig::seeded(seed), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
}

/// A kurs with this configuration file.
async fn with_file(sim: &SimHandle, text: &str, settings: &[(&str, &str)]) -> Kurs {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("kurs.toml"), text).unwrap();
    Kurs::start(sim, settings, Some(folder)).await
}

/// Waits for another status of a pair than 200, and returns the problem.
async fn refused(kurs: &Kurs, pair: &str) -> (u16, Value) {
    until_async(&format!("no rate of {pair}"), PATIENCE, || async {
        let reply = kurs.rate(pair).await;
        (reply.status != 200).then_some((reply.status, reply.json))
    })
    .await
}

fn number(rate: &Value, key: &str) -> Decimal {
    rate[key].as_str().unwrap().parse().unwrap()
}

const DESK: &str = r#"
[policy]
KZT-EUR = { value = "0.0020", owner = "desk" }
GBP-KZT = "cbr(GBP-RUB) / cbr(KZT-RUB) * 1.10"
USDT-RUB = { value = "91.5", owner = "desk" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stands_behind_rates_of_a_policy_that_was_changed_or_a_source_that_is_off() {
    let sim = sim(61).await;
    let kurs = with_file(&sim, DESK, &[]).await;
    kurs.until("KZT-EUR", |rate| rate["source"] == "fixed")
        .await;
    kurs.until("GBP-KZT", |rate| rate["source"] == "rule").await;
    kurs.until("USDT-RUB", |rate| rate["source"] == "fixed")
        .await;
    kurs.until("AMD-RUB", |rate| rate["source"] == "cbr").await;
    let path = kurs.process.folder().join("kurs.toml");

    let changed = "[policy]\nUSDT-RUB = { value = \"91.5\", owner = \"desk\", until = \"2020-01-01\" }\n\
                   [sources.cbr]\nenabled = false\n";
    std::fs::write(&path, changed).unwrap();
    let (status, problem) = until_async("the reason", PATIENCE, || async {
        let (status, problem) = refused(&kurs, "USDT-RUB").await;
        let names_the_day = problem["detail"].as_str()?.contains("2020-01-01");
        names_the_day.then_some((status, problem))
    })
    .await;
    assert_eq!(
        (status, &problem["type"]),
        (503, &"/docs/problems#no-rate-yet".into())
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("2020-01-01"),
        "{problem}"
    );
    for pair in ["KZT-EUR", "GBP-KZT", "AMD-RUB"] {
        let told = until_async(&format!("{pair} is not of the desk"), PATIENCE, || async {
            let reply = kurs.rate(pair).await;
            let source = reply.json["source"].as_str().unwrap_or("nobody").to_owned();
            (!["fixed", "rule", "cbr"].contains(&source.as_str())).then_some(source)
        })
        .await;
        println!("{pair} is served by {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_another_policy_does_not_bring_the_former_rate_back() {
    let sim = sim(62).await;
    let mut kurs = with_file(&sim, DESK, &[]).await;
    kurs.until("KZT-EUR", |rate| rate["source"] == "fixed")
        .await;
    // In order, so that the rate is in the store.
    let id = kurs.process.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(sent.unwrap().success());
    assert!(kurs.process.end(PATIENCE).await.success());
    let folder = kurs.process.kill();
    std::fs::write(folder.path().join("kurs.toml"), "").unwrap();
    let kurs = Kurs::start(&sim, &[], Some(folder)).await;
    // From the first answer on, before any source has spoken.
    for _ in 0..200 {
        let reply = kurs.rate("KZT-EUR").await;
        assert_ne!(reply.json["source"], "fixed", "{}", reply.json);
        assert_ne!(kurs.rate("EUR-KZT").await.json["source"], "fixed");
    }
    kurs.until("USD-RUB", |rate| rate["source"] == "cbr").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_policy_has_no_rate_the_answer_says_why_and_nothing_else_is_served() {
    let file = r#"
[policy]
BTC-USD = { kind = "median", min_sources = 9, below_min = "none" }
BTC-EUR = "BTC-USDT * USDT-USD * USD-EUR - 999999999"
SOL-RUB = "SOL-USDT * USDT-USD * cbr(USD-RUB) * 9999999999999999999999999999 * 9999999999999999999999999999"
"#;
    let sim = sim(63).await;
    let kurs = with_file(&sim, file, &ALL_EXCHANGES).await;
    kurs.until("BTC-USDT", |rate| rate["state"] == "fresh")
        .await;
    kurs.until("USD-EUR", |_| true).await;
    for pair in ["BTC-USD", "USD-BTC", "BTC-EUR", "EUR-BTC", "SOL-RUB"] {
        let (status, problem) = refused(&kurs, pair).await;
        assert_eq!(
            (status, &problem["type"]),
            (503, &"/docs/problems#no-rate-yet".into()),
            "{problem}"
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{pair}: no ")), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_and_its_inverse_tell_the_same_price() {
    let file = r#"
[policy]
EUR-USD = { sources = ["ecb", "openexchangerates"] }
BTC-RUB = "BTC-USDT * fixed(91, until 2099-01-01)(USDT-RUB) * 1.005"
"#;
    let sim = sim(64).await;
    let kurs = with_file(&sim, file, &ALL_EXCHANGES).await;
    kurs.until("EUR-USD", |rate| rate["source"] == "ecb").await;
    kurs.until("BTC-RUB", |rate| rate["source"] == "rule").await;
    for (pair, inverse) in [("EUR-USD", "USD-EUR"), ("BTC-RUB", "RUB-BTC")] {
        // The price moves: the same update must be under both.
        let (there, back) = until_async("both of one update", PATIENCE, || async {
            let (there, back) = (kurs.rate(pair).await.json, kurs.rate(inverse).await.json);
            (there["seq"].is_u64() && there["seq"] == back["seq"]).then_some((there, back))
        })
        .await;
        assert_eq!(there["source"], back["source"], "{back}");
        let product = number(&there, "value") * number(&back, "value");
        let off = (product - Decimal::ONE).abs();
        assert!(off < Decimal::new(1, 12), "{there} {back}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cross_rates_over_a_median_outlive_the_loss_of_the_first_exchange() {
    let file = "[policy.BTC-USD]\nkind = \"median\"\n";
    let sim = sim(65).await;
    let kurs = with_file(&sim, file, &ALL_EXCHANGES).await;
    let world = World { sim, kurs };
    let crosses = ["USD-BTC", "BTC-GBP", "ETH-BTC"];
    for pair in crosses {
        world.kurs.until(pair, |_| true).await;
    }
    world
        .kurs
        .until("ETH-USDT", |rate| rate["source"] == "binance")
        .await;
    assert!(world.sim.fault(Venue::Binance, Fault::new(FaultKind::Cut)));
    world
        .kurs
        .source_until("binance", |source| source["state"] == "down")
        .await;
    for _ in 0..300 {
        for pair in crosses {
            let reply = world.kurs.rate(pair).await;
            assert_ne!(reply.status, 404, "{pair}: {}", reply.json);
        }
    }
    for pair in crosses {
        world.kurs.until(pair, |_| true).await;
    }
}

const EXPLAINED: &str = r#"
[policy]
USD-RUB = "cbr(USD-RUB) * 1.02 +-0.5%"
BTC-RUB = "median(binance, kraken, bybit)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005"

[policy.ETH-USDT]
kind = "merged"
price = "depth_weighted"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_shows_the_numbers_that_were_used_and_the_age_of_the_oldest() {
    let sim = sim(66).await;
    let kurs = with_file(&sim, EXPLAINED, &ALL_EXCHANGES).await;
    kurs.until("BTC-RUB", |rate| rate["source"] == "rule").await;
    kurs.until("USD-RUB", |rate| rate["source"] == "rule").await;
    kurs.until("ETH-USDT", |rate| rate["source"] == "merged")
        .await;
    for _ in 0..40 {
        let path = "/api/v1/rates/BTC/RUB?explain=true";
        let told = kurs.get(path).await.json;
        let rows = told["constituents"].as_array().unwrap();
        for part in told["evidence"]["constituents"].as_array().unwrap() {
            let is_row =
                |row: &&Value| row["source"] == part["source"] && row["pair"] == part["pair"];
            if let (Some(row), true) = (rows.iter().find(is_row), part["used"] == true) {
                assert_eq!(
                    (&row["value"], &row["used"]),
                    (&part["value"], &true.into())
                );
            }
        }
        for leg in told["legs"].as_array().unwrap() {
            assert!(
                told["expires_at"].as_str() <= leg["expires_at"].as_str(),
                "{told}"
            );
        }
        for path in ["USD/RUB", "USDT/RUB", "RUB/USDT", "BTC/RUB"] {
            let told = kurs
                .get(&format!("/api/v1/rates/{path}?explain=true"))
                .await
                .json;
            let moment = |key: &str| told[key].as_str().unwrap().parse::<kurs_core::Wall>();
            let age = moment("published_at")
                .unwrap()
                .since(moment("observed_at").unwrap());
            let shown = told["age_ms"].as_u64().unwrap();
            assert!(u128::from(shown) >= age.as_millis(), "{path}: {told}");
        }
        let merged = kurs.rate("ETH-USDT").await.json;
        let [bid, value, ask] = ["bid", "value", "ask"].map(|key| number(&merged, key));
        assert!(bid <= value && value <= ask, "{merged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_with_dead_venues_an_expired_rate_says_that_it_ran_out_and_who_is_down() {
    let sim = sim(67).await;
    let settings = [("KURS_SOURCES__BINANCE__MAX_AGE_MS", "3000")];
    let kurs = with_file(&sim, "", &settings).await;
    kurs.until("BTC-USDT", |rate| rate["source"] == "binance")
        .await;
    // In the store by the time that it is confirmed.
    let id = kurs.process.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status();
    assert!(sent.unwrap().success());
    let mut kurs = kurs;
    assert!(kurs.process.end(PATIENCE).await.success());
    let folder = kurs.process.kill();
    for venue in Venue::ALL {
        sim.fault(venue, Fault::new(FaultKind::Reset));
    }
    let kurs = Kurs::start(&sim, &settings, Some(folder)).await;
    let path = "/api/v1/rates/BTC/USDT?explain=true&allow_stale=true";
    let told = until_async("the reason of an expired rate", PATIENCE, || async {
        let told = kurs.get(path).await.json;
        let is_down = told["reason"].as_str()?.contains("binance down (");
        (told["state"] == "stale" && is_down).then_some(told)
    })
    .await;
    let reason = told["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("the rate of binance ran out at ")
            || reason.starts_with("no source is live: "),
        "{reason}"
    );
    let rejections = told["rejections"].as_array().unwrap();
    assert!(
        rejections
            .iter()
            .any(|one| one["source"] == "binance" && one["state"] == "down"),
        "{told}"
    );
}
