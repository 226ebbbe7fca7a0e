//! What every bus must do.

use crate::{open, options, prefix};
use kurs_bus::conformance::{Opened, run};
use kurs_testkit::RabbitServer;

/// Far more than the flow of the test keeps.
const OVERFLOW: u64 = 12_000;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_bus() {
    let server = RabbitServer::shared();
    let fresh = || async {
        let mut options = options(&server.url(), &prefix());
        options.config.flow_bytes_max = 1 << 20;
        options.config.snapshot_every_ms = 300;
        options.config.tuning.segment_bytes = 256 << 10;
        options.config.tuning.prefetch = 64;
        let (writer, reader) = (open(&options), open(&options));
        crate::connected(&writer).await;
        crate::connected(&reader).await;
        Opened { writer, reader }
    };
    run(fresh, OVERFLOW).await;
}
