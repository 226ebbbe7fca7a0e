//! What a look at a server shows.

use crate::{beat, connected, flushed, open, options, prefix};
use kurs_bus::Bus;
use kurs_rabbitmq::examine;
use kurs_testkit::RabbitServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_be_used_is_told_from_one_that_has_the_flow_and_nothing_is_left() {
    let server = RabbitServer::shared();
    let options = options(&server.url(), &prefix());
    let flow = format!("{}.v1.flow", options.config.prefix);
    for _ in 0..2 {
        let seen = examine(&options).await;
        assert!(seen.troubles.is_empty(), "{seen:?}");
        assert!(seen.found[0].starts_with("RabbitMQ 3."), "{seen:?}");
        assert_eq!(seen.found[1..], [format!("stream {flow} can be made")]);
    }
    let bus = open(&options);
    connected(&bus).await;
    bus.publish(beat(1)).unwrap();
    flushed(&bus).await;
    let seen = examine(&options).await;
    assert!(seen.troubles.is_empty(), "{seen:?}");
    assert_eq!(seen.found[1..], [format!("stream {flow} is there")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_wants_another_password_is_a_problem_without_the_password() {
    let server = RabbitServer::shared();
    let there = format!("amqp://guest:geheim@{}", server.address());
    for url in [&*there, "amqp://guest:geheim@127.0.0.1:1"] {
        let seen = examine(&options(url, &prefix())).await;
        assert_eq!(seen.troubles.len(), 1, "{seen:?}");
        assert!(seen.troubles[0].is_fatal);
        assert!(!format!("{seen:?}").contains("geheim"), "{seen:?}");
    }
}
