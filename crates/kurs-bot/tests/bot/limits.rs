//! 429, outages, blocked chats, groups that move, two pollers.

use crate::world::{World, until};
use kurs_sim::telegram::Params;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn retry_after_is_obeyed_to_the_second() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/start").await;
    world.telegram.flood(None, 40);
    let begun = Instant::now();
    let answer = world.ask(2, "en", "/rate BTC USD").await;
    assert!(answer.text.starts_with("BTC-USD"));
    let waited = begun.elapsed();
    assert!((40..43).contains(&waited.as_secs()), "{waited:?}");
    let violations = world.telegram.state().violations;
    assert_eq!(
        violations.while_banned, 1,
        "the one message that learned of it"
    );
    assert_eq!(violations.total(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_person_in_a_hurry_gets_the_newest_rate_and_breaks_no_limit() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/start").await;
    let mut group = 0;
    for number in 0..60 {
        world.publish("BTC-USD", &format!("{}", 60_000 + number), "binance");
        world.telegram.say(1, "en", "/rate BTC USD");
        world.telegram.say(-5, "en", "/rates");
        group += 1;
    }
    let newest = || {
        let sent = world.read(1);
        sent.last()
            .is_some_and(|sent| sent.text.contains("60059"))
            .then_some(())
    };
    until("the newest rate", newest).await;
    assert!(
        world.read(1).len() < 20,
        "waiting prices are replaced: {}",
        world.read(1).len()
    );
    assert!(world.read(-5).len() <= 20 && group == 60);
    assert_eq!(world.telegram.state().violations.total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_chat_is_left_alone_and_its_alerts_rest() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD > 70000").await;
    world.ask(1, "en", "/subscribe BTC-USD > 71000").await;
    world.telegram.block(1, true);
    world.publish("BTC-USD", "72000", "binance");
    let told = || (world.telegram.state().forbidden == 1).then_some(());
    until("the refusal", told).await;
    let rest = async || {
        let alerts = world.store.talk().alerts().await.unwrap().alerts;
        alerts.iter().all(|alert| alert.is_paused)
    };
    while !rest().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(world.telegram.state().violations.after_blocked, 0);
    assert!(
        world
            .store
            .talk()
            .chat(1)
            .await
            .unwrap()
            .unwrap()
            .is_blocked
    );
    world.telegram.block(1, false);
    let listed = world.ask(1, "en", "/alerts").await;
    assert!(
        listed.text.contains("1. BTC-USD above 70000, paused"),
        "{}",
        listed.text
    );
    let (_, resume) = &listed.buttons[0][1];
    let resumed = world.press(1, listed.message_id, resume).await;
    assert!(
        resumed.text.starts_with("Goes on: BTC-USD above 70000"),
        "{}",
        resumed.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_throws_the_bot_out_is_blocked_without_a_message() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(-5, "en", "/subscribe@KursBot BTC-USD 1%").await;
    world.telegram.post(json!({"my_chat_member": {
        "chat": {"id": -5}, "new_chat_member": {"status": "kicked"}}}));
    let is_blocked = async || {
        world
            .store
            .talk()
            .chat(-5)
            .await
            .unwrap()
            .unwrap()
            .is_blocked
    };
    while !is_blocked().await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(world.store.talk().alerts().await.unwrap().alerts[0].is_paused);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_becomes_a_supergroup_takes_its_alerts_along() {
    let world = World::quick().await;
    let _bot = world.start();
    world
        .ask(-5, "ru", "/subscribe@KursBot BTC-USD > 70000")
        .await;
    world.telegram.migrate(-5, -1_000_000_000_005);
    world.publish("BTC-USD", "70001", "binance");
    let told = || world.read(-1_000_000_000_005).first().cloned();
    let told = until("the alert under the new number", told).await;
    assert!(
        told.text.contains("BTC-USD выше 70000: 70001"),
        "{}",
        told.text
    );
    let target = "telegram:-1000000000005";
    assert_eq!(world.store.talk().alerts_of(target).await.unwrap().len(), 1);
    assert!(
        world
            .ask(-1_000_000_000_005, "ru", "/alerts")
            .await
            .text
            .contains("BTC-USD выше 70000")
    );
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_the_network_everything_is_answered() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD > 70000").await;
    world.telegram.cut(true);
    world.telegram.say(2, "en", "/rate BTC USD");
    world.publish("BTC-USD", "70001", "binance");
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(world.read(2).len(), 0);
    world.telegram.cut(false);
    let answered = || (!world.read(2).is_empty() && world.read(1).len() > 1).then_some(());
    until("answer and alert", answered).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.read(1).len(), world.read(2).len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_bot_gives_way_to_another_poller_and_comes_back() {
    let world = World::quick().await;
    let bot = world.start();
    world.ask(1, "en", "/help").await;
    let token = world.config.token.clone().unwrap();
    for _ in 0..3 {
        let params = Params::of(json!({"timeout": 2, "offset": -1}));
        let _ = world
            .telegram
            .call(token.reveal(), "getUpdates", &params)
            .await;
    }
    let noted = || {
        let checks = bot.health.checks();
        checks
            .into_iter()
            .find(|check| check.detail.contains("somebody else fetches"))
    };
    until("the conflict is shown", noted).await;
    let conflicts = world.telegram.state().conflicts;
    assert!(conflicts < 12, "it backs off: {conflicts}");
    assert!(
        world
            .ask(1, "en", "/rate BTC USD")
            .await
            .text
            .starts_with("BTC-USD")
    );
}

#[tokio::test(start_paused = true)]
async fn with_a_wrong_token_the_bot_asks_once_and_tells_it() {
    let mut world = World::quick().await;
    world.config.token = Some(kurs_telemetry::Secret::new("1:canary-of-a-token"));
    let bot = world.start();
    let told = || {
        let checks = bot.health.checks();
        checks
            .into_iter()
            .find(|check| check.detail.contains("does not know this token"))
    };
    let told = until("the check", told).await;
    assert!(!told.detail.contains("canary"));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.telegram.state().wrong_tokens, 1);
}
