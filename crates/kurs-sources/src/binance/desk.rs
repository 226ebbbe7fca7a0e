//! What is known of each pair and of the source as a whole, whichever way data comes. Both ways
//! meet here under one lock, so that an older REST price never follows a newer streamed one.

use super::judge::Judge;
use super::map::{Decoded, Decoder};
use super::subscribe::{Channel, channel_of, command, stream_id};
use crate::source::EventSink;
use crate::stats::SourceStats;
use kurs_core::{EventKind, Mono, Now, Pair, Quote, SourceEvent, SourceId, SourceState, Tick};
use kurs_net::{Frame, Heard, StreamId, StreamSpec};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A pair that was followed a moment ago gets this long to speak before REST is asked.
const FIRST_FRAME_GRACE: Duration = Duration::from_millis(500);
/// A listed pair that stays quiet for this long is looked up in the listing again.
const DOUBT_AFTER: Duration = Duration::from_secs(60);

/// Why a source is not connected whose venue trades nothing that is wanted.
const NONE_LISTED: &str = "none of the tracked pairs is listed";

/// Waits of the desk.
#[derive(Debug, Clone)]
pub(super) struct Waits {
    /// Silence that makes a pair stale.
    pub(super) silence: Duration,
    /// How long a price may be used.
    pub(super) max_age: Duration,
    /// Silence of REST that makes the source down while no socket speaks.
    pub(super) rest_silence: Duration,
    /// Whether trades are followed.
    pub(super) trades: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Its listing is being looked up.
    Asked,
    /// Subscribed under this number.
    Followed(u32),
    /// The venue does not trade it.
    Unlisted,
}

/// A followed pair.
#[derive(Debug, Clone, Copy)]
struct Row {
    pair: Pair,
    since: Mono,
    streamed_at: Option<Mono>,
    polled_at: Option<Mono>,
    reported: SourceState,
}

impl Row {
    fn last_data(&self) -> Option<Mono> {
        self.streamed_at.max(self.polled_at)
    }
}

/// A REST price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Polled {
    pub(super) symbol: String,
    /// `None` when the price is impossible.
    pub(super) quote: Option<Quote>,
}

/// The state of the source.
pub(super) struct Desk {
    source: SourceId,
    waits: Waits,
    decoder: Decoder,
    judge: Judge,
    wanted: BTreeMap<Pair, Wanted>,
    rows: BTreeMap<u32, Row>,
    socket_live: bool,
    /// When REST last brought a price.
    rest_spoke_at: Option<Mono>,
    /// Why it has brought none since.
    rest_trouble: Option<String>,
    reported: Option<(SourceState, String)>,
    events: Arc<dyn EventSink>,
    stats: Arc<SourceStats>,
}

impl Desk {
    pub(super) fn new(
        source: SourceId,
        waits: Waits,
        events: Arc<dyn EventSink>,
        stats: Arc<SourceStats>,
    ) -> Self {
        Self {
            source,
            decoder: Decoder::new(waits.max_age),
            waits,
            judge: Judge::default(),
            wanted: BTreeMap::new(),
            rows: BTreeMap::new(),
            socket_live: false,
            rest_spoke_at: None,
            rest_trouble: None,
            reported: None,
            events,
            stats,
        }
    }

    fn deliver(&self, received: Now, kind: EventKind) {
        self.events.deliver(SourceEvent {
            source: self.source,
            received,
            kind,
        });
    }

    // ---- which pairs ----

    /// Sets the wanted pairs; gives those whose listing must be looked up.
    pub(super) fn want(&mut self, now: Now, pairs: &[Pair]) -> Vec<Pair> {
        let gone: Vec<Pair> = self
            .wanted
            .keys()
            .filter(|pair| !pairs.contains(pair))
            .copied()
            .collect();
        for pair in gone {
            self.unfollow(pair);
            self.wanted.remove(&pair);
            self.deliver(now, EventKind::Untracked(pair));
        }
        for pair in pairs {
            self.wanted.entry(*pair).or_insert(Wanted::Asked);
        }
        self.count_pairs();
        self.report_if_none_is_listed(now);
        let asked = self
            .wanted
            .iter()
            .filter(|(_, wanted)| **wanted == Wanted::Asked);
        asked.map(|(pair, _)| *pair).collect()
    }

