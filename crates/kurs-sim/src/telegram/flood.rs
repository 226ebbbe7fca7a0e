//! How much a bot may send, and what happens when it does not keep to it.

use serde::{Deserialize, Serialize};
use std::collections::{HashMap, VecDeque};

/// How much a bot may send. The real numbers are guidelines; these are what is said of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FloodLimits {
    /// Messages in any second, over all chats.
    pub total_per_second: usize,
    /// Messages at once to one chat; one more becomes possible each second.
    pub chat_burst: u64,
    /// Messages in any minute to one group.
    pub group_per_minute: usize,
}

impl Default for FloodLimits {
    fn default() -> Self {
        Self {
            total_per_second: 30,
            chat_burst: 3,
            group_per_minute: 20,
        }
    }
}

/// Rules that the bot broke.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TelegramViolations {
    /// More messages in a second than allowed over all chats.
    pub too_many_in_total: u64,
    /// More messages to one chat than allowed.
    pub too_many_to_a_chat: u64,
    /// More messages in a minute to a group than allowed.
    pub too_many_to_a_group: u64,
    /// Sent before a `retry_after` was over.
    pub while_banned: u64,
    /// Requests that are wrong in themselves: text too long, bad HTML, bad buttons.
    pub wrong_requests: u64,
    /// Sent again to a chat that had answered 403.
    pub after_blocked: u64,
    /// Button presses that were not answered in time, or twice.
    pub late_answers: u64,
}

impl TelegramViolations {
    /// All of them together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.too_many_in_total
            + self.too_many_to_a_chat
            + self.too_many_to_a_group
            + self.while_banned
            + self.wrong_requests
            + self.after_blocked
            + self.late_answers
    }
}

/// A ban grows by this much for each message that ignores it.
const PROLONGED_MS: u64 = 1_000;
/// No ban is longer.
const BAN_MS_MAX: u64 = 3_600_000;

/// What was sent lately.
#[derive(Debug, Default)]
pub(crate) struct Flood {
    limits: FloodLimits,
    total: VecDeque<u64>,
    chats: HashMap<i64, Bucket>,
    groups: HashMap<i64, VecDeque<u64>>,
    banned_until: HashMap<Option<i64>, u64>,
}

/// How full a chat is: in thousandths of a message.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    at_ms: u64,
}

impl Flood {
    pub(crate) fn new(limits: FloodLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Answers 429 from now on for so long.
    pub(crate) fn ban(&mut self, chat: Option<i64>, seconds: u64, now_ms: u64) {
        let until = now_ms.saturating_add(seconds.saturating_mul(1_000));
        self.banned_until.insert(chat, until);
    }

    /// A message is about to be sent; `Err` is the `retry_after` in seconds.
    pub(crate) fn admit(
        &mut self,
        chat: i64,
        now_ms: u64,
        violations: &mut TelegramViolations,
    ) -> Result<(), u64> {
        for whom in [None, Some(chat)] {
            let Some(until) = self.banned_until.get_mut(&whom) else {
                continue;
            };
            if now_ms < *until {
                *until = until
                    .saturating_add(PROLONGED_MS)
                    .min(now_ms.saturating_add(BAN_MS_MAX));
                violations.while_banned += 1;
                return Err(until.saturating_sub(now_ms).div_ceil(1_000));
            }
            self.banned_until.remove(&whom);
        }
        forget(&mut self.total, now_ms, 1_000);
        if self.total.len() >= self.limits.total_per_second {
            violations.too_many_in_total += 1;
            return Err(self.punish(None, 1, now_ms));
        }
        if chat < 0 {
            let group = self.groups.entry(chat).or_default();
            forget(group, now_ms, 60_000);
            if group.len() >= self.limits.group_per_minute {
                let oldest = group.front().copied().unwrap_or(now_ms);
                let seconds = (oldest + 60_000).saturating_sub(now_ms).div_ceil(1_000);
                violations.too_many_to_a_group += 1;
                return Err(self.punish(Some(chat), seconds, now_ms));
            }
        }
        let bucket = self.chats.entry(chat).or_insert(Bucket {
            level: 0,
            at_ms: now_ms,
        });
        let drained = now_ms.saturating_sub(bucket.at_ms);
        bucket.level = bucket.level.saturating_sub(drained);
        bucket.at_ms = now_ms;
        if bucket.level + 1_000 > self.limits.chat_burst * 1_000 {
            let over = bucket.level + 1_000 - self.limits.chat_burst * 1_000;
            violations.too_many_to_a_chat += 1;
            return Err(self.punish(Some(chat), over.div_ceil(1_000).max(1), now_ms));
        }
        bucket.level += 1_000;
        self.total.push_back(now_ms);
        if let Some(group) = self.groups.get_mut(&chat) {
            group.push_back(now_ms);
        }
        Ok(())
    }

    fn punish(&mut self, chat: Option<i64>, seconds: u64, now_ms: u64) -> u64 {
        self.ban(chat, seconds, now_ms);
        seconds
    }
}

fn forget(times: &mut VecDeque<u64>, now_ms: u64, window_ms: u64) {
    while times.front().is_some_and(|at| at + window_ms <= now_ms) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flood() -> (Flood, TelegramViolations) {
        (
            Flood::new(FloodLimits::default()),
            TelegramViolations::default(),
        )
    }

    #[test]
    fn a_chat_takes_a_short_burst_and_then_one_a_second() {
        let (mut flood, mut seen) = flood();
        for _ in 0..3 {
            assert_eq!(flood.admit(1, 0, &mut seen), Ok(()));
        }
        assert_eq!(flood.admit(1, 0, &mut seen), Err(1));
        assert_eq!(flood.admit(1, 1_000, &mut seen), Ok(()));
        assert_eq!(seen.too_many_to_a_chat, 1);
        assert_eq!(seen.total(), 1);
    }

    #[test]
    fn more_than_thirty_in_a_second_ban_the_whole_bot() {
        let (mut flood, mut seen) = flood();
        for chat in 1..=30 {
            assert_eq!(flood.admit(chat, 0, &mut seen), Ok(()));
        }
        assert_eq!(flood.admit(31, 999, &mut seen), Err(1));
        assert_eq!(flood.admit(32, 1_000, &mut seen), Err(2), "and it grows");
        assert_eq!(flood.admit(32, 3_000, &mut seen), Ok(()));
        assert_eq!((seen.too_many_in_total, seen.while_banned), (1, 1));
    }

    #[test]
    fn a_group_takes_twenty_a_minute() {
        let (mut flood, mut seen) = flood();
        for second in 0..20 {
            assert_eq!(flood.admit(-5, second * 1_000, &mut seen), Ok(()));
        }
        assert_eq!(flood.admit(-5, 20_000, &mut seen), Err(40));
        assert_eq!(flood.admit(-5, 60_000, &mut seen), Ok(()));
        assert_eq!(seen.too_many_to_a_group, 1);
    }
}
