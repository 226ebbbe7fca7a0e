//! What every bus must do.

use crate::{open, options, prefix};
use kurs_bus::conformance::{Opened, run};
use kurs_rabbitmq::RabbitOptions;
use kurs_testkit::RabbitServer;
use std::time::Duration;

/// Far more than the flow of the test keeps.
const OVERFLOW: u64 = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_bus() {
    let server = RabbitServer::shared();
    let fresh = || async {
        let options = RabbitOptions {
            flow_bytes_max: 1 << 20,
            segment_bytes: 256 << 10,
            prefetch: 64,
            snapshot_every: Duration::from_millis(300),
            ..options(&server.url(), &prefix())
        };
        let (writer, reader) = (open(&options), open(&options));
        crate::connected(&writer).await;
        crate::connected(&reader).await;
        Opened { writer, reader }
    };
    run(fresh, OVERFLOW).await;
}
