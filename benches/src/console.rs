//! What the user sees while it runs.

use std::io::Write as _;

/// Prints a line; whoever closed the other end does not want it.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}
