//! A Redis bus is a bus.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use kurs_bus::conformance::{self, Opened};
use kurs_redis::RedisBus;
use kurs_testkit::RedisServer;
use std::cell::Cell;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_bus() {
    let server = RedisServer::start();
    let number = Cell::new(0);
    let fresh = || {
        number.set(number.get() + 1);
        let open = || {
            let mut options = common::options(&server.url());
            options.config.prefix = format!("test_{}", number.get());
            options.config.flow_length_max = 1_000;
            Arc::new(RedisBus::new(options))
        };
        let (writer, reader) = (open(), open());
        async { Opened { writer, reader } }
    };
    conformance::run(fresh, 6_000).await;
}
