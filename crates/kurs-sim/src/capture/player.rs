//! The player: pace and delivery.

use super::file::{Capture, CaptureError, Frame};
use super::{CaptureConfig, CaptureState, Speed};
use crate::binance;
use crate::faults::Stage;
use crate::shared::Shared;
use crate::state::VenueState;
use crate::venue::Venue;
use crate::ws::outlet::Delivery;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// A capture with its pace. Clones are the same player.
#[derive(Debug, Clone)]
pub struct Player(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    capture: Capture,
    config: CaptureConfig,
    /// All streams that occur.
    streams: BTreeSet<Arc<str>>,
    steps: Semaphore,
    asked: Mutex<u64>,
    progress: watch::Sender<Progress>,
    /// Index of the last played frame per stream.
    last: Mutex<BTreeMap<Arc<str>, usize>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    played: u64,
    skipped: u64,
    finished: bool,
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

impl Player {
    /// Reads the capture.
    ///
    /// # Errors
    /// [`CaptureError`] when it cannot be read or is not of the format.
    pub fn load(config: CaptureConfig) -> Result<Self, CaptureError> {
        let capture = Capture::read(&config.path)?;
        let streams = capture
            .frames
            .iter()
            .flat_map(|frame| frame.streams.iter().cloned())
            .collect();
        Ok(Self(Arc::new(Inner {
            capture,
            config,
            streams,
            steps: Semaphore::new(0),
            asked: Mutex::new(0),
            progress: watch::Sender::new(Progress::default()),
            last: Mutex::new(BTreeMap::new()),
        })))
    }

    /// How far it is.
    #[must_use]
    pub fn state(&self) -> CaptureState {
        let last = self.0.last.lock();
        let progress = *self.0.progress.borrow();
        let payload = |index: &usize| {
            self.0
                .capture
                .frames
                .get(*index)
                .map(|frame| frame.payload.to_string())
        };
        CaptureState {
            frames_total: count(self.0.capture.frames.len()),
            frames_played: progress.played,
            frames_skipped: progress.skipped,
            finished: progress.finished,
            last: last
                .iter()
                .filter_map(|(stream, index)| Some((stream.to_string(), payload(index)?)))
                .collect(),
        }
    }

    /// The streams of the capture: what a client must subscribe to get all of it.
    #[must_use]
    pub fn streams(&self) -> Vec<String> {
        self.0.streams.iter().map(ToString::to_string).collect()
    }

    /// The symbols of the capture, upper case.
    #[must_use]
    pub fn symbols(&self) -> Vec<String> {
        self.0.capture.symbols.iter().cloned().collect()
    }

    /// At [`Speed::Step`]: plays exactly `frames` more frames (passing over those nobody
    /// subscribed) and waits until they are handed to the connections; gives how many were
    /// played altogether. Fewer only at the end of the capture.
    pub async fn step(&self, frames: u32) -> u64 {
        let wanted = {
            let mut asked = self.0.asked.lock();
            *asked = asked.saturating_add(u64::from(frames));
            *asked
        };
        self.0
            .steps
            .add_permits(usize::try_from(frames).unwrap_or(0));
        let mut watch = self.0.progress.subscribe();
        let reached = watch
            .wait_for(|progress| progress.played >= wanted || progress.finished)
            .await;
        // The sender lives as long as `self`.
        reached.map_or(0, |progress| progress.played)
    }

    /// Waits until the whole capture is played.
    pub async fn finished(&self) {
        let mut watch = self.0.progress.subscribe();
        // The sender lives as long as `self`.
        let _ = watch.wait_for(|progress| progress.finished).await;
    }

    pub(crate) fn capture(&self) -> &Capture {
        &self.0.capture
    }

    /// Frames gone by, played or not: the place in the recorded time.
    pub(crate) fn position(&self) -> usize {
        let progress = *self.0.progress.borrow();
        usize::try_from(progress.played + progress.skipped).unwrap_or(usize::MAX)
    }

    /// The last played frame of a stream.
    pub(crate) fn last_frame(&self, stream: &str) -> Option<&Frame> {
        let index = *self.0.last.lock().get(stream)?;
        self.0.capture.frames.get(index)
    }

    /// Plays to the clients of a venue until the end.
    pub(crate) async fn run(self, shared: Arc<Shared>) {
        let hub = &shared.binance.hub;
        let needed = self
            .0
            .config
            .start_at_streams
            .clamp(1, self.0.streams.len().max(1));
        let mut changes = hub.watch();
        while hub.len() == 0 || (!self.0.config.all && self.subscribed(&shared) < needed) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        let mut pace = Pace::new(self.0.config.speed);
        for (index, frame) in self.0.capture.frames.iter().enumerate() {
            // While nobody listens at all, recorded time stands still.
            while self.nobody_listens(&shared) {
                pace.anchor = None;
                if changes.changed().await.is_err() {
                    return;
                }
            }
            let wanted = self.0.config.all || !hub.recipients(&frame.streams, false).is_empty();
            if !wanted {
                self.0
                    .progress
                    .send_modify(|progress| progress.skipped += 1);
                continue;
            }
            match self.0.config.speed {
                Speed::Step => match self.0.steps.acquire().await {
                    Ok(permit) => permit.forget(),
                    Err(_) => return,
                },
                _ => pace.wait(frame.t_ns).await,
            }
            self.deliver(index, frame, &shared).await;
        }
        self.0
            .progress
            .send_modify(|progress| progress.finished = true);
    }

    /// How many of the capture's streams somebody has subscribed.
    fn subscribed(&self, shared: &Shared) -> usize {
        let present = shared.binance.hub.streams();
        self.0
            .streams
            .iter()
            .filter(|stream| present.contains_key(&***stream))
            .count()
    }

    fn nobody_listens(&self, shared: &Shared) -> bool {
        let hub = &shared.binance.hub;
        hub.len() == 0 || (!self.0.config.all && hub.has_no_subscriptions())
    }

    async fn deliver(&self, index: usize, frame: &Frame, shared: &Shared) {
        let recipients = shared
            .binance
            .hub
            .recipients(&frame.streams, self.0.config.all);
        let mut sent = 0;
        let stage = frame
            .streams
            .first()
            .map_or(Stage::Frame, |stream| binance::stage_of(stream));
        for (outlet, wire) in recipients {
            let text = if wire.combined {
                &frame.wrapped
            } else {
                &frame.payload
            };
            let delivery = Delivery {
                shared,
                venue: Venue::Binance,
                stage,
                symbol: Some(&frame.symbol),
                now: Instant::now(),
            };
            let Some((outgoing, copies)) = delivery.as_faults_allow(text) else {
                continue;
            };
            for _ in 0..copies {
                // Waits while the client reads slowly; a client that is gone gets nothing.
                if outlet.sender.send(outgoing.clone()).await.is_ok() {
                    sent += 1;
                }
            }
        }
        if sent > 0 {
            let add = |state: &mut VenueState| state.ws_frames_sent += sent;
            shared.ledger.with(Venue::Binance, add);
        }
        if let Some(stream) = frame.streams.first() {
            self.0.last.lock().insert(stream.clone(), index);
        }
        self.0.progress.send_modify(|progress| progress.played += 1);
    }
}

/// Keeps the recorded distances, divided by the speed.
struct Pace {
    speed: Speed,
    anchor: Option<(Instant, u64)>,
}

impl Pace {
    const fn new(speed: Speed) -> Self {
        Self {
            speed,
            anchor: None,
        }
    }

    async fn wait(&mut self, t_ns: Option<u64>) {
        let (Some(t_ns), divisor) = (t_ns, self.divisor()) else {
            return;
        };
        let Some(divisor) = divisor else { return };
        let (start, first_ns) = *self.anchor.get_or_insert_with(|| (Instant::now(), t_ns));
        let after = Duration::from_nanos(t_ns.saturating_sub(first_ns) / divisor);
        tokio::time::sleep_until((start + after).into()).await;
    }

    fn divisor(&self) -> Option<u64> {
        match self.speed {
            Speed::RealTime => Some(1),
            Speed::Times(times) => Some(u64::from(times.max(1))),
            Speed::AsFastAsRead | Speed::Step => None,
        }
    }
}
