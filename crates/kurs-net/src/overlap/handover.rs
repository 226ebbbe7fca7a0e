//! How a connection is replaced by its successor: when one is made, and when it takes over.

use super::Overlap;
use super::loss::Loss;
use super::words::{Action, Notice};
use crate::connection::{Connection, State};
use kurs_core::Mono;
use std::time::Duration;

impl Overlap {
    /// The venue announced that it closes this connection.
    pub(super) fn replace(&mut self, now: Mono, number: u64, actions: &mut Vec<Action>) {
        if self.current.number() == number && self.current.is_open() {
            if self.successor.is_some() {
                return;
            }
            // A venue that announces its shutdown on every fresh connection must not be
            // hammered with successors.
            let age = now.since(self.current.connected_at());
            if age < self.common.settings.backoff.reset_after {
                let successor = self.current.succeed_later(now, &mut self.common);
                self.successor = Some(successor);
                self.renew_at = None;
            } else {
                self.start_successor(now, actions);
            }
        } else if self
            .successor
            .as_ref()
            .is_some_and(|successor| successor.number() == number)
        {
            actions.push(Action::Close { connection: number });
            self.lose(
                now,
                number,
                "the venue shuts the successor down too",
                Loss::Broke(None),
                actions,
            );
        }
    }

    pub(super) fn start_successor(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let mut successor = Connection::new(&self.common.settings);
        successor.connect(now, &mut self.common, actions);
        self.renew_at = None;
        self.successor = Some(successor);
    }

    pub(super) fn plan_renewal(&mut self) {
        let settings = &self.common.settings;
        let jitter_nanos = u64::try_from(settings.renew_jitter.as_nanos()).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.common.random.u64(0..=jitter_nanos));
        let age = settings.renew_after.saturating_sub(jitter);
        self.renew_at = Some(self.current.connected_at().plus(age));
    }

    /// No renewal begins while one is under way.
    pub(super) fn renewal_due(&self) -> Option<Mono> {
        let busy = self.successor.is_some() || self.previous.is_some();
        if busy { None } else { self.renew_at }
    }

    pub(super) fn successor_carries_all(&self) -> bool {
        let Some(successor) = &self.successor else {
            return false;
        };
        successor.state() == State::Live
            && self.common.desired.values().all(|spec| {
                !spec.watched || !self.watch.speaks(spec.id) || successor.spoke(spec.id)
            })
    }

    pub(super) fn handover_deadline(&self) -> Option<Mono> {
        let successor = self
            .successor
            .as_ref()
            .filter(|successor| successor.is_open())?;
        Some(
            successor
                .connected_at()
                .plus(self.common.settings.handover_limit),
        )
    }

    /// The successor had its time: with some streams it takes over, with none it failed.
    pub(super) fn end_handover(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let Some(successor) = &self.successor else {
            return;
        };
        if successor.state() == State::Live {
            self.take_over(now, actions);
            return;
        }
        let number = successor.number();
        actions.push(Action::Close { connection: number });
        self.lose(
            now,
            number,
            "no data on the successor",
            Loss::Silent,
            actions,
        );
    }

    pub(super) fn take_over(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let Some(successor) = self.successor.take() else {
            return;
        };
        let mut old = std::mem::replace(&mut self.current, successor);
        // Two renewals within the linger time: the oldest goes at once.
        if let Some(mut previous) = self.previous.take() {
            self.close(&mut previous, actions);
        }
        actions.push(Action::Notice(Notice::Renewed {
            from: old.number(),
            to: self.current.number(),
        }));
        if old.is_open() {
            old.drain(now.plus(self.common.settings.linger));
            self.previous = Some(old);
        }
        self.plan_renewal();
    }
}
