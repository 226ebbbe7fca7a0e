//! Random work on a disk that fails, fills up and loses power. A failing seed prints itself.

use super::{drain, kept, open, raw};
use crate::Batch;
use crate::spool::Spool;
use crate::spool::memory::{Fault, MemoryDisk};
use std::collections::BTreeSet;

const SEEDS: u64 = 150;
const STEPS: usize = 120;
const BYTES_MAX: u64 = 24_000;

/// What the caller knows.
#[derive(Default)]
struct Caller {
    next: u64,
    /// What the spool accepted.
    events: BTreeSet<u64>,
    rows: BTreeSet<u64>,
    /// What came out, in the order in which it came first.
    stored_events: Vec<u64>,
    stored_rows: Vec<u64>,
    /// Rows that were shed, in all lives of the spool.
    shed: u64,
    shed_in_this_life: u64,
}

impl Caller {
    fn append(&mut self, spool: &mut Spool, random: &mut fastrand::Rng) {
        let first = self.next;
        self.next += 10;
        let count = random.u64(..10);
        let mut batch = raw(first..first + count);
        if random.bool() {
            batch.published = kept(first).published;
        }
        for _ in 0..random.usize(1..4) {
            if batch.is_empty() {
                return;
            }
            let (events, rows) = numbers(&batch);
            let rest = match spool.append(batch) {
                Ok(shed) if shed.rows > 0 => {
                    // Shed at once: never accepted.
                    self.shed += shed.rows;
                    self.events.extend(&events);
                    self.rows.extend(&rows);
                    return;
                }
                Ok(_) => Batch::default(),
                Err(refused) => refused.0,
            };
            let (lacks_events, lacks_rows) = numbers(&rest);
            self.events.extend(events.difference(&lacks_events));
            self.rows.extend(rows.difference(&lacks_rows));
            batch = rest;
        }
    }

    /// Stores what waits longest; sometimes the process ends before it can say so.
    fn store(&mut self, spool: &mut Spool, random: &mut fastrand::Rng) {
        let Ok(Some(waiting)) = spool.next(random.usize(1..40)) else {
            return;
        };
        for event in &waiting.batch.published {
            if !self.stored_events.contains(&event.id.seq.0) {
                self.stored_events.push(event.id.seq.0);
            }
        }
        for row in &waiting.batch.rows {
            if !self.stored_rows.contains(&row.id.seq.0) {
                self.stored_rows.push(row.id.seq.0);
            }
        }
        if random.usize(..4) > 0 {
            spool.done(waiting.through);
        }
    }

    fn life_ends(&mut self, spool: Spool) {
        self.shed_in_this_life = spool.stats().shed.rows;
        self.shed += self.shed_in_this_life;
    }
}

fn numbers(batch: &Batch) -> (BTreeSet<u64>, BTreeSet<u64>) {
    (
        batch.published.iter().map(|one| one.id.seq.0).collect(),
        batch.rows.iter().map(|row| row.id.seq.0).collect(),
    )
}

fn fault(random: &mut fastrand::Rng) -> Fault {
    match random.u8(..5) {
        0 => Fault::Write(random.usize(..200)),
        1 => Fault::ShortWrite(random.usize(1..50)),
        2 => Fault::Sync,
        3 => Fault::Read,
        _ => Fault::Create,
    }
}

#[test]
fn nothing_accepted_is_lost_whatever_the_disk_does() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        live(seed);
    }
}

fn live(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = MemoryDisk::default();
    let mut caller = Caller::default();
    let mut spool = open(&disk, BYTES_MAX);
    for _ in 0..STEPS {
        match random.u8(..100) {
            0..55 => caller.append(&mut spool, &mut random),
            55..75 => caller.store(&mut spool, &mut random),
            75..83 => disk.plan(fault(&mut random)),
            83..86 => disk.room(Some(disk.bytes() + random.usize(..2_000))),
            86..92 => disk.room(None),
            92..96 => {
                caller.life_ends(spool);
                disk.mend();
                spool = open(&disk, BYTES_MAX);
            }
            _ => {
                caller.life_ends(spool);
                disk.mend();
                disk.lose_power(|most| random.usize(..=most));
                spool = open(&disk, BYTES_MAX);
            }
        }
        assert!(spool.stats().bytes <= BYTES_MAX);
    }
    disk.mend();
    disk.room(None);
    let in_files: usize = disk
        .files()
        .iter()
        .filter(|(name, _)| name.ends_with(".spool"))
        .map(|(_, bytes)| bytes.len())
        .sum();
    assert_eq!(spool.stats().bytes, u64::try_from(in_files).unwrap());
    let (rows, events) = drain(&mut spool);
    caller.life_ends(spool);
    for event in events {
        if !caller.stored_events.contains(&event) {
            caller.stored_events.push(event);
        }
    }
    for row in rows {
        if !caller.stored_rows.contains(&row) {
            caller.stored_rows.push(row);
        }
    }
    assert!(caller.stored_events.is_sorted(), "events in order");
    assert!(caller.stored_rows.is_sorted(), "rows in order");
    let stored: BTreeSet<u64> = caller.stored_events.into_iter().collect();
    let lost: Vec<&u64> = caller.events.difference(&stored).collect();
    assert!(lost.is_empty(), "events {lost:?}");
    let stored: BTreeSet<u64> = caller.stored_rows.into_iter().collect();
    let lost = caller.rows.difference(&stored).count();
    assert!(
        u64::try_from(lost).unwrap() <= caller.shed,
        "{lost} rows lost, {} shed",
        caller.shed
    );
    let left = open(&disk, BYTES_MAX);
    assert!(left.is_empty(), "nothing comes twice");
}
