//! A bus of kurs.

use super::contest::{Contestant, Heard};
use super::flow::Market;
use anyhow::{Context as _, Result, ensure};
use kurs_bus::{Bus, BusEvent};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

/// A broker on this machine that is not reached by then is not there.
const REACHED_WITHIN: Duration = Duration::from_secs(20);

/// One Writer's bus and one Reader's.
pub(super) struct Ours {
    market: Arc<Market>,
    writer: Arc<dyn Bus>,
    /// The subscription is of it.
    _reader: Arc<dyn Bus>,
    heard: Arc<Heard>,
    /// Waits until the bus has nothing left to do.
    settle: Box<dyn Fn()>,
    task: AbortHandle,
}

impl Ours {
    pub(super) fn new(
        runtime: &Runtime,
        market: &Arc<Market>,
        (writer, reader): (Arc<dyn Bus>, Arc<dyn Bus>),
        settle: impl Fn() + 'static,
    ) -> Result<Self> {
        for bus in [&writer, &reader] {
            until_reached(&**bus)?;
        }
        let mut subscription = runtime
            .block_on(reader.subscribe())
            .context("no subscription")?;
        let heard = Arc::new(Heard::default());
        let ear = Arc::clone(&heard);
        let task = runtime.spawn(async move {
            loop {
                match subscription.next().await {
                    Ok(BusEvent::Update(_)) => ear.one(),
                    Ok(BusEvent::Gap { lost }) => ear.fail(format!("{lost} were lost")),
                    Err(error) => {
                        ear.fail(error);
                        return;
                    }
                }
            }
        });
        Ok(Self {
            market: Arc::clone(market),
            writer,
            _reader: reader,
            heard,
            settle: Box::new(settle),
            task: task.abort_handle(),
        })
    }
}

impl Contestant for Ours {
    fn publish(&self, seq: u64) {
        if let Err(error) = self.writer.publish(self.market.update(seq)) {
            self.heard.fail(error);
        }
    }

    fn heard(&self) -> &Heard {
        &self.heard
    }

    fn settle(&self) {
        (self.settle)();
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until a bus has its broker.
pub(super) fn until_reached(bus: &dyn Bus) -> Result<()> {
    let begin = Instant::now();
    while !bus.is_reached() {
        ensure!(
            begin.elapsed() < REACHED_WITHIN,
            "the broker is not reached within {REACHED_WITHIN:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
