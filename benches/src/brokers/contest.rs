//! Several ways from a publisher to a subscriber, in turns: as many updates as they carry, and a
//! steady few whose time is taken.

use crate::console;
use crate::process;
use crate::statistics::{Latencies, Spread};
use anyhow::{Result, ensure};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Updates on their way at most, wherever they are: fewer than any buffer of anybody holds.
const ON_THEIR_WAY: u64 = 8_192;
/// Updates a second while time is taken.
pub(super) const PER_SECOND: u32 = 2_000;
/// How long the publisher rests when so many are on their way.
const REST: Duration = Duration::from_micros(50);
/// An update that takes longer is lost.
const LOST_AFTER: Duration = Duration::from_secs(20);

/// One way.
pub(super) trait Contestant {
    /// Publishes an update; they come with rising numbers from 1. Never waits.
    fn publish(&self, seq: u64);

    /// What its subscriber hears.
    fn heard(&self) -> &Heard;

    /// Returns when it has nothing left to do.
    fn settle(&self) {}
}

/// What a subscriber hears.
#[derive(Debug, Default)]
pub(super) struct Heard {
    count: AtomicU64,
    is_timed: AtomicBool,
    at: Mutex<Vec<Instant>>,
    problem: Mutex<Option<String>>,
}

impl Heard {
    /// One more was heard.
    pub(super) fn one(&self) {
        if self.is_timed.load(Ordering::Relaxed) {
            self.at.lock().push(Instant::now());
        }
        self.count.fetch_add(1, Ordering::Release);
    }

    /// It cannot go on.
    pub(super) fn fail(&self, why: impl std::fmt::Display) {
        self.problem.lock().get_or_insert(why.to_string());
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until this many were heard.
    fn wait_for(&self, count: u64, name: &str) -> Result<()> {
        let begin = Instant::now();
        while self.count() < count {
            if let Some(why) = &*self.problem.lock() {
                anyhow::bail!("{name}: {why}");
            }
            ensure!(
                begin.elapsed() < LOST_AFTER,
                "{name}: heard {} of {count} updates",
                self.count()
            );
            std::thread::sleep(REST);
        }
        Ok(())
    }
}

/// A contestant with its rounds.
pub(super) struct Lane {
    contestant: Box<dyn Contestant>,
    sent: u64,
    pace: Pace,
}

/// What a contestant did, round by round.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) name: &'static str,
    floods: Vec<Flood>,
    delays: Vec<Delays>,
}

/// As many updates as it carried.
#[derive(Debug, Clone, Copy)]
struct Flood {
    per_second: f64,
    /// CPU time per update, of this program and of the broker.
    own_us: f64,
    broker_us: f64,
}

/// From just before an update was published until it was heard, microseconds.
#[derive(Debug, Clone, Copy)]
struct Delays {
    p50: f64,
    p99: f64,
}

impl Lane {
    pub(super) fn new(name: &'static str, contestant: impl Contestant + 'static) -> Self {
        Self {
            contestant: Box::new(contestant),
            sent: 0,
            pace: Pace {
                name,
                floods: Vec::new(),
                delays: Vec::new(),
            },
        }
    }

    fn publish(&mut self) {
        self.sent += 1;
        self.contestant.publish(self.sent);
    }

    /// Waits until all of them were heard, once each.
    fn wait(&self) -> Result<()> {
        let heard = self.contestant.heard();
        heard.wait_for(self.sent, self.pace.name)?;
        ensure!(
            heard.count() == self.sent,
            "{}: heard one twice",
            self.pace.name
        );
        Ok(())
    }

    fn flood(&mut self, duration: Duration) -> Result<Flood> {
        let before = self.sent;
        let (own, broker) = (process::own_cpu()?, process::children_cpu()?);
        let begin = Instant::now();
        while begin.elapsed() < duration {
            if self.sent - self.contestant.heard().count() < ON_THEIR_WAY {
                self.publish();
            } else {
                let heard = self.sent + 1 - ON_THEIR_WAY;
                self.contestant.heard().wait_for(heard, self.pace.name)?;
            }
        }
        self.wait()?;
        let count = (self.sent - before) as f64;
        let per_second = count / begin.elapsed().as_secs_f64();
        Ok(Flood {
            per_second,
            own_us: process::own_cpu()?.since(own).total_us() / count,
            broker_us: process::children_cpu()?.since(broker).total_us() / count,
        })
    }

