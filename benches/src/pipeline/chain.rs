//! Decoder, engine and view in a row, and each of them alone.

use crate::feed::Feed;
use crate::process::thread_cpu;
use crate::statistics::Spread;
use anyhow::{Result, ensure};
use kurs_bus::{Body, Update};
use kurs_core::{
    Clock, Epoch, EventKind, Now, Pair, Price, Quote, Seq, SourceEvent, SourceId, SourceKind,
    SystemClock, Tick, UpdateId,
};
use kurs_pricing::{Effect, Engine, EngineConfig, SourceInfo};
use kurs_reader::{RateView, ViewConfig};
use kurs_sources::EventSink as _;
use kurs_writer::Inbox;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any pass.
const VALID_FOR: Duration = Duration::from_secs(600);
/// A body is read after so many frames.
const READ_EVERY: usize = 100;
/// Frames that a stage handles before it is the next one's turn.
const TURN: usize = 5_000;
/// Messages taken from the inbox at once.
const BATCH: usize = 64;
/// Every default direction.
const DIRECTIONS: [&str; 6] = [
    "BTC-USD", "BTC-RUB", "ETH-USD", "ETH-RUB", "USDT-USD", "USDT-RUB",
];

/// What is priced besides the markets themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routes {
    Markets,
    /// The default directions as well, over USDT-USD and USD-RUB; under their network names some
    /// of the eight are one pair.
    Directions,
}

/// All parts, new.
pub(crate) struct Chain {
    clock: Arc<dyn Clock>,
    feed: Feed,
    engine: Engine,
    view: RateView,
    effects: Vec<Effect>,
    seq: u64,
}

impl Chain {
    pub(crate) fn new(pairs: &[Pair], routes: Routes) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let feed = Feed::new(pairs, u64::try_from(VALID_FOR.as_millis())?)?;
        let [source, aggregator, bank] = ["binance", "coingecko", "cbr"].map(SourceId::parse);
        let (source, aggregator, bank) = (source?, aggregator?, bank?);
        let info = |id, kind, priority| SourceInfo {
            id,
            kind,
            priority,
            hold: Duration::from_secs(10),
        };
        let sources = vec![
            info(source, SourceKind::Exchange, 1),
            info(aggregator, SourceKind::Aggregator, 6),
            info(bank, SourceKind::Bank, 10),
        ];
        let directions = match routes {
            Routes::Markets => Vec::new(),
            Routes::Directions => DIRECTIONS
                .iter()
                .map(|name| Pair::parse(name))
                .collect::<Result<_, _>>()?,
        };
        let engine = Engine::new(EngineConfig::new(sources, directions.clone()));
        let view = RateView::new(clock.clone(), ViewConfig { directions });
        let mut chain = Self {
            clock,
            feed,
            engine,
            view,
            effects: Vec::new(),
            seq: 0,
        };
        if routes == Routes::Directions {
            chain.tell(aggregator, "USDT-USD", "0.999871")?;
            chain.tell(bank, "USD-RUB", "92.5058")?;
        }
        Ok(chain)
    }

    /// What a polled source says once.
    fn tell(&mut self, source: SourceId, pair: &str, value: &str) -> Result<()> {
        let received = self.clock.now();
        let quote = Quote::Single(Price::parse(value)?);
        let pair = Pair::parse(pair)?;
        let tick = Tick {
            pair,
            quote,
            sizes: None,
            observed_at: None,
            valid_for: VALID_FOR,
            event_id: None,
        };
        let event = SourceEvent {
            source,
            received,
            kind: EventKind::Table(Arc::from([tick])),
        };
        self.price(received, &event);
        Ok(())
    }

    /// Sends all frames through and gives the CPU time it took; every frame must become a rate.
    pub(crate) fn run(&mut self, frames: &[String]) -> Result<Duration> {
        let (mut ticks, mut bodies) = (0, 0);
        let begin = thread_cpu()?;
        let mut said = Vec::new();
        for (number, text) in frames.iter().enumerate() {
            let received = self.clock.now();
            self.feed.frame(received, text, &mut said);
            let mut told = None;
            for event in said.drain(..) {
                if let EventKind::Tick(tick) = &event.kind {
                    told = Some(tick.pair);
                }
                self.price(received, &event);
            }
            let Some(pair) = told else { continue };
            ticks += 1;
            if number % READ_EVERY == 0 {
                let body = self.view.hot(pair.base.as_str(), pair.quote.as_str());
                bodies += body.map_or(0, |body| body.body.len());
            }
        }
        let taken = thread_cpu()? - begin;
        black_box(bodies);
        ensure!(
            ticks == frames.len(),
            "only {ticks} of {} frames were new prices",
            frames.len()
        );
        ensure!(
            bodies > 0 && self.view.revision() > 0,
            "nothing reached the view"
        );
        Ok(taken)
    }

    fn price(&mut self, now: Now, event: &SourceEvent) {
        self.engine.handle(now, event, &mut self.effects);
        for effect in self.effects.drain(..) {
            if let Effect::Publish(rate) = effect {
                self.seq += 1;
                self.view.apply(&Arc::new(Update {
                    id: id(self.seq),
                    body: Body::Rate(rate),
                    cause: None,
                    at: None,
                }));
            }
        }
    }
}

fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

/// Nanoseconds per frame of each stage alone, a value for each round.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    clock: Vec<f64>,
    decode: Vec<f64>,
    engine: Vec<f64>,
    view: Vec<f64>,
    inbox: Vec<f64>,
    render: Vec<f64>,
}

impl Stages {
    /// Name, whether it is a part of the chain, and cost.
    pub(crate) fn spreads(&self) -> [(&'static str, bool, Spread); 6] {
        [
            ("clock: reading both times", true, Spread::of(&self.clock)),
            ("decode: frame to tick", true, Spread::of(&self.decode)),
            ("engine: tick to rate", true, Spread::of(&self.engine)),
            ("view: update to slot", true, Spread::of(&self.view)),
            (
                "inbox: in and out, one thread",
                false,
                Spread::of(&self.inbox),
            ),
            (
                "view, with a body made for every frame",
                false,
                Spread::of(&self.render),
            ),
        ]
    }

    /// Measures each stage once.
    pub(crate) fn round(&mut self, frames: &[String], pairs: &[Pair], passes: usize) -> Result<()> {
        let mut sums = [Duration::ZERO; 6];
        for _ in 0..passes {
            for (sum, taken) in sums.iter_mut().zip(pass(frames, pairs)?) {
                *sum += taken;
            }
        }
        let lists = [
            &mut self.clock,
            &mut self.decode,
            &mut self.engine,
            &mut self.view,
            &mut self.inbox,
            &mut self.render,
        ];
        for (list, sum) in lists.into_iter().zip(sums) {
            list.push(sum.as_nanos() as f64 / (frames.len() * passes) as f64);
        }
        Ok(())
    }
}

/// Every stage once on the same frames, with what the stage before it gave. They take turns
/// every few frames, so that what one hands to the next is still in the caches and in memory
/// that was used before, as it is when they work together.
fn pass(frames: &[String], pairs: &[Pair]) -> Result<[Duration; 6]> {
    let mut chain = Chain::new(pairs, Routes::Markets)?;
    let asked = RateView::new(chain.clock.clone(), ViewConfig::default());
    let mut sums = [Duration::ZERO; 6];
    let (mut events, mut updates) = (Vec::new(), Vec::new());
    for frames in frames.chunks(TURN) {
        let received = chain.clock.now();
        let turns = [
            timed(|| read_clock(&*chain.clock, frames.len()))?,
            timed(|| decode(&mut chain, received, frames, &mut events))?,
            timed(|| price(&mut chain, received, &events, &mut updates))?,
            timed(|| show(&chain.view, &updates))?,
            timed(|| pass_on(&events))?,
            timed(|| show_and_render(&asked, &updates))?,
        ];
        ensure!(
            updates.len() == frames.len(),
            "{} updates of {} frames",
            updates.len(),
            frames.len()
        );
        events.clear();
        updates.clear();
        for (sum, taken) in sums.iter_mut().zip(turns) {
            *sum += taken;
        }
    }
    Ok(sums)
}

/// CPU time of a piece of work.
fn timed(work: impl FnOnce()) -> Result<Duration> {
    let begin = thread_cpu()?;
    work();
    Ok(thread_cpu()? - begin)
}

fn read_clock(clock: &dyn Clock, times: usize) {
    for _ in 0..times {
        black_box(clock.now());
    }
}

fn decode(chain: &mut Chain, received: Now, frames: &[String], events: &mut Vec<SourceEvent>) {
    for text in frames {
        chain.feed.frame(received, text, events);
    }
}

fn price(chain: &mut Chain, now: Now, events: &[SourceEvent], updates: &mut Vec<Arc<Update>>) {
    for event in events {
        chain.engine.handle(now, event, &mut chain.effects);
        for effect in chain.effects.drain(..) {
            if let Effect::Publish(rate) = effect {
                chain.seq += 1;
                updates.push(Arc::new(Update {
                    id: id(chain.seq),
                    body: Body::Rate(rate),
                    cause: None,
                    at: None,
                }));
            }
        }
    }
}

fn show(view: &RateView, updates: &[Arc<Update>]) {
    for update in updates {
        black_box(view.apply(update));
    }
}

/// When every single rate is asked for.
fn show_and_render(view: &RateView, updates: &[Arc<Update>]) {
    for update in updates {
        view.apply(update);
        if let Body::Rate(rate) = &update.body {
            black_box(view.hot(rate.pair.base.as_str(), rate.pair.quote.as_str()));
        }
    }
}

/// The way from the sources' tasks to the engine's thread, without a second thread.
fn pass_on(events: &[SourceEvent]) {
    let inbox = Inbox::new();
    let mut messages = Vec::with_capacity(BATCH);
    for batch in events.chunks(BATCH) {
        for event in batch {
            inbox.deliver(event.clone());
        }
        inbox.take(&mut messages, BATCH, Duration::ZERO);
        black_box(&messages);
        messages.clear();
    }
}
