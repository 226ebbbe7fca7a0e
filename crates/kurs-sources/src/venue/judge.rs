//! Whether a venue still speaks its own language, and of what it was asked.

use kurs_core::Mono;
use std::time::Duration;

/// Frames that are remembered.
const WINDOW: u32 = 100;
/// Fewer frames say nothing.
const FRAMES_MIN: u32 = 10;
/// More unreadable frames than this share, percent, condemn the connection.
const UNREADABLE_PERCENT_MAX: u32 = 20;

/// What nobody asked for is weighed over this long.
const SECOND: Duration = Duration::from_secs(1);
/// More of it condemns the connection, bytes: streams that were just given up go on for a moment,
/// and two whole books of Coinbase may still be on their way, but not more.
const USELESS_BYTES_MAX: usize = 8 << 20;
/// What a frame weighs beside its bytes, since short ones cost as much.
const FRAME_BYTES: usize = 256;

/// What a frame was good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    /// It was about something that was asked for, or an answer.
    Useful,
    /// It could be read, and nobody asked for it; with its length in bytes.
    Useless(usize),
    /// It could not be read.
    Unreadable,
}

/// The last frames, readable or not.
#[derive(Debug, Clone, Default)]
struct Judge {
    /// One bit per frame, 1 for unreadable, the newest lowest.
    unreadable: u128,
    seen: u32,
    /// Weight of what nobody asked for.
    useless_bytes: usize,
    /// Since then.
    weighed_since: Mono,
}

impl Judge {
    /// Takes one frame in. Gives why the connection is condemned, if it is.
    fn frame(&mut self, now: Mono, worth: Worth) -> Option<&'static str> {
        if self.is_unreadable(worth != Worth::Unreadable) {
            return Some("sends what cannot be read");
        }
        if let Worth::Useless(bytes) = worth {
            if now.since(self.weighed_since) >= SECOND {
                self.weighed_since = now;
                self.useless_bytes = 0;
            }
            self.useless_bytes = self.useless_bytes.saturating_add(bytes + FRAME_BYTES);
            if self.useless_bytes > USELESS_BYTES_MAX {
                return Some("sends what nobody asked for");
            }
        }
        None
    }

    /// True when too much of late could not be read.
    fn is_unreadable(&mut self, readable: bool) -> bool {
        const MASK: u128 = (1 << WINDOW) - 1;
        self.unreadable = (self.unreadable << 1 | u128::from(!readable)) & MASK;
        self.seen = (self.seen + 1).min(WINDOW);
        if readable {
            return false;
        }
        let share = self.unreadable.count_ones() * 100;
        self.seen >= FRAMES_MIN && share > UNREADABLE_PERCENT_MAX * self.seen
    }
}

/// Connections that are judged at a time; the oldest is forgotten beyond that.
const JUDGED_MAX: usize = 4;

/// A judge per connection.
#[derive(Debug, Default)]
pub(super) struct Judges {
    by_connection: Vec<(u64, Judge)>,
}

impl Judges {
    /// Takes one frame in. Gives why the connection is condemned, if it is.
    pub(super) fn frame(
        &mut self,
        now: Mono,
        connection: u64,
        worth: Worth,
    ) -> Option<&'static str> {
        let known = self
            .by_connection
            .iter()
            .position(|(judged, _)| *judged == connection);
        let at = known.unwrap_or_else(|| {
            if self.by_connection.len() >= JUDGED_MAX {
                self.by_connection.remove(0);
            }
            self.by_connection.push((connection, Judge::default()));
            self.by_connection.len() - 1
        });
        let (_, judge) = self.by_connection.get_mut(at)?;
        judge.frame(now, worth)
    }

    /// Connections have ended.
    pub(super) fn ended(&mut self, connection: u64, oldest_open: u64) {
        self.by_connection
            .retain(|(judged, _)| *judged != connection && *judged >= oldest_open);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_broken_frames_are_forgiven() {
        let mut judge = Judge::default();
        for number in 0..10_000 {
            assert!(!judge.is_unreadable(number % 6 != 5), "frame {number}");
        }
    }

    #[test]
    fn garbage_condemns_after_ten_frames() {
        let mut judge = Judge::default();
        for number in 0..9 {
            assert!(!judge.is_unreadable(false), "frame {number}");
        }
        assert!(judge.is_unreadable(false));
    }

    #[test]
    fn garbage_after_a_good_hour_condemns_within_a_window() {
        let mut judge = Judge::default();
        for _ in 0..10_000 {
            assert!(!judge.is_unreadable(true));
        }
        let condemned = (0..100).position(|_| judge.is_unreadable(false));
        assert_eq!(condemned, Some(20));
    }

    #[test]
    fn a_connection_is_not_judged_by_another() {
        let mut judges = Judges::default();
        for _ in 0..1_000 {
            assert_eq!(judges.frame(Mono(0), 1, Worth::Useful), None);
        }
        let mut condemned = (0..100).map(|_| judges.frame(Mono(0), 2, Worth::Unreadable));
        assert_eq!(condemned.position(|why| why.is_some()), Some(9));
        judges.ended(2, 1);
        assert_eq!(judges.frame(Mono(0), 1, Worth::Unreadable), None);
    }

    #[test]
    fn what_nobody_asked_for_condemns_by_its_weight_in_a_second() {
        let second = |judge: &mut Judge, now: Mono, frames: usize, bytes: usize| {
            (0..frames).find_map(|_| judge.frame(now, Worth::Useless(bytes)))
        };
        let why = Some("sends what nobody asked for");
        let (mut judge, mut now) = (Judge::default(), Mono(0));
        for _ in 0..100 {
            now = now.plus(SECOND);
            assert_eq!(second(&mut judge, now, 20_000, 100), None);
            assert_eq!(judge.frame(now, Worth::Useful), None);
        }
        assert_eq!(second(&mut judge, now, 20_000, 100), why, "twice as many");
        let mut judge = Judge::default();
        assert_eq!(second(&mut judge, now, 33, 250_000), None);
        assert_eq!(second(&mut judge, now, 1, 250_000), why);
    }
}
