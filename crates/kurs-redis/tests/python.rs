//! A consumer that is no part of kurs: a Python script over the stream of Redis.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod common;

use common::{bus, flushed};
use kurs_bus::Bus;
use kurs_bus::conformance::{SCENE_GAP, SCENE_LINES, scene};
use kurs_testkit::RedisServer;
use kurs_testkit::consumer::consume;

#[tokio::test(flavor = "multi_thread")]
async fn a_python_script_reads_the_stream_once_in_order_and_exactly_and_notices_the_one_gap() {
    let server = RedisServer::start();
    let (url, bus) = (server.url(), bus(&server.url()));
    flushed(&*bus).await;
    let heard = consume(&["--redis", &url], SCENE_LINES.len(), async || {
        for update in scene() {
            bus.publish(update).unwrap();
        }
        flushed(&*bus).await;
    })
    .await;
    assert_eq!(heard.rates, SCENE_LINES);
    assert_eq!(heard.gaps, [SCENE_GAP]);
}
