//! A transaction that writes under a fence, and looks at it with its very last message.

use super::fault::Fault;
use crate::Fence;
use deadpool_postgres::{Client, GenericClient};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

/// How long a Writer may leave the server waiting inside a transaction, and how long one of its
/// statements may take that does not write many rows: who is stopped holds nobody up for longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much longer for each row.
const PER_ROW: Duration = Duration::from_millis(1);

/// Limits of the statements of a fenced transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    fence: Option<Fence>,
    statement: Duration,
}

impl Limits {
    /// Of a transaction that writes so many rows; `usual` is the limit of any statement.
    pub(super) fn of(fence: Option<Fence>, rows: u32, usual: Duration) -> Self {
        Self {
            fence,
            statement: usual.min(PATIENCE) + PER_ROW * rows,
        }
    }
}

/// An open transaction. It is rolled back when it is dropped, without waiting for the answer.
pub(super) struct Writing<'client> {
    client: &'client Client,
    fence: Option<Fence>,
    is_open: bool,
}

impl<'client> Writing<'client> {
    /// Nothing is sent yet.
    pub(super) const fn on(client: &'client Client) -> Self {
        Self {
            client,
            fence: None,
            is_open: false,
        }
    }

    /// Begins, and says `first` in the same message.
    pub(super) async fn begin(&mut self, limits: Limits, first: &str) -> Result<(), Fault> {
        self.fence = limits.fence;
        self.is_open = true;
        let set_up = match limits.fence {
            None => String::new(),
            Some(_) => format!(
                "SET LOCAL idle_in_transaction_session_timeout = {};
                 SET LOCAL statement_timeout = {};",
                PATIENCE.as_millis(),
                limits.statement.as_millis()
            ),
        };
        let begin = format!("BEGIN; {set_up} {first}");
        Ok(self.client.batch_execute(&begin).await?)
    }

    /// Commits, if the epoch is the present one. Check and commit are one message: between two a
    /// client may be stopped, and would keep the lease locked; and nobody can take over between
    /// the two.
    pub(super) async fn commit(mut self) -> Result<(), Fault> {
        let commit = match self.fence {
            None => "COMMIT".to_owned(),
            Some(fence) => {
                let (shard, epoch) = (fence.shard, fence.epoch.0);
                format!("SELECT kurs_fence({shard}, {epoch}); COMMIT")
            }
        };
        let committed = self.client.batch_execute(&commit).await;
        self.is_open = committed.is_err();
        committed.map_err(|error| Fault::from(error).under(self.fence))
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // The first poll hands the message over; whatever comes next on this connection comes
            // behind it.
            let rollback = pin!(self.client.batch_execute("ROLLBACK"));
            let _ = rollback.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}