    /// The listing was looked up: `None` when the venue could not be asked, in which case the
    /// stream itself will tell.
    pub(super) fn listed(&mut self, now: Now, pair: Pair, listed: Option<bool>) {
        let Some(wanted) = self.wanted.get(&pair).copied() else {
            return;
        };
        match (wanted, listed) {
            (Wanted::Asked, None) | (Wanted::Asked | Wanted::Unlisted, Some(true)) => {
                self.follow(now, pair);
            }
            (Wanted::Asked | Wanted::Followed(_), Some(false)) => {
                self.unfollow(pair);
                self.wanted.insert(pair, Wanted::Unlisted);
                let why = "not listed".into();
                self.deliver(
                    now,
                    EventKind::PairState {
                        pair,
                        state: SourceState::Down,
                        why,
                    },
                );
                self.count_pairs();
            }
            _ => {}
        }
        self.report_if_none_is_listed(now);
    }

    /// With nothing to follow there is no socket and no poll: the source would say for ever
    /// what it said last.
    fn report_if_none_is_listed(&mut self, now: Now) {
        let is_unlisted = |wanted: &Wanted| *wanted == Wanted::Unlisted;
        if !self.wanted.is_empty() && self.wanted.values().all(is_unlisted) {
            self.socket_live = false;
            self.report(now, SourceState::Syncing, NONE_LISTED);
        }
    }

    fn follow(&mut self, now: Now, pair: Pair) {
        let Some(index) = self.decoder.follow(pair) else {
            self.wanted.insert(pair, Wanted::Unlisted);
            let why = "its symbol means another pair".into();
            self.deliver(
                now,
                EventKind::PairState {
                    pair,
                    state: SourceState::Down,
                    why,
                },
            );
            return;
        };
        self.wanted.insert(pair, Wanted::Followed(index));
        let row = Row {
            pair,
            since: now.mono,
            streamed_at: None,
            polled_at: None,
            reported: SourceState::Syncing,
        };
        self.rows.insert(index, row);
        if self.is_reported(SourceState::Syncing) {
            self.reported = None;
            self.stats
                .set_state(SourceState::Syncing, "starting", now.wall);
        }
    }

    fn unfollow(&mut self, pair: Pair) {
        if let Some(Wanted::Followed(index)) = self.wanted.get(&pair).copied() {
            self.decoder.unfollow(index);
            self.rows.remove(&index);
        }
    }

    /// Pairs whose listing deserves another look: not traded so far, or quiet for long.
    pub(super) fn doubtful(&self, now: Mono) -> Vec<Pair> {
        let quiet = |row: &Row| now.since(row.streamed_at.unwrap_or(row.since)) >= DOUBT_AFTER;
        let doubtful = self.wanted.iter().filter(|(_, wanted)| match wanted {
            Wanted::Followed(index) => self.rows.get(index).is_some_and(quiet),
            Wanted::Unlisted => true,
            Wanted::Asked => false,
        });
        doubtful.map(|(pair, _)| *pair).collect()
    }

    /// The pairs that are followed.
    pub(super) fn followed(&self) -> Vec<Pair> {
        self.rows.values().map(|row| row.pair).collect()
    }

    /// The streams that carry the followed pairs.
    pub(super) fn streams(&self) -> Arc<[StreamSpec]> {
        let mut streams = Vec::with_capacity(self.rows.len() * 2);
        for index in self.rows.keys() {
            streams.push(StreamSpec {
                id: stream_id(*index, Channel::BookTicker),
                watched: true,
            });
            if self.waits.trades {
                streams.push(StreamSpec {
                    id: stream_id(*index, Channel::Trade),
                    watched: false,
                });
            }
        }
        streams.into()
    }

    /// The pair of a stream.
    pub(super) fn pair_of(&self, stream: StreamId) -> Option<Pair> {
        self.rows.get(&channel_of(stream).0).map(|row| row.pair)
    }

    /// A subscribe or unsubscribe message.
    pub(super) fn command(&self, method: &str, id: u64, streams: &[StreamId]) -> String {
        let mut named = Vec::with_capacity(streams.len());
        for stream in streams {
            let (index, channel) = channel_of(*stream);
            if let Some(symbol) = self.decoder.symbol_name(index) {
                named.push((symbol.to_owned(), channel));
            }
        }
        command(method, id, &named)
    }

    // ---- data by stream ----

