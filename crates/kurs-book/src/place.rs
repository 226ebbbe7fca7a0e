//! Where a message belongs, by its ids alone.

/// Where a message belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It comes next.
    Next,
    /// It says that nothing changed since.
    Alive,
    /// It is in the book already.
    Known,
    /// Messages between the book and this one are missing.
    Missing {
        /// What would have come next.
        expected: u64,
        /// What came.
        got: u64,
    },
}
