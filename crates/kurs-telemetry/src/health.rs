//! Named checks: what this instance needs to serve its roles, and how it stands.

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How one thing that an instance needs stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Missing, but this instance still serves honestly; it stays ready.
    Degraded,
    /// This instance could only answer with errors; it is not ready.
    Failed,
}

/// One named check as shown by `/readyz?verbose`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// What is checked, such as `store` or `reader`.
    pub name: Arc<str>,
    /// How it stands.
    pub status: Status,
    /// One sentence for people; empty when all is well. Never a secret.
    pub detail: Arc<str>,
}

/// The checks of one instance. Shared by everything that can fail and by the probes.
#[derive(Debug, Default)]
pub struct Health {
    checks: Mutex<BTreeMap<Arc<str>, Check>>,
    started: AtomicBool,
    draining: AtomicBool,
}

impl Health {
    /// No checks yet, not started, not draining.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reports how something stands. The first report of a name adds the check.
    pub fn set(&self, name: &str, status: Status, detail: &str) {
        let mut checks = self.checks.lock();
        match checks.get_mut(name) {
            Some(check) if check.status == status && &*check.detail == detail => {}
            Some(check) => {
                check.status = status;
                check.detail = detail.into();
            }
            None => {
                let name: Arc<str> = name.into();
                let check = Check {
                    name: name.clone(),
                    status,
                    detail: detail.into(),
                };
                checks.insert(name, check);
            }
        }
    }

    /// All checks, ordered by name.
    #[must_use]
    pub fn checks(&self) -> Vec<Check> {
        self.checks.lock().values().cloned().collect()
    }

    /// Whether this instance can serve its roles, with every check. Not before it has started,
    /// not while it drains, not while a check has failed; `startup` and `drain` are named as
    /// checks of their own when they are the reason.
    #[must_use]
    pub fn ready(&self) -> (bool, Vec<Check>) {
        let mut checks = self.checks();
        if !self.is_started() {
            checks.push(Check {
                name: "startup".into(),
                status: Status::Failed,
                detail: "still starting".into(),
            });
        }
        if self.is_draining() {
            checks.push(Check {
                name: "drain".into(),
                status: Status::Failed,
                detail: "shutting down".into(),
            });
        }
        let ready = checks.iter().all(|check| check.status != Status::Failed);
        (ready, checks)
    }

    /// The first picture of all rates is there; once set it stays.
    pub fn mark_started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Whether the first picture of all rates is there.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.started.load(Ordering::Acquire)
    }

    /// The instance is going away; once set it stays.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the instance is going away.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_ready_between_its_start_and_its_drain() {
        let health = Health::new();
        assert!(!health.ready().0);
        health.mark_started();
        assert!(health.ready().0);
        health.start_draining();
        let (ready, checks) = health.ready();
        assert!(!ready);
        assert!(checks.iter().any(|check| &*check.name == "drain"));
    }

    #[test]
    fn a_degraded_check_keeps_it_ready_and_a_failed_one_does_not() {
        let health = Health::new();
        health.mark_started();
        health.set("store", Status::Degraded, "no answer for 4 s");
        assert!(health.ready().0);
        health.set("reader", Status::Failed, "no picture yet");
        assert!(!health.ready().0);
        health.set("reader", Status::Ok, "");
        let (ready, checks) = health.ready();
        assert!(ready);
        assert_eq!(checks.len(), 2);
        assert_eq!(checks[1].status, Status::Degraded);
    }
}
