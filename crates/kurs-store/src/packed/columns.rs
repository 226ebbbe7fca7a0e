//! Columns of numbers, compressed.
//!
//! ```text
//! chunk      bytes whose number the reader knows, in one of three forms:
//!              0, bytes                      as they are
//!              1, byte                       all the same
//!              2, varint: length, bytes      zstd
//! sized      varint: number of bytes, then a chunk of them
//! numbers    1 byte: width of the greatest in bytes (0 to 8), then a chunk per byte of the
//!            width, lowest first
//! deltas     zigzag: the first, then numbers: zigzag of each less the one before
//! ids        sized: per run of one shard and epoch varint length, shard, epoch; then
//!            deltas: seq
//! ```
//! A number's bytes lie apart, one chunk for each place: the low bytes are noise and the high
//! ones nearly constant, so each gets an entropy code that fits. Differences wrap around, so that
//! every value of 64 bits survives.

use super::bytes::{
    put_count, put_varint, put_zigzag, take_byte, take_bytes, take_count, take_varint, take_zigzag,
};
use kurs_core::{Epoch, Seq, UpdateId};
use zstd::bulk::{Compressor, Decompressor};

const AS_IT_IS: u8 = 0;
const ALL_SAME: u8 = 1;
const COMPRESSED: u8 = 2;

/// Fewer bytes than this do not get smaller.
const COMPRESSED_FROM: usize = 32;

/// Writes columns behind each other.
pub(super) struct Sink {
    pub(super) out: Vec<u8>,
    /// `None` when there is no memory for it: then bytes stay as they are.
    compressor: Option<Compressor<'static>>,
}

impl Sink {
    pub(super) fn new(level: i32) -> Self {
        Self {
            out: Vec::new(),
            compressor: Compressor::new(level).ok(),
        }
    }

    pub(super) fn chunk(&mut self, bytes: &[u8]) {
        let Some(first) = bytes.first() else {
            return;
        };
        if bytes.iter().all(|byte| byte == first) {
            self.out.extend([ALL_SAME, *first]);
            return;
        }
        if bytes.len() >= COMPRESSED_FROM
            && let Some(compressor) = &mut self.compressor
            && let Ok(small) = compressor.compress(bytes)
            && small.len() + 2 < bytes.len()
        {
            self.out.push(COMPRESSED);
            put_count(&mut self.out, small.len());
            self.out.extend(small);
            return;
        }
        self.out.push(AS_IT_IS);
        self.out.extend(bytes);
    }

    pub(super) fn sized(&mut self, bytes: &[u8]) {
        put_count(&mut self.out, bytes.len());
        self.chunk(bytes);
    }

    pub(super) fn numbers(&mut self, numbers: &[u64]) {
        let greatest = numbers.iter().copied().max().unwrap_or(0);
        let width = 8 - greatest.leading_zeros() / 8;
        self.out.push(u8::try_from(width).unwrap_or(8));
        let mut plane = Vec::with_capacity(numbers.len());
        for place in 0..usize::try_from(width).unwrap_or(8) {
            plane.clear();
            plane.extend(numbers.iter().map(|number| number.to_le_bytes()[place]));
            self.chunk(&plane);
        }
    }

    pub(super) fn signed(&mut self, numbers: &[i64]) {
        let zigzags: Vec<u64> = numbers.iter().copied().map(zigzag).collect();
        self.numbers(&zigzags);
    }

    pub(super) fn deltas(&mut self, numbers: &[i64]) {
        let Some(first) = numbers.first() else {
            return;
        };
        put_zigzag(&mut self.out, i128::from(*first));
        let steps: Vec<i64> = numbers
            .windows(2)
            .map(|pair| pair[1].wrapping_sub(pair[0]))
            .collect();
        self.signed(&steps);
    }

    pub(super) fn ids(&mut self, ids: &[UpdateId]) {
        let mut runs = Vec::new();
        for run in ids.chunk_by(|one, next| (one.shard, one.epoch) == (next.shard, next.epoch)) {
            put_count(&mut runs, run.len());
            if let Some(id) = run.first() {
                put_varint(&mut runs, u128::from(id.shard));
                put_varint(&mut runs, u128::from(id.epoch.0));
            }
        }
        self.sized(&runs);
        let seqs: Vec<i64> = ids.iter().map(|id| id.seq.0.cast_signed()).collect();
        self.deltas(&seqs);
    }
}

/// Reads what a [`Sink`] wrote. `None` is: the bytes are anything else.
pub(super) struct Spring<'a> {
    pub(super) input: &'a [u8],
    decompressor: Decompressor<'static>,
}

