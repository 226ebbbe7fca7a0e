//! Over real connections: HTTP, pictures, the webhook, and a token that is never shown.

use crate::world::{OnePoint, PNG, World, until};
use kurs_bot::{BotApi, Call, HttpApi, Mode};
use kurs_sim::{Sim, SimConfig, SimHandle};
use kurs_telemetry::Secret;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(20);

async fn sim() -> SimHandle {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    Sim::start(SimConfig::seeded(1), address).await.unwrap()
}

async fn world(sim: &SimHandle) -> World {
    let mut world = World::at_its_pace().await;
    world.telegram = sim.telegram();
    world.config.api_url = sim.urls().telegram_api;
    world
}

fn api(world: &World) -> Arc<HttpApi> {
    let token = world.config.token.clone().unwrap();
    Arc::new(HttpApi::new(&world.config.api_url, token).unwrap())
}

#[tokio::test]
async fn a_conversation_over_http() {
    let sim = sim().await;
    let world = world(&sim).await;
    world
        .store_candles("BTC-USD", kurs_store::Interval::FiveMinutes, 50)
        .await;
    let bot = world.start_over(api(&world), Arc::new(AtomicBool::new(false)), 1);
    assert!(
        world
            .ask(1, "en", "/rate BTC USD")
            .await
            .text
            .starts_with("BTC-USD  64000.50")
    );
    let chart = world.ask(2, "ru", "/history BTC-USD 24h").await;
    assert!(
        chart.picture.starts_with(PNG),
        "a picture by multipart: {chart:?}"
    );
    let (_, hour) = &chart.buttons[0][1];
    assert_eq!(hour, "h:BTC-USD:24h");
    assert_eq!(sim.telegram().state().violations.total(), 0);
    bot.stop().await;
    let _ = OnePoint;
}

#[tokio::test]
async fn updates_come_by_webhook_with_the_right_secret_only() {
    let sim = sim().await;
    let mut world = world(&sim).await;
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], kurs_testkit::free_port()));
    world.config.mode = Mode::Webhook;
    world.config.webhook_addr = address;
    world.config.webhook_url = format!("http://{address}/");
    world.config.webhook_secret = Some(Secret::new("0123456789abcdef_-"));
    let bot = world.start_over(api(&world), Arc::new(AtomicBool::new(false)), 1);
    assert!(
        world
            .ask(1, "en", "/rate BTC USD")
            .await
            .text
            .starts_with("BTC-USD")
    );
    let desk = bot.bot.desk();
    let secret = Secret::new("0123456789abcdef_-");
    let body = json!({"update_id": 77, "message": {
        "message_id": 9, "chat": {"id": 1}, "from": {"id": 1}, "text": "/help"}})
    .to_string();
    for wrong in [
        None,
        Some(&b"0123456789abcdef__"[..]),
        Some(b""),
        Some(b"0123456789abcdef_-x"),
    ] {
        let taken = kurs_bot::webhook(&desk, &secret, wrong, body.as_bytes()).await;
        assert_eq!(taken, Err(kurs_bot::webhook::WebhookError::WrongSecret));
    }
    for _ in 0..2 {
        let taken = kurs_bot::webhook(&desk, &secret, Some(b"0123456789abcdef_-"), body.as_bytes());
        assert_eq!(taken.await, Ok(()));
    }
    until("the answer", || world.read(1).get(1).cloned()).await;
    assert_eq!(world.read(1).len(), 2, "the second time it is known");
    bot.stop().await;
    // Who polls next takes the webhook away first.
    world.config.mode = Mode::Polling;
    let bot = world.start_over(api(&world), Arc::new(AtomicBool::new(false)), 2);
    assert!(world.ask(1, "en", "/rates").await.text.starts_with("Rates"));
    assert_eq!(sim.telegram().state().webhook, None);
    bot.stop().await;
}

#[tokio::test]
async fn no_error_shows_the_token() {
    let token = "123456:canary-of-a-token";
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let sim = sim().await;
    for url in [
        format!("http://{closed}"),
        sim.urls().telegram_api,
        "http://0.0.0.0:1".to_owned(),
    ] {
        let api = HttpApi::new(&url, Secret::new(token)).unwrap();
        let error = api
            .call(&Call::new("getMe", json!({})), TIMEOUT)
            .await
            .unwrap_err();
        let shown = format!("{error} {error:?} {api:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let wrong = HttpApi::new("no url", Secret::new(token)).unwrap_err();
    assert!(!wrong.contains("canary"), "{wrong}");
}
