//! What is found at the start: whole records, torn tails, damage.

use super::counts::Lane;
use super::disk::Disk;
use super::draining::{MARK, read_mark};
use super::segment::{Segment, of_name, scan};
use super::{Spool, SpoolError, SpoolOptions, SpoolStats};
use std::collections::VecDeque;
use std::io;

impl Spool {
    /// Opens the spool on a disk.
    ///
    /// # Errors
    /// [`SpoolError::DiskFull`] and [`SpoolError::Disk`] when the disk refuses.
    pub fn open_on(disk: Box<dyn Disk>, options: SpoolOptions) -> Result<Self, SpoolError> {
        let files = disk.list()?;
        let mark = find_mark(disk.as_ref(), &files)?;
        let mut spool = Self {
            disk,
            options,
            lanes: [VecDeque::new(), VecDeque::new()],
            active: [None, None],
            next_segment: 1,
            next_record: mark.saturating_add(1),
            mark,
            in_hand: 0,
            stats: SpoolStats::default(),
        };
        let mut segments: Vec<(Lane, u64, &str, u64)> = files
            .iter()
            .filter_map(|(name, length)| {
                let (lane, number) = of_name(name)?;
                Some((lane, number, name.as_str(), *length))
            })
            .collect();
        segments.sort_unstable_by_key(|(_, number, ..)| *number);
        for (lane, number, name, length) in segments {
            spool.next_segment = spool.next_segment.max(number.saturating_add(1));
            if let Some(segment) = spool.take_in(lane, number, name, length)? {
                spool.stats.bytes += segment.bytes;
                spool.lanes[lane.index()].push_back(segment);
            }
        }
        spool.remove_drained();
        Ok(spool)
    }

    /// What a file holds that is not drained.
    fn take_in(
        &mut self,
        lane: Lane,
        number: u64,
        name: &str,
        length: u64,
    ) -> Result<Option<Segment>, SpoolError> {
        let scanned = self
            .disk
            .open(name)
            .and_then(|mut file| scan(file.as_mut(), length, number));
        let scan = match scanned {
            Ok(scan) => scan,
            Err(error) => {
                tracing::error!(%error, name, "a file of the spool cannot be read and is set aside");
                self.set_aside(name)?;
                self.stats.set_aside += 1;
                return Ok(None);
            }
        };
        if scan.damaged > 0 {
            tracing::error!(name, places = scan.damaged, "the spool is damaged");
            self.stats.damaged += scan.damaged;
        }
        let mut segment = Segment::new(lane, number);
        segment.bytes = length;
        if let Some(at) = scan.torn_at {
            tracing::warn!(
                name,
                bytes = length - at,
                "a tail of the spool never became whole and is cut off"
            );
            self.stats.torn += 1;
            // Where it stays, it is found and passed over again.
            if self.disk.cut(name, at).is_ok() {
                segment.bytes = at;
            }
        }
        segment.entries = scan.entries;
        if let Some(last) = segment.entries.back() {
            self.next_record = self.next_record.max(last.head.number.saturating_add(1));
        }
        while let Some(first) = segment.entries.front()
            && first.head.number <= self.mark
        {
            segment.entries.pop_front();
        }
        for entry in &segment.entries {
            self.stats.records += 1;
            self.stats.things += entry.head.counts.total();
        }
        Ok(Some(segment))
    }
}

/// The mark of what is drained; zero where there is none. One that makes no sense is removed: it
/// must not come back when records have its numbers again.
fn find_mark(disk: &dyn Disk, files: &[(String, u64)]) -> io::Result<u64> {
    if !files.iter().any(|(name, _)| name == MARK) {
        return Ok(0);
    }
    let mut bytes = [0; 32];
    let count = disk.open(MARK)?.read_at(0, &mut bytes)?;
    match bytes.get(..count).and_then(read_mark) {
        Some(mark) => Ok(mark),
        None => {
            tracing::warn!("the mark of the spool is damaged: some of it is drained again");
            disk.remove(MARK)?;
            disk.sync_folder()?;
            Ok(0)
        }
    }
}