impl<'a> Spring<'a> {
    pub(super) fn new(input: &'a [u8]) -> Option<Self> {
        Some(Self {
            input,
            decompressor: Decompressor::new().ok()?,
        })
    }

    /// The caller bounds `length`: that much memory is taken.
    pub(super) fn chunk(&mut self, length: usize) -> Option<Vec<u8>> {
        if length == 0 {
            return Some(Vec::new());
        }
        match take_byte(&mut self.input)? {
            AS_IT_IS => Some(take_bytes(&mut self.input, length)?.to_vec()),
            ALL_SAME => Some(vec![take_byte(&mut self.input)?; length]),
            COMPRESSED => {
                let small = take_count(&mut self.input, length)?;
                let small = take_bytes(&mut self.input, small)?;
                let bytes = self.decompressor.decompress(small, length).ok()?;
                (bytes.len() == length).then_some(bytes)
            }
            _ => None,
        }
    }

    /// Refused when longer than `most`.
    pub(super) fn sized(&mut self, most: usize) -> Option<Vec<u8>> {
        let length = take_count(&mut self.input, most)?;
        self.chunk(length)
    }

    pub(super) fn numbers(&mut self, count: usize) -> Option<Vec<u64>> {
        let width = take_byte(&mut self.input)?;
        if width > 8 {
            return None;
        }
        let mut numbers = vec![0_u64; count];
        for place in 0..width {
            let plane = self.chunk(count)?;
            for (number, byte) in numbers.iter_mut().zip(plane) {
                *number |= u64::from(byte) << (8 * place);
            }
        }
        Some(numbers)
    }

    pub(super) fn signed(&mut self, count: usize) -> Option<Vec<i64>> {
        let zigzags = self.numbers(count)?;
        Some(zigzags.into_iter().map(unzigzag).collect())
    }

    pub(super) fn deltas(&mut self, count: usize) -> Option<Vec<i64>> {
        if count == 0 {
            return Some(Vec::new());
        }
        let mut number = i64::try_from(take_zigzag(&mut self.input)?).ok()?;
        let mut numbers = Vec::with_capacity(count);
        numbers.push(number);
        for step in self.signed(count - 1)? {
            number = number.wrapping_add(step);
            numbers.push(number);
        }
        Some(numbers)
    }

    pub(super) fn ids(&mut self, count: usize) -> Option<Vec<UpdateId>> {
        // A run takes three bytes at least and sixteen at most.
        let runs = self.sized(count.checked_mul(16)?)?;
        let runs = &mut runs.as_slice();
        let mut ids = Vec::with_capacity(count);
        while !runs.is_empty() {
            let length = take_count(runs, count - ids.len())?;
            let shard = u16::try_from(take_varint(runs)?).ok()?;
            let epoch = Epoch(u64::try_from(take_varint(runs)?).ok()?);
            let seq = Seq(0);
            ids.resize(ids.len() + length, UpdateId { shard, epoch, seq });
        }
        if ids.len() != count {
            return None;
        }
        for (id, seq) in ids.iter_mut().zip(self.deltas(count)?) {
            id.seq = Seq(seq.cast_unsigned());
        }
        Some(ids)
    }
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -((number & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_column_survives(
            numbers in prop::collection::vec(prop_oneof![any::<i64>(), -300_i64..300], 0..200),
            small in prop::collection::vec(0_u64..3, 0..200),
            bytes in prop::collection::vec(0_u8..4, 0..500),
        ) {
            let mut sink = Sink::new(3);
            sink.deltas(&numbers);
            sink.signed(&numbers);
            sink.numbers(&small);
            sink.sized(&bytes);
            let mut spring = Spring::new(&sink.out).unwrap();
            prop_assert_eq!(spring.deltas(numbers.len()).unwrap(), numbers.clone());
            prop_assert_eq!(spring.signed(numbers.len()).unwrap(), numbers);
            prop_assert_eq!(spring.numbers(small.len()).unwrap(), small);
            prop_assert_eq!(spring.sized(500).unwrap(), bytes);
            prop_assert!(spring.input.is_empty());
        }
    }

    #[test]
    fn what_would_take_more_memory_than_allowed_is_refused() {
        let mut sink = Sink::new(3);
        let text: Vec<u8> = (0..100_000_u32).map(|n| u8::from(n % 7 == 0)).collect();
        sink.sized(&text);
        assert!(Spring::new(&sink.out).unwrap().sized(99_999).is_none());
        // The frame holds more than the chunk says.
        let mut body = sink.out.as_slice();
        take_varint(&mut body).unwrap();
        assert!(Spring::new(body).unwrap().chunk(99_999).is_none());
        assert!(Spring::new(body).unwrap().chunk(100_001).is_none());
        assert!(Spring::new(body).unwrap().chunk(100_000).is_some());
    }
}
