//! What the tasks say to the person at the terminal. The only place that prints.
#![expect(
    clippy::print_stdout,
    reason = "the tasks talk to a person at a terminal"
)]

use std::time::Duration;

/// Opens a section of the output.
pub(crate) fn heading(text: &str) {
    println!("\n==== {text} ====");
}

/// One plain line.
pub(crate) fn line(text: &str) {
    println!("{text}");
}

/// A line that a person should not overlook, though nothing failed.
pub(crate) fn notice(text: &str) {
    println!("notice: {text}");
}

/// What failed, and why.
pub(crate) fn problem(text: &str) {
    println!("FAILED: {text}");
}

/// A duration in seconds with one decimal: `12.3 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    format!(
        "{}.{} s",
        duration.as_secs(),
        duration.subsec_millis() / 100
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_cut_to_a_tenth() {
        assert_eq!(seconds(Duration::from_millis(61_987)), "61.9 s");
        assert_eq!(seconds(Duration::from_millis(40)), "0.0 s");
    }
}
