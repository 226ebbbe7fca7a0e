//! What a replay has met.

use serde::Serialize;
use std::collections::BTreeMap;

/// Broken lines that are told one by one.
const TOLD: usize = 10;
/// Names of sources that are counted one by one.
const NAMES: usize = 64;

/// A line that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Its file.
    pub file: String,
    /// Its number in the file, from 1.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

/// What one source brought.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SourceTally {
    /// Frames received by stream.
    pub frames: u64,
    /// REST answers.
    pub answers: u64,
    /// Frames and answers that could not be read.
    pub decode_errors: u64,
    /// Times a book was out of step.
    pub gaps: u64,
    /// Books brought back in step.
    pub resyncs: u64,
    /// Checksums that were not the venue's.
    pub checksum_failures: u64,
    /// Pairs with a price.
    pub pairs: u32,
    /// How the source was at the end.
    pub state: &'static str,
}

/// Counters of a replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Lines read.
    pub lines: u64,
    /// Frames and REST answers handed to sources.
    pub frames: u64,
    /// Per source, by its name in answers.
    pub sources: BTreeMap<String, SourceTally>,
    /// Lines that could not be used.
    pub broken_lines: u64,
    /// The first of them.
    pub broken: Vec<Broken>,
    /// Lines of sources that are not on, by name; `?` where nothing tells whose they are.
    pub unknown_sources: BTreeMap<String, u64>,
    /// REST answers that no source has a use for.
    pub unused_answers: u64,
    /// Records that the recorder lost, as it says itself.
    pub lost: u64,
    /// Files that end in the middle of a line.
    pub truncated: Vec<String>,
    /// Files that cannot be read to their end, with the reason.
    pub damaged: Vec<String>,
    /// Updates that came of it.
    pub updates: u64,
    /// Changed rates among them.
    pub rates: u64,
    /// Recorded time from the first line to the last, milliseconds.
    pub span_ms: u64,
}

impl Tally {
    /// A line could not be used.
    pub fn broken(&mut self, file: &str, line: u64, why: String) {
        self.broken_lines += 1;
        if self.broken.len() < TOLD {
            self.broken.push(Broken {
                file: file.to_owned(),
                line,
                why,
            });
        }
    }

    /// A line of a source that is not on.
    pub fn unknown(&mut self, source: &str) {
        if let Some(count) = self.unknown_sources.get_mut(source) {
            *count += 1;
        } else if self.unknown_sources.len() < NAMES {
            let name: String = source.chars().take(64).collect();
            *self.unknown_sources.entry(name).or_default() += 1;
        }
    }
}
