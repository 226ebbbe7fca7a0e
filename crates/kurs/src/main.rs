//! The kurs binary.
fn main() {}
