//! The real source without sockets: frames in, events out, on one thread.

use anyhow::Result;
use kurs_core::{Now, Pair, SourceEvent, SourceId, Wall};
use kurs_sources::binance::{Binance, Config};
use kurs_sources::venue::codec::Codec as _;
use kurs_sources::venue::{Desk, DeskParts};
use kurs_sources::{EventSink, Input, Machine as _, SourceStats, Wishes};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct Events(Mutex<Vec<SourceEvent>>);

impl EventSink for Events {
    fn deliver(&self, event: SourceEvent) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(event);
    }
}

/// The source and what it said.
pub(crate) struct Feed {
    desk: Desk,
    events: Arc<Events>,
    wishes: Wishes,
}

impl Feed {
    /// Follows these pairs. Prices are good for `max_age_ms`.
    pub(crate) fn new(pairs: &[Pair], max_age_ms: u64) -> Result<Self> {
        let events = Arc::new(Events::default());
        let config = Config {
            max_age_ms,
            ..Config::default()
        };
        let codec = Arc::new(Binance::new());
        let waits = config.waits(&codec.facts());
        let mut desk = Desk::new(DeskParts {
            source: SourceId::parse("binance")?,
            codec,
            waits,
            depth: Arc::from([]),
            events: events.clone(),
            stats: Arc::new(SourceStats::new("websocket", Wall::default())),
        });
        let mut wishes = Wishes::new();
        desk.take(Now::default(), Input::Wanted { pairs }, &mut wishes);
        for pair in pairs {
            let (pair, listed) = (*pair, Some(true));
            desk.take(Now::default(), Input::Listed { pair, listed }, &mut wishes);
        }
        Ok(Self {
            desk,
            events,
            wishes,
        })
    }

    /// Takes a frame in; adds what the source says to `said`.
    pub(crate) fn frame(&mut self, now: Now, text: &str, said: &mut Vec<SourceEvent>) {
        let connection = 1;
        self.desk
            .take(now, Input::Frame { connection, text }, &mut self.wishes);
        self.wishes.heard.clear();
        let mut events = self.events.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.append(&mut events);
    }
}
