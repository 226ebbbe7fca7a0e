//! Lines of one source become inputs of its machine.

mod answers;

use super::foreign::{Connections, Symbols};
use super::tally::SourceTally;
use crate::capture::line::{Direction, Line};
use crate::capture::words::{Head, Words};
use kurs_core::{Now, Pair, SourceId, SourceKind};
use kurs_net::http::FetchError;
use kurs_pricing::SourceInfo;
use kurs_sources::{Input, Machine, Wishes};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Of a source that brought nothing at all.
pub(super) const NOTHING: SourceTally = SourceTally {
    frames: 0,
    answers: 0,
    decode_errors: 0,
    gaps: 0,
    resyncs: 0,
    checksum_failures: 0,
    pairs: 0,
    state: "",
};

/// How a line was taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// A frame or an answer.
    Frame,
    /// Anything else.
    Taken,
    /// An answer that the source has no use for.
    Unused,
    /// It could not be used.
    Broken(String),
}

/// One source.
pub struct Player {
    machine: Box<dyn Machine>,
    info: SourceInfo,
    wishes: Wishes,
    /// What the user wants followed, whatever was followed.
    pairs: Option<Arc<[Pair]>>,
    /// What is followed.
    followed: Vec<Pair>,
    has_news: bool,
    /// True until the capture says what was followed: then the symbols that occur are.
    is_foreign: bool,
    begun: bool,
    symbols: Symbols,
    connections: Connections,
    /// Newest connection that a frame came over.
    newest: u64,
    /// Added to the connection numbers of the recording at hand, which begin anew with each.
    shift: u64,
    frames: u64,
    answers: u64,
}

impl Player {
    pub(super) fn new(
        machine: Box<dyn Machine>,
        info: SourceInfo,
        pairs: Option<Arc<[Pair]>>,
    ) -> Self {
        Self {
            machine,
            info,
            wishes: Wishes::new(),
            pairs,
            followed: Vec::new(),
            has_news: false,
            is_foreign: true,
            begun: false,
            symbols: Symbols::default(),
            connections: Connections::default(),
            newest: 0,
            shift: 0,
            frames: 0,
            answers: 0,
        }
    }

    pub(super) fn source(&self) -> SourceId {
        self.machine.source()
    }

    pub(super) fn machine(&self) -> &dyn Machine {
        &*self.machine
    }

    pub(super) const fn info(&self) -> &SourceInfo {
        &self.info
    }

    /// True once the capture has brought something of this source.
    pub(super) const fn has_spoken(&self) -> bool {
        self.begun
    }

    pub(super) fn followed(&self) -> &[Pair] {
        &self.followed
    }

    /// Whether what is followed has changed since the last call.
    pub(super) fn has_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    pub(super) fn tally(&self, into: &mut SourceTally) {
        if !self.begun {
            return;
        }
        let stats = self.machine.stats();
        *into = SourceTally {
            frames: self.frames,
            answers: self.answers,
            decode_errors: stats.decode_errors.load(Ordering::Relaxed),
            gaps: stats.books.gaps.load(Ordering::Relaxed),
            resyncs: stats.books.resyncs.load(Ordering::Relaxed),
            checksum_failures: stats.books.checksum_failures.load(Ordering::Relaxed),
            pairs: stats.pairs.load(Ordering::Relaxed),
            state: stats.condition().state.as_str(),
        };
    }

    /// The lines that follow are of another recording, which counts its connections anew.
    pub(super) const fn begin_recording(&mut self) {
        self.shift = self.newest;
    }

    pub(super) fn advance(&mut self, now: Now) {
        if self.begun {
            self.machine.advance(now, &mut self.wishes);
            self.clear_wishes();
        }
    }

    fn take(&mut self, now: Now, input: Input<'_>) {
        self.machine.take(now, input, &mut self.wishes);
        self.clear_wishes();
    }

    /// A replay can fulfil none.
    fn clear_wishes(&mut self) {
        self.wishes.heard.clear();
        self.wishes.refused = None;
        self.wishes.answered = None;
    }

    const fn is_venue(&self) -> bool {
        matches!(self.info.kind, SourceKind::Exchange)
    }

