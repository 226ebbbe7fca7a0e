//! Everything that happens, in the order of virtual time.

mod checks;
mod faults;
mod traffic;

use crate::broker::Broker;
use crate::clock::SimClock;
use crate::consumer::Consumer;
use crate::plan::{Outcome, Plan};
use crate::reader::Reader;
use crate::store::Store;
use crate::writer::Writer;
use kurs_bus::Update;
use kurs_core::{Epoch, Mono, Now, Pair, Wall};
use kurs_store::{Claim, Fence, Leases};
use kurs_writer::lease::{Ask, Turn};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Virtual milliseconds that a Writer lets pass between two looks.
const STEP_MS: u64 = 30;
/// How often a recorder writes.
const WRITE_MS: u64 = 200;
/// How long a question to a store that is away is waited for.
const PATIENCE_MS: u64 = 1_000;
/// The venue begins to speak.
const FIRST_WORD_MS: u64 = 2_000;
/// From then on nothing breaks any more, and everything must come to rest.
const REST_MS: u64 = 15_000;
/// The oldest word that may be served as fresh: 5 s of validity, and the ways it goes.
const FRESH_MS: u64 = 7_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listener {
    Writer(usize, u32),
    Reader(usize),
}

enum What {
    Word(usize),
    Arrive(usize, u32, Pair, u64),
    Step(usize),
    RenewAsked(usize, u32, Mono, kurs_store::Beat),
    Renewed(usize, u32, Mono, Option<Leases>),
    ClaimAsked(usize, u32, Mono, Claim),
    Claimed(usize, u32, Mono, Claim, Option<Epoch>),
    Release(usize, u32, Fence, Option<Arc<str>>),
    Publish(usize),
    Write(usize),
    Hear(Listener, Arc<Update>),
    LastValues(Listener),
    Look(usize),
    Fault,
    Mend(u8, usize),
    Start(usize),
}

