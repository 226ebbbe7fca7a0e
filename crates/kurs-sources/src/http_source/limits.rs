//! What a document and a configuration may cost, whoever wrote them.

use std::cell::Cell;

/// No rate service nests its data deeper.
pub const MAX_DEPTH: usize = 64;

/// Values, elements, attributes and cells of one document.
pub const MAX_NODES: usize = 250_000;

/// Nodes that all paths of a source together may look at in one document. A path over each of
/// a thousand currencies in a table of them is far below.
const MAX_VISITS: usize = 10_000_000;

/// Characters of one path.
pub const MAX_PATH: usize = 500;

/// What is left of the visits; paths that want more find nothing.
#[derive(Debug)]
pub struct Budget(Cell<usize>);

/// The paths want to look at more than they may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the document is too large for paths that search so much of it")]
pub struct Exhausted;

impl Default for Budget {
    fn default() -> Self {
        Self::of(MAX_VISITS)
    }
}

impl Budget {
    /// So many visits.
    #[must_use]
    pub const fn of(visits: usize) -> Self {
        Self(Cell::new(visits))
    }

    /// Takes so many visits.
    ///
    /// # Errors
    /// [`Exhausted`] when there are not as many left.
    pub fn visit(&self, nodes: usize) -> Result<(), Exhausted> {
        let left = self.0.get().checked_sub(nodes);
        self.0.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Exhausted)
    }
}