    /// What the user wants followed is told before the first line.
    fn begin(&mut self, now: Now) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        if let Some(pairs) = self.pairs.clone()
            && self.is_venue()
        {
            self.follow(now, &pairs);
        }
    }

    /// Follows these too, as traded.
    fn follow(&mut self, now: Now, pairs: &[Pair]) {
        self.followed.extend(pairs);
        self.has_news = true;
        let all = self.followed.clone();
        self.take(now, Input::Wanted { pairs: &all });
        for pair in pairs {
            let listed = Some(true);
            self.take(
                now,
                Input::Listed {
                    pair: *pair,
                    listed,
                },
            );
        }
    }

    /// Symbols that occur in a capture that does not say what was followed are followed.
    fn discover(&mut self, now: Now, text: &str) {
        if !self.is_foreign || self.pairs.is_some() {
            return;
        }
        let mut found = self.symbols.new_in(text);
        found.retain(|pair| !self.followed.contains(pair));
        if !found.is_empty() {
            self.follow(now, &found);
        }
    }

    /// An input that is no frame.
    pub(super) fn told(&mut self, now: Now, words: Words) -> Told {
        self.begin(now);
        let shift = self.shift;
        match words {
            Words::Head { .. } | Words::Gap { .. } => {}
            Words::Wanted { .. } | Words::Listed { .. } if self.pairs.is_some() => {}
            Words::Wanted { pairs } => {
                self.is_foreign = false;
                self.take(now, Input::Wanted { pairs: &pairs });
                self.followed = pairs;
                self.has_news = true;
            }
            Words::Listed { pair, listed } => self.take(now, Input::Listed { pair, listed }),
            Words::Live { connection } => {
                let connection = connection.saturating_add(shift);
                self.take(now, Input::Live { connection });
            }
            Words::Down { why, silent } => self.take(now, Input::Down { why: &why, silent }),
            Words::Ended {
                connection,
                oldest_open,
            } => self.take(
                now,
                Input::Ended {
                    connection: connection.saturating_add(shift),
                    oldest_open: oldest_open.saturating_add(shift),
                },
            ),
            Words::Renewed { from, to } => self.take(
                now,
                Input::Renewed {
                    from: from.saturating_add(shift),
                    to: to.saturating_add(shift),
                },
            ),
            Words::TopsFailed { why, shut } => {
                self.take(now, Input::TopsFailed { why: &why, shut });
            }
            Words::BookFailed { symbol, why } => self.take(
                now,
                Input::BookFailed {
                    symbol: &symbol,
                    why: &why,
                },
            ),
            Words::Asked => self.take(now, Input::Asked),
            Words::ReplyFailed { url, failure } => {
                let answer = Err(FetchError::from(failure));
                self.take(
                    now,
                    Input::Reply {
                        url: &url,
                        answer: &answer,
                    },
                );
            }
        }
        Told::Taken
    }

    /// A line that came from the venue.
    pub(super) fn received(&mut self, now: Now, line: &Line<'_>) -> Told {
        self.begin(now);
        let url = line.url.as_deref().unwrap_or_default();
        match line.direction {
            Direction::Open => {
                self.open(now, url);
                Told::Taken
            }
            Direction::Rx => {
                let bytes = line.bytes.as_deref().unwrap_or_default();
                let connection = match line.connection {
                    Some(number) => number.saturating_add(self.shift),
                    None => self.connections.of(url),
                };
                self.newest = self.newest.max(connection);
                // A venue that sends no text is not read as one either.
                let text = String::from_utf8_lossy(bytes);
                self.discover(now, &text);
                self.frames += 1;
                let text: &str = &text;
                self.take(now, Input::Frame { connection, text });
                Told::Frame
            }
            Direction::Rest => {
                let head = match line.head.as_deref().map(serde_json::from_str::<Head>) {
                    Some(Ok(head)) => Some(head),
                    Some(Err(error)) => return Told::Broken(format!("its head: {error}")),
                    None => None,
                };
                self.answered(now, url, line, head)
            }
            Direction::Tx | Direction::Meta => Told::Taken,
        }
    }

    fn open(&mut self, now: Now, url: &str) {
        let replaced = self.connections.open(url);
        if let Some(connection) = replaced {
            let oldest_open = self.connections.oldest_open();
            self.take(
                now,
                Input::Ended {
                    connection,
                    oldest_open,
                },
            );
        }
    }
}
