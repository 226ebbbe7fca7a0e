//! What is known of each pair and of the source as a whole, whichever way data comes. All ways
//! meet here, so that an older REST price never follows a newer streamed one. No I/O, no clock.

mod books;
mod pairs;
mod polled;
mod report;
mod row;
mod streamed;
#[cfg(test)]
mod tests;

use super::books::Manner;
use super::codec::{Channel, Codec, Facts, Heap, Named};
use super::judge::Judges;
use super::merge::Lines;
use super::symbols::{Table, channel_of, stream_id};
use crate::book::BookView;
use crate::input::{Input, Machine, Wishes};
use crate::source::EventSink;
use crate::stats::SourceStats;
use kurs_book::Change;
use kurs_core::{EventKind, Mono, Now, Pair, SourceEvent, SourceId, SourceState};
use kurs_net::{StreamId, StreamSpec};
use row::Row;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Waits and choices of the desk.
#[derive(Debug, Clone)]
pub struct Waits {
    /// Silence that makes a pair stale.
    pub silence: Duration,
    /// Silence from which on a pair is confirmed by REST.
    pub confirm: Duration,
    /// How long a price may be used.
    pub max_age: Duration,
    /// Silence of REST that makes the source down while no socket speaks.
    pub rest_silence: Duration,
    /// Whether trades are followed.
    pub trades: bool,
    /// Whether order books are followed. Where best prices come from the book they always are.
    pub books: bool,
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

/// The state of a streaming source.
pub struct Desk {
    source: SourceId,
    codec: Arc<dyn Codec>,
    facts: Facts,
    /// Channels of every symbol, and whether their silence says something.
    channels: Vec<(Channel, bool)>,
    manner: Manner,
    waits: Waits,
    table: Table,
    rows: Vec<Row>,
    wanted: BTreeMap<Pair, Wanted>,
    judges: Judges,
    lines: Lines,
    /// Pairs whose best levels are delivered.
    depth: Arc<[Pair]>,
    /// When a book was last asked for only because its time was up.
    refreshed_at: Option<Mono>,
    socket_live: bool,
    /// Why the venue takes no orders, while it does not.
    halted: Option<String>,
    /// When REST last brought a price.
    rest_spoke_at: Option<Mono>,
    /// Why it has brought none since.
    rest_trouble: Option<String>,
    reported: Option<(SourceState, String)>,
    /// The time of the last input.
    now: Mono,
    heap: Heap,
    snapshot: Vec<Change>,
    events: Arc<dyn EventSink>,
    stats: Arc<SourceStats>,
}

/// What a desk is made of.
pub struct DeskParts {
    /// The source's name in answers.
    pub source: SourceId,
    /// Its language.
    pub codec: Arc<dyn Codec>,
    /// Its waits and choices.
    pub waits: Waits,
    /// Pairs whose best levels are delivered.
    pub depth: Arc<[Pair]>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
    /// Its counters.
    pub stats: Arc<SourceStats>,
}

impl Desk {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(parts: DeskParts) -> Self {
        let facts = parts.codec.facts();
        let waits = parts.waits;
        let mut channels = parts.codec.channels();
        channels.retain(|(channel, _)| match channel {
            Channel::Trades => waits.trades,
            Channel::Book => waits.books || facts.top_from_book,
            Channel::Top | Channel::Heartbeat => true,
        });
        let manner = Manner {
            scheme: facts.scheme,
            depth: facts.book_depth,
            is_shared: facts.shares_book_ids,
            pause: facts.resubscribe_pause,
            refresh: facts.refresh_book,
        };
        Self {
            source: parts.source,
            codec: parts.codec,
            facts,
            channels,
            manner,
            waits,
            table: Table::default(),
            rows: Vec::new(),
            wanted: BTreeMap::new(),
            judges: Judges::default(),
            lines: Lines::default(),
            depth: parts.depth,
            refreshed_at: None,
            socket_live: false,
            halted: None,
            rest_spoke_at: None,
            rest_trouble: None,
            reported: None,
            now: Mono(0),
            heap: Heap::default(),
            snapshot: Vec::new(),
            events: parts.events,
            stats: parts.stats,
        }
    }

    fn deliver(&self, received: Now, kind: EventKind) {
        self.events.deliver(SourceEvent {
            source: self.source,
            received,
            kind,
        });
    }

    fn row(&self, index: u32) -> Option<&Row> {
        let row = self.rows.get(usize::try_from(index).ok()?)?;
        row.followed.then_some(row)
    }

    fn row_mut(&mut self, index: u32) -> Option<&mut Row> {
        let row = self.rows.get_mut(usize::try_from(index).ok()?)?;
        row.followed.then_some(row)
    }

