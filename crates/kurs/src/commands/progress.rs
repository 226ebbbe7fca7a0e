//! Progress of long commands, on standard error and on a terminal only.

use crate::output::color_wanted;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// What is over sooner needs no progress.
const SHOWN_AFTER: Duration = Duration::from_millis(500);
/// Drawings per second.
const DRAWN_HZ: u8 = 10;

/// A line that shows how far a command is, or nothing where nobody looks.
pub(super) struct Progress {
    bar: ProgressBar,
    style: &'static str,
    since: Instant,
    wanted: bool,
    shown: bool,
}

impl Progress {
    /// Of a known length in bytes.
    pub(super) fn of_bytes(total: u64, quiet: bool) -> Self {
        let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
        Self::new(
            ProgressBar::with_draw_target(Some(total), hidden()),
            style,
            quiet,
        )
    }

    /// Of a number of steps that is known about.
    pub(super) fn of_steps(quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1), hidden());
        Self::new(bar, "{wide_bar} {pos}/{len} requests {eta} {msg}", quiet)
    }

    /// Of no known length.
    pub(super) fn open_ended(quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, hidden());
        Self::new(bar, "{elapsed_precise} {wide_msg}", quiet)
    }

    fn new(bar: ProgressBar, style: &'static str, quiet: bool) -> Self {
        Self {
            bar,
            style,
            since: Instant::now(),
            // No animation where colours are unwanted or unknown either.
            wanted: !quiet && color_wanted() && std::io::stderr().is_terminal(),
            shown: false,
        }
    }

    /// True where a terminal shows it.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// So far it is.
    pub(super) fn set(&mut self, position: u64, message: String) {
        if !self.wanted || self.since.elapsed() < SHOWN_AFTER {
            return;
        }
        if !std::mem::replace(&mut self.shown, true) {
            self.bar
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(DRAWN_HZ));
            if let Ok(style) = ProgressStyle::with_template(self.style) {
                self.bar.set_style(style);
            }
        }
        self.bar.set_position(position);
        self.bar.set_message(message);
    }

    /// So far it is, of so much.
    pub(super) fn set_of(&mut self, position: u64, total: u64, message: String) {
        self.bar.set_length(total);
        self.set(position, message);
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn hidden() -> ProgressDrawTarget {
    ProgressDrawTarget::hidden()
}
