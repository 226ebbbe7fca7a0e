//! One way of a connection without sockets and clocks: pieces and the time in, pieces out.

use super::weather::{Faults, MILLION};
use fastrand::Rng;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes that may be on their way at once. A longer delay makes a slow line of it, as the window of TCP does.
const BYTES_MAX: usize = 1_024 * 1_024;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Hand over these bytes, then ask again.
    Send(Vec<u8>),
    /// Ask again then, or when something else happens.
    WaitUntil(Instant),
    /// Nothing is to do before something happens.
    Rest,
}

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Line {
    /// Falls once for each byte: the same bytes are turned over however they are cut into pieces.
    byte_dice: Rng,
    piece_dice: Rng,
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// The rest of a piece of which the first bytes are gone.
    started: Option<Piece>,
    /// When the bandwidth allows the next bytes.
    free_at: Option<Instant>,
}

/// Delays are kept as shares of what the weather allows, so that a change of weather is felt at once.
#[derive(Debug, Clone)]
struct Piece {
    bytes: Vec<u8>,
    arrived: Instant,
    jitter: u32,
    /// Later ones may pass for this share of the time.
    held: Option<u32>,
}

impl Line {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        Self {
            byte_dice: dice.fork(),
            piece_dice: dice,
            pieces: VecDeque::new(),
            bytes: 0,
            started: None,
            free_at: None,
        }
    }

    /// Whether another piece may be taken.
    pub(super) const fn has_room(&self) -> bool {
        self.bytes < BYTES_MAX
    }

    /// Whether all bytes have been handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.started.is_none()
    }

    /// Takes a piece on its way.
    pub(super) fn take(&mut self, now: Instant, bytes: &[u8], faults: &Faults) {
        let mut bytes = bytes.to_vec();
        if faults.corrupt_per_million > 0 {
            for byte in &mut bytes {
                if happens(&mut self.byte_dice, faults.corrupt_per_million) {
                    *byte ^= 1 << self.byte_dice.u8(..8);
                }
            }
        }
        let times = 1 + usize::from(happens(&mut self.piece_dice, faults.duplicate_per_million));
        for _ in 0..times {
            let dice = &mut self.piece_dice;
            let held = happens(dice, faults.reorder_per_million).then(|| dice.u32(..));
            self.bytes += bytes.len();
            self.pieces.push_back(Piece {
                bytes: bytes.clone(),
                arrived: now,
                jitter: dice.u32(..),
                held,
            });
        }
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Instant, faults: &Faults) -> Step {
        if faults.mute || self.is_empty() {
            return Step::Rest;
        }
        if faults.bytes_per_second.is_some()
            && let Some(free_at) = self.free_at.filter(|free_at| *free_at > now)
        {
            return Step::WaitUntil(free_at);
        }
        let piece = match self.started.take() {
            Some(piece) => piece,
            None => match self.due(now, faults) {
                Ok(piece) => piece,
                Err(then) => return Step::WaitUntil(then),
            },
        };
        Step::Send(self.start(piece, now, faults))
    }

    /// The next piece whose time has come, or when to look again.
    fn due(&mut self, now: Instant, faults: &Faults) -> Result<Piece, Instant> {
        let mut earliest: Option<Instant> = None;
        for index in 0..self.pieces.len() {
            let piece = &self.pieces[index];
            let mut due = piece.arrived + faults.latency + share(faults.jitter, piece.jitter);
            let held = piece.held.filter(|_| faults.reorder_per_million > 0);
            if let Some(held) = held {
                due += share(faults.reorder_within, held);
            }
            if due <= now {
                return self.pieces.remove(index).ok_or(now);
            }
            earliest = Some(earliest.map_or(due, |other| other.min(due)));
            if held.is_none() {
                break;
            }
        }
        Err(earliest.unwrap_or(now))
    }

    /// As many of its bytes as the bandwidth allows at once, a tenth of a second's worth.
    fn start(&mut self, mut piece: Piece, now: Instant, faults: &Faults) -> Vec<u8> {
        if let Some(rate) = faults.bytes_per_second {
            let rate = rate.max(1);
            let most = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
            if piece.bytes.len() > most {
                let rest = piece.bytes.split_off(most);
                self.started = Some(Piece {
                    bytes: rest,
                    ..piece.clone()
                });
            }
            let count = u32::try_from(piece.bytes.len()).unwrap_or(u32::MAX);
            self.free_at = Some(now + Duration::from_secs(1) * count / rate);
        }
        self.bytes -= piece.bytes.len();
        piece.bytes
    }
}

fn happens(dice: &mut Rng, per_million: u32) -> bool {
    per_million > 0 && dice.u32(..MILLION) < per_million
}

