//! Everything that happens, in the order of virtual time.

use crate::broker::Broker;
use crate::checks::Consumer;
use crate::reader::Reader;
use crate::store::{Store, Written};
use crate::writer::Writer;
use kurs_bus::Update;
use kurs_core::{Clock, Epoch, Mono, Now, Pair, Wall};
use kurs_store::{Claim, Fence, Leases};
use kurs_writer::lease::{Ask, Turn};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

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

/// The clock of one machine.
#[derive(Debug, Default)]
pub(crate) struct SimClock(Mutex<Now>);

impl SimClock {
    fn set(&self, now: Now) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}

/// What may happen in a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// How long it lasts.
    pub(crate) length_ms: u64,
    /// Links, store and broker break too.
    pub(crate) breaks_all: bool,
    pub(crate) tells: bool,
}

impl Plan {
    /// Writers are killed, stopped, and leave: never the last one that knows everything.
    pub(crate) fn kills(seed: u64) -> Self {
        Self {
            seed,
            length_ms: 45_000,
            breaks_all: false,
            tells: false,
        }
    }

    /// Everything breaks.
    pub(crate) fn everything(seed: u64) -> Self {
        Self {
            breaks_all: true,
            ..Self::kills(seed)
        }
    }
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) broken: Vec<String>,
    pub(crate) hash: u64,
}

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

    /// What waits in the outbox reaches the broker, and from there everybody.
    fn publish(&mut self, writer: usize) {
        let sender = &mut self.writers[writer];
        if !sender.is_up || !sender.is_linked || self.broker.is_down {
            return;
        }
        let updates = sender.outbox.take(usize::MAX);
        sender.outbox.confirm(updates.len());
        let life = sender.life;
        for (fence, heir) in std::mem::take(&mut sender.to_release) {
            self.after(1, 15, What::Release(writer, life, fence, heir));
        }
        for update in updates {
            (self.now, update.id).hash(&mut self.hash);
            self.broker.take(&update);
            self.consumer.hear(self.now, &update);
            for writer in 0..2 {
                if self.writers[writer].is_up && self.writers[writer].is_linked {
                    let listener = Listener::Writer(writer, self.writers[writer].life);
                    let what = What::Hear(listener, Arc::clone(&update));
                    self.on_way((2, writer), 1, 20, what);
                }
            }
            for reader in 0..self.readers.len() {
                if self.readers[reader].is_linked {
                    let what = What::Hear(Listener::Reader(reader), Arc::clone(&update));
                    self.on_way((3, reader), 1, 20, what);
                }
            }
        }
    }

    fn write(&mut self, writer: usize) {
        self.after(WRITE_MS, WRITE_MS, What::Write(writer));
        if !self.writers[writer].runs(self.now) || !self.reaches_store(writer) {
            return;
        }
        let now = self.tick(writer);
        for batch in self.writers[writer].batches() {
            let left = |stored: &kurs_store::StoredRate| {
                let left = stored.rate.expires_at().since(now.wall);
                u64::try_from(left.as_millis()).unwrap()
            };
            if self.store.write(self.now, &batch, left) == Written::Fenced {
                let turn = self.writers[writer].keeper.refused(batch.fence);
                self.turns(writer, turn.into_iter().collect());
            }
        }
    }

    fn hear(&mut self, listener: Listener, update: &Arc<Update>) {
        match listener {
            Listener::Writer(writer, life) => {
                if self.is_delayed(writer, life) {
                    let again = What::Hear(listener, Arc::clone(update));
                    return self.later(writer, again);
                }
                if self.is_life(writer, life) {
                    let now = self.tick(writer);
                    let turn = self.writers[writer].hear(now, self.now, update);
                    self.turns(writer, turn.into_iter().collect());
                }
            }
            Listener::Reader(reader) => {
                let now = self.local(2 + reader);
                let at = self.now;
                let reader = &mut self.readers[reader];
                reader.clock.set(now);
                let taken = reader.hear(at, update);
                (at, update.id, taken).hash(&mut self.hash);
            }
        }
    }

    fn give_last_values(&mut self, listener: Listener) {
        if self.broker.is_down {
            return;
        }
        let values = self.broker.last_values();
        match listener {
            Listener::Writer(writer, life) => {
                if self.is_life(writer, life) && self.writers[writer].runs(self.now) {
                    let now = self.tick(writer);
                    let turns = self.writers[writer].take_last_values(now, &values);
                    self.turns(writer, turns);
                }
            }
            Listener::Reader(reader) => {
                let now = self.local(2 + reader);
                self.readers[reader].clock.set(now);
                self.readers[reader].take_last_values(values);
            }
        }
    }

    /// A request comes to a Reader: what it says must be true.
    fn look(&mut self, reader: usize) {
        self.after(200, 200, What::Look(reader));
        let now = self.local(2 + reader);
        self.readers[reader].clock.set(now);
        if self.readers[reader].wants_last_values && self.readers[reader].is_linked {
            self.after(2, 10, What::LastValues(Listener::Reader(reader)));
        }
        let silent_for = self.now.saturating_sub(self.readers[reader].heard_at);
        if silent_for > 2_500 && self.store_is_up && self.now.is_multiple_of(1_000) {
            let rates = self.store.current(self.now);
            self.readers[reader].take_current(rates);
        }
        for pair in 0..2 {
            let (served, complaint) = self.readers[reader].serve(self.pairs[pair]);
            let told = complaint.map(|complaint| format!("reader {reader}: {complaint}"));
            self.broken.extend(told);
            let Some(served) = served else { continue };
            (self.now, reader, served.id, served.is_fresh).hash(&mut self.hash);
            let number: usize = served.value.parse().unwrap();
            // The moment from which on it was not the newest word any more.
            if served.is_fresh
                && let Some(replaced) = self.words[pair].get(number)
            {
                let age = self.now - replaced;
                if age > FRESH_MS {
                    self.broken.push(format!(
                        "at {} ms reader {reader} serves word {number} of {} as fresh, which is \
                         {age} ms out of date",
                        self.now, self.pairs[pair]
                    ));
                }
            }
        }
    }

    /// Something breaks, and is mended after a while.
    fn fault(&mut self) {
        if self.now > self.plan.length_ms {
            return;
        }
        self.after(3_000, 9_000, What::Fault);
        let leader = self.writers.iter().position(Writer::leads);
        let kinds = if self.plan.breaks_all { 9 } else { 3 };
        let kind = self.rng.u8(0..kinds);
        let target = match leader {
            Some(leader) if self.rng.u8(0..4) > 0 || !self.plan.breaks_all => leader,
            _ => self.rng.usize(0..2),
        };
        let other = 1 - target;
        let (now, writers) = (self.now, &mut self.writers);
        let knows = |writer: &Writer| {
            writer.runs(now) && now.saturating_sub(writer.up_since) > 3_000 && !writer.is_leaving
        };
        // The last one that knows everything stays.
        if kind < 3 && !(knows(&writers[target]) && knows(&writers[other])) {
            return;
        }
        let lasts = self.rng.u64(500..8_000);
        self.tell(|| format!("fault {kind} at {target} for {lasts} ms"));
        format!("{now} {kind} {target} {lasts}").hash(&mut self.hash);
        match kind {
            0 => {
                self.writers[target].crash(now);
                self.after(lasts, lasts, What::Start(target));
            }
            1 => self.writers[target].stopped_until = now + lasts,
            2 => {
                self.writers[target].is_leaving = true;
                let turns = self.writers[target].keeper.leave();
                self.turns(target, turns);
                self.after(1_000, 1_000, What::Mend(2, target));
            }
            3 => self.writers[target].is_linked = false,
            4 => self.writers[target].reaches_store = false,
            5 => self.writers[target].hears_venue = false,
            6 => self.store_is_up = false,
            7 => self.broker.is_down = true,
            _ => self.readers[target].is_linked = false,
        }
        if kind == 4 {
            // Cut off from the store alone it publishes on, until it hears of the next epoch.
            self.consumer.forgives_doubles = true;
        }
        if matches!(kind, 3 | 7) {
            self.deaf_until = now + lasts + 35_000;
        }
        if kind > 2 {
            self.after(lasts, lasts, What::Mend(kind, target));
        }
    }

    fn mend(&mut self, kind: u8, target: usize) {
        self.tell(|| format!("mends {kind} at {target}"));
        match kind {
            2 => {
                self.writers[target].crash(self.now);
                self.after(500, 4_000, What::Start(target));
            }
            3 => {
                self.writers[target].is_linked = true;
                self.writers[target].wants_last_values = true;
            }
            4 => self.writers[target].reaches_store = true,
            5 => self.writers[target].hears_venue = true,
            6 => self.store_is_up = true,
            7 => {
                self.broker.is_down = false;
            }
            _ => {
                self.readers[target].is_linked = true;
                self.readers[target].wants_last_values = true;
            }
        }
    }

    fn final_checks(&mut self) {
        let leaders: Vec<Epoch> = self
            .writers
            .iter()
            .filter_map(|writer| writer.own.get(&0).copied())
            .collect();
        if leaders.len() != 1 || leaders.first().copied() != self.store.epoch(0) {
            self.broken.push(format!(
                "after all is mended {leaders:?} lead, the store has {:?}",
                self.store.epoch(0)
            ));
        }
        self.readers_agree();
        if self.plan.breaks_all {
            return;
        }
        for pair in 0..2 {
            // The last words are on their way.
            let said = u64::try_from(self.words[pair].len()).unwrap() - 5;
            let missing = self.consumer.missing(self.pairs[pair], said);
            if !missing.is_empty() {
                let pair = self.pairs[pair];
                self.broken
                    .push(format!("{pair}: words {missing:?} were lost"));
            }
        }
        let before = self.now.saturating_sub(2_000);
        let accepted = self.consumer.accepted.iter();
        let last = accepted
            .filter(|(at, _)| *at < before)
            .map(|(_, update)| update.id);
        let last = last.max();
        let unwritten: Vec<_> = self
            .consumer
            .rates()
            .filter(|id| Some(*id) <= last && !self.store.history.contains(id))
            .collect();
        if !unwritten.is_empty() {
            self.broken.push(format!(
                "{} published rates are not in the history, first {:?}",
                unwritten.len(),
                unwritten.first()
            ));
        }
        let silence = self.consumer.longest_silence();
        if silence > 4_000 {
            self.broken
                .push(format!("nothing was published for {silence} ms"));
        }
    }

    /// All Readers serve what was published last.
    fn readers_agree(&mut self) {
        for reader in 0..self.readers.len() {
            let now = self.local(2 + reader);
            self.readers[reader].clock.set(now);
            for pair in 0..2 {
                let served = self.readers[reader].serve(self.pairs[pair]).0;
                let number = served
                    .filter(|served| served.is_fresh)
                    .and_then(|served| served.value.parse::<usize>().ok());
                let said = self.words[pair].len();
                if number.is_none_or(|number| number + 8 < said) {
                    self.broken.push(format!(
                        "after all is mended reader {reader} serves {number:?} of {said} words"
                    ));
                }
            }
        }
    }
}
