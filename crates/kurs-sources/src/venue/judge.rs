//! Whether a venue still speaks its own language.

/// Frames that are remembered.
const WINDOW: u32 = 100;
/// Fewer frames say nothing.
const FRAMES_MIN: u32 = 10;
/// More unreadable frames than this share, percent, condemn the connection.
const UNREADABLE_PERCENT_MAX: u32 = 20;

/// The last frames, readable or not.
#[derive(Debug, Clone, Default)]
struct Judge {
    /// One bit per frame, 1 for unreadable, the newest lowest.
    unreadable: u128,
    seen: u32,
}

impl Judge {
    /// Takes one frame in. True when the connection is condemned.
    fn frame(&mut self, readable: bool) -> bool {
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
    /// Takes one frame in. True when the connection is condemned.
    pub(super) fn frame(&mut self, connection: u64, readable: bool) -> bool {
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
        self.by_connection
            .get_mut(at)
            .is_some_and(|(_, judge)| judge.frame(readable))
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
            assert!(!judge.frame(number % 6 != 5), "frame {number}");
        }
    }

    #[test]
    fn garbage_condemns_after_ten_frames() {
        let mut judge = Judge::default();
        for number in 0..9 {
            assert!(!judge.frame(false), "frame {number}");
        }
        assert!(judge.frame(false));
    }

    #[test]
    fn garbage_after_a_good_hour_condemns_within_a_window() {
        let mut judge = Judge::default();
        for _ in 0..10_000 {
            assert!(!judge.frame(true));
        }
        let condemned = (0..100).position(|_| judge.frame(false));
        assert_eq!(condemned, Some(20));
    }

    #[test]
    fn a_connection_is_not_judged_by_another() {
        let mut judges = Judges::default();
        for _ in 0..1_000 {
            assert!(!judges.frame(1, true));
        }
        let condemned = (0..100).position(|_| judges.frame(2, false));
        assert_eq!(condemned, Some(9));
        judges.ended(2, 1);
        assert!(!judges.frame(1, false));
    }
}
