//! How a connection ends, and what becomes of the others then.

use super::Overlap;
use super::words::{Action, Notice};
use crate::connection::{Connection, State};
use kurs_core::Mono;
use std::time::Duration;

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It was open and brought nothing.
    Silent,
    /// It broke, or could not be had; the server may have named a wait.
    Broke(Option<Duration>),
}

impl Overlap {
    /// Closes a connection that was taken out of its place.
    pub(super) fn close(&mut self, connection: &mut Connection, actions: &mut Vec<Action>) {
        let number = connection.number();
        if matches!(connection.state(), State::Connecting(_)) || connection.is_open() {
            actions.push(Action::Close { connection: number });
        }
        if connection.is_open() {
            connection.end();
            self.ended(number, actions);
        }
    }

    fn ended(&self, connection: u64, actions: &mut Vec<Action>) {
        let oldest_open = self.oldest_open();
        actions.push(Action::Notice(Notice::Ended {
            connection,
            oldest_open,
        }));
    }

    /// A connection is gone or was never had.
    pub(super) fn lose(
        &mut self,
        now: Mono,
        number: u64,
        why: &str,
        loss: Loss,
        actions: &mut Vec<Action>,
    ) {
        if self
            .previous
            .as_ref()
            .is_some_and(|previous| previous.number() == number)
        {
            self.previous = None;
            self.ended(number, actions);
            return;
        }
        let (connection, common) = self.find(number);
        let Some(connection) = connection else { return };
        if matches!(connection.state(), State::Idle | State::Backoff(_)) {
            return;
        }
        let was_open = connection.is_open();
        let retry_after = match loss {
            Loss::Broke(retry_after) => retry_after,
            Loss::Silent => None,
        };
        let retry_at = connection.fail(now, retry_after, common);
        if was_open {
            self.ended(number, actions);
        }
        if self.current.number() != number {
            actions.push(Action::Notice(Notice::SuccessorFailed {
                why: why.to_owned(),
            }));
            return;
        }
        self.renew_at = None;
        let mut retry_at = retry_at;
        if let Some(successor) = self.successor.take() {
            self.current = successor;
            if self.current.state() == State::Live {
                self.plan_renewal();
                actions.push(Action::Notice(Notice::Renewed {
                    from: number,
                    to: self.current.number(),
                }));
                return;
            }
            retry_at = match self.current.state() {
                State::Backoff(until) => until,
                _ => now,
            };
        }
        self.serving = false;
        self.watch.clear();
        // A successor that is already subscribed awaits its first frames from now on.
        if self.current.is_open() {
            for spec in self.common.desired.values() {
                if spec.watched {
                    self.watch.subscribed(now, spec.id);
                }
            }
        }
        actions.push(Action::Notice(Notice::Down {
            why: why.to_owned(),
            silent: loss == Loss::Silent,
            retry_at,
        }));
    }
}