    fn take_time(&mut self, duration: Duration) -> Result<Delays> {
        let mut sent = Vec::new();
        self.contestant.heard().at.lock().clear();
        self.contestant
            .heard()
            .is_timed
            .store(true, Ordering::Relaxed);
        let begin = Instant::now();
        for number in 0.. {
            let due = begin + Duration::from_secs(1) * number / PER_SECOND;
            if due > begin + duration {
                break;
            }
            if let Some(early) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(early);
            }
            sent.push(Instant::now());
            self.publish();
        }
        self.wait()?;
        let heard = self.contestant.heard();
        heard.is_timed.store(false, Ordering::Relaxed);
        let at = std::mem::take(&mut *heard.at.lock());
        ensure!(
            at.len() == sent.len(),
            "{}: not all were timed",
            self.pace.name
        );
        let delays = sent.iter().zip(&at).map(|(sent, at)| {
            let delay = at.saturating_duration_since(*sent);
            u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX)
        });
        let delays = Latencies::new(delays.collect());
        Ok(Delays {
            p50: delays.microseconds(500),
            p99: delays.microseconds(990),
        })
    }
}

impl Pace {
    pub(super) fn per_second(&self) -> Spread {
        spread(&self.floods, |flood| flood.per_second)
    }

    /// CPU time of this program per update.
    pub(super) fn own_us(&self) -> Spread {
        spread(&self.floods, |flood| flood.own_us)
    }

    /// CPU time of the broker per update.
    pub(super) fn broker_us(&self) -> Spread {
        spread(&self.floods, |flood| flood.broker_us)
    }

    pub(super) fn p50(&self) -> Spread {
        spread(&self.delays, |delays| delays.p50)
    }

    pub(super) fn p99(&self) -> Spread {
        spread(&self.delays, |delays| delays.p99)
    }

    /// Updates per second against another one, round by round.
    pub(super) fn pace_against(&self, other: &Self) -> Spread {
        let rounds = self.floods.iter().zip(&other.floods);
        let ratios = rounds.map(|(own, other)| own.per_second / other.per_second);
        Spread::of(&ratios.collect::<Vec<_>>())
    }

    /// CPU time per update against another one, broker included, round by round.
    pub(super) fn cpu_against(&self, other: &Self) -> Spread {
        let all = |flood: &Flood| flood.own_us + flood.broker_us;
        let rounds = self.floods.iter().zip(&other.floods);
        let ratios = rounds.map(|(own, other)| all(own) / all(other));
        Spread::of(&ratios.collect::<Vec<_>>())
    }

    /// How much later than by another one half of the updates are there, round by round.
    pub(super) fn delay_against(&self, other: &Self) -> Spread {
        let rounds = self.delays.iter().zip(&other.delays);
        let more = rounds.map(|(own, other)| own.p50 - other.p50);
        Spread::of(&more.collect::<Vec<_>>())
    }
}

fn spread<T>(rounds: &[T], value: fn(&T) -> f64) -> Spread {
    Spread::of(&rounds.iter().map(value).collect::<Vec<_>>())
}

/// How long the rounds are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounds {
    pub(super) count: usize,
    pub(super) flood: Duration,
    pub(super) timed: Duration,
}

/// Lets all of them carry updates in turns, each round beginning with another one.
pub(super) fn run(what: &str, mut lanes: Vec<Lane>, rounds: Rounds) -> Result<Vec<Pace>> {
    // Connections, files and caches get warm.
    for lane in &mut lanes {
        lane.flood(rounds.flood / 4)?;
        lane.contestant.settle();
    }
    for round in 1..=rounds.count {
        let count = lanes.len();
        lanes.rotate_left(1 % count);
        for lane in &mut lanes {
            let flood = lane.flood(rounds.flood)?;
            lane.pace.floods.push(flood);
            lane.contestant.settle();
            let delays = lane.take_time(rounds.timed)?;
            lane.pace.delays.push(delays);
            lane.contestant.settle();
        }
        console::line(&format!("{what}: round {round} of {}", rounds.count));
    }
    Ok(lanes.into_iter().map(|lane| lane.pace).collect())
}
