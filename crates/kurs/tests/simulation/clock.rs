//! Time as each machine sees it.

use kurs_core::{Clock, Now};
use std::sync::Mutex;

/// The clock of one machine.
#[derive(Debug, Default)]
pub(crate) struct SimClock(Mutex<Now>);

impl SimClock {
    pub(crate) fn set(&self, now: Now) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}
