//! Small parts alone.
fn main() {}
