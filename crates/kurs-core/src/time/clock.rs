//! Where the time comes from: the machine, or a test.

use super::{Mono, Now, Wall};
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Gives the time. Handed to whatever needs it, so that tests decide what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present moment.
    fn now(&self) -> Now;

    /// The present moment on the monotonic clock alone, where that is all that is needed.
    fn mono(&self) -> Mono {
        self.now().mono
    }
}

/// The machine's clocks. The monotonic one goes on while the machine sleeps: a rate must not
/// look young because a laptop or a virtual machine was suspended.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Duration,
}

/// Time since the machine started, sleep included.
#[cfg(target_os = "linux")]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Time since the first call. Whether it goes on during sleep is up to the system.
#[cfg(not(target_os = "linux"))]
fn since_boot() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: since_boot(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Now {
            mono: self.mono(),
            wall: Wall(wall),
        }
    }

    fn mono(&self) -> Mono {
        let elapsed = since_boot().saturating_sub(self.start);
        Mono(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until it is moved. For tests and replay.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<Now>,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn new(now: Now) -> Self {
        Self {
            now: Mutex::new(now),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, duration: Duration) {
        let mut now = self.lock();
        *now = now.plus(duration);
    }

    /// Makes the wall clock jump, as an operator or a leap smear would.
    pub fn set_wall(&self, wall: Wall) {
        self.lock().wall = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Now> {
        self.now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        *self.lock()
    }
}
