//! The Telegram bot of the real binary, against the simulated Bot API and simulated venues.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::telegram::{Sent, SentKind};
use kurs_sim::{Sim, SimConfig, SimHandle, Telegram, TelegramConfig};
use kurs_testkit::wait::until_async;
use rust_decimal::Decimal;
use std::sync::Arc;
use support::{Kurs, PATIENCE};

const CHAT: i64 = 77;
/// What an alert begins with.
const BELL: &str = "🔔";

/// A kurs with the bot of this sim, in the folder of an earlier one if there is one.
async fn start(sim: &SimHandle, folder: Option<tempfile::TempDir>) -> Kurs {
    let telegram = TelegramConfig::default();
    let url = sim.urls().telegram_api;
    let settings = [
        ("KURS_TELEGRAM__TOKEN", telegram.token.as_str()),
        ("KURS_TELEGRAM__API_URL", url.as_str()),
    ];
    let kurs = Kurs::start(sim, &settings, folder).await;
    kurs.until("BTC-USDT", |rate| rate["source"] == "binance")
        .await;
    kurs
}

/// Says something, and gives the answer: the next message of the chat that is no alert.
async fn ask(telegram: &Telegram, text: &str) -> Sent {
    let before = telegram.sent(CHAT).len();
    telegram.say(CHAT, "en", text);
    until_async(text, PATIENCE, || async {
        let sent = telegram.sent(CHAT).into_iter().skip(before);
        sent.into_iter().find(|sent| !sent.text.starts_with(BELL))
    })
    .await
}

fn told(telegram: &Telegram) -> Vec<String> {
    let sent = telegram.sent(CHAT).into_iter().map(|sent| sent.text);
    sent.filter(|text| text.starts_with(BELL)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_gets_rates_and_charts_and_an_alert_once_across_killed_processes() {
    let sim = Sim::start(SimConfig::seeded(811), ([127, 0, 0, 1], 0).into())
        .await
        .unwrap();
    let telegram: Arc<Telegram> = sim.telegram();
    let kurs = start(&sim, None).await;

    let rate = ask(&telegram, "/rate BTC USDT").await;
    assert!(rate.text.starts_with("BTC-USDT  "), "{}", rate.text);
    assert!(rate.text.contains("\nbinance, "), "{}", rate.text);
    assert!(rate.text.ends_with(", fresh"), "{}", rate.text);

    // The first candle has to be written.
    let chart = until_async("a chart", PATIENCE, || async {
        let sent = ask(&telegram, "/history BTC-USDT 1h").await;
        (sent.kind == SentKind::Photo).then_some(sent)
    })
    .await;
    assert!(chart.text.starts_with("BTC-USDT, 1h"), "{}", chart.text);
    assert!(chart.picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    let width = chart.picture.get(16..20).unwrap();
    let width = u32::from_be_bytes(width.try_into().unwrap());
    assert!(width >= 600, "a chart of {width} points is not readable");

    let (_, ask_price) = sim.top("BTCUSDT").unwrap();
    let value = (ask_price * Decimal::from(3)).round();
    let watched = ask(&telegram, &format!("/subscribe BTC-USDT > {value}")).await;
    assert_eq!(watched.text, format!("Watching: BTC-USDT above {value}"));

    // What was watched is watched by the next process, and what fired is not told again.
    let kurs = start(&sim, Some(kurs.process.kill())).await;
    assert_eq!(told(&telegram), Vec::<String>::new());
    let low = value.to_string();
    let other = ask(&telegram, "/subscribe BTC-USDT > 1").await;
    assert_eq!(other.text, "Watching: BTC-USDT above 1");
    // Written down as told: a process that dies before that tells it once more.
    until_async("the alert is told", PATIENCE, || async {
        let alerts = kurs.get("/api/v1/alerts").await.json;
        let alerts = alerts["alerts"].as_array().cloned().unwrap_or_default();
        let fired = alerts.into_iter().find(|alert| alert["fired"] == 1)?;
        let path = format!("/api/v1/alerts/{}/deliveries", fired["id"].as_str()?);
        let told = kurs.get(&path).await.json;
        (told["deliveries"][0]["state"] == "delivered").then_some(())
    })
    .await;
    let kurs = start(&sim, Some(kurs.process.kill())).await;
    let alerts = ask(&telegram, "/alerts").await;
    assert!(alerts.text.contains(&low), "{}", alerts.text);
    // The answer came by the way that alerts take.
    let told = told(&telegram);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("BTC-USDT is above 1: "), "{}", told[0]);
    let metrics = reqwest::get(kurs.url("/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let counted = |name: &str| {
        let mut lines = metrics.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    assert!(counted("kurs_telegram_updates_total ") >= 1);
    assert!(counted("kurs_telegram_messages_total{outcome=\"sent\"} ") >= 1);
    assert_eq!(
        counted("kurs_telegram_messages_total{outcome=\"flood\"} "),
        0
    );
    assert_eq!(counted("kurs_telegram_messages_waiting "), 0);

    let state = telegram.state();
    assert_eq!(state.violations.total(), 0, "{state:?}");
    assert_eq!(state.wrong_tokens, 0);
    let commands: Vec<_> = state.commands.keys().cloned().collect();
    assert_eq!(commands, ["", "ru"]);
}
