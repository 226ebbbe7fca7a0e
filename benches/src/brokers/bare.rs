//! What stands beside a bus of kurs: the client library it uses, doing the same by the shortest
//! way.
//!
//! | module | what it holds |
//! |---|---|
//! | `memory` | a channel of tokio, and a map |
//! | `nats` | async-nats, JetStream |
//! | `redis` | the redis crate, a stream and a hash |
//! | `rabbitmq` | lapin, a stream behind a topic exchange |
//!
//! Each has a task that publishes and one that hears, as the bus has.

pub(super) mod memory;
pub(super) mod nats;
pub(super) mod rabbitmq;
pub(super) mod redis;

use super::contest::{Contestant, Heard};
use anyhow::Result;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::AbortHandle;

/// Updates that are published before the server has taken the first of them, as the buses have it.
const WINDOW: usize = 512;

/// A client, with what its tasks have in common.
pub(super) struct Bare {
    numbers: UnboundedSender<u64>,
    heard: Arc<Heard>,
    tasks: [AbortHandle; 2],
}

impl Bare {
    /// `publish` gets the numbers of what is to be published, `hear` tells of each that came.
    fn new(
        runtime: &Runtime,
        publish: impl AsyncTask<UnboundedReceiver<u64>>,
        hear: impl AsyncTask<Arc<Heard>>,
    ) -> Self {
        let heard = Arc::new(Heard::default());
        let (numbers, come) = unbounded_channel();
        let (publishing, hearing) = (publish.begin(come), hear.begin(Arc::clone(&heard)));
        let told = |heard: &Arc<Heard>, what: &'static str| {
            let heard = Arc::clone(heard);
            move |ended: Result<()>| {
                if let Err(error) = ended {
                    heard.fail(format!("{what}: {error:#}"));
                }
            }
        };
        let (published, was_heard) = (told(&heard, "publishing"), told(&heard, "hearing"));
        let tasks = [
            runtime.spawn(async move { published(publishing.await) }),
            runtime.spawn(async move { was_heard(hearing.await) }),
        ];
        Self {
            numbers,
            heard,
            tasks: tasks.map(|task| task.abort_handle()),
        }
    }
}

/// Work that begins when it is given what it works on.
trait AsyncTask<T> {
    fn begin(self, with: T) -> impl Future<Output = Result<()>> + Send + 'static;
}

impl<T, F, W> AsyncTask<T> for F
where
    F: FnOnce(T) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    fn begin(self, with: T) -> impl Future<Output = Result<()>> + Send + 'static {
        self(with)
    }
}

impl Contestant for Bare {
    fn publish(&self, seq: u64) {
        // Its task has told why it is gone.
        let _ = self.numbers.send(seq);
    }

    fn heard(&self) -> &Heard {
        &self.heard
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
