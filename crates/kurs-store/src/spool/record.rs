//! One record: a head of fixed length with its own checksum, and the compressed batch behind it.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | mark by which a record is found again after damage |
//! | 4..8 | CRC-32 of the rest of the head and of the number of the segment |
//! | 8..12 | length of the payload |
//! | 12..16 | its length before compression |
//! | 16..20 | CRC-32 of the payload |
//! | 20..24 | form of the payload: 1 is JSON in zstd |
//! | 24..32 | number of the record |
//! | 32..48 | what is in it, four counts |
//!
//! Numbers are little-endian.

use super::counts::{Counts, KINDS, Lane};
use crate::Batch;

/// Length of the head.
pub(super) const HEAD: usize = 32 + 4 * KINDS;
/// Longest payload, before and after compression.
pub(super) const PAYLOAD_MAX: usize = 16 << 20;
/// Greatest number of a record or a segment: there is always a next one.
pub(super) const NUMBER_MAX: u64 = 1 << 62;
const MARK: [u8; 4] = *b"\xa5ks\x01";
const FORM_JSON_ZSTD: u32 = 1;
/// Fastest: it halves what the disk has to take, at some 300 MB/s.
const LEVEL: i32 = 1;

/// What the head of a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) payload_length: u32,
    plain_length: u32,
    payload_crc: u32,
    form: u32,
    pub(super) number: u64,
    pub(super) counts: Counts,
}

/// Why a payload gives no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Its bytes changed.
    Damaged,
    /// Its bytes are right, and this program does not understand them.
    NotUnderstood,
}

/// A batch that is too long for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// A compressed batch, before it has its place.
#[derive(Debug)]
pub(super) struct Payload {
    bytes: Vec<u8>,
    plain_length: u32,
    counts: Counts,
}

impl Payload {
    pub(super) fn of(lane: Lane, batch: &Batch) -> Result<Self, TooLong> {
        // What a batch consists of can always be written as JSON; what zstd can refuse is memory.
        let plain = serde_json::to_vec(batch).map_err(|_| TooLong)?;
        if plain.len() > PAYLOAD_MAX {
            return Err(TooLong);
        }
        let bytes = zstd::bulk::compress(&plain, LEVEL).map_err(|_| TooLong)?;
        if bytes.len() > PAYLOAD_MAX {
            return Err(TooLong);
        }
        Ok(Self {
            bytes,
            plain_length: u32::try_from(plain.len()).map_err(|_| TooLong)?,
            counts: Counts::of(lane, batch),
        })
    }

    /// Bytes that the whole record takes.
    pub(super) fn record_length(&self) -> u64 {
        u64::try_from(HEAD + self.bytes.len()).unwrap_or(u64::MAX)
    }

    /// What is in it.
    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// The whole record.
    pub(super) fn record(&self, segment: u64, number: u64) -> Vec<u8> {
        let mut record = Vec::with_capacity(HEAD + self.bytes.len());
        record.extend(MARK);
        record.extend([0; 4]);
        record.extend(
            u32::try_from(self.bytes.len())
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        record.extend(self.plain_length.to_le_bytes());
        record.extend(crc32fast::hash(&self.bytes).to_le_bytes());
        record.extend(FORM_JSON_ZSTD.to_le_bytes());
        record.extend(number.to_le_bytes());
        for count in self.counts.0 {
            record.extend(count.to_le_bytes());
        }
        let crc = head_crc(&record[8..], segment);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        record.extend(&self.bytes);
        record
    }
}

/// With the number of the segment: a disk that gives old blocks again must not bring old records
/// back.
fn head_crc(rest: &[u8], segment: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(rest);
    hasher.update(&segment.to_le_bytes());
    hasher.finalize()
}

impl Head {
    /// The head at the begin of these bytes, if it is one.
    pub(super) fn read(bytes: &[u8], segment: u64) -> Option<Self> {
        let head: &[u8; HEAD] = bytes.get(..HEAD)?.try_into().ok()?;
        let four = |at: usize| {
            head.get(at..at + 4)?
                .try_into()
                .ok()
                .map(u32::from_le_bytes)
        };
        if head[..4] != MARK || four(4)? != head_crc(&head[8..], segment) {
            return None;
        }
        let mut counts = Counts::default();
        for (place, count) in counts.0.iter_mut().enumerate() {
            *count = four(32 + 4 * place)?;
        }
        let read = Self {
            payload_length: four(8)?,
            plain_length: four(12)?,
            payload_crc: four(16)?,
            form: four(20)?,
            number: u64::from_le_bytes(head[24..32].try_into().ok()?),
            counts,
        };
        let is_possible = |length: u32| usize::try_from(length).is_ok_and(|it| it <= PAYLOAD_MAX);
        (is_possible(read.payload_length)
            && is_possible(read.plain_length)
            && read.number <= NUMBER_MAX)
            .then_some(read)
    }

