//! A consumer that is no part of kurs: a Python script over the core protocol of NATS.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{connected, flushed, options};
use kurs_bus::Bus;
use kurs_bus::conformance::{SCENE_GAP, SCENE_LINES, scene};
use kurs_testkit::NatsServer;
use kurs_testkit::consumer::{Consumed, consume};

/// What the script prints of the scene.
async fn heard(arguments: &[&str]) -> Consumed {
    let server = NatsServer::start();
    let url = server.url();
    let bus = connected(options(&url)).await;
    let arguments = [arguments, &["--nats", &url]].concat();
    consume(&arguments, SCENE_LINES.len(), async || {
        for update in scene() {
            bus.publish(update).unwrap();
        }
        flushed(&bus).await;
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_reads_the_rates_once_in_order_and_exactly() {
    let heard = heard(&[]).await;
    assert_eq!(heard.rates, SCENE_LINES);
    assert!(heard.gaps.is_empty(), "{:?}", heard.gaps);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_that_listens_to_everything_notices_the_one_gap() {
    let heard = heard(&["--everything"]).await;
    assert_eq!(heard.rates, SCENE_LINES);
    assert_eq!(heard.gaps, [SCENE_GAP]);
}
