//! What a look at a server shows.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{connected, options};
use kurs_nats::examine;
use kurs_testkit::NatsServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_be_used_is_told_from_one_that_has_the_streams_and_nothing_is_left() {
    let server = NatsServer::start();
    let options = options(&server.url());
    for _ in 0..2 {
        let seen = examine(&options).await;
        assert!(seen.troubles.is_empty(), "{seen:?}");
        assert!(seen.found[0].starts_with("NATS 2."), "{seen:?}");
        assert_eq!(seen.found[1..], ["streams that are missing can be made"]);
    }
    let _bus = connected(options.clone()).await;
    let seen = examine(&options).await;
    assert!(seen.troubles.is_empty(), "{seen:?}");
    let streams = ["stream KURS_FLOW is there", "stream KURS_LAST is there"];
    assert_eq!(seen.found[1..], streams);
    // What is there is not what is configured.
    let mut other = options;
    other.config.flow_age_ms = 60_000;
    let seen = examine(&other).await;
    let told: Vec<&str> = seen.troubles.iter().map(|one| &*one.what).collect();
    assert_eq!(told, ["stream KURS_FLOW has max_age 600s, not 60s"]);
    assert!(!seen.troubles[0].is_fatal);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_cannot_be_made_are_a_problem() {
    let server = NatsServer::start();
    let mut options = options(&server.url());
    options.config.replicas = 3;
    let seen = examine(&options).await;
    assert_eq!(seen.troubles.len(), 1, "{seen:?}");
    assert!(seen.troubles[0].is_fatal && seen.troubles[0].advice.contains("replicas"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_wants_another_password_is_a_problem_without_the_password() {
    let server = NatsServer::start_with(&["--user", "anna", "--pass", "hers"]);
    let url = format!("nats://anna:geheim@{}", server.address());
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
