//! What a look at a server shows.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{bus, flushed, options};
use kurs_bus::Bus;
use kurs_bus::conformance::rate;
use kurs_redis::examine;
use kurs_testkit::{RedisServer, RedisServerOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_be_used_is_told_from_one_that_has_the_flow_and_nothing_is_left() {
    let server = RedisServer::start();
    let options = options(&server.url());
    let seen = examine(&options).await;
    assert!(seen.troubles.is_empty(), "{seen:?}");
    assert!(seen.found[0].starts_with("Redis 7."), "{seen:?}");
    let will_be = ["stream {kurs}.v1.flow will be made by the first Writer"];
    assert_eq!(seen.found[1..], will_be);
    assert_eq!(server.ask("DBSIZE").unwrap(), ":0");
    let bus = bus(&server.url());
    bus.publish(rate("BTC-USDT", 1)).unwrap();
    flushed(&*bus).await;
    let seen = examine(&options).await;
    assert!(seen.troubles.is_empty(), "{seen:?}");
    assert_eq!(seen.found[1..], ["stream {kurs}.v1.flow is there"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_or_has_another_use_for_the_names_is_a_problem() {
    let server = RedisServer::start_with(&RedisServerOptions {
        settings: vec![
            ("maxmemory", "100mb".to_owned()),
            ("maxmemory-policy", "allkeys-lru".to_owned()),
        ],
        ..RedisServerOptions::default()
    });
    server.ask("SET {kurs}.v1.flow other").unwrap();
    server.ask("REPLICAOF 127.0.0.1 1").unwrap();
    let seen = examine(&options(&server.url())).await;
    let told: Vec<(&str, bool)> = seen
        .troubles
        .iter()
        .map(|one| (&*one.what, one.is_fatal))
        .collect();
    assert_eq!(
        told[..3],
        [
            ("it is a replica, which takes no writes", true),
            (
                "it may throw the flow away when memory is short (allkeys-lru)",
                false
            ),
            ("{kurs}.v1.flow is a string and no stream", true),
        ]
    );
    assert!(told[3].0.starts_with("it takes no writes: "), "{told:?}");
    assert_eq!(told.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_wants_another_password_is_a_problem_without_the_password() {
    let server = RedisServer::start_with(&RedisServerOptions {
        password: Some("hers".to_owned()),
        ..RedisServerOptions::default()
    });
    let url = format!("redis://:geheim@{}", server.address());
    for is_running in [true, false] {
        if !is_running {
            server.kill();
        }
        let seen = examine(&options(&url)).await;
        assert!(
            seen.found.is_empty() && seen.troubles.len() == 1,
            "{seen:?}"
        );
        assert!(seen.troubles[0].is_fatal);
        assert!(!format!("{seen:?}").contains("geheim"), "{seen:?}");
    }
}
