//! Appending, and shedding what may be shed.

use super::counts::{Lane, RawCounts};
use super::pieces::{halve, join, split};
use super::record::Payload;
use super::segment::{Entry, Segment};
use super::{Spool, SpoolError};
use crate::Batch;
use std::io;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Durable,
    /// There was no place, and it may be shed.
    Shed,
}

impl Spool {
    /// Makes a batch durable, behind all others. Its current rates are left out. Gives what of it
    /// was shed at once, because what may not be shed takes all the room.
    ///
    /// # Errors
    /// What of the batch is not durable, and why: all of it, or only what may be shed.
    pub fn append(&mut self, batch: Batch) -> Result<RawCounts, Box<(Batch, SpoolError)>> {
        let (mut kept, raw) = split(batch);
        if let Err(error) = self.append_to(Lane::Kept, &kept) {
            self.stats.append_failures += 1;
            join(&mut kept, raw);
            return Err(Box::new((kept, error)));
        }
        match self.append_to(Lane::Raw, &raw) {
            Ok(shed) => Ok(shed.unwrap_or_default()),
            Err(error) => {
                self.stats.append_failures += 1;
                Err(Box::new((raw, error)))
            }
        }
    }

    /// Appends what is of one lane; what of it was shed.
    fn append_to(&mut self, lane: Lane, batch: &Batch) -> Result<Option<RawCounts>, SpoolError> {
        if batch.is_empty() {
            return Ok(None);
        }
        let payload = match Payload::of(lane, batch) {
            Ok(payload) => payload,
            Err(_) if batch.len() > 1 => {
                let (first, second) = halve(batch.clone());
                let shed = self.append_to(lane, &first)?;
                return Ok(self.append_to(lane, &second)?.or(shed));
            }
            Err(_) => {
                tracing::error!("something is too long for the spool and is given up");
                self.stats.refused += 1;
                return Ok(None);
            }
        };
        match self.put(lane, &payload)? {
            Fate::Durable => Ok(None),
            Fate::Shed => {
                let mut shed = RawCounts::default();
                shed.add(payload.counts());
                self.stats.shed.add(payload.counts());
                Ok(Some(shed))
            }
        }
    }

    fn put(&mut self, lane: Lane, payload: &Payload) -> Result<Fate, SpoolError> {
        let needed = payload.record_length();
        if self.lane_bytes(Lane::Kept) + needed > self.options.bytes_max {
            return match lane {
                Lane::Kept => Err(SpoolError::Full),
                Lane::Raw => Ok(Fate::Shed),
            };
        }
        while self.stats.bytes + needed > self.options.bytes_max {
            if !self.shed_oldest() {
                return Err(SpoolError::Full);
            }
        }
        loop {
            match self.write(lane, payload) {
                Ok(()) => return Ok(Fate::Durable),
                // What may not be shed takes the place of what may.
                Err(SpoolError::DiskFull) if lane == Lane::Kept && self.shed_oldest() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the oldest file of what may be shed. False when there is none that can go.
    fn shed_oldest(&mut self) -> bool {
        let lane = Lane::Raw.index();
        let Some(oldest) = self.lanes[lane].front() else {
            return false;
        };
        if self.disk.remove(&oldest.name()).is_err() {
            return false;
        }
        if self.lanes[lane].len() == 1 {
            self.active[lane] = None;
        }
        let Some(oldest) = self.lanes[lane].pop_front() else {
            return false;
        };
        self.stats.bytes -= oldest.bytes;
        for entry in &oldest.entries {
            self.stats.records -= 1;
            self.stats.things -= entry.head.counts.total();
            // Whoever drains holds the others and stores them.
            if entry.head.number > self.in_hand {
                self.stats.shed.add(entry.head.counts);
            }
        }
        true
    }

    /// Writes a record at the end of a lane and syncs it.
    fn write(&mut self, lane: Lane, payload: &Payload) -> Result<(), SpoolError> {
        let index = lane.index();
        if self.active[index].is_none() {
            self.begin_segment(lane)?;
        }
        let Some((file, segment)) = self.active[index]
            .as_mut()
            .zip(self.lanes[index].back_mut())
        else {
            return Err(SpoolError::Disk("no file is open".to_owned()));
        };
        // Never the same number twice, whatever becomes of this one.
        let number = self.next_record;
        self.next_record += 1;
        let record = payload.record(segment.number, number);
        let written = write_all(file.as_mut(), &record).and_then(|()| file.sync());
        if let Err(error) = written {
            self.give_up_segment(lane);
            return Err(error.into());
        }
        let Some(head) = super::record::Head::read(&record, segment.number) else {
            return Err(SpoolError::Disk("a record cannot be read".to_owned()));
        };
        segment.entries.push_back(Entry {
            offset: segment.bytes,
            head,
        });
        let length = payload.record_length();
        segment.bytes += length;
        let is_over = segment.bytes >= self.options.segment_bytes;
        self.stats.bytes += length;
        self.stats.records += 1;
        self.stats.things += head.counts.total();
        self.stats.appended += 1;
        if is_over {
            self.active[index] = None;
        }
        Ok(())
    }

    fn begin_segment(&mut self, lane: Lane) -> Result<(), SpoolError> {
        let segment = Segment::new(lane, self.next_segment);
        let file = self.disk.create(&segment.name())?;
        self.next_segment += 1;
        if let Err(error) = self.disk.sync_folder() {
            // An empty file does no harm if it stays.
            let _ = self.disk.remove(&segment.name());
            return Err(error.into());
        }
        self.active[lane.index()] = Some(file);
        self.lanes[lane.index()].push_back(segment);
        Ok(())
    }

    /// Closes a file after a failure. What was synced before stays; what was not is cut off, or
    /// at the next start at the latest.
    fn give_up_segment(&mut self, lane: Lane) {
        self.active[lane.index()] = None;
        let Some(segment) = self.lanes[lane.index()].back() else {
            return;
        };
        if segment.bytes > 0 {
            let _ = self.disk.cut(&segment.name(), segment.bytes);
        } else {
            let _ = self.disk.remove(&segment.name());
            self.lanes[lane.index()].pop_back();
        }
    }
}

fn write_all(file: &mut dyn super::disk::WriteFile, bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