pub(crate) struct World {
    plan: Plan,
    rng: fastrand::Rng,
    now: u64,
    count: u64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    whats: HashMap<u64, What>,
    pairs: [Pair; 2],
    /// When each word was said, by pair.
    words: [Vec<u64>; 2],
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    wall_offsets: Vec<i64>,
    store: Store,
    store_is_up: bool,
    broker: Broker,
    consumer: Consumer,
    /// When the last message on a way arrives: none overtakes another.
    ways: HashMap<(u8, usize), u64>,
    hash: DefaultHasher,
    broken: Vec<String>,
    /// A standby could not hear the bus up to then.
    deaf_until: u64,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let clock = || Arc::new(SimClock::default());
        let writers = ["a", "b"].map(|name| Writer::new(name, clock()));
        let readers = (0..3).map(|_| Reader::new(clock())).collect();
        // No machine agrees with another about the time of day.
        let wall_offsets = (0..5)
            .map(|_| rng.i64(-3_600_000_000..3_600_000_000))
            .collect();
        let mut world = Self {
            plan,
            rng,
            now: 0,
            count: 0,
            queue: BinaryHeap::new(),
            whats: HashMap::new(),
            pairs: ["BTC-USDT", "ETH-USDT"].map(|pair| Pair::parse(pair).unwrap()),
            words: [Vec::new(), Vec::new()],
            writers: writers.into(),
            readers,
            wall_offsets,
            store: Store::default(),
            store_is_up: true,
            broker: Broker::default(),
            consumer: Consumer::default(),
            ways: HashMap::new(),
            hash: DefaultHasher::new(),
            broken: Vec::new(),
            deaf_until: 0,
        };
        for pair in 0..2 {
            world.at(FIRST_WORD_MS, What::Word(pair));
        }
        for writer in 0..2 {
            let first = 1 + u64::try_from(writer).unwrap() * 7;
            world.at(first, What::Step(writer));
            world.at(first + 5, What::Write(writer));
        }
        for reader in 0..3 {
            world.at(50, What::Look(reader));
        }
        world.at(8_000, What::Fault);
        world
    }

    fn at(&mut self, time: u64, what: What) {
        self.count += 1;
        self.queue.push(Reverse((time, self.count)));
        self.whats.insert(self.count, what);
    }

    fn after(&mut self, least: u64, most: u64, what: What) {
        let time = self.now + self.rng.u64(least..=most);
        self.at(time, what);
    }

    /// In order after everything else on the same way.
    fn on_way(&mut self, way: (u8, usize), least: u64, most: u64, what: What) {
        let time = self.now + self.rng.u64(least..=most);
        let last = self.ways.entry(way).or_default();
        *last = time.max(*last);
        let time = *last;
        self.at(time, what);
    }

    fn local(&self, machine: usize) -> Now {
        let micros = i64::try_from(self.now * 1_000).unwrap();
        let begin = 1_790_000_000_000_000;
        Now {
            mono: Mono((self.now + 1) * 1_000_000),
            wall: Wall(begin + micros + self.wall_offsets[machine]),
        }
    }

    /// The time on a Writer's machine.
    fn tick(&self, writer: usize) -> Now {
        let now = self.local(writer);
        self.writers[writer].clock.set(now);
        now
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.plan.tells {
            println!("{:>6} {}", self.now, what());
        }
    }

    pub(crate) fn run(mut self) -> Outcome {
        let end = self.plan.length_ms + REST_MS;
        while let Some(Reverse((time, number))) = self.queue.pop() {
            if time > end {
                break;
            }
            self.now = time;
            if let Some(what) = self.whats.remove(&number) {
                self.happen(what);
            }
        }
        self.final_checks();
        let hash = self.hash.finish();
        self.broken.append(&mut self.consumer.complaints);
        Outcome {
            broken: self.broken,
            hash,
        }
    }

    fn is_life(&self, writer: usize, life: u32) -> bool {
        self.writers[writer].is_up && self.writers[writer].life == life
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Word(pair) => self.say(pair),
            What::Arrive(writer, life, pair, number) => {
                if self.is_life(writer, life) {
                    let now = self.tick(writer);
                    self.writers[writer].arrive(now, self.now, pair, number);
                }
            }
            What::Step(writer) => self.step(writer),
            What::RenewAsked(writer, life, sent, beat) => {
                let answer = self
                    .reaches_store(writer)
                    .then(|| self.store.renew(self.now, &beat));
                self.answer(answer.is_some(), What::Renewed(writer, life, sent, answer));
            }
            What::Renewed(writer, life, sent, answer) => {
                if self.is_delayed(writer, life) {
                    let again = What::Renewed(writer, life, sent, answer);
                    return self.later(writer, again);
                }
                if self.is_life(writer, life) {
                    let now = self.tick(writer);
                    let turns = self.writers[writer].keeper.renewed(sent, now.mono, answer);
                    self.writers[writer].open_gate();
                    self.turns(writer, turns);
                }
            }
            What::ClaimAsked(writer, life, sent, claim) => {
                let reached = self.reaches_store(writer);
                let epoch = reached
                    .then(|| self.store.claim(self.now, &claim))
                    .flatten();
                self.answer(reached, What::Claimed(writer, life, sent, claim, epoch));
            }
            What::Claimed(writer, life, sent, claim, epoch) => {
                if self.is_delayed(writer, life) {
                    let again = What::Claimed(writer, life, sent, claim, epoch);
                    return self.later(writer, again);
                }
                if self.is_life(writer, life) {
                    let now = self.tick(writer);
                    let keeper = &mut self.writers[writer].keeper;
                    let turn = keeper.claimed(&claim, sent, now.mono, epoch);
                    self.writers[writer].open_gate();
                    self.turns(writer, turn.into_iter().collect());
                }
            }
            What::Release(writer, life, fence, heir) => {
                if self.reaches_store(writer) {
                    self.store.release(fence, heir);
                }
                if self.is_life(writer, life) {
                    self.writers[writer].keeper.gave_back(fence);
                }
            }
            What::Publish(writer) => self.publish(writer),
            What::Write(writer) => self.write(writer),
            What::Hear(listener, update) => self.hear(listener, &update),
            What::LastValues(listener) => self.give_last_values(listener),
            What::Look(reader) => self.look(reader),
            What::Fault => self.fault(),
            What::Mend(kind, which) => self.mend(kind, which),
            What::Start(writer) => {
                self.tell(|| format!("{writer} starts"));
                self.writers[writer].start(self.now);
            }
        }
    }

    fn say(&mut self, pair: usize) {
        self.words[pair].push(self.now);
        let number = u64::try_from(self.words[pair].len()).unwrap();
        for writer in 0..2 {
            if self.writers[writer].is_up && self.writers[writer].hears_venue {
                let life = self.writers[writer].life;
                let what = What::Arrive(writer, life, self.pairs[pair], number);
                self.on_way((1, writer), 1, 60, what);
            }
        }
        self.after(40, 200, What::Word(pair));
    }

    fn is_delayed(&self, writer: usize, life: u32) -> bool {
        self.is_life(writer, life) && !self.writers[writer].runs(self.now)
    }

    /// A stopped process finds it when it goes on.
    fn later(&mut self, writer: usize, what: What) {
        let time = self.writers[writer].stopped_until;
        self.at(time, what);
    }

    fn reaches_store(&self, writer: usize) -> bool {
        self.store_is_up && self.writers[writer].reaches_store
    }

    fn answer(&mut self, is_reached: bool, what: What) {
        if is_reached {
            self.after(1, 15, what);
        } else {
            self.after(PATIENCE_MS, PATIENCE_MS, what);
        }
    }

    fn step(&mut self, writer: usize) {
        let next = self.writers[writer].stopped_until.max(self.now + STEP_MS);
        self.at(next, What::Step(writer));
        if !self.writers[writer].runs(self.now) {
            return;
        }
        let now = self.tick(writer);
        let reaches_bus = self.writers[writer].is_linked && !self.broker.is_down;
        self.writers[writer].step(now, self.now, reaches_bus);
        let life = self.writers[writer].life;
        if let Some(ask) = self.writers[writer].keeper.ask(now.mono) {
            let what = match ask {
                Ask::Renew(beat) => What::RenewAsked(writer, life, now.mono, beat),
                Ask::Claim(claim) => What::ClaimAsked(writer, life, now.mono, claim),
            };
            self.after(1, 15, what);
        }
        if self.writers[writer].wants_last_values && self.writers[writer].is_linked {
            self.after(2, 10, What::LastValues(Listener::Writer(writer, life)));
        }
        self.after(1, 8, What::Publish(writer));
    }

    fn turns(&mut self, writer: usize, turns: Vec<Turn>) {
        for turn in turns {
            self.tell(|| format!("{writer}: {turn:?}"));
            format!("{} {writer} {turn:?}", self.now).hash(&mut self.hash);
            let now = self.local(writer);
            match turn {
                Turn::Lead(fence) => {
                    if self.now < self.deaf_until {
                        self.consumer.forgives_doubles = true;
                    }
                    self.writers[writer].lead(now, fence);
                }
                Turn::HandOver(fence, heir) => self.writers[writer].end(now, fence, heir),
                Turn::Deposed(fence) => self.writers[writer].depose(now, fence),
            }
        }
    }
}