/// A share of a time, in parts of 2^32.
fn share(time: Duration, share: u32) -> Duration {
    let nanoseconds = (time.as_nanos() * u128::from(share)) >> 32;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Takes pieces a millisecond apart, then follows the steps to the end.
    fn carried(seed: u64, pieces: &[&[u8]], faults: &Faults) -> Vec<(Duration, Vec<u8>)> {
        let start = Instant::now();
        let mut now = start;
        let mut line = Line::new(seed);
        let mut sent = Vec::new();
        let mut coming = pieces.iter();
        loop {
            match line.step(now, faults) {
                Step::Send(bytes) => {
                    sent.push((now - start, bytes));
                    continue;
                }
                Step::WaitUntil(then) if coming.len() == 0 => now = then,
                Step::Rest if coming.len() == 0 => return sent,
                Step::WaitUntil(_) | Step::Rest => {}
            }
            if let Some(piece) = coming.next() {
                now += Duration::from_millis(1);
                line.take(now, piece, faults);
            }
        }
    }

    fn bytes(sent: &[(Duration, Vec<u8>)]) -> Vec<u8> {
        sent.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    #[test]
    fn without_faults_all_bytes_come_at_once_in_order() {
        let sent = carried(1, &[b"ab", b"c"], &Faults::default());
        let milliseconds = Duration::from_millis;
        let expected = [
            (milliseconds(1), b"ab".to_vec()),
            (milliseconds(2), b"c".to_vec()),
        ];
        assert_eq!(sent, expected);
    }

    #[test]
    fn latency_delays_without_narrowing_and_jitter_keeps_the_order() {
        let pieces: Vec<[u8; 1]> = (0..200).map(|number| [number]).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
        let faults = Faults {
            latency: SECOND,
            jitter: Duration::from_millis(50),
            ..Faults::default()
        };
        let sent = carried(2, &pieces, &faults);
        assert_eq!(bytes(&sent), (0..200).collect::<Vec<u8>>());
        let (first, last) = (sent[0].0, sent[199].0);
        assert!(first >= SECOND, "{first:?}");
        assert!(last < SECOND + Duration::from_millis(251), "{last:?}");
        let mut gaps: Vec<Duration> = sent.windows(2).map(|two| two[1].0 - two[0].0).collect();
        gaps.dedup();
        assert!(gaps.len() > 10, "no jitter: {gaps:?}");
    }

    #[test]
    fn bandwidth_is_kept() {
        let faults = Faults {
            bytes_per_second: Some(1_000),
            ..Faults::default()
        };
        let sent = carried(3, &[&[7; 900], &[8; 200]], &faults);
        assert_eq!(bytes(&sent).len(), 1_100);
        let (last, _) = sent.last().unwrap();
        assert_eq!(
            last.as_millis(),
            1_001,
            "eleven pieces, a tenth of a second apart"
        );
    }

    #[test]
    fn corruption_turns_single_bits_the_same_for_a_seed_however_the_bytes_are_cut() {
        let faults = Faults {
            corrupt_per_million: 100_000,
            ..Faults::default()
        };
        let whole = bytes(&carried(4, &[&[0; 1_000]], &faults));
        let turned = whole.iter().filter(|byte| **byte != 0).count();
        assert!(
            (50..150).contains(&turned),
            "{turned} of 1000, not about 100"
        );
        assert!(whole.iter().all(|byte| byte.count_ones() <= 1));
        let cut = bytes(&carried(4, &[&[0; 300], &[0; 700]], &faults));
        assert_eq!(whole, cut);
        assert_ne!(whole, bytes(&carried(5, &[&[0; 1_000]], &faults)));
    }

    #[test]
    fn duplication_gives_some_pieces_twice() {
        let faults = Faults {
            duplicate_per_million: MILLION / 2,
            ..Faults::default()
        };
        let pieces: Vec<&[u8]> = vec![b"x"; 1_000];
        let count = carried(6, &pieces, &faults).len();
        assert!((1_400..1_600).contains(&count), "{count}");
    }

    #[test]
    fn reordering_lets_later_pieces_pass_and_loses_none() {
        let faults = Faults {
            reorder_per_million: MILLION / 10,
            reorder_within: Duration::from_millis(20),
            ..Faults::default()
        };
        let pieces: Vec<[u8; 1]> = (0..250).map(|number| [number]).collect();
        let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &piece[..]).collect();
        let mut sent = bytes(&carried(7, &pieces, &faults));
        assert_eq!(
            sent,
            bytes(&carried(7, &pieces, &faults)),
            "not by the seed alone"
        );
        let in_order: Vec<u8> = (0..250).collect();
        assert_ne!(sent, in_order);
        sent.sort_unstable();
        assert_eq!(sent, in_order);
    }

    #[test]
    fn the_order_stays_when_reordering_is_over() {
        let reordering = Faults {
            reorder_per_million: MILLION,
            reorder_within: SECOND,
            ..Faults::default()
        };
        let jitter = Faults {
            jitter: SECOND,
            ..Faults::default()
        };
        let mut now = Instant::now();
        let mut line = Line::new(9);
        for number in 0..50 {
            line.take(now, &[number], &reordering);
        }
        let mut sent = Vec::new();
        loop {
            match line.step(now, &jitter) {
                Step::Send(bytes) => sent.extend(bytes),
                Step::WaitUntil(then) => now = then,
                Step::Rest => break,
            }
        }
        assert_eq!(sent, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn a_full_line_takes_no_more_and_fair_weather_sends_at_once_what_was_held() {
        let now = Instant::now();
        let mut line = Line::new(8);
        let foul = Faults {
            latency: SECOND * 1_000,
            bytes_per_second: Some(1),
            mute: true,
            reorder_per_million: MILLION,
            reorder_within: SECOND,
            ..Faults::default()
        };
        while line.has_room() {
            line.take(now, &[0; 16 * 1_024], &foul);
        }
        assert_eq!(line.bytes, BYTES_MAX);
        assert_eq!(line.step(now, &foul), Step::Rest);
        let mut count = 0;
        while let Step::Send(bytes) = line.step(now, &Faults::default()) {
            count += bytes.len();
        }
        assert_eq!(count, BYTES_MAX);
        assert!(line.is_empty() && line.has_room());
    }
}
