//! [`Mistakes`]: what is wrong with the settings of a bus, all of it at once.

use std::fmt::Display;
use std::ops::RangeInclusive;

/// Collects a sentence for every setting below a key that cannot be used.
#[derive(Debug)]
pub struct Mistakes<'a> {
    key: &'a str,
    told: &'a mut Vec<String>,
}

impl<'a> Mistakes<'a> {
    /// Sentences begin with `key` and the name of the setting.
    #[must_use]
    pub const fn new(key: &'a str, told: &'a mut Vec<String>) -> Self {
        Self { key, told }
    }

    /// This setting breaks a rule, such as "must be 1, 3 or 5".
    pub fn wrong(&mut self, name: &str, rule: &str) {
        self.told.push(format!("{}.{name}: {rule}", self.key));
    }

    /// Tells a number out of its range.
    pub fn within<T: PartialOrd + Display>(
        &mut self,
        name: &str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let (least, most) = range.into_inner();
            self.wrong(name, &format!("must be from {least} to {most}"));
        }
    }

    /// Tells a setting `prefix` that is no word as every broker takes it in its names.
    pub fn prefix(&mut self, prefix: &str) {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=32).contains(&prefix.len()) || !prefix.chars().all(is_word) {
            self.wrong(
                "prefix",
                "must be 1 to 32 lower-case letters, digits or underscores",
            );
        }
    }

    /// Tells a `flow_age_ms` that is too short for a Reader that was away, or without an end.
    pub fn flow_age_ms(&mut self, age_ms: u64) {
        self.within("flow_age_ms", age_ms, 10_000..=86_400_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told_with_its_key_and_what_is_right_is_not() {
        let mut told = Vec::new();
        let mut mistakes = Mistakes::new("bus.nats", &mut told);
        for prefix in ["kurs", "k_2"] {
            mistakes.prefix(prefix);
        }
        mistakes.within("buffer", 7, 1..=7);
        mistakes.flow_age_ms(600_000);
        assert!(mistakes.told.is_empty());
        for prefix in ["", "a.b", "Kurs", &"k".repeat(33)] {
            mistakes.prefix(prefix);
        }
        mistakes.within("buffer", 0, 1..=7);
        mistakes.flow_age_ms(9_999);
        assert_eq!(told.len(), 6);
        assert!(told.iter().all(|one| one.starts_with("bus.nats.")));
        assert_eq!(told[4], "bus.nats.buffer: must be from 1 to 7");
    }
}
