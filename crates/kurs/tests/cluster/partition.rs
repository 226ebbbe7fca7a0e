//! The broker is cut off from one Reader alone: that one lives on the store, and nobody else
//! notices.

use crate::broker::Kind;
use crate::healing::{Healing, Served, assert_fresh, is_sound};
use crate::world::World;
use kurs_testkit::{Proxy, Weather};

/// Broken connections cannot be made again.
fn cut() -> Weather {
    Weather {
        refuse: true,
        ..Weather::default()
    }
}

/// Nothing gets through, and nobody is told: both ends think that they are connected.
fn half_open() -> Weather {
    Weather {
        mute_server: true,
        mute_client: true,
        ..Weather::default()
    }
}

async fn one_reader_is_cut_off(kind: Kind, seed: u64) {
    let world = World::start_on(kind, seed).await;
    let _writer = world.writer("writer-0").await;
    let proxy = Proxy::start(world.broker.address()).await;
    let behind = [("KURS_BUS__URL", &*world.broker.url_at(proxy.address()))];
    let cut_off = world.node("reader", "cut-off", &behind).await;
    let other = world.reader("other").await;
    let all = [Served::new(cut_off).await, Served::new(other).await];
    let consumer = world.consumer().await;
    for (how, weather) in [("cut off", cut()), ("half open", half_open())] {
        let before = all.each_ref().map(|served| served.client.told());
        proxy.set(weather);
        if weather.refuse {
            proxy.cut();
        }
        all[0].until_silent().await;
        for (served, before) in all.iter().zip(&before) {
            served.until_renewed().await;
            assert_fresh(&format!("{kind:?} {how}"), served, before);
        }
        let healing = Healing::begins(&all).await;
        proxy.heal();
        let what = format!("{kind:?} {how}");
        healing.ends(&what, &world, &all).await;
    }
    let printed = all[1].reader.process.output();
    assert_eq!(printed.find("the broker is away"), None);
    is_sound(&world, &consumer, all.into()).await;
    assert_eq!(consumer.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cut_off_from_nats_stays_fresh_and_finds_back() {
    one_reader_is_cut_off(Kind::Nats, 541).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cut_off_from_redis_stays_fresh_and_finds_back() {
    one_reader_is_cut_off(Kind::Redis, 542).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cut_off_from_rabbitmq_stays_fresh_and_finds_back() {
    one_reader_is_cut_off(Kind::RabbitMq, 543).await;
}