    /// Followed rows with their numbers.
    fn followed_rows(&self) -> impl Iterator<Item = (u32, &Row)> {
        (0_u32..).zip(&self.rows).filter(|(_, row)| row.followed)
    }

    fn indexes(&self) -> std::ops::Range<u32> {
        0..u32::try_from(self.rows.len()).unwrap_or(u32::MAX)
    }

    /// The streams that carry the followed pairs. Where a connection does not carry them all,
    /// best prices come first, then books, then trades.
    pub(super) fn streams(&self) -> Arc<[StreamSpec]> {
        let symbols = self.followed_rows().count();
        let is_optional = |channel: Channel| match channel {
            Channel::Trades => true,
            Channel::Book => !self.facts.top_from_book,
            Channel::Top | Channel::Heartbeat => false,
        };
        let needed = self
            .channels
            .iter()
            .filter(|(channel, _)| !is_optional(*channel))
            .count();
        let mut room = self.facts.streams_max.saturating_sub(symbols * needed);
        let mut carried = [symbols; Channel::ALL.len()];
        for (place, channel) in carried.iter_mut().zip(Channel::ALL) {
            let is_followed = self.channels.iter().any(|(one, _)| *one == channel);
            if is_followed && is_optional(channel) {
                *place = symbols.min(room);
                room -= *place;
            }
        }
        let mut streams = Vec::new();
        for (position, (index, _)) in self.followed_rows().enumerate() {
            for (group, (channel, watched)) in (1_u8..).zip(&self.channels) {
                let most = Channel::ALL.iter().zip(carried);
                if !most
                    .into_iter()
                    .any(|(one, most)| one == channel && position < most)
                {
                    continue;
                }
                streams.push(StreamSpec {
                    id: stream_id(index, *channel),
                    watched: *watched,
                    group: if self.facts.mixes_channels { 0 } else { group },
                });
            }
        }
        streams.into()
    }

    /// The streams of a command by their names.
    fn named(&self, streams: &[StreamId]) -> Vec<Named<'_>> {
        let mut named = Vec::with_capacity(streams.len());
        for stream in streams {
            let (index, channel) = channel_of(*stream);
            if let Some(symbol) = self.table.name(index) {
                named.push(Named { symbol, channel });
            }
        }
        named
    }

    /// A subscribe message.
    pub(super) fn subscribe(&self, command: u64, streams: &[StreamId]) -> String {
        self.codec.subscribe(command, &self.named(streams))
    }

    /// An unsubscribe message.
    pub(super) fn unsubscribe(&self, command: u64, streams: &[StreamId]) -> String {
        self.codec.unsubscribe(command, &self.named(streams))
    }

    /// The pair and channel of a stream.
    pub(super) fn meaning(&self, stream: StreamId) -> Option<(Pair, Channel)> {
        let (index, channel) = channel_of(stream);
        self.row(index).map(|row| (row.pair, channel))
    }
}

impl Machine for Desk {
    fn source(&self) -> SourceId {
        self.source
    }

    fn stats(&self) -> &SourceStats {
        &self.stats
    }

    fn take(&mut self, now: Now, input: Input<'_>, wishes: &mut Wishes) {
        self.now = now.mono;
        match input {
            Input::Frame { connection, text } => self.frame(now, connection, text, wishes),
            Input::Time => self.time(now, wishes),
            Input::Wanted { pairs } => self.want(now, pairs, wishes),
            Input::Listed { pair, listed } => self.listed(now, pair, listed, wishes),
            Input::Live { .. } => self.socket_up(now),
            Input::Down { why, silent } => self.socket_down(now, why, silent, wishes),
            Input::Ended {
                connection,
                oldest_open,
            } => self.connection_ended(now, connection, oldest_open),
            Input::Renewed { .. } => {
                let overlaps = &self.stats.overlaps;
                overlaps.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Input::Tops {
                request,
                sent_at,
                status,
                body,
            } => {
                let answer = self.codec.read_tops(request, status, body);
                match answer {
                    Ok(tops) => self.polled(now, sent_at, &tops),
                    Err(error) => {
                        self.poll_failed(now, &error.to_string(), false);
                        wishes.refused = Some(error);
                    }
                }
            }
            Input::TopsFailed { why, shut } => self.poll_failed(now, why, shut),
            Input::Book {
                symbol,
                status,
                body,
            } => self.book_answered(now, symbol, status, body, wishes),
            Input::BookFailed { .. } => {
                let failures = &self.stats.failures;
                failures.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            // Of polled sources.
            Input::Asked | Input::Reply { .. } => {}
        }
    }

    fn book(&self, pair: Pair, levels: usize) -> Option<BookView> {
        self.book_view(pair, levels)
    }
}
