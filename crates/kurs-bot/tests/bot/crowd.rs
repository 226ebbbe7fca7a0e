//! Ten thousand chats, one crossing.

use crate::world::{World, until};
use kurs_alert::alert::id_of;
use kurs_alert::{Alert, Condition, Side, Target, Terms};
use kurs_core::Price;
use kurs_store::{AlertAdded, NewAlert};
use std::time::Duration;
use tokio::time::Instant;

const CHATS: i64 = 10_000;

/// As after `/subscribe BTC-USD > 65000` in each chat.
async fn subscribe_all(world: &World) {
    let bytes = |chat: i64| {
        let mut bytes = [0_u8; 12];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from((chat >> (place * 5)) & 31).unwrap();
        }
        bytes
    };
    for chat in 1..=CHATS {
        world.telegram.add_chat(chat);
        let condition = Condition::Threshold {
            pair: crate::world::pair("BTC-USD"),
            side: Side::Above,
            value: Price::parse("65000").unwrap(),
        };
        let target = Target::Telegram { chat };
        let now = world.clock.now().wall;
        let terms = Terms::usual(condition);
        let alert = Alert::new(id_of(bytes(chat)), target, terms, "test".into(), now);
        let new = NewAlert {
            alert: alert.store(),
            secret: None,
            request: None,
            alerts_max: 20_000,
            target_max: 50,
        };
        let added = world.store.talk().add_alert(new, None).await.unwrap();
        assert_eq!(added, AlertAdded::New);
    }
}

/// Messages each chat got: none, one, more.
fn shares(world: &World) -> (i64, i64, i64) {
    let sent = world.telegram.all_sent();
    let count = |chat: i64| sent.get(&chat).map_or(0, Vec::len);
    let mut shares = (0, 0, 0);
    for chat in 1..=CHATS {
        match count(chat) {
            0 => shares.0 += 1,
            1 => shares.1 += 1,
            _ => shares.2 += 1,
        }
    }
    shares
}

fn told(world: &World) -> i64 {
    i64::try_from(world.telegram.state().messages).unwrap()
}

async fn world() -> World {
    let mut world = World::quick().await;
    world.alerts.max = 20_000;
    subscribe_all(&world).await;
    world
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_chats_are_told_once_each_within_the_limits_also_across_a_restart() {
    let world = world().await;
    let first = world.start();
    let begun = Instant::now();
    world.publish("BTC-USD", "65000", "binance");
    until("a third", || (told(&world) >= CHATS / 3).then_some(())).await;
    // In order: what is on its way lands and is marked, then the lease is given back.
    first.stop().await;
    let second = world.start();
    until("all chats", || (told(&world) >= CHATS).then_some(())).await;
    let took = begun.elapsed();
    // Nothing more comes.
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(shares(&world), (0, CHATS, 0));
    assert_eq!(world.telegram.state().violations.total(), 0);
    assert!(
        took >= Duration::from_secs(390),
        "25 a second, not more: {took:?}"
    );
    eprintln!("{CHATS} chats were told within {} s", took.as_secs());
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_and_a_change_of_the_lease_lose_nothing_and_double_at_most_what_was_on_its_way() {
    let world = world().await;
    let first = world.start();
    until("the lease", || first.seat.fence()).await;
    let standby = world.start();
    world.publish("BTC-USD", "65000", "binance");
    until("a third", || (told(&world) >= CHATS / 3).then_some(())).await;
    first.kill();
    until("two thirds", || {
        (told(&world) >= CHATS * 2 / 3).then_some(())
    })
    .await;
    assert!(standby.seat.fence().is_some(), "the other holds the lease");
    until("all chats", || (told(&world) >= CHATS).then_some(())).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (none, once, more) = shares(&world);
    assert_eq!(none, 0, "nothing is lost");
    assert!(more <= 8, "{more} were on their way");
    assert_eq!(once + more, CHATS);
    let most = world.telegram.all_sent().values().map(Vec::len).max();
    assert!(most <= Some(2));
    assert_eq!(world.telegram.state().violations.total(), 0);
    eprintln!("told twice after the kill: {more} of {CHATS}");
    standby.stop().await;
}
