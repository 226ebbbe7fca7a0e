//! Replay: recorded lines go through the machines of the sources, the engine and the numbering,
//! in recorded time. Nothing here reads a clock or waits, so that the same lines give the same
//! updates, byte for byte.
//!
//! | part | what it holds |
//! |---|---|
//! | [`timeline`] | the time of each line, and the grid between lines |
//! | [`foreign`] | captures of other recorders |
//! | [`player`] | lines of one source become inputs of its machine |
//! | `publishing` | from effects to numbered updates |
//! | [`tally`] | what was met |

pub mod foreign;
pub mod player;
mod publishing;
pub mod tally;
pub mod timeline;

use super::line::{Direction, Line};
use super::words::{Words, newer_format};
use crate::outcome::Numbering;
use crate::status;
use kurs_bus::{Body, Update};
use kurs_core::{Epoch, Mono, Now, Pair, SourceEvent, SourceId};
use kurs_pricing::{Effect, Engine, EngineConfig, SourceInfo};
use kurs_sources::{EventSink, Machine};
use parking_lot::Mutex;
use player::{Player, Told};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
pub use tally::{Broken, SourceTally, Tally};
use timeline::Timeline;

/// How often the state of the sources is told, in recorded time.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Time that passes after the last line, so that what was held back comes out.
const AFTERWARDS: Duration = Duration::from_millis(500);

/// Where the machines put their events until the engine takes them.
#[derive(Debug, Default)]
pub struct Collector {
    events: Mutex<Vec<SourceEvent>>,
}

impl EventSink for Collector {
    fn deliver(&self, event: SourceEvent) {
        self.events.lock().push(event);
    }
}

/// Sees what comes of a replay.
pub trait Audience {
    /// The recorded time moves on to this. May wait, to keep a pace; `false` ends the replay.
    fn time(&mut self, now: Now) -> bool {
        let _ = now;
        true
    }

    /// An update, in order.
    fn update(&mut self, now: Now, update: Update);
}

/// What a replay is made of.
pub struct Parts {
    /// The sources. Their events go to `events`.
    pub machines: Vec<Box<dyn Machine>>,
    /// What pricing must know of them, in any order.
    pub infos: Vec<SourceInfo>,
    /// Where the machines put their events.
    pub events: Arc<Collector>,
    /// How prices become rates. Its sources are those of `infos`, under the names of
    /// `published`.
    pub engine: EngineConfig,
    /// Under which names the sources are published, where these are not their own.
    pub published: HashMap<SourceId, SourceId>,
    /// Whose lines those are that do not say it.
    pub default_source: Option<SourceId>,
    /// What is followed instead of what was followed.
    pub pairs: Option<Arc<[Pair]>>,
}

/// A replay under way.
pub struct Replay {
    players: Vec<Player>,
    by_name: HashMap<String, usize>,
    events: Arc<Collector>,
    published: HashMap<SourceId, SourceId>,
    default_source: Option<SourceId>,
    /// Whose the last line was that told it by its URL.
    last_known: Option<&'static str>,
    engine: Engine,
    numbering: Numbering,
    timeline: Timeline,
    started: Option<Now>,
    next_status: Mono,
    recording: Option<String>,
    tracked: Vec<Pair>,
    hash: Sha256,
    tally: Tally,
    taken: Vec<SourceEvent>,
    effects: Vec<Effect>,
}

/// How a line was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// As it should be, or passed over and counted.
    Taken,
    /// It could not be used; the caller knows its place.
    Broken(String),
    /// It is the head of this newer format: nothing after it is to be understood.
    Newer(u64),
    /// The audience wants no more.
    Ended,
}

