//! What happens when the server, or the way to it, fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use common::{GUARD, bus, flushed, hear_until, in_time, last_seqs, patient, two};
use kurs_bus::conformance::{rate, untrack, update_of};
use kurs_bus::counters::total;
use kurs_bus::{Body, Bus, BusError, BusEvent, Heartbeat, Reply};
use kurs_core::Pair;
use kurs_testkit::proxy::Weather;
use kurs_testkit::{Proxy, RedisServer, until};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_under_load_loses_and_doubles_nothing() {
    const LAST: u64 = 3_000;
    let server = RedisServer::start();
    let buses = two(&server);
    let mut subscription = patient(|| buses.reader.subscribe()).await;
    let writer = Arc::clone(&buses.writer);
    let publisher = tokio::spawn(async move {
        for seq in 1..=LAST {
            let pair = ["BTC-USDT", "ETH-USDT"][usize::from(seq % 2 == 0)];
            writer.publish(rate(pair, seq)).unwrap();
            if seq % 10 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| server.restart());
    }
    publisher.await.unwrap();
    let heard = hear_until(&mut subscription, LAST).await;
    let expected: Vec<u64> = (1..=LAST).collect();
    assert_eq!(heard.seqs(), expected, "{} gaps were told", heard.gaps);
    assert_eq!(last_seqs(&*buses.reader).await, [LAST - 1, LAST]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_gets_the_last_values_again_and_subscribers_are_told() {
    let server = RedisServer::start();
    let writer = bus(&server.url());
    let reader = bus(&server.url());
    for seq in 1..=20 {
        writer.publish(rate("BTC-USDT", seq)).unwrap();
    }
    writer.publish(rate("ETH-USDT", 21)).unwrap();
    writer.publish(rate("XRP-USDT", 22)).unwrap();
    let gone = Body::Withdrawn(Pair::parse("XRP-USDT").unwrap());
    writer.publish(update_of(1, 23, gone)).unwrap();
    flushed(&*writer).await;
    assert_eq!(last_seqs(&*reader).await, [20, 21]);
    let mut subscription = reader.subscribe().await.unwrap();
    server.lose_everything();
    // Told without anything being published.
    let event = in_time("word of the loss", subscription.next()).await;
    assert!(matches!(event, Ok(BusEvent::Gap { .. })), "{event:?}");
    assert!(last_seqs(&*reader).await.is_empty());
    writer.publish(rate("BTC-USDT", 24)).unwrap();
    flushed(&*writer).await;
    assert_eq!(last_seqs(&*reader).await, [21, 24]);
    let counters = writer.monitor().counters();
    assert_eq!(total(&counters.put_again), 1);
    // And it goes on as before, without being restored again and again.
    for seq in 25..=30 {
        writer.publish(rate("BTC-USDT", seq)).unwrap();
        flushed(&*writer).await;
    }
    let heard = hear_until(&mut subscription, 30).await;
    assert!(heard.seqs().ends_with(&[25, 26, 27, 28, 29, 30]));
    assert_eq!(total(&counters.put_again), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_the_newest_gets_everything_again_and_keeps_no_withdrawn_pair() {
    let server = RedisServer::start();
    let writer = bus(&server.url());
    writer.publish(rate("BTC-USDT", 1)).unwrap();
    writer.publish(rate("XRP-USDT", 2)).unwrap();
    flushed(&*writer).await;
    // As it is now, so it will come back.
    assert_eq!(server.ask("COPY {kurs}.v1.last kept-last").unwrap(), ":1");
    assert_eq!(server.ask("COPY {kurs}.v1.order kept-order").unwrap(), ":1");
    assert_eq!(server.ask("COPY {kurs}.v1.flow kept-flow").unwrap(), ":1");
    writer.publish(rate("BTC-USDT", 3)).unwrap();
    let gone = Body::Withdrawn(Pair::parse("XRP-USDT").unwrap());
    writer.publish(update_of(1, 4, gone)).unwrap();
    flushed(&*writer).await;
    for key in ["last", "order", "flow"] {
        let back = server.ask(&format!("COPY kept-{key} {{kurs}}.v1.{key} REPLACE"));
        assert_eq!(back.unwrap(), ":1");
    }
    assert_eq!(last_seqs(&*writer).await, [1, 2]);
    writer.publish(rate("ETH-USDT", 5)).unwrap();
    flushed(&*writer).await;
    assert_eq!(last_seqs(&*writer).await, [3, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_at_the_start_is_waited_for() {
    let server = RedisServer::start();
    server.kill();
    let buses = two(&server);
    assert_eq!(
        in_time("a refusal", buses.reader.subscribe()).await.err(),
        Some(BusError::Unavailable)
    );
    let values = in_time("a refusal", buses.reader.last_values()).await;
    assert_eq!(values, Err(BusError::Unavailable));
    let asked = buses.reader.request(untrack("BTCUSDT"), GUARD);
    let asked = in_time("a refusal", asked).await;
    assert_eq!(asked, Err(BusError::Unavailable));
    assert!(in_time("a refusal", buses.writer.requests()).await.is_err());
    for seq in 1..=5 {
        buses.writer.publish(rate("BTC-USDT", seq)).unwrap();
    }
    server.restart();
    let mut subscription = patient(|| buses.reader.subscribe()).await;
    flushed(&*buses.writer).await;
    assert_eq!(last_seqs(&*buses.reader).await, [5]);
    buses.writer.publish(rate("BTC-USDT", 6)).unwrap();
    hear_until(&mut subscription, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_of_an_ended_epoch_leaves_nothing_on_the_server() {
    let server = RedisServer::start();
    let (old, new) = (bus(&server.url()), bus(&server.url()));
    let mut subscription = patient(|| new.subscribe()).await;
    old.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&*old).await;
    let beat = Heartbeat {
        writer: "new".into(),
        follows: Some(rate("BTC-USDT", 1).id),
        ends: false,
    };
    new.publish(update_of(2, 1, Body::Heartbeat(beat))).unwrap();
    flushed(&*new).await;
    for seq in 2..=50 {
        old.publish(rate("BTC-USDT", seq)).unwrap();
    }
    flushed(&*old).await;
    assert_eq!(total(&old.monitor().counters().refused), 49);
    assert_eq!(server.ask("XLEN {kurs}.v1.flow").unwrap(), ":2");
    assert_eq!(last_seqs(&*old).await, [1, 1]);
    let body = rate("BTC-USDT", 100).body.clone();
    new.publish(update_of(2, 2, body)).unwrap();
    let heard = hear_until(&mut subscription, 2).await;
    let epochs: Vec<u64> = heard.updates.iter().map(|told| told.id.epoch.0).collect();
    assert_eq!((epochs.as_slice(), heard.gaps), ([1, 2, 2].as_slice(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_on_the_server_harms_nobody() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    let mut subscription = patient(|| bus.subscribe()).await;
    let mut requests = bus.requests().await.unwrap();
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&*bus).await;
    for rubbish in [
        "XADD {kurs}.v1.flow * d rubbish",
        "XADD {kurs}.v1.flow * x y",
        r#"XADD {kurs}.v1.flow * d '{"v":2,"id":"0.1-2","kind":"rate","data":{}}'"#,
        r#"XADD {kurs}.v1.flow * d '{"v":1,"id":"0.1","kind":"rate","data":{}}'"#,
        "HSET {kurs}.v1.last x rubbish",
        "XADD {kurs}.v1.commands * c rubbish t 99999999999999",
        "XADD {kurs}.v1.commands * x y",
        "XADD {kurs}.v1.commands * c rubbish t rubbish",
    ] {
        assert!(!server.ask(rubbish).unwrap().starts_with('-'), "{rubbish}");
    }
    bus.publish(rate("BTC-USDT", 2)).unwrap();
    let heard = hear_until(&mut subscription, 2).await;
    assert_eq!((heard.seqs(), heard.gaps), (vec![1, 2], 0));
    assert_eq!(bus.last_values().await.unwrap(), [rate("BTC-USDT", 2)]);
    let (reply, ()) = tokio::join!(bus.request(untrack("A"), GUARD), async {
        let request = in_time("the request", requests.next()).await.unwrap();
        assert_eq!(request.command, untrack("A"));
        request
            .reply
            .send(Reply::Untracked { existed: true })
            .unwrap();
    });
    assert_eq!(reply, Ok(Reply::Untracked { existed: true }));
    let counters = bus.monitor().counters();
    // Three entries, a last value, a command; and one of a later version.
    assert_eq!(total(&counters.decode_errors), 5);
    assert_eq!(total(&counters.unknown), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn latency_cuts_and_silence_on_the_way_lose_and_double_nothing() {
    const EACH: u64 = 300;
    let server = RedisServer::start();
    let proxy = Proxy::start(server.address()).await;
    let (writer, reader) = (
        bus(&server.url_at(proxy.address())),
        bus(&server.url_at(proxy.address())),
    );
    let mut subscription = patient(|| reader.subscribe()).await;
    let publish = |from: u64| {
        for seq in from..from + EACH {
            writer.publish(rate("BTC-USDT", seq)).unwrap();
        }
    };
    publish(1);
    proxy.set(Weather {
        latency: Duration::from_millis(40),
        ..Weather::default()
    });
    publish(1 + EACH);
    proxy.heal();
    proxy.cut();
    publish(1 + 2 * EACH);
    proxy.reset();
    let mut heard = hear_until(&mut subscription, 3 * EACH).await.seqs();
    // Half-open: what is sent gets there, and no answer comes back.
    proxy.set(Weather {
        mute_server: true,
        ..Weather::default()
    });
    publish(1 + 3 * EACH);
    let mut state = writer.monitor().follow_state();
    in_time(
        "notice of the silence",
        state.wait_for(|now| !now.is_connected),
    )
    .await
    .unwrap();
    proxy.heal();
    let rest = hear_until(&mut subscription, 4 * EACH).await;
    heard.extend(rest.seqs());
    assert_eq!(heard, (1..=4 * EACH).collect::<Vec<u64>>());
    assert_eq!(rest.gaps, 0);
    flushed(&*writer).await;
    assert_eq!(
        server.ask("XLEN {kurs}.v1.flow").unwrap(),
        format!(":{}", 4 * EACH),
        "what was sent twice is there once"
    );
    let counters = writer.monitor().counters();
    assert!(total(&counters.sent_again) > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_an_absent_server_and_the_right_one_opens() {
    let server = RedisServer::start_with(&kurs_testkit::RedisServerOptions {
        password: Some("geheim".to_owned()),
        ..kurs_testkit::RedisServerOptions::default()
    });
    let right = bus(&server.url());
    let wrong = bus(&server.url().replace("geheim", "falsch"));
    assert_eq!(wrong.last_values().await, Err(BusError::Unavailable));
    assert!(!format!("{wrong:?}").contains("falsch"), "{wrong:?}");
    right.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&*right).await;
    assert_eq!(last_seqs(&*right).await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_with_the_bus() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    let mut subscription = patient(|| bus.subscribe()).await;
    let mut requests = bus.requests().await.unwrap();
    drop(bus);
    let end = in_time("the end", subscription.next()).await;
    assert_eq!(end.err(), Some(BusError::Unavailable));
    assert!(in_time("the end", requests.next()).await.is_none());
    drop(requests);
    until("all connections are closed", GUARD, || {
        let script =
            "return tonumber(string.match(redis.call('INFO','clients'),'connected_clients:(%d+)'))";
        let clients = server.ask(&format!("EVAL \"{script}\" 0"));
        // Its own.
        (clients.ok()? == ":1").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_nothing_counts_as_out_of_reach_until_it_does() {
    let server = RedisServer::start();
    let bus = bus(&server.url());
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&*bus).await;
    // Nothing fits any more.
    assert_eq!(server.ask("CONFIG SET maxmemory 1").unwrap(), "+OK");
    bus.publish(rate("BTC-USDT", 2)).unwrap();
    let mut state = bus.monitor().follow_state();
    let refused = in_time("the refusal", state.wait_for(|now| !now.is_connected)).await;
    assert!(refused.unwrap().why.contains("OOM"));
    assert_eq!(server.ask("CONFIG SET maxmemory 0").unwrap(), "+OK");
    flushed(&*bus).await;
    assert_eq!(last_seqs(&*bus).await, [2]);
    assert!(
        in_time("its end", state.wait_for(|now| now.is_connected))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_only_a_server_that_somebody_vouches_for_is_spoken_to() {
    let server = RedisServer::start_with(&kurs_testkit::RedisServerOptions {
        tls: true,
        password: Some("geheim".to_owned()),
        ..kurs_testkit::RedisServerOptions::default()
    });
    let stranger = bus(&server.tls_url());
    assert_eq!(stranger.last_values().await, Err(BusError::Unavailable));
    let mut options = common::options(&server.tls_url());
    options.config.ca_file = Some(server.certificate());
    let known = kurs_redis::RedisBus::new(options);
    known.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&known).await;
    assert_eq!(last_seqs(&known).await, [1]);
}
