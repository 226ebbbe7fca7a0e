//! Reading in order what waits, and remembering what needs no more care.

use super::counts::Lane;
use super::pieces::join;
use super::record::{NUMBER_MAX, Unreadable};
use super::segment::{ASIDE, Entry, of_name, payload};
use super::{Spool, SpoolError};
use crate::Batch;
use std::io;

/// Name of the file that tells what is drained.
pub(super) const MARK: &str = "mark";
/// Length of the payloads, as they are on disk, that are given at once.
const BYTES_AT_ONCE: u64 = 4 << 20;
/// Files that are kept for a person; more are removed.
const ASIDE_MAX: usize = 8;

/// What waits longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// To be stored.
    pub batch: Batch,
    /// Records it was made of.
    pub records: u64,
    /// To be told to [`Spool::done`] when it is stored.
    pub through: u64,
}

/// Where a record lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    lane: Lane,
    segment: u64,
    entry: Entry,
}

impl Place {
    const fn number(&self) -> u64 {
        self.entry.head.number
    }
}

impl Spool {
    /// What waits longest, as one batch of about `things` things; `None` when nothing waits. What
    /// was given is to be stored and told to [`Spool::done`] before this is asked again, or the
    /// same is given again. What cannot be read is counted and passed over.
    ///
    /// # Errors
    /// [`SpoolError::Disk`] when the disk fails. After some of these call
    /// [`Spool::pass_over`], or nothing behind is ever drained.
    pub fn next(&mut self, things: usize) -> Result<Option<Waiting>, SpoolError> {
        let things = u64::try_from(things).unwrap_or(u64::MAX);
        loop {
            let mut waiting = Waiting {
                batch: Batch::default(),
                records: 0,
                through: self.mark,
            };
            for place in self.oldest(things) {
                match self.read(place) {
                    // What another epoch wrote is another batch.
                    Ok(Ok(batch)) if waiting.records > 0 && batch.fence != waiting.batch.fence => {
                        break;
                    }
                    Ok(Ok(batch)) => {
                        join(&mut waiting.batch, batch);
                        waiting.records += 1;
                    }
                    Ok(Err(unreadable)) => self.cannot_read(place, unreadable),
                    // What could be read goes first.
                    Err(_) if waiting.through > self.mark => break,
                    Err(error) => return Err(error.into()),
                }
                // A damaged file may hold them in any order.
                waiting.through = waiting.through.max(place.number());
            }
            if waiting.records > 0 {
                self.in_hand = waiting.through;
                return Ok(Some(waiting));
            }
            if waiting.through == self.mark {
                return Ok(None);
            }
            self.done(waiting.through);
        }
    }

    /// Everything up to this record is stored and may go.
    pub fn done(&mut self, through: u64) {
        self.mark = self.mark.max(through);
        for lane in Lane::ALL {
            for segment in &mut self.lanes[lane.index()] {
                while let Some(entry) = segment.entries.front()
                    && entry.head.number <= through
                {
                    self.stats.records -= 1;
                    self.stats.things -= entry.head.counts.total();
                    self.stats.drained += 1;
                    segment.entries.pop_front();
                }
            }
        }
        // Before the files go. Should it fail, a later start drains some of it again, which the
        // store passes over.
        let content = mark_bytes(self.mark);
        let is_empty = self.is_empty();
        if let Err(error) = self.disk.replace(MARK, &content, is_empty) {
            tracing::debug!(%error, "the mark of the spool cannot be written");
        }
        self.remove_drained();
    }

    /// Sets the file aside that holds what waits longest, because the disk does not give it.
    pub fn pass_over(&mut self) {
        let Some(place) = self.oldest(1).first().copied() else {
            return;
        };
        let lane = place.lane.index();
        let Some(position) = self.lanes[lane]
            .iter()
            .position(|segment| segment.number == place.segment)
        else {
            return;
        };
        if position + 1 == self.lanes[lane].len() {
            self.active[lane] = None;
        }
        let segment = &mut self.lanes[lane][position];
        for entry in segment.entries.drain(..) {
            self.stats.records -= 1;
            self.stats.things -= entry.head.counts.total();
        }
        self.stats.damaged += 1;
        segment.set_aside = true;
        self.remove_drained();
    }

