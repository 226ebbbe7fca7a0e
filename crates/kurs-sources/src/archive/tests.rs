//! What the archives promise: real shapes, hostile answers, pages, limits, ends.

mod hostile;
mod rig;
mod runs;
mod shapes;
mod walks;
