//! One file of records: its name, what is in it, and how it is read again after any end.

use super::counts::Lane;
use super::disk::ReadFile;
use super::record::{HEAD, Head, NUMBER_MAX, find};
use std::collections::VecDeque;
use std::io;

/// End of the names of segments.
const SUFFIX: &str = ".spool";
/// End of the names of files that were set aside for a person to look at.
pub(super) const ASIDE: &str = ".aside";
/// Bytes read at once in search of a record.
const CHUNK: usize = 1 << 20;

/// One record that is to be drained.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) offset: u64,
    pub(super) head: Head,
}

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) lane: Lane,
    pub(super) number: u64,
    /// Its length, as far as it is known to be good.
    pub(super) bytes: u64,
    /// What is still to be drained, in order.
    pub(super) entries: VecDeque<Entry>,
    /// Something in it could not be understood: the file is kept for a person.
    pub(super) set_aside: bool,
}

impl Segment {
    pub(super) fn new(lane: Lane, number: u64) -> Self {
        Self {
            lane,
            number,
            bytes: 0,
            entries: VecDeque::new(),
            set_aside: false,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}{:020}{SUFFIX}", self.lane.prefix(), self.number)
    }
}

/// Lane and number of a segment, from its name.
pub(super) fn of_name(name: &str) -> Option<(Lane, u64)> {
    let name = name.strip_suffix(SUFFIX)?;
    Lane::ALL.into_iter().find_map(|lane| {
        let number = name.strip_prefix(lane.prefix())?;
        let number = number.parse().ok()?;
        (number <= NUMBER_MAX).then_some((lane, number))
    })
}

/// What a file was found to hold.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) entries: VecDeque<Entry>,
    /// Where something could not be read that has good records behind it.
    pub(super) damaged: u64,
    /// Where a tail begins that never became whole.
    pub(super) torn_at: Option<u64>,
}

/// Reads the heads of all records of a file, and the last payload. The others are checked when
/// they are drained: a full spool must not hold up the start.
///
/// # Errors
/// What the system says.
pub(super) fn scan(file: &mut dyn ReadFile, length: u64, segment: u64) -> io::Result<Scan> {
    let mut scan = Scan::default();
    let mut at = 0;
    while at < length {
        if let Some(head) = head_at(file, at, length, segment)? {
            scan.entries.push_back(Entry { offset: at, head });
            at += head.record_length();
        } else if let Some(next) = find_head(file, at + 1, length, segment)? {
            scan.damaged += 1;
            at = next;
        } else {
            scan.torn_at = Some(at);
            break;
        }
    }
    while let Some(last) = scan.entries.back() {
        if last.head.fits(&payload(file, last)?) {
            break;
        }
        scan.torn_at = Some(last.offset);
        scan.entries.pop_back();
    }
    Ok(scan)
}

/// The head at a place, if there is one whose record is all there.
fn head_at(
    file: &mut dyn ReadFile,
    at: u64,
    length: u64,
    segment: u64,
) -> io::Result<Option<Head>> {
    let mut bytes = [0; HEAD];
    let count = file.read_at(at, &mut bytes)?;
    Ok(bytes
        .get(..count)
        .and_then(|bytes| Head::read(bytes, segment))
        .filter(|head| head.record_length() <= length - at))
}

/// The next place of a whole record.
fn find_head(
    file: &mut dyn ReadFile,
    from: u64,
    length: u64,
    segment: u64,
) -> io::Result<Option<u64>> {
    let mut buffer = vec![0; CHUNK];
    let mut start = from;
    while start < length {
        let count = file.read_at(start, &mut buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        let mut place = 0;
        while let Some(found) = find(bytes, place, segment) {
            let at = start + u64::try_from(found).unwrap_or(u64::MAX);
            if head_at(file, at, length, segment)?.is_some() {
                return Ok(Some(at));
            }
            place = found + 1;
        }
        if count < CHUNK {
            break;
        }
        // A head may lie across two chunks.
        start += u64::try_from(CHUNK - (HEAD - 1)).unwrap_or(u64::MAX);
    }
    Ok(None)
}

/// The bytes of a record behind its head, as many as there are.
///
/// # Errors
/// What the system says.
pub(super) fn payload(file: &mut dyn ReadFile, entry: &Entry) -> io::Result<Vec<u8>> {
    let length = usize::try_from(entry.head.payload_length).unwrap_or(usize::MAX);
    let mut bytes = vec![0; length];
    let begin = entry.offset + u64::try_from(HEAD).unwrap_or(u64::MAX);
    let count = file.read_at(begin, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_known_by_its_name() {
        for lane in Lane::ALL {
            let segment = Segment::new(lane, 17);
            assert_eq!(of_name(&segment.name()), Some((lane, 17)));
        }
        for name in [
            "mark",
            "lock",
            "raw-.spool",
            "raw-1.spool.aside",
            "x-1.spool",
        ] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }
}
