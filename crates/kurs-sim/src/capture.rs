//! Plays a recorded capture as the venue: the frames as they were received, byte for byte, to
//! the clients that subscribed their streams, and the recorded REST snapshots to who asks.
//!
//! | part | what it holds |
//! |---|---|
//! | `file` | the line format of the captures |
//! | `player` | pace, delivery, the state tests compare with |
//! | `rest` | what the routes answer while a capture is played |
//!
//! A capture of another venue needs its own way from a frame to its stream names in `file` and
//! its own routes; the player knows no venue.

pub(crate) mod file;
mod player;
pub(crate) mod rest;

pub use file::CaptureError;
pub use player::Player;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// What is played and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureConfig {
    /// A `.jsonl` or `.jsonl.gz` file of the fixtures' line format.
    pub path: PathBuf,
    /// How fast.
    #[serde(default)]
    pub speed: Speed,
    /// Every frame goes to every connection, whatever it subscribed.
    #[serde(default)]
    pub all: bool,
    /// Playing starts when so many of the capture's streams are subscribed; 0 is taken as 1.
    #[serde(default)]
    pub start_at_streams: usize,
}

impl CaptureConfig {
    /// As fast as the client reads, from the first subscription on.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, speed: Speed) -> Self {
        Self {
            path: path.into(),
            speed,
            all: false,
            start_at_streams: 1,
        }
    }

    /// Waits for so many streams of the capture to be subscribed.
    #[must_use]
    pub fn starting_at(mut self, streams: usize) -> Self {
        self.start_at_streams = streams;
        self
    }
}

/// The pace of a capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speed {
    /// As recorded.
    #[default]
    RealTime,
    /// So many times faster than recorded.
    Times(u32),
    /// As fast as the client reads; TCP holds the player back, nothing is lost.
    AsFastAsRead,
    /// Only as told by [`Player::step`].
    Step,
}

/// The text is no speed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a speed is real_time, as_fast_as_read, step, or a factor such as 10x")]
pub struct SpeedError;

impl FromStr for Speed {
    type Err = SpeedError;

    /// Reads a speed as a command line writes it: `real_time`, `10x`, `as_fast_as_read`, `step`.
    fn from_str(text: &str) -> Result<Self, SpeedError> {
        match text {
            "real_time" => Ok(Self::RealTime),
            "as_fast_as_read" => Ok(Self::AsFastAsRead),
            "step" => Ok(Self::Step),
            _ => {
                let factor = text.strip_suffix('x').ok_or(SpeedError)?;
                let times = factor.parse().ok().filter(|times| *times > 0);
                times.map(Self::Times).ok_or(SpeedError)
            }
        }
    }
}

/// How far the capture is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureState {
    /// Frames in the capture.
    pub frames_total: u64,
    /// Frames handed to at least one connection.
    pub frames_played: u64,
    /// Frames passed over because nobody had subscribed their stream.
    pub frames_skipped: u64,
    /// True when the end is reached.
    pub finished: bool,
    /// The payload of the last played frame of each stream, as recorded (without the wrapper of
    /// combined connections).
    pub last: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_as_a_command_line_writes_them() {
        assert_eq!("10x".parse(), Ok(Speed::Times(10)));
        assert_eq!("step".parse(), Ok(Speed::Step));
        for text in ["", "x", "0x", "-1x", "fast"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError), "{text:?}");
        }
    }
}
