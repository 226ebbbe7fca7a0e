//! How much comes, and how much of it is read before others get their turn.

use kurs_core::Mono;
use std::time::Duration;

/// Messages read in a row before timers, commands and other tasks get their turn.
const MESSAGES_IN_A_ROW: usize = 128;
/// The same in bytes.
const BYTES_IN_A_ROW: usize = 256 << 10;
/// Connections that are counted at a time; the oldest is forgotten beyond that.
const CONNECTIONS_MAX: usize = 4;
/// Messages are counted over this long.
const WINDOW: Duration = Duration::from_secs(1);

/// What was read in a row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    messages: usize,
    bytes: usize,
}

impl Row {
    /// One message more.
    pub(super) const fn add(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether others must get their turn.
    pub(super) const fn is_full(self) -> bool {
        self.messages >= MESSAGES_IN_A_ROW || self.bytes >= BYTES_IN_A_ROW
    }
}

/// Messages of one connection since a moment.
#[derive(Debug, Clone, Copy)]
struct Count {
    connection: u64,
    since: Mono,
    messages: u32,
}

/// How many messages came over each connection of late.
#[derive(Debug)]
pub(super) struct Inflow {
    most: u32,
    counts: Vec<Count>,
}

impl Inflow {
    /// At most so many messages a second.
    pub(super) const fn new(most: u32) -> Self {
        Self {
            most,
            counts: Vec::new(),
        }
    }

    /// Counts a message. False when it is one too many.
    pub(super) fn take(&mut self, now: Mono, connection: u64) -> bool {
        let known = self
            .counts
            .iter_mut()
            .find(|count| count.connection == connection);
        if let Some(count) = known {
            if now.since(count.since) >= WINDOW {
                (count.since, count.messages) = (now, 0);
            }
            count.messages = count.messages.saturating_add(1);
            return count.messages <= self.most;
        }
        if self.counts.len() >= CONNECTIONS_MAX {
            self.counts.remove(0);
        }
        self.counts.push(Count {
            connection,
            since: now,
            messages: 1,
        });
        self.most > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_may_send_its_number_of_messages_in_each_second_and_no_other_is_charged() {
        let mut inflow = Inflow::new(1_000);
        let mut now = Mono(0);
        for _ in 0..3 {
            for _ in 0..1_000 {
                assert!(inflow.take(now, 1));
            }
            assert!(inflow.take(now, 2));
            now = now.plus(WINDOW);
        }
        for _ in 0..1_000 {
            assert!(inflow.take(now, 1));
        }
        assert!(!inflow.take(now, 1), "one too many");
        assert!(inflow.take(now, 2));
        for connection in 3..100 {
            assert!(inflow.take(now, connection));
        }
        assert_eq!(inflow.counts.len(), CONNECTIONS_MAX);
    }

    #[test]
    fn a_row_ends_by_messages_or_by_bytes() {
        let mut row = Row::default();
        for _ in 1..MESSAGES_IN_A_ROW {
            row.add(100);
            assert!(!row.is_full());
        }
        row.add(0);
        assert!(row.is_full());
        let mut row = Row::default();
        row.add(BYTES_IN_A_ROW);
        assert!(row.is_full());
    }
}
