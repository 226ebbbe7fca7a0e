//! Alerts from the condition to the chat.

use crate::world::{World, until};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_threshold_is_told_once_in_the_language_of_the_chat() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD > 65000").await;
    world.ask(2, "ru", "/subscribe BTC-USD > 65000").await;
    world.publish("BTC-USD", "65000.5", "sim:binance");
    let told = || (world.read(1).len() + world.read(2).len() == 4).then_some(());
    until("both alerts", told).await;
    let english = world.read(1).pop().unwrap();
    let mut lines = english.text.lines();
    assert_eq!(
        lines.next(),
        Some("\u{1f514} BTC-USD is above 65000: 65000.5")
    );
    assert_eq!(lines.next(), Some("SIMULATED: this price is invented."));
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("sim:binance, fresh, at 2026-11-22T")
    );
    let russian = world.read(2).pop().unwrap();
    assert!(
        russian
            .text
            .starts_with("\u{1f514} BTC-USD выше 65000: 65000.5")
    );
    for _ in 0..20 {
        world.publish("BTC-USD", "65001", "binance");
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(world.read(1).len(), 2, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_move_is_told_with_where_it_came_from() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD 1%").await;
    // The machine takes its first look.
    tokio::time::sleep(Duration::from_secs(5)).await;
    world.publish("BTC-USD", "64640.51", "binance");
    let told = || world.read(1).get(1).cloned();
    let told = until("the alert", told).await;
    assert!(
        told.text
            .starts_with("\u{1f514} BTC-USD moved by +1 %: 64640.51, from 64000.50"),
        "{}",
        told.text
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_the_one_way_to_be_told_twice() {
    let world = World::quick().await;
    let _bot = world.start();
    world.ask(1, "en", "/subscribe BTC-USD > 65000").await;
    world.telegram.lose_answers(1);
    world.publish("BTC-USD", "65001", "binance");
    let told = || (world.read(1).len() >= 3).then_some(());
    until("the second time", told).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(world.read(1).len(), 3);
}