    /// Bytes that the whole record takes.
    pub(super) fn record_length(&self) -> u64 {
        u64::try_from(HEAD).unwrap_or(u64::MAX) + u64::from(self.payload_length)
    }

    /// True when these bytes are the payload.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        u32::try_from(payload.len()).is_ok_and(|length| length == self.payload_length)
            && crc32fast::hash(payload) == self.payload_crc
    }

    /// The batch.
    pub(super) fn batch(&self, payload: &[u8]) -> Result<Batch, Unreadable> {
        if !self.fits(payload) {
            return Err(Unreadable::Damaged);
        }
        if self.form != FORM_JSON_ZSTD {
            return Err(Unreadable::NotUnderstood);
        }
        let length = usize::try_from(self.plain_length).map_err(|_| Unreadable::NotUnderstood)?;
        let plain =
            zstd::bulk::decompress(payload, length).map_err(|_| Unreadable::NotUnderstood)?;
        serde_json::from_slice(&plain).map_err(|_| Unreadable::NotUnderstood)
    }
}

/// The place of the next whole head in these bytes, from `from` on.
pub(super) fn find(bytes: &[u8], from: usize, segment: u64) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        let found = at + rest.windows(MARK.len()).position(|four| four == MARK)?;
        if Head::read(bytes.get(found..)?, segment).is_some() {
            return Some(found);
        }
        at = found + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::row;
    use proptest::prelude::*;

    fn batch() -> Batch {
        Batch::of_rows((0..50).map(|seq| row("binance", seq, 1_000)).collect())
    }

    #[test]
    fn a_record_gives_its_batch_again_and_only_in_its_own_segment() {
        let record = Payload::of(Lane::Raw, &batch()).unwrap().record(3, 7);
        let head = Head::read(&record, 3).unwrap();
        assert_eq!(
            (head.number, head.counts),
            (7, Counts::of(Lane::Raw, &batch()))
        );
        assert_eq!(usize::try_from(head.record_length()).unwrap(), record.len());
        assert_eq!(head.batch(&record[HEAD..]), Ok(batch()));
        assert_eq!(Head::read(&record, 4), None);
    }

    #[test]
    fn no_changed_bit_goes_unnoticed() {
        let record = Payload::of(Lane::Raw, &batch()).unwrap().record(3, 7);
        for bit in 0..record.len() * 8 {
            let mut changed = record.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let read = Head::read(&changed, 3).map(|head| head.batch(&changed[HEAD..]));
            assert!(
                matches!(read, None | Some(Err(Unreadable::Damaged))),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_form_of_another_version_is_told_from_damage() {
        let mut record = Payload::of(Lane::Raw, &batch()).unwrap().record(3, 7);
        record[20] = 2;
        let crc = head_crc(&record[8..HEAD], 3);
        record[4..8].copy_from_slice(&crc.to_le_bytes());
        let head = Head::read(&record, 3).unwrap();
        assert_eq!(head.batch(&record[HEAD..]), Err(Unreadable::NotUnderstood));
    }

    #[test]
    fn a_payload_of_the_version_before_fences_is_read() {
        let plain = r#"{"rows":[{"pair":"BTC-USDT","source":"binance","id":"0.1-5","value":"54000.01","received_at":1000}],"recorded_until":{"shard":0,"until":7}}"#;
        let payload = Payload {
            bytes: zstd::bulk::compress(plain.as_bytes(), LEVEL).unwrap(),
            plain_length: u32::try_from(plain.len()).unwrap(),
            counts: Counts::default(),
        };
        let record = payload.record(3, 7);
        let read = Head::read(&record, 3).unwrap().batch(&record[HEAD..]);
        let mut expect = Batch::of_rows(vec![crate::conformance::row("binance", 5, 1_000)]);
        expect.recorded_until = Some(crate::Recorded {
            shard: 0,
            until: kurs_core::Wall(7),
        });
        assert_eq!(read, Ok(expect));
    }

    proptest! {
        #[test]
        fn a_record_is_found_behind_any_bytes(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
            let record = Payload::of(Lane::Raw, &batch()).unwrap().record(3, 7);
            let mut bytes = noise.clone();
            bytes.extend(&record);
            prop_assert_eq!(find(&bytes, 0, 3), Some(noise.len()));
            prop_assert_eq!(find(&bytes, noise.len() + 1, 3), None);
        }
    }
}
