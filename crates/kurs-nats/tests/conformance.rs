//! The bus over NATS does what every bus does.

mod common;

use kurs_bus::{Bus, conformance};
use kurs_testkit::NatsServer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_bus() {
    let server = NatsServer::start();
    let number = AtomicU64::new(0);
    let fresh = || {
        let mut options = common::options(&server.url());
        options.config.prefix = format!("check{}", number.fetch_add(1, Ordering::Relaxed));
        // Fewer than the slow subscriber misses, more than any other check publishes.
        options.config.buffer = 256;
        async move {
            let writer: Arc<dyn Bus> = Arc::new(common::connected(options.clone()).await);
            let reader: Arc<dyn Bus> = Arc::new(common::connected(options).await);
            conformance::Opened { writer, reader }
        }
    };
    conformance::run(fresh, 2_000).await;
}