    /// Takes a frame in.
    pub(super) fn frame(&mut self, frame: Frame<'_>) -> Heard {
        self.stats.message(frame.received.wall);
        let decoded = self.decoder.decode(frame);
        let readable = decoded != Decoded::Unreadable;
        if self.judge.frame(readable) {
            self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
            return Heard::Unfit {
                why: "sends what cannot be read".to_owned(),
            };
        }
        let now = frame.received;
        match decoded {
            Decoded::Tick { stream, tick } => {
                self.streamed(now, stream, tick);
                Heard::Data(stream)
            }
            Decoded::Duplicate { stream } => Heard::Data(stream),
            Decoded::Trade {
                stream,
                pair,
                price,
                traded_at,
                sent_at,
            } => {
                let lag_micros = now.wall.0.saturating_sub(sent_at.0);
                self.stats.set_lag_ms(lag_micros.div_euclid(1_000));
                self.deliver(
                    now,
                    EventKind::Trade {
                        pair,
                        price,
                        traded_at,
                    },
                );
                Heard::Data(stream)
            }
            Decoded::Accepted { command } => Heard::Accepted { command },
            Decoded::Refused { command, why } => Heard::Refused { command, why },
            Decoded::ShutdownNotice => Heard::ShutdownNotice,
            Decoded::Other => Heard::Other,
            Decoded::Rejected { .. } | Decoded::Unreadable => {
                self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
                Heard::Other
            }
        }
    }

    fn streamed(&mut self, now: Now, stream: StreamId, tick: Tick) {
        // The engine must not meet a price of a source it holds for down.
        if !self.socket_live {
            self.socket_up(now);
        }
        let index = channel_of(stream).0;
        let lifts = match self.rows.get_mut(&index) {
            Some(row) => {
                row.streamed_at = Some(now.mono);
                std::mem::replace(&mut row.reported, SourceState::Live) != SourceState::Live
            }
            None => return,
        };
        if lifts {
            self.lift(now, tick.pair);
        }
        self.deliver(now, EventKind::Tick(tick));
    }

    fn lift(&self, now: Now, pair: Pair) {
        self.count_pairs();
        let why = "".into();
        self.deliver(
            now,
            EventKind::PairState {
                pair,
                state: SourceState::Live,
                why,
            },
        );
    }

    /// Data comes over the socket.
    pub(super) fn socket_up(&mut self, now: Now) {
        self.socket_live = true;
        self.stats.set_mode("websocket");
        self.report(now, SourceState::Live, "");
    }

    /// The only socket is lost, or another attempt failed. `silent`: it was not broken, it only
    /// brought nothing, which is no reason to doubt fresh REST prices. True when it was live
    /// until now.
    pub(super) fn socket_down(&mut self, now: Now, why: &str, silent: bool) -> bool {
        self.stats.reconnects.fetch_add(1, Ordering::Relaxed);
        self.judge = Judge::default();
        let was_live = std::mem::replace(&mut self.socket_live, false);
        let is_bridged = if was_live {
            silent && self.rest_speaks(now.mono)
        } else {
            self.is_reported(SourceState::Live)
        };
        if is_bridged {
            self.stats.set_mode("rest");
        } else {
            self.report(now, SourceState::Down, why);
        }
        was_live
    }

    /// Connections below this number have ended.
    pub(super) fn connection_ended(&mut self, now: Now, oldest_open: u64) {
        let mut released = Vec::new();
        self.decoder
            .ended(oldest_open, |stream, tick| released.push((stream, tick)));
        // Without a live socket the prices would be of a source that is down.
        for (stream, tick) in released {
            self.streamed(now, stream, tick);
        }
    }

    // ---- data by REST ----

    /// Symbols a REST poll should ask for now: all while no socket speaks, otherwise the quiet
    /// ones before they become stale.
    pub(super) fn poll_due(&self, now: Mono) -> Vec<String> {
        let confirm_after = self.waits.silence / 2;
        let mut due = Vec::new();
        for (index, row) in &self.rows {
            let wanted = match row.last_data() {
                _ if !self.socket_live => now.since(row.since) >= FIRST_FRAME_GRACE,
                Some(last) => now.since(last) >= confirm_after,
                None => now.since(row.since) >= FIRST_FRAME_GRACE,
            };
            if wanted && let Some(name) = self.decoder.symbol_name(*index) {
                due.push(name.to_owned());
            }
        }
        due
    }

    /// True when a followed pair has no price yet: the next poll should not wait.
    pub(super) fn has_unpriced(&self) -> bool {
        self.rows.values().any(|row| row.last_data().is_none())
    }