    /// Places of the oldest records, in order, until there are so many things.
    fn oldest(&self, things: u64) -> Vec<Place> {
        let mut lanes = Lane::ALL.map(|lane| {
            self.lane(lane)
                .iter()
                .flat_map(move |segment| {
                    segment.entries.iter().map(move |entry| Place {
                        lane,
                        segment: segment.number,
                        entry: *entry,
                    })
                })
                .peekable()
        });
        let mut places = Vec::new();
        let (mut taken, mut bytes) = (0, 0);
        while taken < things.max(1) && bytes < BYTES_AT_ONCE {
            let [kept, raw] = &mut lanes;
            let number = |place: Option<&Place>| place.map_or(u64::MAX, Place::number);
            let is_kept_first = number(kept.peek()) <= number(raw.peek());
            let Some(place) = (if is_kept_first { kept } else { raw }).next() else {
                break;
            };
            taken += place.entry.head.counts.total();
            bytes += u64::from(place.entry.head.payload_length);
            places.push(place);
        }
        places
    }

    fn read(&self, place: Place) -> io::Result<Result<Batch, Unreadable>> {
        let name = super::Segment::new(place.lane, place.segment).name();
        let mut file = self.disk.open(&name)?;
        let bytes = payload(file.as_mut(), &place.entry)?;
        Ok(place.entry.head.batch(&bytes))
    }

    fn cannot_read(&mut self, place: Place, why: Unreadable) {
        match why {
            Unreadable::Damaged => {
                self.stats.damaged += 1;
                tracing::error!(
                    things = place.entry.head.counts.total(),
                    "a record of the spool is damaged and is passed over"
                );
            }
            Unreadable::NotUnderstood => {
                tracing::error!(
                    things = place.entry.head.counts.total(),
                    "a record of the spool is of another version; its file is set aside"
                );
                for segment in &mut self.lanes[place.lane.index()] {
                    segment.set_aside |= segment.number == place.segment;
                }
            }
        }
    }

    /// Removes files in which nothing waits. One that is written goes with the last record of
    /// all: to begin another costs a sync.
    pub(super) fn remove_drained(&mut self) {
        let is_empty = self.is_empty();
        let mut is_changed = false;
        for lane in Lane::ALL.map(Lane::index) {
            if is_empty {
                self.active[lane] = None;
            }
            let is_written = self.active[lane].is_some();
            let mut place = 0;
            while let Some(segment) = self.lanes[lane].get(place) {
                let is_active = is_written && place + 1 == self.lanes[lane].len();
                if !segment.entries.is_empty() || is_active {
                    place += 1;
                    continue;
                }
                let (name, bytes, set_aside) = (segment.name(), segment.bytes, segment.set_aside);
                let removed = if set_aside {
                    self.set_aside(&name)
                } else {
                    self.disk.remove(&name)
                };
                match removed {
                    Ok(()) => {
                        is_changed = true;
                        self.stats.set_aside += u64::from(set_aside);
                        self.stats.bytes -= bytes;
                        self.lanes[lane].remove(place);
                    }
                    // Tried again with the next.
                    Err(_) => place += 1,
                }
            }
        }
        if is_empty && is_changed {
            let _ = self.disk.sync_folder();
        }
    }

    /// Keeps a file for a person to look at, if there are not too many.
    pub(super) fn set_aside(&self, name: &str) -> io::Result<()> {
        let others = self
            .disk
            .list()?
            .iter()
            .filter(|(name, _)| {
                name.strip_suffix(ASIDE)
                    .is_some_and(|name| of_name(name).is_some())
            })
            .count();
        if others >= ASIDE_MAX {
            return self.disk.remove(name);
        }
        self.disk.rename(name, &format!("{name}{ASIDE}"))
    }
}

fn mark_bytes(mark: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&mark.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a mark says, if it is one.
pub(super) fn read_mark(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    (bytes == mark_bytes(number) && number <= NUMBER_MAX).then_some(number)
}