impl Replay {
    /// A replay that has seen no line.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            machines,
            infos,
            events,
            engine,
            published,
            default_source,
            pairs,
        } = parts;
        let players: Vec<Player> = machines
            .into_iter()
            .filter_map(|machine| {
                let info = infos.iter().find(|info| info.id == machine.source())?;
                Some(Player::new(machine, *info, pairs.clone()))
            })
            .collect();
        let by_name = players
            .iter()
            .enumerate()
            .map(|(index, player)| (player.source().to_string(), index))
            .collect();
        Self {
            players,
            by_name,
            events,
            published,
            default_source,
            last_known: None,
            engine: Engine::new(engine),
            numbering: Numbering::new(0, Epoch(1)),
            timeline: Timeline::default(),
            started: None,
            next_status: Mono(0),
            recording: None,
            tracked: Vec::new(),
            hash: Sha256::new(),
            tally: Tally::default(),
            taken: Vec::new(),
            effects: Vec::new(),
        }
    }

    /// The recorded time.
    #[must_use]
    pub fn now(&self) -> Now {
        self.timeline.now()
    }

    /// Takes one line, without its line feed.
    pub fn feed(&mut self, bytes: &[u8], audience: &mut dyn Audience) -> Fed {
        self.tally.lines += 1;
        let line = match Line::parse(bytes) {
            Ok(line) => line,
            Err(error) => return Fed::Broken(error.to_string()),
        };
        let words = match (line.direction, line.bytes.as_deref()) {
            (Direction::Meta, Some(bytes)) => {
                if let Some(format) = newer_format(bytes) {
                    return Fed::Newer(format);
                }
                match serde_json::from_slice::<Words>(bytes) {
                    Ok(words) => Some(words),
                    Err(error) => return Fed::Broken(format!("a meta line of no kind: {error}")),
                }
            }
            _ => None,
        };
        if let Some(Words::Head { started, .. }) = &words {
            let name = started.to_string();
            if self.recording.as_ref().is_some_and(|last| *last != name) {
                self.timeline.begin_recording();
                for player in &mut self.players {
                    player.begin_recording();
                }
            }
            self.recording = Some(name);
        }
        let until = self.timeline.of(&line);
        if !self.pass(until, audience) {
            return Fed::Ended;
        }
        self.take(until, &line, words, audience)
    }

    /// Lets the time after the last line pass, and gives what was met with the hash of all
    /// updates.
    pub fn finish(mut self, audience: &mut dyn Audience) -> Outcomes {
        if self.started.is_some() {
            let until = self.timeline.now().plus(AFTERWARDS);
            let _ = self.pass(until, audience);
        }
        let mut tally = self.tally;
        for player in &self.players {
            let entry = tally
                .sources
                .entry(player.source().to_string())
                .or_default();
            player.tally(entry);
        }
        tally.sources.retain(|_, source| *source != player::NOTHING);
        tally.updates = self.numbering.updates();
        let span = self.started.map_or(Duration::ZERO, |started| {
            self.timeline.now().mono.since(started.mono)
        });
        tally.span_ms =
            u64::try_from(span.saturating_sub(AFTERWARDS).as_millis()).unwrap_or(u64::MAX);
        let hash = self.hash.finalize();
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Outcomes { tally, hash }
    }

    /// What was met so far, for whoever reads the files to add to.
    pub const fn tally_mut(&mut self) -> &mut Tally {
        &mut self.tally
    }

    /// Lets time pass up to a moment.
    fn pass(&mut self, until: Now, audience: &mut dyn Audience) -> bool {
        if self.started.is_none() {
            self.started = Some(until);
            self.next_status = until.mono;
        }
        let mut steps = 0;
        while let Some(now) = self.timeline.step(until, &mut steps) {
            if !audience.time(now) {
                return false;
            }
            for player in &mut self.players {
                player.advance(now);
            }
            self.drain(now, audience);
            self.advance(now, audience);
        }
        audience.time(until)
    }

    /// Prices run out, and once a second the state of the sources is told.
    fn advance(&mut self, now: Now, audience: &mut dyn Audience) {
        self.engine.advance(now, &mut self.effects);
        self.carry_out(now, audience);
        if now.mono < self.next_status {
            return;
        }
        self.next_status = now.mono.plus(STATUS_EVERY);
        for index in 0..self.players.len() {
            let Some(player) = self.players.get(index) else {
                continue;
            };
            if !player.has_spoken() {
                continue;
            }
            let mut status = status::of_machine(player.machine(), player.info());
            status.source = self.name(status.source);
            self.publish(now, Body::SourceStatus(status), audience);
        }
    }

    fn take(
        &mut self,
        now: Now,
        line: &Line<'_>,
        words: Option<Words>,
        audience: &mut dyn Audience,
    ) -> Fed {
        match &words {
            Some(Words::Head { .. }) => return Fed::Taken,
            Some(Words::Gap { lost }) => {
                self.tally.lost = self.tally.lost.saturating_add(*lost);
                return Fed::Taken;
            }
            None if matches!(line.direction, Direction::Tx | Direction::Meta) => return Fed::Taken,
            _ => {}
        }
        let Some(index) = self.player_of(line) else {
            return Fed::Taken;
        };
        let Some(player) = self.players.get_mut(index) else {
            return Fed::Taken;
        };
        let told = match words {
            Some(words) => player.told(now, words),
            None => player.received(now, line),
        };
        match told {
            Told::Frame => self.tally.frames += 1,
            Told::Unused => self.tally.unused_answers += 1,
            Told::Broken(why) => return Fed::Broken(why),
            Told::Taken => {}
        }
        self.drain(now, audience);
        self.tell_tracked(now, audience);
        Fed::Taken
    }

    /// Whose line it is: by its name, by its URL, or whose the user says they all are.
    fn player_of(&mut self, line: &Line<'_>) -> Option<usize> {
        if let Some(name) = &line.source {
            let found = self.by_name.get(name.as_ref()).copied();
            if found.is_none() {
                self.tally.unknown(name);
            }
            return found;
        }
        let url = line.url.as_deref().unwrap_or_default();
        let name = match self.default_source {
            Some(source) => Cow::Owned(source.to_string()),
            None => match (foreign::source_of(url), self.last_known) {
                (Some(name), _) => Cow::Borrowed(name),
                // A file is mostly of one source, and names it somewhere.
                (None, Some(last)) => Cow::Borrowed(last),
                (None, None) => Cow::Borrowed("?"),
            },
        };
        self.last_known = foreign::source_of(url).or(self.last_known);
        let found = self.by_name.get(name.as_ref()).copied();
        if found.is_none() {
            self.tally.unknown(&name);
        }
        found
    }

    /// The engine takes what the machines said.
    fn drain(&mut self, now: Now, audience: &mut dyn Audience) {
        let mut taken = std::mem::take(&mut self.taken);
        std::mem::swap(&mut *self.events.events.lock(), &mut taken);
        for event in &mut taken {
            event.source = self.name(event.source);
            self.engine.handle(now, event, &mut self.effects);
            if !self.effects.is_empty() {
                self.carry_out(now, audience);
            }
        }
        taken.clear();
        self.taken = taken;
        if now.mono >= self.engine.next_deadline() {
            self.engine.advance(now, &mut self.effects);
            self.carry_out(now, audience);
        }
    }
}

/// What came of a whole replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcomes {
    /// What was met.
    pub tally: Tally,
    /// SHA-256 over the JSON of all updates, in order, a line feed after each; hexadecimal.
    pub hash: String,
}

#[cfg(test)]
mod tests;