    /// A REST poll that was sent at `sent_at` brought these prices.
    pub(super) fn polled(&mut self, now: Now, sent_at: Mono, prices: &[Polled]) {
        self.stats.message(now.wall);
        if prices.iter().any(|price| price.quote.is_some()) {
            self.rest_spoke_at = Some(now.mono);
            self.rest_trouble = None;
            if !self.socket_live {
                self.stats.set_mode("rest");
                self.report(now, SourceState::Live, "");
            }
        }
        for price in prices {
            let Some(index) = self.decoder.followed_index(&price.symbol) else {
                continue;
            };
            let Some(quote) = price.quote else {
                self.stats.decode_errors.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            let Some(row) = self.rows.get_mut(&index) else {
                continue;
            };
            if row.streamed_at.is_some_and(|at| at > sent_at) {
                continue;
            }
            row.polled_at = Some(now.mono);
            let pair = row.pair;
            let before = std::mem::replace(&mut row.reported, SourceState::Live);
            if before != SourceState::Live {
                self.lift(now, pair);
            }
            let valid_for = self.waits.max_age;
            let tick = Tick {
                pair,
                quote,
                observed_at: None,
                valid_for,
                event_id: None,
            };
            self.deliver(now, EventKind::Tick(tick));
        }
    }

    /// A REST poll failed. Without a socket nothing is left as soon as the last answer is old,
    /// or at once when the venue is `shut` to us.
    pub(super) fn poll_failed(&mut self, now: Now, why: &str, shut: bool) {
        self.stats.failures.fetch_add(1, Ordering::Relaxed);
        if shut {
            self.rest_spoke_at = None;
        }
        self.rest_trouble = Some(why.to_owned());
        let is_bridged = self.is_reported(SourceState::Live) && self.rest_speaks(now.mono);
        if !self.socket_live && !is_bridged {
            self.report(now, SourceState::Down, why);
        }
    }

    /// True when REST prices are fresh enough to stand in for the socket.
    fn rest_speaks(&self, now: Mono) -> bool {
        // Nothing is asked while nothing is followed.
        let since = self.rows.values().map(|row| row.since).min();
        self.rest_spoke_at
            .max(self.rest_spoke_at.and(since))
            .is_some_and(|last| now.since(last) < self.waits.rest_silence)
    }

    // ---- time ----

    /// Marks pairs that were silent for too long, whichever way they last spoke, and the source
    /// when REST stood in for the socket and has stopped.
    pub(super) fn advance(&mut self, now: Now) {
        let is_bridged = !self.socket_live && self.is_reported(SourceState::Live);
        if is_bridged && !self.rows.is_empty() && !self.rest_speaks(now.mono) {
            let trouble = self.rest_trouble.take();
            let why = trouble.as_deref().unwrap_or("no answer by REST");
            self.report(now, SourceState::Down, why);
        }
        let silence = self.waits.silence;
        let mut stale = Vec::new();
        for row in self.rows.values_mut() {
            let silent = now.mono.since(row.last_data().unwrap_or(row.since)) >= silence;
            let unmarked = matches!(row.reported, SourceState::Live | SourceState::Syncing);
            if silent && unmarked {
                row.reported = SourceState::Stale;
                stale.push((row.pair, row.last_data().is_some()));
            }
        }
        if stale.is_empty() {
            return;
        }
        self.count_pairs();
        for (pair, spoke) in stale {
            let why = if spoke {
                "silent"
            } else {
                "has not spoken yet"
            }
            .into();
            self.deliver(
                now,
                EventKind::PairState {
                    pair,
                    state: SourceState::Stale,
                    why,
                },
            );
        }
    }

    fn count_pairs(&self) {
        let live = self
            .rows
            .values()
            .filter(|row| row.reported == SourceState::Live)
            .count();
        self.stats
            .pairs
            .store(u32::try_from(live).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn is_reported(&self, state: SourceState) -> bool {
        self.reported
            .as_ref()
            .is_some_and(|(last, _)| *last == state)
    }

    fn report(&mut self, now: Now, state: SourceState, why: &str) {
        self.stats.set_state(state, why, now.wall);
        let is_same = self.reported.as_ref().is_some_and(|(last, reason)| {
            *last == state && (reason == why || state == SourceState::Live)
        });
        if is_same {
            return;
        }
        self.reported = Some((state, why.to_owned()));
        if state == SourceState::Live {
            tracing::info!(source = %self.source, "the source gives prices");
        } else if why.contains("HTTP 4") {
            // The venue refuses this address or asks too much of it: waiting will not help.
            tracing::error!(source = %self.source, why, "the source refuses to give prices");
        } else {
            tracing::warn!(source = %self.source, why, "the source gives no prices");
        }
        self.deliver(
            now,
            EventKind::State {
                state,
                why: why.into(),
            },
        );
    }
}
